"""What people do with an operation under way: stop it, try a step again, have it looked at now."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from releases.audit.actor import Actor
from releases.core.errors import Missing, Sentence, Stale
from releases.core.words import mark as _
from releases.operations import bell
from releases.operations.models import Operation, Step
from releases.operations.ports import Ring
from releases.operations.services import moves
from releases.operations.services.begin import active
from releases.operations.states import OPEN, OperationState, StepState

BETWEEN_LOOKS = timedelta(seconds=1)


def stop(*, operation_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Operation:
    """End an active operation now; may run inside the caller's transaction.

    Nothing more is sent. What may be out already is ``abandoned``: whoever reacts to ``operation.stopped`` cares for
    it, with ``op_key`` and ``remote_ref``.

    :raises Missing: there is no such operation
    :raises Stale: it has ended meanwhile
    """
    with transaction.atomic():
        operation = active(operation_id)
        moves.close(operation, OperationState.STOPPED, actor=actor, reason=reason, now=now)
        return operation


def retry_step(*, step_id: UUID, actor: Actor, now: datetime) -> Operation:
    """Let the workers go on with a step that waits for a human; may run inside the caller's transaction.

    What may have been sent is looked for first, with the same ``op_key``; what certainly was not gets a new snapshot.
    A guarded write that was sent and does not stand any more is written again.
    When the deadline has passed, the operation gets as much time again as it had at first.

    :raises Missing: there is no such step
    :raises Stale: the step does not wait for a human, or its operation has ended
    """
    with transaction.atomic():
        step = Step.objects.filter(pk=step_id).first()
        if step is None:
            raise Missing(Sentence(_("There is no such step.")))
        operation = active(step.operation_id)
        step.refresh_from_db()
        if step.state != StepState.NEEDS_HUMAN:
            raise Stale(Sentence(_("This step does not wait for a human any more (%(state)s)."), {"state": step.state}))
        if operation.deadline_at <= now:
            operation.deadline_at = now + (operation.deadline_at - operation.begun_at)
            operation.save(update_fields=["deadline_at"])
        afresh: dict[str, Any] = {"attempts": 0, "sends": 0, "blind": 0, "look_at": None, "ended_at": None}
        if step.sent_at is None:
            state, afresh["prev"] = StepState.TODO, None
        elif step.repeatable and step.prev:  # a guarded write: adopted if it stands, else written anew
            state = StepState.UNKNOWN
            afresh |= {"data": {}, "remote_ref": ""}
        else:
            state = StepState.APPLIED if step.remote_ref else StepState.UNKNOWN
        moves.move_step(operation, step, state, actor=actor, note=None, fence=step.fence + 1, **afresh)
        moves.advance(operation, actor=actor, now=now)
        moves.call_workers(operation)
        return operation


def look_soon(*, step_id: UUID, now: datetime, is_insisted: bool = False) -> None:
    """Have one step looked at as soon as may be, inside the caller's transaction: something hints that it moved.

    However often that is hinted, a second passes between two looks. An outside that gave no answer is left alone for
    as long as it asked for, unless a person insists: a stop waits for nobody's rest.
    """
    step = Step.objects.filter(pk=step_id, state__in=OPEN).first()
    operation = moves.locked(step.operation_id) if step else None
    if step is None or operation is None:
        return
    step.refresh_from_db()
    at = max(now, (step.heartbeat_at or now - BETWEEN_LOOKS) + BETWEEN_LOOKS)
    may_rest = bool(step.error) and not is_insisted
    if step.state in OPEN and not may_rest and step.look_at is not None and step.look_at > at:
        step.look_at = at
        step.save(update_fields=["look_at"])
        bell.ring_on_commit(Ring(operation.queue, "operation", operation.pk))


def nudge(*, operation_id: UUID, now: datetime) -> None:
    """Have the operation's waiting steps looked at now, inside the caller's transaction (somebody pressed a button).

    A step that a worker holds at this moment is looked at when its handler said.
    """
    operation = moves.locked(operation_id)
    if operation is None:
        return
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    if operation.steps.filter(free, state__in=OPEN, look_at__gt=now).update(look_at=now):
        bell.ring_on_commit(Ring(operation.queue, "operation", operation.pk))
