"""Begin to go back, and begin anew."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.changes.models import ChangeRequest
from releases.changes.services import locked, move
from releases.changes.states import State
from releases.core.errors import Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.rollback.models import Rollback
from releases.rollback.services.planning import backward
from releases.rollback.services.telling import hold_work_on, tell
from releases.rollback.states import ByHand

KIND = "rollback"
LASTS_AT_MOST = timedelta(hours=1)


class AlreadyRolledBack(Refused):
    """The change was rolled back before: rolling forward again is a new decision."""

    code = "already_rolled_back"


@transaction.atomic(durable=True)
def begin(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Rollback:
    """Carry out the approved way back: all traffic at once, then redeploys, then verification.

    Whatever else is active on the change is taken over in the same transaction. Asking again joins the same rollback.

    :raises AlreadyRolledBack: it was rolled back before
    :raises Refused: it cannot go back, with every reason
    :raises NotPermitted: the actor may not roll back
    """
    change = locked(change_id)  # closes the race of two clicks
    require(actor, Right.ROLLBACK_BEGIN)
    row = Rollback.objects.filter(change=change).first()
    if row is not None and row.ended_at is not None and row.outcome != ByHand.STAY:
        sentence = Sentence(_("%(name)s was already rolled back."), {"name": change.name})
        raise AlreadyRolledBack(sentence, reasons=[Reason(AlreadyRolledBack.code, sentence)])
    if row is not None and change.state == State.ROLLING_BACK:
        return row
    hold_work_on(change)
    move(change, "roll_back", actor=actor, now=now, text={"reason": reason} if reason else {})
    operation = _begin(change, actor=actor, now=now, reason=reason, turn=1)
    row = Rollback.objects.create(
        change=change, operation=operation.pk, reason=reason, begun_by=actor.name, begun_at=now
    )
    tell(Kind.ROLLBACK_BEGUN, change, actor)
    return row


@transaction.atomic(durable=True)
def take_over(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Rollback:
    """Begin the rollback anew when it is stuck or failed: the old operation is superseded in the same transaction.

    :raises Refused: no rollback of this change is under way
    :raises NotPermitted: the actor may not roll back
    """
    change = locked(change_id)
    require(actor, Right.ROLLBACK_BEGIN)
    row = under_way(change)
    hold_work_on(change)
    turn = 1 + sum(one.kind == KIND for one in operations_queries.operations_of(change.pk))
    row.operation, row.outcome = _begin(change, actor=actor, now=now, reason=reason, turn=turn).pk, ""
    row.save()
    tell(Kind.ROLLBACK_TAKEN_OVER, change, actor, reason=reason)
    return row


def _begin(change: ChangeRequest, *, actor: Actor, now: datetime, reason: str, turn: int) -> Operation:
    return operations.begin(
        kind=KIND,
        target=change.stream,
        subject=change.pk,
        steps=backward(change, actor=actor, now=now),
        actor=actor,
        deadline=now + LASTS_AT_MOST,
        key=f"rollback:{change.pk}:{turn}",
        now=now,
        urgent=True,
        supersede=True,
        reason=reason,
    )


def under_way(change: ChangeRequest) -> Rollback:
    """Return the rollback of a locked change that has not ended.

    :raises Refused: there is none
    """
    row = Rollback.objects.filter(change=change, ended_at__isnull=True).first()
    if row is None or change.state != State.ROLLING_BACK:
        sentence = Sentence(_("No rollback of %(name)s is under way."), {"name": change.name})
        raise Refused(sentence, reasons=[Reason("no_rollback", sentence)])
    return row
