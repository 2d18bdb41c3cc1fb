"""Triggers that keep tables append-only: the seat-belt. The record's proof is in the hashes, see ``verify``.

``keys`` are the tables; without them it is the record. The ledger of traffic wears the same belt: what is missing is
looked for on every table that wears it.

On PostgreSQL whoever does not own the tables may only add to them, whatever was granted by default before.
PostgreSQL: UPDATE, DELETE and TRUNCATE, ``ENABLE ALWAYS`` because ``session_replication_role`` walks past ordinary
ones. SQLite: UPDATE, DELETE, and INSERT of a row that is there, because ``INSERT OR REPLACE`` skips delete triggers.
Django remakes a table on SQLite when a column changes and the triggers go with it: such a migration raises them again.
"""

from collections.abc import Mapping
from typing import Protocol

from django.db.backends.base.base import BaseDatabaseWrapper


class Executes(Protocol):
    """Runs one statement: a cursor."""

    def execute(self, sql: str, /) -> object:
        """Run it."""


KEYS = {  # what makes a row of each table the same row, in SQLite's words
    "audit_event": (
        "leaf_hash = NEW.leaf_hash OR event_id = replace(json_extract(NEW.body, '$.event_id'), '-', '')"
        " OR (stream = json_extract(NEW.body, '$.stream')"
        " AND stream_version = json_extract(NEW.body, '$.stream_version'))"
    ),
    "audit_leaf": "tree_index = NEW.tree_index OR event_id = NEW.event_id",
    "audit_checkpoint": "epoch = NEW.epoch AND tree_size = NEW.tree_size",
    "audit_text": "event_id = NEW.event_id AND field = NEW.field",
}
ERASABLE = frozenset({"audit_text"})  # texts of people may go, never change
BESIDE: dict[str, str] = {}  # tables of the rooms above that wear the belt as well: each says so when the app starts

FUNCTION = """
CREATE OR REPLACE FUNCTION audit_forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
RAISE EXCEPTION '% is append-only (% refused)', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$"""

# Grants come by default with every new table (deploy/sql/roles.sql); here all but the owner lose what would rewrite.
_REVOKE = """
DO $$ DECLARE one record; BEGIN
FOR one IN SELECT DISTINCT class.relname, acl.grantee FROM pg_class AS class, aclexplode(class.relacl) AS acl
  WHERE class.oid = to_regclass('{table}') AND acl.grantee <> class.relowner
LOOP EXECUTE format('REVOKE {verbs} ON %I FROM %s', one.relname,
  CASE one.grantee WHEN 0 THEN 'PUBLIC' ELSE one.grantee::regrole::text END);
END LOOP; END $$"""


def names(vendor: str, table: str) -> tuple[str, ...]:
    """Return the names of the triggers of a table."""
    verbs = ("change", "truncate") if vendor == "postgresql" else ("update", "delete", "replace")
    return tuple(f"{table}_no_{verb}" for verb in verbs if not (verb == "delete" and table in ERASABLE))


def lift(cursor: Executes, vendor: str, keys: Mapping[str, str] = KEYS) -> None:
    """Put all triggers in place, and on PostgreSQL leave to others than the owner only reading and adding."""
    if vendor == "postgresql":
        cursor.execute(FUNCTION)
    for table, key in keys.items():
        if vendor == "postgresql":
            cursor.execute(_REVOKE.format(table=table, verbs=", ".join(rewriting(table))))
        for statement in _postgresql(table) if vendor == "postgresql" else _sqlite(table, key):
            cursor.execute(statement)


def rewriting(table: str) -> tuple[str, ...]:
    """Return the privileges that would let somebody rewrite a table."""
    return ("UPDATE", "TRUNCATE", "TRIGGER") if table in ERASABLE else ("UPDATE", "DELETE", "TRUNCATE", "TRIGGER")


def lower(cursor: Executes, vendor: str, keys: Mapping[str, str] = KEYS) -> None:
    """Take all triggers away; only a migration backwards and tests' clearing of tables do this.

    Their function stays: other tables' triggers may hang on it.
    """
    for table in keys:
        for name in names(vendor, table):
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if vendor == "postgresql" else ""))


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the triggers that are not in place, or that PostgreSQL can be talked into skipping."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT tgname FROM pg_trigger WHERE tgenabled = 'A' AND tgfoid = to_regproc('audit_forbid')"
            )
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        there = {row[0] for row in cursor.fetchall()}
    return [name for table in (*KEYS, *BESIDE) for name in names(connection.vendor, table) if name not in there]


def _postgresql(table: str) -> list[str]:
    change, truncate = names("postgresql", table)
    verbs = "UPDATE" if table in ERASABLE else "UPDATE OR DELETE"
    return [
        f"CREATE TRIGGER {change} BEFORE {verbs} ON {table} FOR EACH ROW EXECUTE FUNCTION audit_forbid()",
        f"CREATE TRIGGER {truncate} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_forbid()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {change}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {truncate}",
    ]


def _sqlite(table: str, key: str) -> list[str]:
    refuse = f"SELECT RAISE(ABORT, '{table} is append-only (%s refused)');"
    when = {"update": "BEFORE UPDATE", "delete": "BEFORE DELETE", "replace": "BEFORE INSERT"}
    guard = f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {key})"  # noqa: S608 only constants of this file
    return [
        f"CREATE TRIGGER {name} {when[verb]} ON {table}{guard if verb == 'replace' else ''}"
        f" BEGIN {refuse % verb.upper()} END"
        for name in names("sqlite", table)
        for verb in (name.rsplit("_", 1)[1],)
    ]
