"""Begin to go back, and begin anew."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import queries
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.changes.models import ChangeRequest
from releases.changes.services import locked, may_move, move
from releases.changes.states import State
from releases.core.errors import NotPermitted, Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.ports import StepPlan
from releases.rollback.models import Asked, Rollback
from releases.rollback.services.planning import backward
from releases.rollback.services.telling import hold_work_on, tell
from releases.rollback.states import KIND, ByHand

LASTS_AT_MOST = timedelta(hours=1)
SECOND_PRESSES_WITHIN = timedelta(minutes=15)


class AlreadyRolledBack(Refused):
    """The change was rolled back before: rolling forward again is a new decision."""

    code = "already_rolled_back"


class SecondPersonNeeded(Refused):
    """The record contradicts its witness: going back takes two people, and this was the first."""

    code = "second_person_needed"


def begin(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Rollback:
    """Carry out the approved way back: all traffic at once, then redeploys, then verification.

    Whatever else is active on the change or its routes is taken over in the same transaction. Asking again joins the
    same rollback.

    While the record contradicts its witness nobody can be sure what was approved, so two people press the button: the
    first with a reason, the second within 15 minutes (design/trust.md, sections 7 and 9).

    :raises AlreadyRolledBack: it was rolled back before
    :raises SecondPersonNeeded: the record contradicts its witness, and this was the first of two
    :raises Refused: it cannot go back, with every reason
    :raises NotPermitted: the actor may not roll back
    """
    if queries.contradiction() is None:
        return _go_back(change_id, actor=actor, now=now, reason=reason)
    first = _first_of_two(change_id, actor=actor, now=now, reason=reason)
    if first == actor.person_id:
        sentence = _(
            "The record contradicts its witness, so going back takes two people. Ask somebody else who may go back"
            " to press the button within 15 minutes."
        )
        raise SecondPersonNeeded(sentence, reasons=[Reason(SecondPersonNeeded.code, Sentence(sentence))])
    return _go_back(change_id, actor=actor, now=now, reason=reason, first=first)


@transaction.atomic(durable=True)
def _first_of_two(change_id: UUID, *, actor: Actor, now: datetime, reason: str) -> UUID | None:
    """Return who asked first, this person after writing that down, or ``None`` when there is a rollback to join.

    :raises Refused: it cannot go back, or no reason is given
    :raises NotPermitted: the actor may not roll back, or is no person
    """
    change = locked(change_id)
    require(actor, Right.ROLLBACK_BEGIN)
    if _to_join(change):
        return None
    may_move(change, "roll_back", actor=actor, now=now)
    if actor.person_id is None:
        sentence = _("The record contradicts its witness: only people can go back now, two of them.")
        raise NotPermitted(sentence, reasons=[Reason("machine", Sentence(sentence))])
    asked = Asked.objects.filter(change=change).first()
    if asked and asked.person_id != actor.person_id and now - asked.asked_at < SECOND_PRESSES_WITHIN:
        return asked.person_id
    if not reason.strip():
        sentence = _("The record contradicts its witness: say why you go back, and name the incident.")
        raise Refused(sentence, reasons=[Reason("reason_missing", Sentence(sentence))])
    Asked.objects.update_or_create(change=change, defaults={"person_id": actor.person_id, "asked_at": now})
    tell(Kind.ROLLBACK_ASKED, change, actor, reason=reason)
    operations.post(kind=Kind.ROLLBACK_ASKED.value, ref=change.pk, now=now)
    return actor.person_id


@transaction.atomic(durable=True)
def _go_back(change_id: UUID, *, actor: Actor, now: datetime, reason: str, first: UUID | None = None) -> Rollback:
    change = locked(change_id)  # closes the race of two clicks
    require(actor, Right.ROLLBACK_BEGIN)
    if row := _to_join(change):
        return row
    held = hold_work_on(change)
    move(change, "roll_back", actor=actor, now=now, text={"reason": reason} if reason else {})
    _take_over_elsewhere(held, change, actor=actor, now=now, reason=reason)
    operation = _begin(change, backward(change, actor=actor, now=now), actor=actor, now=now, reason=reason, turn=1)
    row = Rollback.objects.create(
        change=change, operation=operation.pk, reason=reason, begun_by=actor.name, begun_at=now
    )
    tell(Kind.ROLLBACK_BEGUN, change, actor, first=str(first or ""))
    return row


def _to_join(change: ChangeRequest) -> Rollback | None:
    """Return the rollback of a locked change that is under way, if any.

    :raises AlreadyRolledBack: it is over
    """
    row = Rollback.objects.filter(change=change).first()
    if row is not None and row.ended_at is not None and row.outcome != ByHand.STAY:
        sentence = Sentence(_("%(name)s was already rolled back."), {"name": change.name})
        raise AlreadyRolledBack(sentence, reasons=[Reason(AlreadyRolledBack.code, sentence)])
    return row if row is not None and change.state == State.ROLLING_BACK else None


@transaction.atomic(durable=True)
def take_over(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Rollback:
    """Begin the rollback anew when it is stuck or failed: the old operation is superseded in the same transaction.

    ``reason`` lets traffic go back although the look at a route had doubts, which the failed step told.

    :raises Refused: no rollback of this change is under way
    :raises NotPermitted: the actor may not roll back
    """
    change = locked(change_id)
    require(actor, Right.ROLLBACK_BEGIN)
    row = under_way(change)
    _take_over_elsewhere(hold_work_on(change), change, actor=actor, now=now, reason=reason)
    turn = 1 + sum(one.kind == KIND for one in operations_queries.operations_of(change.pk))
    steps = backward(change, actor=actor, now=now, reason=reason)
    row.operation, row.outcome = _begin(change, steps, actor=actor, now=now, reason=reason, turn=turn).pk, ""
    row.save()
    tell(Kind.ROLLBACK_TAKEN_OVER, change, actor, reason=reason)
    return row


def _take_over_elsewhere(
    held: Sequence[Operation], change: ChangeRequest, *, actor: Actor, now: datetime, reason: str
) -> None:
    """Supersede what else moves a route of the change, such as a restore: one writer on a route at a time."""
    for one in held:
        if one.target != change.stream:
            operations.take_over(operation_id=one.pk, actor=actor, reason=reason, now=now)


def _begin(
    change: ChangeRequest, steps: Sequence[StepPlan], *, actor: Actor, now: datetime, reason: str, turn: int
) -> Operation:
    return operations.begin(
        kind=KIND,
        target=change.stream,
        subject=change.pk,
        steps=steps,
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
