"""What the ledger says stays as it was said: by SQL, too, on both databases."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from releases.audit import guards
from releases.audit import queries as audit
from releases.core import request_id
from releases.traffic import ledger, queries, services
from releases.traffic.models import Shift, ShiftEnd
from releases.traffic.services import Asked, Ended
from releases.traffic.states import ShiftState
from tests.factories.accounts import NOW, SETUP
from tests.factories.shifts import a_route

pytestmark = pytest.mark.django_db(transaction=True)
SPLIT = {"stable": 90, "canary": 10}
TABLES = tuple(ledger.KEYS)
REPLACING = [f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}" for table in TABLES]
TRUNCATING = [f"TRUNCATE {table} CASCADE" for table in TABLES]


@pytest.fixture
def asked():
    """Return what a shift asks for, of a route that nobody needs to reach."""
    route = a_route("https://cluster.example.com", NOW)
    return Asked(
        route.id,
        SPLIT,
        op_key="operation:1",
        change_id=uuid4(),
        operation_id=uuid4(),
        asked_by="Ana",
        before={"stable": 100, "canary": None},
        revision="41",
        uid="uid-1",
    )


def write(verb, **parts):
    with transaction.atomic(durable=True):
        return verb(actor=SETUP, now=parts.pop("now", NOW), **parts)


def test_a_shift_names_the_object_the_operation_and_the_request(asked):
    with request_id.bound("request-17"):
        write(services.ask, asked=asked)

    (card,) = queries.ledger(asked.route_id)
    assert (card.operation_id, card.request, card.revision) == (asked.operation_id, "request-17", "41")
    named = {"system": "istio", "object": "VirtualService", "namespace": "bank-production", "name": "frontend"}
    assert named.items() <= card.object.items()
    assert (card.object["uid"], card.before, card.state) == ("uid-1", {"stable": 100, "canary": None}, ShiftState.ASKED)


def test_asking_twice_is_one_shift_and_says_what_was_said_first(asked):
    first = write(services.ask, asked=asked)

    assert write(services.ask, asked=asked, now=NOW + timedelta(hours=1)) == first
    assert Shift.objects.get().asked_at == NOW


def test_every_end_is_a_row_of_its_own_and_a_confirmed_one_is_the_last(asked):
    ends = [Ended(ShiftState.NEEDS_HUMAN), Ended(ShiftState.CONFIRMED, after=SPLIT), Ended(ShiftState.FAILED)]
    for minute, ended in enumerate(ends):
        write(services.end, asked=asked, ended=ended, now=NOW + timedelta(minutes=minute))

    rows = list(ShiftEnd.objects.order_by("turn").values_list("turn", "state"))
    assert rows == [(1, "needs_human"), (2, "confirmed")]
    (card,) = queries.of_change(asked.change_id)
    assert (card.state, card.observed, card.ended_at) == (ShiftState.CONFIRMED, SPLIT, NOW + timedelta(minutes=1))
    told = [entry.data["shift_state"] for entry in audit.story(f"change:{asked.change_id}")]
    assert sorted(told) == ["confirmed", "needs_human"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE releases_shift SET asked_by = 'nobody'",
        "UPDATE releases_shift SET asked = '{}'",
        "DELETE FROM releases_shift",
        "UPDATE releases_shiftend SET state = 'failed'",
        "DELETE FROM releases_shiftend",
        *(REPLACING if connection.vendor == "sqlite" else TRUNCATING),
    ],
)
def test_no_statement_changes_or_takes_away_what_was_written(asked, statement):
    write(services.end, asked=asked, ended=Ended(ShiftState.CONFIRMED, after=SPLIT))
    before = [list(model.objects.values()) for model in (Shift, ShiftEnd)]

    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)

    assert [list(model.objects.values()) for model in (Shift, ShiftEnd)] == before


def test_every_migration_leaves_the_guards_in_place():
    assert guards.missing(connection) == []


@pytest.mark.parametrize("table", TABLES)
def test_the_daily_verification_of_the_record_finds_a_guard_of_the_ledger_missing(table):
    name = guards.names(connection.vendor, table)[0]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if connection.vendor == "postgresql" else ""))
        found = audit.verify().findings
        guards.lower(cursor, connection.vendor, ledger.KEYS)
        guards.lift(cursor, connection.vendor, ledger.KEYS)

    assert [(one.table, one.row, one.contradicts) for one in found] == [(table, name, False)]
