"""Write to the record: add an event, erase a text, seal; keep what was found when it was looked at."""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import structlog
from django.db import IntegrityError, connection, transaction

from releases.audit import export as exports
from releases.audit import queries
from releases.audit.actor import Actor, system
from releases.audit.envelope import JSON, Content, Head, check, commitment, compose, leaf_hash
from releases.audit.epochs import Beginning
from releases.audit.export import Form
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent, AuditText, Checkpoint, LastLook, Looker, Unsealed
from releases.audit.moments import database_us
from releases.audit.report import Report
from releases.audit.sealer import Inconsistent, KeyGone, Sealer
from releases.audit.search import Asked
from releases.core import request_id
from releases.core.errors import GmudError, Invalid, Missing, Reason, Refused, Sentence, Stale
from releases.core.ids import uuid7
from releases.core.words import mark as _

EPOCHS = "audit:epochs"
RECORD = "audit:record"
BATCH = 500
_log = structlog.get_logger(__name__)


class Contradicted(GmudError):
    """The record is not what was sealed: it can be read, and nothing is decided or edited."""

    code: ClassVar[str] = "record_contradicted"
    status: ClassVar[int] = 503


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
        actor=actor if actor.request else replace(actor, request=request_id.current()),
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


@dataclass(frozen=True, slots=True)
class Happened:
    """One of many things that happened at once; as the arguments of :func:`record` say."""

    stream: str
    kind: Kind
    data: Mapping[str, JSON]
    text: Mapping[str, str] = field(default_factory=dict)


def record_all(*, actor: Actor, events: Sequence[Happened]) -> None:
    """Add many things that happened at once, each to the end of its own stream, inside the caller's transaction.

    The same events as :func:`record` would add one by one, in a few statements. Takes no locks of its own: the caller
    holds the row of every subject, or has just made it.

    :raises Invalid: a field holds what cannot be kept; names it
    :raises Stale: somebody else added to one of the streams at the same moment; the caller's transaction is lost
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Record inside the transaction that changes the subjects.")
    actor = actor if actor.request else replace(actor, request=request_id.current())
    occurred_us = database_us()
    for begin in range(0, len(events), BATCH):
        _record_batch(actor, events[begin : begin + BATCH], occurred_us)


def _record_batch(actor: Actor, events: Sequence[Happened], occurred_us: int) -> None:
    heads = heads_of({one.stream for one in events})
    rows, texts, waiting = [], [], []
    for one in events:
        check(dict(one.text), "text")
        salted = {name: (secrets.token_hex(32), body) for name, body in one.text.items()}
        content = Content(
            event_id=uuid7(),
            stream=one.stream,
            kind=one.kind,
            actor=actor,
            data=one.data,
            text={name: commitment(*pair) for name, pair in salted.items()},
        )
        head = heads.get(one.stream, Head())
        body = compose(content, head=head, occurred_us=occurred_us)
        heads[one.stream] = Head(head.version + 1, leaf_hash(body), max(occurred_us, head.occurred_us))
        rows.append(AuditEvent(leaf_hash=heads[one.stream].leaf_hash, body=body))
        waiting.append(Unsealed(event_id=content.event_id))
        texts += [
            AuditText(event_id=content.event_id, field=name, salt=salt, body=text)
            for name, (salt, text) in salted.items()
        ]
    try:
        with transaction.atomic():
            AuditEvent.objects.bulk_create(rows)
    except IntegrityError as error:
        raise Stale(_("Somebody else wrote to this record at the same moment; look again, then repeat.")) from error
    AuditText.objects.bulk_create(texts)
    Unsealed.objects.bulk_create(waiting)


def heads_of(streams: Collection[str]) -> dict[str, Head]:
    """Return the last event of each of these streams that somebody wrote to."""
    rows = AuditEvent.objects.filter(stream__in=streams).order_by("stream", "stream_version")
    found = rows.values_list("stream", "stream_version", "leaf_hash", "occurred_us")
    return {stream: Head(version, leaf, at) for stream, version, leaf, at in found}


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


def erase_texts(
    *, stream: str, actor: Actor, reason: str, events: Collection[UUID] = (), fields: Collection[str] = ()
) -> list[AuditEvent]:
    """Remove what people wrote beside the events of a stream, all of it or what is named, and all or nothing.

    Whoever calls has checked the right.

    :raises Invalid: no reason is given
    :raises Refused: there is no such text, or it was erased before
    """
    if not reason.strip():
        raise Invalid(_("Say why it is erased, and name nobody: the reason stays in the record."))
    with transaction.atomic(durable=True):
        found = queries.written(stream, events=events, fields=fields)
        if not found or not set(events) <= found.keys():
            raise Refused(_("There is no such text beside this event, or it was erased before."))
        return [
            erase_text(event_id=event_id, actor=actor, reason=reason.strip(), fields=texts)
            for event_id, texts in found.items()
        ]


def seal() -> Checkpoint | None:
    """Seal what waits, once, and hand the checkpoint to the witness; ``manage.py sealer`` does so every second.

    :raises Inconsistent: the record does not agree with its witness, or the key is gone; nothing was signed
    """
    return seal_with(Sealer.of_settings())


def seal_with(sealer: Sealer) -> Checkpoint | None:
    """Let a sealer take its turn, and keep what it found for :func:`releases.audit.queries.contradiction`.

    Once it found a contradiction, only a look at the whole tree takes that back.

    :raises Inconsistent: the record does not agree with its witness, or the key is gone; nothing was signed
    """
    try:
        made = sealer.turn()
        is_doubted = LastLook.objects.filter(by=Looker.SEALER, since_us__isnull=False).exists()
        if is_doubted and sealer.compare():
            _keep(Looker.SEALER, None)
    except KeyGone:
        raise
    except Inconsistent as error:
        _keep(Looker.SEALER, error.detail)
        raise
    return made


def verify() -> Report:
    """Look at the whole record, and keep what was found for :func:`releases.audit.queries.contradiction`.

    :raises CannotVerify: a key is missing or cannot be used
    """
    report = queries.verify()
    _keep(Looker.VERIFICATION, report.contradiction)
    return report


def verify_for(*, actor: Actor) -> Report:
    """Look at the whole record because somebody asked, and record who asked and what came out.

    Whoever calls has checked the right.

    :raises CannotVerify: a key is missing or cannot be used
    """
    report = verify()
    data = {"verdict": report.verdict.name.lower(), "events": report.events, "findings": len(report.findings)}
    with transaction.atomic(durable=True):
        record(stream=RECORD, kind=Kind.AUDIT_VERIFIED, actor=actor, data=data)
    return report


def export(*, actor: Actor, asked: Asked, form: Form, now: datetime) -> Iterator[bytes]:
    """Record who takes which events out, and return them in that form, some lines at a time.

    Whoever calls has checked the right.

    :raises Refused: nothing can be signed, because the key of checkpoints is missing
    """
    lines = exports.of(form, asked, by=actor.name, at=now)
    with transaction.atomic(durable=True):
        data = {"form": form.value, **asked.as_json()}
        record(stream=RECORD, kind=Kind.AUDIT_EXPORTED, actor=actor, data=data)
    return lines


def agree() -> None:
    """Refuse to decide or to edit anything while the record contradicts its witness; it can be read.

    :raises Contradicted: with what was found, and who can help
    """
    found = queries.contradiction()
    if found is not None:
        fix = Sentence(_("Ask whoever runs GMUD to look at it: manage.py audit verify."))
        sentence = Sentence(_("The record contradicts its witness: it can be read, nothing can be decided or edited."))
        raise Contradicted(sentence, reasons=[Reason(Contradicted.code, found.what, fix)])


def _keep(by: Looker, what: Sentence | None) -> None:
    """Write what was found; the first time it is so, and the first time it is not any more, also into the record."""
    with transaction.atomic():
        now_us = database_us()
        LastLook.objects.get_or_create(by=by, defaults={"looked_us": now_us})
        row = LastLook.objects.select_for_update().get(by=by)
        before, row.looked_us = row.since_us, now_us
        row.since_us = (before or now_us) if what else None
        row.what = {"text": what.text, "parts": dict(what.parts)} if what else {}
        row.save()
        if (before is None) != (row.since_us is None):
            kind = Kind.AUDIT_CONTRADICTED if what else Kind.AUDIT_AGREED
            data = {"by": by.value, "what": str(what or "")}
            record(stream=RECORD, kind=kind, actor=system(by.value), data=data)
            _log.critical(kind.value, **data)


def begin_epoch(*, actor: Actor, reason: str) -> Checkpoint:
    """Own up to a restored copy: go on with the record under a new name, and hand that to the witness.

    Whoever calls has checked the right. What the copy does not hold is named by ``verify`` from now on.

    :raises Invalid: no reason is given
    :raises Refused: the record holds everything the witness saw
    :raises Inconsistent: this is no older copy of what the witness saw
    """
    if not reason.strip():
        raise Invalid(_("Say why the record was restored."))

    def tell(began: Beginning) -> AuditEvent:
        return record(
            stream=EPOCHS,
            kind=Kind.AUDIT_EPOCH_BEGUN,
            actor=actor,
            data=began.as_json(),
            text={"reason": reason.strip()},
        )

    return Sealer.of_settings().begin_epoch(tell)


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
