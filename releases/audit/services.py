"""Write to the record: add an event, erase a text, seal."""

import secrets
from collections.abc import Collection, Mapping
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from releases.audit.actor import Actor
from releases.audit.envelope import JSON, Content, Head, check, commitment, compose, leaf_hash
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent, AuditText, Checkpoint, Unsealed
from releases.audit.moments import database_us
from releases.audit.sealer import Sealer
from releases.core.errors import Missing, Refused, Stale
from releases.core.ids import uuid7
from releases.core.words import mark as _


def record(
    *,
    stream: str,
    kind: Kind,
    actor: Actor,
    data: Mapping[str, JSON],
    text: Mapping[str, str] | None = None,
    cause: str = "",
    operation: str = "",
) -> AuditEvent:
    """Add what happened to the end of its stream, inside the caller's transaction and with what it tells about.

    Runs under the lock the caller holds on the subject, and takes the stream's own lock until the transaction ends:
    record last. The time is the database's. ``text`` is what people wrote: it is kept beside the event and can be
    erased later. ``data`` of a move carries ``from`` and ``state``.

    :raises Invalid: a field holds what cannot be kept; names it
    :raises Stale: somebody else added to this stream at the same moment; nothing was written
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Record inside the transaction that changes the subject.")
    check(dict(text or {}), "text")
    salted = {name: (secrets.token_hex(32), body) for name, body in (text or {}).items()}
    content = Content(
        event_id=uuid7(),
        stream=stream,
        kind=kind,
        actor=actor,
        data=data,
        text={name: commitment(*pair) for name, pair in salted.items()},
        cause=cause,
        operation=operation,
    )
    _lock(stream)
    body = compose(content, head=head_of(stream), occurred_us=database_us())
    try:
        with transaction.atomic():
            event = AuditEvent.objects.create(leaf_hash=leaf_hash(body), body=body)
    except IntegrityError as error:
        raise Stale(_("Somebody else wrote to this record at the same moment; look again, then repeat.")) from error
    AuditText.objects.bulk_create(
        AuditText(event_id=content.event_id, field=name, salt=salt, body=one) for name, (salt, one) in salted.items()
    )
    Unsealed.objects.create(event_id=content.event_id)
    return event


def erase_text(*, event_id: UUID, actor: Actor, reason: str, fields: Collection[str] | None = None) -> AuditEvent:
    """Remove what people wrote beside an event (LGPD), inside the caller's transaction; all of it unless named.

    The event and its chain stay as they are; a new event in the same stream tells who erased what and why. Whoever
    calls has checked the right.

    :raises Missing: there is no such event
    :raises Refused: there is no such text, or it was erased before
    """
    stream = AuditEvent.objects.filter(event_id=event_id).values_list("stream", flat=True).first()
    if stream is None:
        raise Missing(_("There is no such event in the record."))
    texts = AuditText.objects.filter(event_id=event_id)
    if fields is not None:
        texts = texts.filter(field__in=fields)
    found = sorted(texts.values_list("field", flat=True))
    if not found or (fields is not None and set(found) != set(fields)):
        raise Refused(_("There is no such text beside this event, or it was erased before."))
    erased = record(
        stream=stream,
        kind=Kind.AUDIT_TEXT_ERASED,
        actor=actor,
        data={"event": str(event_id), "fields": found, "reason": reason},
        cause=str(event_id),
    )
    texts.delete()
    return erased


def seal() -> Checkpoint | None:
    """Seal what waits, once, and hand the checkpoint to the witness; ``manage.py sealer`` does so every second.

    :raises Inconsistent: the record does not agree with its witness, or the key is gone; nothing was signed
    """
    return Sealer.of_settings().turn()


def head_of(stream: str) -> Head:
    """Return the last event of a stream; a stream nobody wrote to starts at version 0."""
    last = (
        AuditEvent.objects.filter(stream=stream)
        .order_by("-stream_version")
        .values_list("stream_version", "leaf_hash", "occurred_us")
        .first()
    )
    return Head(*last) if last else Head()


def _lock(stream: str) -> None:
    """Let one transaction at a time add to this stream: closes the race of two that read the same head.

    SQLite has one writer anyway. A lock on the head's row would not do: who waited for it would see the old head.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [stream])
