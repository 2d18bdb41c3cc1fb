"""A database that is busy costs one calm line in the log; the work waits for the next sweep."""

import logging
import sqlite3
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction

from releases.core import clock
from releases.core.ids import uuid7
from releases.operations import services
from releases.operations.models import OutboxMessage
from releases.worker.sweeper import Sweeper
from releases.worker.tasks import message_deliver
from tests.factories.operations import an_operation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def busy():
    """Hold what every write needs, and let our own connection wait for a moment only."""
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        other = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor})
        hold, let_go = "LOCK TABLE releases_outboxmessage, releases_heartbeat", "ROLLBACK"
    else:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(connection.get_connection_params()["database"], isolation_level=None)
        hold, let_go = "BEGIN IMMEDIATE", "ROLLBACK"
    yield lambda: other.execute(hold), lambda: other.execute(let_go)
    other.close()
    connection.close()


def said(caplog, event):
    """Return the one line that was logged about it; fail when it carries a traceback."""
    [line] = [record for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == event]
    assert line.levelno == logging.WARNING
    assert not line.exc_info
    assert "exception" not in line.msg
    return line.msg


def test_a_message_waits_for_the_sweep_that_finds_the_database_free(busy, caplog):
    hold, let_go = busy
    message = services.post(kind="of no interest", ref=uuid7(), now=clock.now() - timedelta(minutes=1))

    hold()
    message_deliver(str(message.pk))
    let_go()

    assert str(message.pk) in str(said(caplog, "work_postponed"))
    assert [call.id for call in services.sweep(now=clock.now())] == [message.pk]
    message_deliver(str(message.pk))
    assert OutboxMessage.objects.get().done_at is not None


def test_a_sweep_that_cannot_write_is_said_calmly_and_comes_again(busy, caplog):
    hold, let_go = busy
    with transaction.atomic():
        an_operation(now=clock.now() - timedelta(minutes=1))
    sweeper = Sweeper(worker="w", queues=["deploy"])

    hold()
    assert sweeper.try_turn() > 0
    let_go()

    assert said(caplog, "sweep_failed")["database"]
    sweeper.try_turn()
    assert len([record for record in caplog.records if "sweep_failed" in str(record.msg)]) == 1
