"""One writer on a route at a time, and no late call of what was taken over undoes a way back unseen."""

from datetime import timedelta

import pytest

from releases.core.errors import Refused
from releases.operations import services as operations
from releases.operations.models import Attempt, Step
from releases.operations.services import journal
from releases.operations.states import OperationState, StepState
from releases.traffic.rivals import IN_GIT, find_no_other_writer, may_still_arrive
from releases.traffic.steps import STEP_KIND, ShiftStep
from tests.factories.accounts import SETUP
from tests.factories.shifts import Clock, a_route, begin, running_cluster

pytestmark = pytest.mark.django_db(transaction=True)
HOME, SOME = {"stable": 100, "canary": 0}, {"stable": 90, "canary": 10}


@pytest.fixture
def mesh():
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def route(mesh, now):
    return a_route(mesh.url, now)


def sending(operation, now, **columns):
    """Let a worker have written that it is about to send, and nothing since."""
    step = operation.steps.get()
    Step.objects.filter(pk=step.pk).update(state=StepState.SENDING, sent_at=now, **columns)
    Attempt.objects.create(step=step, seq=1, fence=1, worker="w", sent_at=now)


def view(operation):
    return journal.view_of(operation.steps.get(), operation)


@pytest.mark.parametrize("columns", [{"remote_ref": IN_GIT}, {"state": StepState.NEEDS_HUMAN}], ids=["git", "waits"])
def test_what_writes_nothing_is_no_writer(route, now, columns):
    other, mine = begin(route, SOME, now), begin(route, HOME, now)
    sending(other, now)
    with pytest.raises(Refused, match="Other work"):
        find_no_other_writer(view(mine))

    other.steps.update(**columns)
    find_no_other_writer(view(mine))


def test_a_shift_forward_leaves_the_route_to_the_one_who_writes_it(mesh, route, now):
    other, mine = begin(route, HOME, now), begin(route, SOME, now)
    sending(other, now)

    handlers = {STEP_KIND: ShiftStep(hold_seconds=0, contention_seconds=0)}
    operations.run(operation_id=mine.pk, worker="w", handlers=handlers, now=Clock(now))

    assert mine.steps.get().state == StepState.NEEDS_HUMAN
    assert mesh.patches() == []


def test_going_back_is_not_confirmed_while_a_call_of_what_it_took_over_may_arrive(route, now):
    late, back = begin(route, SOME, now), begin(route, HOME, now, urgent=True)
    sending(late, now)
    operations.take_over(operation_id=late.pk, actor=SETUP, reason="", now=now)
    clock = Clock(now)
    handlers = {STEP_KIND: ShiftStep(hold_seconds=0, contention_seconds=0, now=clock)}

    operations.run(operation_id=back.pk, worker="w", handlers=handlers, now=clock)
    assert back.steps.get().state == StepState.APPLIED
    clock.now += timedelta(minutes=1)
    operations.run(operation_id=back.pk, worker="w", handlers=handlers, now=clock)

    back.refresh_from_db()
    assert back.state == OperationState.SUCCEEDED


def test_a_call_that_was_answered_or_asks_for_the_same_is_not_waited_for(route, now):
    same, other, back = begin(route, HOME, now), begin(route, SOME, now), begin(route, HOME, now, urgent=True)
    sending(same, now)
    assert not may_still_arrive(view(back), now=now)
    sending(other, now)
    assert may_still_arrive(view(back), now=now)

    Attempt.objects.filter(step__operation=other).update(outcome="rejected")
    assert not may_still_arrive(view(back), now=now)
