"""Who clicks and who works take their locks in one order: nobody is told of a deadlock."""

import threading

import pytest
from django.db import connection

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.core import clock
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.ports import Done
from releases.rollback import services as rollback
from releases.rollback.models import Rollback
from releases.rollout import services as rollout
from tests.factories.changes import a_house
from tests.factories.gate import with_keys
from tests.factories.races import at_once
from tests.factories.rollout import EARLIER, STANDS, connect, runs, scheduled, wire

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer anyway"),
    pytest.mark.django_db(transaction=True),
]
NOWHERE = dict.fromkeys(("jenkins", "kubernetes", "prometheus"), "http://127.0.0.1:9")


class SlowToEnd:
    """Does nothing outside; while it ends its step, with the operation locked, it waits for somebody to click."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.is_ending = threading.Event()

    def probe(self, step):
        return None

    def snapshot(self, step):
        return {}

    def send(self, step):
        return "sent"

    def observe(self, step):
        return Done()

    def settle(self, step, outcome, now):
        self.is_ending.set()
        threading.Event().wait(0.5)  # time enough for the click to take what it takes first
        audit.record(stream=self.stream, kind=Kind.DEPLOYMENT_ENDED, actor=system("worker"), data={})


@pytest.fixture
def change(settings, tmp_path):
    settings.GMUD_VERIFY_SECONDS = 0.5
    with_keys(settings, tmp_path / "keys")
    now = clock.now()
    house = a_house(now - EARLIER)
    runs(house, house.service, STANDS)
    wire(house, connect(NOWHERE, house.now), house.service, route=False)
    change = scheduled(house)
    change.house = house
    return change


def race(change, work, click):
    """Let a worker end a step; as soon as it does, click."""
    handler = SlowToEnd(change.stream)

    def clicks():
        assert handler.is_ending.wait(10)
        return click()

    handlers = {"delivery.deploy": handler}
    return at_once([lambda: operations.run(operation_id=work, worker="w", handlers=handlers, now=clock.now), clicks])


def test_going_back_while_a_worker_ends_a_step_of_the_rollout(change):
    house, now = change.house, clock.now()
    row = rollout.start(change_id=change.pk, actor=house.actor("manager", signed_in_at=now), now=now)
    on_call = house.actor("on_call", signed_in_at=now)

    worked, clicked = race(
        change, row.operation, lambda: rollback.begin(change_id=change.pk, actor=on_call, now=clock.now())
    )

    assert worked is None
    assert isinstance(clicked, Rollback), clicked


def test_taking_over_while_a_worker_ends_a_step_of_the_rollback(change):
    house, now = change.house, clock.now()
    rollout.start(change_id=change.pk, actor=house.actor("manager", signed_in_at=now), now=now)
    on_call = house.actor("on_call", signed_in_at=now)
    row = rollback.begin(change_id=change.pk, actor=on_call, now=now)

    worked, clicked = race(
        change, row.operation, lambda: rollback.take_over(change_id=change.pk, actor=on_call, now=clock.now())
    )

    assert worked is None
    assert isinstance(clicked, Rollback), clicked
    assert Operation.objects.filter(kind="rollback").count() == 2


def test_stopping_while_a_worker_ends_a_step_of_the_rollout(change):
    house, now = change.house, clock.now()
    manager = house.actor("manager", signed_in_at=now)
    row = rollout.start(change_id=change.pk, actor=manager, now=now)

    worked, clicked = race(
        change, row.operation, lambda: rollout.stop(change_id=change.pk, actor=manager, now=clock.now())
    )

    assert worked is None
    assert type(clicked).__name__ in {"Rollout", "Stale", "Refused"}, clicked
