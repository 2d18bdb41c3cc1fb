"""Events as rooms above write them, without the rooms, and the hand of somebody who holds the database."""

import json
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from uuid import uuid4

from django.db import connection, transaction

from releases.audit import guards
from releases.audit.actor import Actor, ActorKind
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent
from releases.audit.services import record
from releases.core import canonical


def a_person(name: str = "Ana Souza") -> Actor:
    return Actor(kind=ActorKind.PERSON, id=str(uuid4()), name=name, account="ana", methods=("password",))


def an_event(
    stream: str = "change:1",
    kind: Kind = Kind.CHANGE_DRAFTED,
    *,
    state: str = "draft",
    text: Mapping[str, str] | None = None,
    actor: Actor | None = None,
) -> AuditEvent:
    with transaction.atomic():
        return record(stream=stream, kind=kind, actor=actor or a_person(), data={"state": state}, text=text)


def write_by_sql(*statements: str | tuple[str, Sequence[object]]) -> None:
    """Run statements as the owner of the tables does: guards down, statements, guards up."""
    with connection.cursor() as cursor:
        guards.lower(cursor, connection.vendor)
        for statement in statements:
            cursor.execute(*((statement,) if isinstance(statement, str) else statement))
        guards.lift(cursor, connection.vendor)


def underived(column: str) -> list[str]:
    """Return what makes a generated column one that can be set, as the owner of the tables can."""
    if connection.vendor != "sqlite":
        return [f"ALTER TABLE audit_event ALTER COLUMN {column} DROP EXPRESSION"]
    return [
        "CREATE TABLE audit_copy AS SELECT * FROM audit_event",
        "DROP TABLE audit_event",
        "ALTER TABLE audit_copy RENAME TO audit_event",
    ]


# What somebody could write instead into each column of an event.
ANOTHER: Mapping[str, Callable[[AuditEvent], object]] = {
    "leaf_hash": lambda _event: token_hex(32),
    "body": lambda event: edited(event, request="another"),
    "event_id": lambda _event: uuid4().hex,
    "stream": lambda event: f"{event.stream}0",
    "stream_version": lambda event: event.stream_version + 1000,
    "kind": lambda event: f"{event.kind}ed",
    "actor_kind": lambda event: "system" if event.actor_kind == "person" else "person",
    "actor_id": lambda _event: "somebody else",
    "operation": lambda event: f"{event.operation}1",
    "occurred_us": lambda event: event.occurred_us + 1,
}


def edited(event: AuditEvent, **changes: object) -> str:
    """Return the body of an event with other fields, spelled as the record spells."""
    return canonical.encode({**json.loads(event.body), **changes}).decode()


def name_of(event: AuditEvent) -> str:
    """Return what findings call an event."""
    return f"{event.stream} #{event.stream_version} (event {event.event_id})"
