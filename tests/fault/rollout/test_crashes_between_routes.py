"""A worker that dies anywhere while two routes move, or are put back, leaves no half of a step that nobody sees.

It runs in one process and one thread: a crash is an error that nobody catches, so whatever was not committed is gone.
"""

import time
from contextlib import suppress
from importlib import import_module

import pytest

from releases.calendar.models import Booking
from releases.changes.models import ChangeRequest
from releases.core import clock
from releases.operations import failpoints
from releases.operations import queries as operations
from releases.operations.models import Operation, OutboxMessage
from releases.rollout import services as rollout
from releases.traffic import services as traffic
from tests.factories.rollback import quick
from tests.factories.rollout import PATIENCE, report, scheduled
from tests.factories.routes import deployed, some_routes

__all__ = ["quick"]
running = import_module("releases.operations.services.run")  # its function has the same name
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]
TWO = ("ledgerwriter", "balancereader")
LAST = "ledgerwriter"
MANY = range(1, 41)


class Crash(BaseException):
    """The worker's process is gone."""


@pytest.fixture
def bank():
    with some_routes(*TWO, calling={LAST: "balancereader"}) as found:
        yield found


@pytest.fixture
def crash_at(monkeypatch):
    """Crash at the n-th place of the journal that is passed."""
    passed, deadly = [], set()

    def strike(name):
        passed.append(name)
        if len(passed) in deadly:
            raise Crash

    def arm(point):
        passed.clear()
        deadly.clear()
        deadly.add(point)
        return passed

    monkeypatch.setattr(running, "HANDS", 1)
    monkeypatch.setenv("GMUD_FAILPOINTS", "all")
    monkeypatch.setattr(failpoints, "strike", strike)
    return arm


def play(bank, *, is_torn):
    """Let two routes make the first step, whoever dies, and return what stands and which work says so."""
    change = scheduled(bank.house, *((name, "v1.5.0") for name in TWO))
    deployed(bank, change)
    if is_torn:
        bank.cluster.edit(70, 30, service=LAST)

    def rests():
        latest = operations.operations_of(change.pk)[0]
        is_quiet = not OutboxMessage.objects.undone().exists()
        return is_quiet and (rollout.paused_after(latest) or latest.state in {"succeeded", "needs_human", "failed"})

    until(bank, rests)
    latest = operations.operations_of(change.pk)[0]
    found = (latest.kind, str(latest.state), *(bank.weights(name)["canary"] for name in TWO))
    _forget(bank, change)
    return found


def until(bank, condition):
    """Work until it is so, whoever dies; the limit is there so that a broken test ends."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, report()
        with suppress(Crash):
            if bank.work():
                continue
        time.sleep(0.02)


def _forget(bank, change):
    """Let the next release find everything as this one found it."""
    Operation.objects.filter(subject=change.pk, ended_at=None).update(state="superseded", ended_at=clock.now())
    ChangeRequest.objects.filter(pk=change.pk).update(state="canceled")
    Booking.objects.filter(subject=change.pk).update(released_at=clock.now())
    for route in bank.house.service.routes.model.objects.all():
        bank.cluster.edit(100, 0, service=route.locator["name"])
        traffic.look(route_id=route.pk, now=clock.now())


ENDS = {False: ("rollout", "running", 10, 10), True: ("put_back", "succeeded", 30, 0)}


@pytest.mark.parametrize("is_torn", [False, True], ids=["whole", "torn"])
def test_a_worker_that_dies_somewhere_leaves_no_half_of_a_step(bank, crash_at, is_torn):
    passed = crash_at(0)
    assert play(bank, is_torn=is_torn) == ENDS[is_torn]
    every = len(passed)

    for point in (every // 3, 2 * every // 3):
        crash_at(point)
        assert play(bank, is_torn=is_torn) == ENDS[is_torn], f"{point} of {every}"


@pytest.mark.long
@pytest.mark.parametrize("is_torn", [False, True], ids=["whole", "torn"])
@pytest.mark.parametrize("point", MANY)
def test_a_worker_that_dies_anywhere_leaves_no_half_of_a_step(bank, crash_at, point, is_torn):
    crash_at(point)

    assert play(bank, is_torn=is_torn) == ENDS[is_torn]
