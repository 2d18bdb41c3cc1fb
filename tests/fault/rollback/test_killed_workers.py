"""A worker dies in the middle of a rollback, at every place of its journal: another one finishes, nothing twice."""

import pytest
from django.db import connection

from releases.core import clock
from releases.operations import failpoints
from releases.operations.models import Attempt, Operation, OutboxMessage
from releases.rollback import services
from tests.factories.delivery import fault
from tests.factories.rollout import unsound
from tests.fault.harness import wait_for
from tests.fault.rollback.outside import BUILT, HOME, STANDS, WITHOUT_ROUTE, side_of, staff

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="as in production: PostgreSQL and Redis"),
]
# What else must go wrong for a worker to come by; a place that is not here is on everybody's way.
BEFORE = {"after_probe": "after_send", "after_found": "after_send", "after_not_found": "after_intent"}
ELSEWHERE = {"before_ring"}  # it is not a worker that dies there
PLACES = [name for name in failpoints.names() if name not in ELSEWHERE]
STEP_PLACES = [name for name in PLACES if not name.startswith("outbox")]
# Places that are the same code whatever the step does; the others are where a build could start twice.
ALIKE = {"after_claim", "after_snapshot", "after_postpone", "before_confirm", "after_confirm"}
REDEPLOY_PLACES = [pytest.param(name, marks=pytest.mark.long if name in ALIKE else ()) for name in STEP_PLACES]
TWO_WORKERS = 2


def ended(change):
    change.refresh_from_db()
    return change.state == "reviewing"


def heard():
    return not OutboxMessage.objects.undone().exists()


def go_back_and_check(outside, change, service, *, routed=True):
    """Press the button; then everything is as it was before the release, and was done once."""
    writes, builds = outside.writes(service), outside.builds(service)

    row = services.begin(change_id=change.pk, actor=outside.on_call, now=clock.now())

    report = outside.place.crew.report
    wait_for(lambda: ended(change), what=f"the end of {change}", report=report)
    wait_for(heard, what="the messages", report=report)
    row.refresh_from_db()
    operation = Operation.objects.get(pk=row.operation)
    assert (change.outcome, row.outcome, operation.state) == ("rolled_back", "succeeded", "succeeded")
    weights, versions = outside.stands(service)
    assert versions[side_of(service)] == STANDS
    order = operation.steps.get(kind="delivery.deploy")
    assert outside.builds(service)[len(builds) :] == [order.op_key]
    if routed:
        assert weights == HOME
        assert outside.writes(service) - writes == 1
    assert not Operation.objects.filter(subject=change.pk, state__in=("pending", "running", "needs_human")).exists()
    return operation


def prepare(outside, name):
    staff(outside.place, TWO_WORKERS + (name in BEFORE))
    before = len(outside.place.crew.alive())
    for armed in filter(None, [BEFORE.get(name), name]):
        outside.place.crew.arm(armed)
    return before


def check_death(outside, name, before):
    assert outside.place.crew.struck(name)
    wait_for(lambda: len(outside.place.crew.alive()) < before, what="a death")


@pytest.mark.parametrize("name", [name for name in PLACES if name != "after_unknown"])
def test_killed_while_traffic_goes_back(outside, name):
    service = outside.next_service()
    change = outside.watched(service)
    before = prepare(outside, name)

    go_back_and_check(outside, change, service)

    check_death(outside, name, before)


@pytest.mark.parametrize("name", REDEPLOY_PLACES)
def test_killed_while_the_version_is_redeployed(outside, name):
    change = outside.watched(WITHOUT_ROUTE)
    before = prepare(outside, name)
    if name == "after_unknown":
        fault(outside.jenkins, "close_after", method="POST", path=BUILT)

    operation = go_back_and_check(outside, change, WITHOUT_ROUTE, routed=False)

    check_death(outside, name, before)
    tries = Attempt.objects.filter(step__operation=operation, step__kind="delivery.deploy")
    assert tries.count() == (2 if "after_intent" in (name, BEFORE.get(name)) else 1)


def test_the_record_holds_after_all_of_it(outside):
    assert unsound() == []
