"""The outbox: what happened is written with it, and told to those who react, at least once each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.core import request_id, tracing
from releases.core.ids import uuid7
from releases.operations import bell, rules
from releases.operations.failpoints import failpoint
from releases.operations.models import OutboxMessage
from releases.operations.ports import Json, Message, Ring
from releases.operations.trouble import tell

_log = structlog.get_logger(__name__)
QUARANTINED = Kind.MESSAGE_QUARANTINED.value
Reaction = Callable[[Message], None]


def post(
    *,
    kind: str,
    ref: UUID,
    now: datetime,
    data: Mapping[str, Json] | None = None,
    queue: str = "default",
    available_at: datetime | None = None,
) -> OutboxMessage:
    """Write that something happened, inside the caller's transaction; a worker is called when that is committed.

    With ``available_at`` nobody is told before that moment; the sweep then finds the message.
    """
    at = max(available_at or now, now)
    message = OutboxMessage.objects.create(
        kind=kind,
        ref=ref,
        data=dict(data or {}),
        queue=queue,
        request=request_id.current(),
        posted_at=now,
        available_at=at,
        rung_at=None if at > now else now,
    )
    if at <= now:
        bell.ring_on_commit(Ring(queue, "message", message.pk))
    return message


def deliver(
    *, message_id: UUID, worker: str, reactions: Mapping[str, Sequence[Reaction]], now: Callable[[], datetime]
) -> None:
    """Claim the message and tell everybody who reacts to it; an unknown, finished or claimed one is left alone.

    One reaction's failure does not keep the message from the others. What failed is tried again, all reactions of it,
    later each time; after five tries the message is quarantined.
    """
    claimed = _claim(message_id, worker, now())
    if claimed is None:
        return
    failpoint("outbox_claimed")
    message, claim = claimed
    with (
        request_id.bound(message.request, message=str(message_id)),
        tracing.span(f"message {message.kind}", tracing.SpanKind.CONSUMER, {"gmud.message": str(message_id)}),
    ):
        _tell_all(message, claim, reactions.get(message.kind, ()), now)


def _tell_all(message: Message, claim: UUID, reactions: Sequence[Reaction], now: Callable[[], datetime]) -> None:
    errors = []
    for react in reactions:
        if not _still_ours(message.id, claim, now()):
            _log.warning("claim_lost")
            return
        try:
            react(message)
        except Exception as error:  # noqa: BLE001 - whatever a reaction raises, the others must hear of it
            tell("reaction_failed", error, kind=message.kind)
            errors.append(rules.printable(f"{_name(react)}: {error!r}"))
    failpoint("outbox_reacted")
    _finish(message.id, claim, errors, now())
    failpoint("outbox_finished")


def _name(react: Reaction) -> str:
    return getattr(react, "__name__", type(react).__name__)


def _claim(message_id: UUID, worker: str, now: datetime) -> tuple[Message, UUID] | None:
    """Count the attempt and commit it, before any work: a message that kills its worker counts, too."""
    with transaction.atomic(durable=True):
        row = OutboxMessage.objects.due(now).select_for_update(skip_locked=True).filter(pk=message_id).first()
        if row is None:
            return None
        if rules.is_poison(row.attempts):
            _quarantine(row, row.last_error or "Every worker that took it died.", now)
            return None
        row.attempts += 1
        row.claimed_by, row.claim = worker, uuid7()
        row.claimed_until = now + timedelta(seconds=settings.GMUD_LEASE_SECONDS)
        row.save(update_fields=["attempts", "claimed_by", "claim", "claimed_until"])
        return Message(row.pk, row.kind, row.ref, row.data, row.attempts, row.request), row.claim


def _still_ours(message_id: UUID, claim: UUID, now: datetime) -> bool:
    """Lengthen the claim; ``False`` when somebody else has it."""
    until = now + timedelta(seconds=settings.GMUD_LEASE_SECONDS)
    with transaction.atomic(durable=True):
        return bool(OutboxMessage.objects.undone().filter(pk=message_id, claim=claim).update(claimed_until=until))


def _finish(message_id: UUID, claim: UUID, errors: Sequence[str], now: datetime) -> None:
    with transaction.atomic(durable=True):
        row = OutboxMessage.objects.undone().select_for_update().filter(pk=message_id, claim=claim).first()
        if row is None:
            _log.warning("claim_lost", message=str(message_id))
            return
        row.claim = row.claimed_until = None
        row.last_error = "\n".join(errors)
        if not errors:
            row.done_at = now
        elif rules.is_poison(row.attempts):
            _quarantine(row, row.last_error, now)
            return
        else:
            lease = timedelta(seconds=settings.GMUD_LEASE_SECONDS)
            row.available_at, row.rung_at = now + rules.wait_after(row.attempts, lease=lease), None
        row.save(update_fields=["claim", "claimed_until", "last_error", "done_at", "available_at", "rung_at"])


def _quarantine(row: OutboxMessage, error: str, now: datetime) -> None:
    row.claim = row.claimed_until = None
    row.dead_at, row.last_error = now, error
    row.save(update_fields=["claim", "claimed_until", "dead_at", "last_error"])
    audit.record(
        stream=f"message:{row.pk}",
        kind=Kind.MESSAGE_QUARANTINED,
        actor=system("worker"),
        data={"kind": row.kind, "ref": str(row.ref), "attempts": row.attempts},
        text={"error": error},
    )
    if row.kind != QUARANTINED:  # whoever reacts to that one and dies of it is not told of it again
        post(kind=QUARANTINED, ref=row.pk, now=now, data={"kind": row.kind}, queue="notify")
    _log.error("message_quarantined", kind=row.kind, message=str(row.pk), error=error)
