"""How much is known of a shift: held by its control plane, and observed once the requests follow."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from releases.operations import services as operations
from releases.operations.models import Step
from releases.operations.states import StepState
from releases.traffic import queries
from releases.traffic.ports import Counted
from releases.traffic.steps import STEP_KIND, ShiftStep
from tests.factories.shifts import Clock, a_route, begin, running_cluster

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PROOF = {"version": "v2", "percent": 10, "before": 0}
TENTH = {"stable": 90, "canary": 10}


@dataclass
class Counts:
    """Say these shares, one after the other; the last one for ever."""

    shares: list[float | None]
    asked: list[str] = field(default_factory=list)

    def __call__(self, route, version):
        self.asked.append(version)
        share = self.shares.pop(0) if len(self.shares) > 1 else self.shares[0]
        return Counted(share, "Prometheus 3")


@pytest.fixture
def mesh():
    with running_cluster() as cluster:
        yield cluster


def looked_at(operation, now, counts, *, waits=(0.0,)):
    """Look at a shift at these moments, and return its step."""
    handlers = {STEP_KIND: ShiftStep(hold_seconds=0, contention_seconds=0, count=counts, count_seconds=(5.0, 5.0))}
    for wait in waits:
        clock = Clock(now + timedelta(seconds=wait))
        operations.run(operation_id=operation.pk, worker="w", handlers=handlers, now=clock)
    return operation.steps.get()


def shifting(mesh, now, **parts):
    route = a_route(mesh.url, now)
    return route, begin(route, TENTH, now, **{"proof": PROOF, **parts})


def test_a_shift_that_the_requests_follow_is_observed_and_says_who_counted(mesh, now):
    route, operation = shifting(mesh, now)
    counts = Counts([0.098])
    assert looked_at(operation, now, counts).state == StepState.CONFIRMED
    (shift,) = queries.ledger(route.id)
    assert (shift.verification, shift.why) == ("observed", None)
    assert str(shift.evidence) == "Prometheus 3 saw 9.8 % of the requests at v2 after the shift."
    assert counts.asked == ["v2"]


def test_requests_that_take_their_time_are_waited_for(mesh, now):
    route, operation = shifting(mesh, now)
    counts = Counts([None, 0.02, 0.1])
    step = looked_at(operation, now, counts, waits=(0, 5))
    assert step.state == StepState.APPLIED
    assert "waits until the requests to v2 follow" in step.data["awaited"]["text"] % step.data["awaited"]["parts"]
    assert looked_at(operation, now, counts, waits=(10,)).state == StepState.CONFIRMED
    assert queries.ledger(route.id)[0].verification == "observed"


@pytest.mark.parametrize("share", [None, 0.0, 0.5])
def test_requests_that_never_follow_hold_nothing_up(mesh, now, share):
    route, operation = shifting(mesh, now)
    assert looked_at(operation, now, Counts([share]), waits=(0, 5, 10)).state == StepState.CONFIRMED
    (shift,) = queries.ledger(route.id)
    assert (shift.verification, shift.evidence) == ("held", None)


def test_nobody_waits_for_requests_once_another_route_of_the_move_is_in_trouble(mesh, now):
    route, operation = shifting(mesh, now)
    Step.objects.update(desired={**operation.steps.get().desired, "move": 1})
    step = looked_at(operation, now, Counts([0.0]))
    assert step.state == StepState.APPLIED
    other = {"kind": STEP_KIND, "desired": step.desired, "state": StepState.FAILED, "op_key": "other", "ended_at": now}
    Step.objects.create(operation=operation, position=9, stage=step.stage, name="other", **other)
    handlers = {STEP_KIND: ShiftStep(hold_seconds=0, contention_seconds=0, count=Counts([0.0]))}
    operations.run(operation_id=operation.pk, worker="w", handlers=handlers, now=Clock(now + timedelta(seconds=5)))
    step.refresh_from_db()
    assert step.state == StepState.CONFIRMED
    assert queries.ledger(route.id)[0].verification == "held"


@pytest.mark.parametrize("parts", [{"urgent": True}, {"literal": True}, {"proof": None}])
def test_going_back_asks_nobody_and_neither_does_what_is_no_release(mesh, now, parts):
    route, operation = shifting(mesh, now, **parts)
    counts = Counts([0.1])
    assert looked_at(operation, now, counts).state == StepState.CONFIRMED
    assert counts.asked == []
    assert queries.ledger(route.id)[0].verification == "held"
