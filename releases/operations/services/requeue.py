"""Have a message that was given up delivered again."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core.errors import Missing, Sentence, Stale
from releases.core.words import mark as _
from releases.operations import bell
from releases.operations.models import OutboxMessage
from releases.operations.ports import Ring


@transaction.atomic(durable=True)
def requeue_message(*, message_id: UUID, actor: Actor, now: datetime) -> OutboxMessage:
    """Take a message out of quarantine: it is tried as often as a new one; the caller has checked the right.

    :raises Missing: there is no such message
    :raises Stale: it is not in quarantine: somebody else was first
    """
    row = OutboxMessage.objects.select_for_update().filter(pk=message_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such message.")))
    if row.dead_at is None:
        raise Stale(Sentence(_("This was sent on its way again meanwhile.")))
    row.dead_at, row.attempts = None, 0
    row.available_at = row.rung_at = now
    row.save(update_fields=["dead_at", "attempts", "available_at", "rung_at"])
    data = {"kind": row.kind, "ref": str(row.ref)}
    audit.record(stream=f"message:{row.pk}", kind=Kind.MESSAGE_REQUEUED, actor=actor, data=data)
    bell.ring_on_commit(Ring(row.queue, "message", row.pk))
    return row
