from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from releases.audit import queries as audit
from releases.core.errors import Invalid, Missing, Stale, Unreachable
from releases.core.ids import uuid7
from releases.operations import queries, services
from releases.operations.models import Operation, OutboxMessage, Step
from releases.operations.rules import KeyReused, OperationActive
from releases.operations.services import journal
from releases.operations.services.journal import LostLease
from tests.factories.operations import OPERATOR, Clock, Outside, a_pending, a_plan, an_operation, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outside():
    return Outside()


def test_the_same_key_is_the_same_operation(clock):
    subject = uuid7()
    first = an_operation(now=clock(), key="once", target="t", subject=subject)

    assert an_operation(now=clock(), key="once", target="t", subject=subject) == first
    assert first.steps.count() == 1


def test_a_key_of_something_else_is_refused(clock):
    an_operation(now=clock(), key="once", target="t")

    with pytest.raises(KeyReused):
        an_operation(now=clock(), key="once", target="other")


def test_a_second_operation_on_a_target_is_refused_with_its_code(clock):
    an_operation(now=clock(), target="checkout/production")

    with pytest.raises(OperationActive) as refused:
        an_operation(now=clock(), target="checkout/production")
    assert refused.value.code == refused.value.reasons[0].code == "operation_active"


def test_the_database_itself_allows_one_active_operation_per_target(clock):
    first = an_operation(now=clock(), target="t")
    second = an_operation(now=clock(), target="u")

    with pytest.raises(IntegrityError), transaction.atomic():
        Operation.objects.filter(pk=second.pk).update(target=first.target)


@pytest.mark.parametrize("model", [Operation, Step])
def test_the_database_itself_knows_the_states(clock, model):
    an_operation(now=clock())

    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(state="done")


def test_an_ended_operation_frees_its_target(clock, outside):
    work(an_operation(now=clock(), target="t"), outside, clock)

    assert an_operation(now=clock(), target="t").state == "pending"


def test_nothing_to_do_or_no_time_to_do_it_is_invalid(clock):
    with pytest.raises(Invalid):
        an_operation(now=clock(), minutes=0)
    with pytest.raises(Invalid):
        services.begin(
            kind="x", target="t", subject=uuid7(), steps=[], actor=OPERATOR, deadline=clock() + timedelta(1), key="k",
            now=clock(),
        )  # fmt: skip


def test_superseding_frees_the_target_and_shuts_the_late_worker_out(clock, outside):
    old = an_operation(now=clock(), target="t", steps=[a_plan("a"), a_plan("b", stage=2)])
    late = journal.claim(operation_id=old.pk, worker="late", now=clock())
    journal.intent(late, now=clock())

    new = an_operation(now=clock(), target="t", supersede=True)

    old.refresh_from_db()
    assert (old.state, [step.state for step in old.steps.all()]) == ("superseded", ["abandoned", "skipped"])
    assert new.supersedes == old
    with pytest.raises(LostLease):
        journal.sent(late, remote_ref="job/late", now=clock())
    assert work(new, outside, clock).state == "succeeded"
    assert OutboxMessage.objects.filter(kind="operation.superseded", ref=old.pk).count() == 1


def test_a_stuck_operation_is_taken_over(clock, outside):
    operation = an_operation(now=clock(), minutes=1)
    clock.tick(61)
    work(operation, outside, clock)

    services.take_over(operation_id=operation.pk, actor=OPERATOR, reason="Nobody answers.", now=clock())

    assert queries.active_on(operation.target) is None
    assert audit.story(operation.stream)[-1].text == {"reason": "Nobody answers."}


def test_what_has_ended_cannot_be_stopped_or_taken_over(clock, outside):
    operation = work(an_operation(now=clock()), outside, clock)

    with pytest.raises(Stale):
        services.stop(operation_id=operation.pk, actor=OPERATOR, now=clock())
    with pytest.raises(Stale):
        services.take_over(operation_id=operation.pk, actor=OPERATOR, reason="", now=clock())
    with pytest.raises(Missing):
        services.stop(operation_id=uuid7(), actor=OPERATOR, now=clock())


def test_stopping_skips_what_was_not_sent_and_abandons_what_may_be_out(clock, outside):
    outside.outcomes = [a_pending()]
    operation = work(an_operation(now=clock(), steps=[a_plan("a"), a_plan("b", stage=2)]), outside, clock)

    services.stop(operation_id=operation.pk, actor=OPERATOR, now=clock())

    clock.tick(60)
    work(operation, outside, clock)
    assert (operation.state, [step.state for step in operation.steps.all()]) == ("stopped", ["abandoned", "skipped"])
    assert len(outside.done) == 1
    assert OutboxMessage.objects.filter(kind="operation.stopped", ref=operation.pk).count() == 1


def test_a_step_tried_again_is_looked_for_first_and_gets_time(clock, outside):
    outside.sends = ["lost"]
    operation = work(an_operation(now=clock(), minutes=10), outside, clock)
    outside.done.clear()  # the outside forgot it meanwhile
    clock.tick(601)
    assert work(operation, outside, clock).state == "needs_human"

    outside.done.append(operation.steps.get().op_key)  # and a human found it
    services.retry_step(step_id=operation.steps.get().pk, actor=OPERATOR, now=clock())
    assert work(operation, outside, clock).state == "succeeded"
    assert operation.deadline_at > clock()
    assert len(outside.done) == 1


def test_only_a_step_that_waits_for_a_human_is_tried_again(clock):
    operation = an_operation(now=clock())

    with pytest.raises(Stale):
        services.retry_step(step_id=operation.steps.get().pk, actor=OPERATOR, now=clock())
    with pytest.raises(Missing):
        services.retry_step(step_id=uuid7(), actor=OPERATOR, now=clock())


def test_a_nudge_looks_at_what_waits_now(clock, outside):
    outside.outcomes = [a_pending(seconds=3000)]
    operation = work(an_operation(now=clock()), outside, clock)

    services.nudge(operation_id=operation.pk, now=clock())
    assert work(operation, outside, clock).state == "succeeded"


def test_a_hint_brings_the_next_look_forward_but_never_twice_within_a_second(clock, outside):
    outside.outcomes = [a_pending(seconds=600)]
    step = work(an_operation(now=clock()), outside, clock).steps.get()

    for after in (0.2, 5):
        clock.tick(after)
        services.look_soon(step_id=step.pk, now=clock())
    step.refresh_from_db()

    assert step.look_at == step.heartbeat_at + timedelta(seconds=1)


def test_hints_leave_an_outside_its_rest_and_only_who_insists_does_not(clock, outside):
    outside.sends = [Unreachable("Too many requests.", after_seconds=120)]
    step = work(an_operation(now=clock()), outside, clock).steps.get()
    rested = clock() + timedelta(seconds=120)
    clock.tick(10)

    services.look_soon(step_id=step.pk, now=clock())
    step.refresh_from_db()
    assert step.look_at == rested

    services.look_soon(step_id=step.pk, now=clock(), is_insisted=True)
    step.refresh_from_db()
    assert step.look_at == clock()


def test_hints_do_not_use_up_the_looks_for_what_was_sent_without_an_answer(clock, outside):
    outside.sends, outside.probes = ["lost"], [Unreachable("No answer.") for _probe in range(10)]
    operation = work(an_operation(now=clock()), outside, clock)

    for second in range(20):
        clock.tick(1)
        services.look_soon(step_id=operation.steps.get().pk, now=clock())
        work(operation, outside, clock)
        if second == 9:  # it answers again
            outside.probes.clear()
    assert (operation.state, len(outside.done)) == ("succeeded", 1)
