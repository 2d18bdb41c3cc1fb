"""The record's tables refuse what would rewrite them, also for their owner."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from releases.audit import guards
from releases.audit.models import AuditEvent, Checkpoint, Leaf
from releases.audit.queries import verify

pytestmark = pytest.mark.django_db
SQLITE = connection.vendor == "sqlite"

EVERYWHERE = [
    "UPDATE audit_event SET body = body",
    "DELETE FROM audit_event",
    "UPDATE audit_leaf SET leaf_hash = 'x'",
    "DELETE FROM audit_leaf WHERE tree_index = 0",
    "UPDATE audit_checkpoint SET note = ''",
    "DELETE FROM audit_checkpoint",
    "UPDATE audit_text SET body = 'other'",
    "INSERT INTO audit_leaf SELECT * FROM audit_leaf WHERE true ON CONFLICT (tree_index) DO UPDATE SET leaf_hash = 'x'",
]
ONLY_SQLITE = [
    "INSERT OR REPLACE INTO audit_event (leaf_hash, body) SELECT leaf_hash, body FROM audit_event",
    "INSERT OR REPLACE INTO audit_event (leaf_hash, body) SELECT 'other', body FROM audit_event",
    "INSERT OR REPLACE INTO audit_event (leaf_hash, body)"
    " SELECT 'other', json_set(body, '$.event_id', 'other') FROM audit_event",
    "REPLACE INTO audit_leaf SELECT * FROM audit_leaf",
    "REPLACE INTO audit_leaf SELECT 99, event_id, leaf_hash FROM audit_leaf LIMIT 1",
    "REPLACE INTO audit_checkpoint SELECT * FROM audit_checkpoint",
    "REPLACE INTO audit_text SELECT * FROM audit_text",
    "UPDATE OR REPLACE audit_leaf SET tree_index = 0",
]
ONLY_POSTGRESQL = [
    *(f"TRUNCATE {table}" for table in guards.KEYS),
    "SET LOCAL session_replication_role = replica; UPDATE audit_event SET body = body",
    "SET LOCAL session_replication_role = replica; DELETE FROM audit_leaf",
    "SET LOCAL session_replication_role = replica; TRUNCATE audit_checkpoint",
]


@pytest.fixture
def as_a_foreign_program(db) -> Iterator[None]:
    """Open SQLite's file without the settings that this program gives it."""
    with connection.cursor() as cursor:
        if SQLITE:
            cursor.execute("PRAGMA recursive_triggers=OFF")
        yield
        if SQLITE:
            cursor.execute("PRAGMA recursive_triggers=ON")


@pytest.mark.parametrize("statement", EVERYWHERE + (ONLY_SQLITE if SQLITE else ONLY_POSTGRESQL))
def test_the_tables_only_grow(a_record, as_a_foreign_program, statement):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_guards_come_off_with_the_migration_and_go_back_on():
    with connection.cursor() as cursor:
        guards.lower(cursor, connection.vendor)
        assert len(guards.missing(connection)) == (11 if SQLITE else 8)
        guards.lift(cursor, connection.vendor)
    assert guards.missing(connection) == []


def test_a_missing_guard_is_a_finding(a_record):
    name = guards.names(connection.vendor, "audit_leaf")[0]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + ("" if SQLITE else " ON audit_leaf"))

    assert [(one.table, one.row) for one in verify().findings] == [("audit_leaf", name)]


@pytest.mark.skipif(SQLITE, reason="PostgreSQL's own way around triggers")
def test_a_guard_that_replication_walks_past_is_a_finding(a_record):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event ENABLE TRIGGER audit_event_no_change")

    assert [one.row for one in verify().findings] == ["audit_event_no_change"]


@pytest.mark.django_db(transaction=True)
def test_tests_can_clear_the_tables_and_find_the_guards_in_place(a_record):
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)

    assert [table.objects.count() for table in (AuditEvent, Leaf, Checkpoint)] == [0, 0, 0]
    assert guards.missing(connection) == []
