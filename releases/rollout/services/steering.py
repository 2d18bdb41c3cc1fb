"""What people do with a release under way: advance it, stop it."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.changes.models import ChangeRequest
from releases.changes.services import locked
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.services import CALL_OFF
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.queries import OperationView, StepLine
from releases.operations.states import OPEN, StepState
from releases.rollout.models import Rollout
from releases.rollout.services.telling import refused, tell
from releases.rollout.states import Work
from releases.rollout.steps import PAUSES

RIGHTS_TO_HELP: Mapping[str, tuple[Right, ...]] = {
    CALL_OFF: (Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN),
    "rollback": (Right.ROLLBACK_BEGIN,),  # of the room above
}


@transaction.atomic(durable=True)
def advance(*, change_id: UUID, actor: Actor, now: datetime) -> Rollout:
    """Go on to the next step without waiting for the rest of the pause; what is unhealthy still stops it.

    :raises Refused: there is no pause to cut short now, or the change is on hold
    :raises NotPermitted: the actor may not release
    :raises Contradicted: the record contradicts its witness, so nothing goes on by hand
    """
    audit.agree()
    change = locked(change_id)
    require(actor, Right.CHANGE_RELEASE)
    row, operation = _running(change)
    move = paused_after(operation)
    if move is None:
        raise refused("not_waiting", Sentence(_("The rollout is not pausing now.")))
    if change.is_on_hold:
        raise refused("on_hold", Sentence(_("On hold: %(reason)s"), {"reason": change.hold_reason}))
    row.advanced_by, row.advanced_at, row.advanced_move = actor.name, now, move
    row.save()
    operations.nudge(operation_id=operation.id, now=now)  # before the story: workers lock in that order, too
    tell(Kind.ROLLOUT_ADVANCED, change, actor)
    return row


@transaction.atomic(durable=True)
def stop(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Rollout:
    """Stop a rollout where it stands: nothing more is sent; traffic stays as it is until somebody goes back.

    So can what puts routes back, when it is stuck. A watch can be stopped, too; the change stays watched until its time
    is over, and the way back stays open.

    :raises Refused: no rollout is running
    :raises NotPermitted: the actor may not release
    """
    change = locked(change_id)
    require(actor, Right.CHANGE_RELEASE)
    row, operation = _running(change, *Work)
    operations.stop(operation_id=operation.id, actor=actor, now=now, reason=reason)
    tell(Kind.ROLLOUT_STOPPED, change, actor, reason=reason)
    return row


@transaction.atomic(durable=True)
def retry_step(*, step_id: UUID, actor: Actor, now: datetime) -> None:
    """Try a step again that waits for a person; of the routes that make a move together, all that wait.

    :raises Missing: there is no such step
    :raises Stale: the step does not wait for a person any more, or its operation has ended
    :raises NotPermitted: the actor may not help work of that kind along
    """
    if kind := Operation.objects.filter(steps=step_id).values_list("kind", flat=True).first():
        require(actor, *rights_to_help(kind))
    operation = operations_queries.operation(operations.retry_step(step_id=step_id, actor=actor, now=now).pk)
    move = next(one.desired.get("move") for one in operation.steps if one.id == step_id)
    for other in operation.steps:
        if move is not None and other.desired.get("move") == move and other.state is StepState.NEEDS_HUMAN:
            operations.retry_step(step_id=other.id, actor=actor, now=now)


def rights_to_help(kind: str) -> tuple[Right, ...]:
    """Return the rights of which one is needed to help work of that kind along."""
    return RIGHTS_TO_HELP.get(kind, (Right.CHANGE_RELEASE,))


def paused_after(operation: OperationView) -> int | None:
    """Return the move after which a rollout pauses at this moment, if it does."""
    return next((one.desired.get("move") for one in operation.steps if _pauses(one, operation)), None)


def _pauses(step: StepLine, operation: OperationView) -> bool:
    return step.kind in PAUSES and step.stage == operation.stage and step.state in OPEN


def _running(change: ChangeRequest, *kinds: Work) -> tuple[Rollout, OperationView]:
    row = Rollout.objects.filter(change=change).first()
    operation = operations_queries.active_on(change.stream)
    if row is None or operation is None or operation.kind not in (kinds or (Work.ROLLOUT,)):
        raise refused("no_rollout", Sentence(_("No rollout of %(name)s is running."), {"name": change.name}))
    return row, operation
