"""Put a change on hold, and let it go on."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.changes.models import ChangeRequest
from releases.changes.services.moving import locked
from releases.changes.states import ENDED
from releases.core.errors import Invalid, Refused, Sentence
from releases.core.words import mark as _
from releases.operations import services as operations


@transaction.atomic(durable=True)
def hold(*, change_id: UUID, actor: Actor, reason: str, now: datetime) -> ChangeRequest:
    """Stop a change where it stands: the gate refuses it until it is resumed.

    :raises Invalid: no reason is given
    :raises Refused: it has ended, or is on hold already
    :raises NotPermitted: the actor may not stop releases
    """
    change = locked(change_id)
    require(actor, Right.CHANGE_RELEASE)
    if not reason.strip():
        raise Invalid(
            Sentence(_("Say why the change is put on hold.")), fields={"reason": [Sentence(_("This is needed."))]}
        )
    if change.state in ENDED or change.is_on_hold:
        raise Refused(Sentence(_("%(name)s has ended or is on hold already."), {"name": change.name}))
    change.hold_reason = reason.strip()[:200]
    _write(change, kind=Kind.CHANGE_HELD, actor=actor, now=now, text={"reason": change.hold_reason}, is_on_hold=True)
    return change


@transaction.atomic(durable=True)
def resume(*, change_id: UUID, actor: Actor, now: datetime) -> ChangeRequest:
    """Let a change on hold go on.

    :raises Refused: it is not on hold
    :raises NotPermitted: the actor may not stop the line, nor let it go on
    """
    change = locked(change_id)
    require(actor, Right.FREEZE_SET)
    if not change.is_on_hold:
        raise Refused(Sentence(_("%(name)s is not on hold."), {"name": change.name}))
    change.hold_reason = ""
    _write(change, kind=Kind.CHANGE_RESUMED, actor=actor, now=now, text={}, is_on_hold=False)
    return change


def _write(
    change: ChangeRequest, *, kind: Kind, actor: Actor, now: datetime, text: dict[str, str], is_on_hold: bool
) -> None:
    change.is_on_hold, change.updated_at = is_on_hold, now
    change.save()
    data = {"number": change.number, "state": change.state, "on_hold": is_on_hold}
    record(stream=change.stream, kind=kind, actor=actor, data=data, text=text)
    operations.post(kind=kind.value, ref=change.pk, now=now)
