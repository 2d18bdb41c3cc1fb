"""``deploy/sql/roles.sql``: the product does all its work as a role that cannot touch what the record holds."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection, transaction
from psycopg.errors import InsufficientPrivilege

from releases.audit.actor import system
from releases.audit.guards import KEYS
from releases.audit.models import AuditText
from releases.audit.queries import verify
from releases.audit.sealer import Sealer
from releases.audit.services import erase_text
from tests.factories.rollback import bank, go_back, quick

__all__ = ["bank", "quick"]  # imported for what pytest finds here
pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def as_the_app(transactional_db, roles, settings, tmp_path) -> Iterator[None]:
    """Let this process, and the server beside it, be connected as the role for running."""
    settings.GMUD_KEYS = str(tmp_path / "keys")
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness" / "checkpoints.jsonl")
    connection.close()
    kept = dict(connection.settings_dict)
    connection.settings_dict.update(NAME=roles.name, USER=roles.app.split("@")[0].rpartition("/")[2])
    yield
    connection.close()
    connection.settings_dict.update(kept)


def test_a_release_goes_out_and_back_and_the_record_is_sealed_and_verified(as_the_app, bank, roles):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        assert cursor.fetchone() == (roles.app.split("@")[0].rpartition("/")[2], roles.name)

    change = bank.released()
    go_back(bank, change, "Bookings are late.")
    bank.until_state(change, "reviewing")
    with transaction.atomic():
        erase_text(event_id=AuditText.objects.first().event_id, actor=system("test"), reason="LGPD request 12")
    while Sealer.of_settings().turn() is not None:
        pass

    report = verify()
    assert (report.findings, report.exit_code) == ([], 0)
    assert report.sealed_size > 50


ATTEMPTS = [
    *(
        f"UPDATE {table} SET {column} = {column}"
        for table, column in zip(KEYS, ("body", "leaf_hash", "note", "body"), strict=True)
    ),
    *(f"DELETE FROM {table}" for table in ("audit_event", "audit_leaf", "audit_checkpoint")),
    *(f"TRUNCATE {table} CASCADE" for table in KEYS),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in KEYS),
    "ALTER TABLE audit_event DISABLE TRIGGER audit_event_no_change",
    "DROP TRIGGER audit_event_no_change ON audit_event",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_forbid()",
    "CREATE OR REPLACE FUNCTION audit_forbid() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP FUNCTION audit_forbid() CASCADE",
    "SET session_replication_role = replica",
    "ALTER TABLE audit_event OWNER TO {app}",
    "ALTER TABLE audit_event ALTER COLUMN stream DROP EXPRESSION",
    "DROP TABLE audit_event",
    "INSERT INTO audit_leaf SELECT * FROM audit_leaf ON CONFLICT (tree_index) DO UPDATE SET leaf_hash = 'x'",
    "MERGE INTO audit_leaf AS a USING audit_leaf AS b ON a.tree_index = b.tree_index WHEN MATCHED THEN DELETE",
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE audit_event (body text)",
    "CREATE ROLE mine",
    "SET ROLE {owner}",
    "COPY audit_event TO PROGRAM 'cat'",
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_role_for_running_is_refused(roles, attempt):
    mark = roles.name.removeprefix("gmud_operation_")
    statement = attempt.format(app=f"gmud_app_{mark}", owner=f"gmud_owner_{mark}")

    with psycopg.connect(roles.app, autocommit=True) as session, pytest.raises(InsufficientPrivilege):
        session.execute(statement)


def test_it_may_add_read_and_erase_texts_and_nothing_else_on_these_tables(roles):
    with psycopg.connect(roles.app) as session:
        session.execute("GRANT ALL ON audit_event, audit_leaf, audit_checkpoint, audit_text TO CURRENT_USER")  # in vain
        rows = session.execute(
            "SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)"
            " FROM information_schema.role_table_grants WHERE grantee = current_user AND table_name = ANY(%s)"
            " GROUP BY table_name",
            [list(KEYS)],
        ).fetchall()

    assert dict(rows) == dict.fromkeys(KEYS, "INSERT SELECT") | {"audit_text": "DELETE INSERT SELECT"}


def test_even_the_owner_is_stopped_by_the_triggers(roles):
    with psycopg.connect(roles.owner) as session, pytest.raises(InsufficientPrivilege, match="append-only"):
        session.execute("TRUNCATE audit_event")


def test_what_the_owner_makes_later_can_be_used(roles):
    with psycopg.connect(roles.owner, autocommit=True) as owner:
        owner.execute("CREATE TABLE later (id int GENERATED ALWAYS AS IDENTITY, what text)")
        try:
            with psycopg.connect(roles.app) as app:
                app.execute("INSERT INTO later (what) VALUES ('a')")
                app.execute("UPDATE later SET what = 'b'")
                app.execute("DELETE FROM later")
        finally:
            owner.execute("DROP TABLE later")
