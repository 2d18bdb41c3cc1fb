"""Write the record: events under the caller's lock, in the caller's transaction."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent, AuditText
from releases.core import canonical
from releases.core.errors import Invalid, Sentence
from releases.core.ids import uuid7
from releases.core.words import mark as _

VERSION = 1
FIRST_PREVIOUS = "0" * 64
LEAF_PREFIX = b"\x00"


def record(
    *,
    stream: str,
    kind: Kind,
    actor: Actor,
    data: Mapping[str, Any],
    text: Mapping[str, str] | None = None,
    cause: str = "",
    operation: str = "",
) -> AuditEvent:
    """Append one event to a stream, inside the caller's transaction: no event, no change.

    The time is the database's clock. ``text`` stands beside, bound by a salted commitment, and can be erased.

    :raises Invalid: a value that canonical JSON cannot carry, or text with NUL
    :raises RuntimeError: no transaction is open
    """
    if not connection.in_atomic_block:
        raise RuntimeError("An audit event belongs into the transaction of what it tells.")
    event_id = uuid7()
    version, previous = _head(stream)
    texts = {name: (secrets.token_hex(16), body) for name, body in (text or {}).items()}
    envelope = {
        "v": VERSION,
        "event_id": str(event_id),
        "stream": stream,
        "stream_version": version + 1,
        "prev": previous,
        "kind": kind.value,
        "occurred_us": _database_microseconds(),
        "actor": _actor(actor),
        "request": actor.request,
        "cause": cause,
        "operation": operation,
        "data": dict(data),
        "text": {name: commitment(salt, body) for name, (salt, body) in texts.items()},
    }
    event = AuditEvent(event_id=event_id, body=_canonical(envelope, texts))
    event.save(force_insert=True)
    for name, (salt, body) in texts.items():
        AuditText.objects.create(event=event, field=name, salt=salt, body=body)
    return event


def leaf_hash(body: str) -> str:
    """Return the hexadecimal RFC 6962 leaf hash of an event's text."""
    return hashlib.sha256(LEAF_PREFIX + body.encode()).hexdigest()


def commitment(salt: str, body: str) -> str:
    """Return what binds free text to its event without telling it."""
    return hashlib.sha256(f"{salt}\n{body}".encode()).hexdigest()


def _head(stream: str) -> tuple[int, str]:
    """Return the last version of a stream and its hash, with the stream locked against a second writer."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [stream])
    head = AuditEvent.objects.filter(stream=stream).order_by("-stream_version").only("body", "stream_version").first()
    return (head.stream_version, leaf_hash(head.body)) if head else (0, FIRST_PREVIOUS)


def _database_microseconds() -> int:
    """Return the database's clock in microseconds since 1970; SQLite lives in this process and shares its clock."""
    if connection.vendor != "postgresql":
        return canonical.microseconds(datetime.now(UTC))
    with connection.cursor() as cursor:
        cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        return int(cursor.fetchone()[0])


def _actor(actor: Actor) -> dict[str, Any]:
    return {
        "kind": actor.kind.value,
        "id": actor.id,
        "name": actor.name,
        "account": actor.account,
        "session": actor.session,
        "signed_in_us": canonical.microseconds(actor.signed_in_at) if actor.signed_in_at else None,
        "methods": list(actor.methods),
    }


def _canonical(envelope: Mapping[str, Any], texts: Mapping[str, tuple[str, str]]) -> str:
    for name, (_salt, body) in texts.items():
        if "\x00" in body:
            fields = {name: [Sentence(_("Remove the NUL character."))]}
            raise Invalid(Sentence(_("Text must not contain NUL.")), fields=fields)
    try:
        encoded = canonical.encode(envelope).decode()
    except (ValueError, UnicodeError) as error:
        raise Invalid(Sentence(_("The record cannot carry this: %(why)s"), {"why": str(error)})) from error
    if "\\u0000" in encoded:
        raise Invalid(Sentence(_("Text must not contain NUL.")))
    return encoded


def parsed(body: str) -> dict[str, Any]:
    """Return an event's envelope."""
    envelope: dict[str, Any] = json.loads(body)
    return envelope
