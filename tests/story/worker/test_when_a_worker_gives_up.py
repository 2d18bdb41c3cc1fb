"""A worker process that is of no use any more makes place for a new one, and only then."""

from datetime import timedelta

import pytest
from celery import signals

from releases.core import clock
from releases.core.ids import uuid7
from releases.operations import bell, services
from releases.operations.models import OutboxMessage
from releases.worker import sweeper
from releases.worker.sweeper import Sweeper
from tests.fault.harness import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def at_once(monkeypatch, settings):
    """Let any silence be long enough, and every sweep call for everything."""
    monkeypatch.setattr(sweeper, "SILENCE_SECONDS", 0.0)
    settings.GMUD_SWEEP_SECONDS = 0.0


def a_message(queue="default"):
    return services.post(kind="of no interest", ref=uuid7(), now=clock.now() - timedelta(minutes=1), queue=queue)


def is_done(message):
    message.refresh_from_db()
    return message.done_at is not None


def test_who_hears_nothing_and_has_nothing_else_to_do_does_the_work_and_gives_up():
    deaf, message = Sweeper(worker="w", queues=["default"]), a_message()

    deaf.turn()
    assert not deaf.of_no_use()
    deaf.turn()

    wait_for(lambda: is_done(message) and deaf.of_no_use(), what="the work")
    assert deaf.of_no_use() == "it no longer hears the broker"


def test_who_is_busy_has_the_work_done_beside_it_and_stays():
    busy, message = Sweeper(worker="w", queues=["default"]), a_message()
    signals.task_prerun.send(sender=None)

    busy.turn()
    busy.turn()

    wait_for(lambda: is_done(message), what="the work")
    assert not busy.of_no_use()
    signals.task_postrun.send(sender=None)
    assert not busy.of_no_use()


def test_who_heard_something_since_stays():
    hearing = Sweeper(worker="w", queues=["default"])
    a_message()

    hearing.turn()
    signals.task_prerun.send(sender=None)
    signals.task_postrun.send(sender=None)
    hearing.turn()

    assert not hearing.of_no_use()
    assert OutboxMessage.objects.undone().count() == 1


def test_a_broker_that_is_gone_is_nobodys_deafness():
    def nobody_rings(*_):
        raise ConnectionError

    bell.install(nobody_rings)
    worker, message = Sweeper(worker="w", queues=["default"]), a_message()

    for _turn in range(3):
        worker.turn()

    wait_for(lambda: is_done(message), what="the work")
    assert not worker.of_no_use()


def test_the_rows_of_others_are_theirs():
    worker, message = Sweeper(worker="w", queues=["default"]), a_message(queue="rollback")

    for _turn in range(3):
        worker.turn()

    assert not worker.of_no_use()
    assert not is_done(message)


def test_a_task_that_does_not_end_is_the_end_of_its_worker(monkeypatch):
    worker = Sweeper(worker="w", queues=["default"])
    signals.task_prerun.send(sender=None)
    assert not worker.of_no_use()

    monkeypatch.setattr(sweeper, "LONGEST_TASK_SECONDS", 0.0)

    assert worker.of_no_use() == "a task does not end"
    signals.task_postrun.send(sender=None)
    assert not worker.of_no_use()
