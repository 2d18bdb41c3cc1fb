"""Begin an operation, or take over one that is stuck."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core import request_id
from releases.core.errors import Invalid, Missing, Reason, Sentence, Stale
from releases.core.words import mark as _
from releases.operations.models import Operation, Step
from releases.operations.ports import StepPlan
from releases.operations.rules import KeyReused, OperationActive
from releases.operations.services import moves
from releases.operations.states import ACTIVE, OperationState


def begin(
    *,
    kind: str,
    target: str,
    subject: UUID,
    steps: Sequence[StepPlan],
    actor: Actor,
    deadline: datetime,
    key: str,
    now: datetime,
    urgent: bool = False,
    supersede: bool = False,
    reason: str = "",
) -> Operation:
    """Write down an operation and its steps, inside the caller's transaction; workers are called on its commit.

    The same key returns the same operation. ``supersede`` takes over whatever is active on the target, in the same
    transaction: all its fences are raised, so that a late worker of it cannot write any more.

    :raises OperationActive: another operation is active on the target
    :raises KeyReused: the key belongs to an operation of another kind, target or subject
    :raises Invalid: there are no steps, or the deadline has passed
    """
    if not steps:
        raise Invalid(Sentence(_("There is nothing to do: name at least one step.")))
    if deadline <= now:
        raise Invalid(Sentence(_("Choose a deadline in the future.")))
    if known := _of_key(key, kind, target, subject):
        return known
    old = _active_on(target)
    if old and not supersede:
        raise _refusal(old)
    if old:
        moves.close(old, OperationState.SUPERSEDED, actor=actor, reason=reason, now=now)
    operation = Operation(
        kind=kind,
        target=target,
        subject=subject,
        key=key,
        stage=min(step.stage for step in steps),
        urgent=urgent,
        reason=reason,
        request=request_id.current(),
        begun_by=actor.name,
        begun_at=now,
        deadline_at=deadline,
        rung_at=now,
        supersedes=old,
    )
    try:
        with transaction.atomic():  # a savepoint: somebody may have begun at the same moment
            operation.save(force_insert=True)
    except IntegrityError:
        if known := _of_key(key, kind, target, subject):
            return known
        raise _refusal(_active_on(target)) from None
    _write_steps(operation, steps)
    data = {
        "from": "",
        "state": operation.state,
        "kind": kind,
        "target": target,
        "subject": str(subject),
        "urgent": urgent,
        "deadline": deadline.isoformat(),
        "steps": [step.name for step in steps],
        "supersedes": str(old.pk) if old else "",
    }
    moves.record(operation, Kind.OPERATION_BEGUN, actor, data, {"reason": reason} if reason else None)
    moves.call_workers(operation)
    return operation


def take_over(*, operation_id: UUID, actor: Actor, reason: str, now: datetime) -> Operation:
    """Supersede an active operation, so that its target is free; may run inside the caller's transaction.

    :raises Missing: there is no such operation
    :raises Stale: it has ended meanwhile
    """
    with transaction.atomic():
        operation = active(operation_id)
        moves.close(operation, OperationState.SUPERSEDED, actor=actor, reason=reason, now=now)
        return operation


def active(operation_id: UUID) -> Operation:
    """Lock and return an operation that has not ended; runs inside the caller's transaction.

    :raises Missing: there is no such operation
    :raises Stale: it has ended meanwhile
    """
    operation = moves.locked(operation_id)
    if operation is None:
        raise Missing(Sentence(_("There is no such operation.")))
    if operation.state not in ACTIVE:
        raise Stale(Sentence(_("This operation has ended meanwhile (%(state)s)."), {"state": operation.state}))
    return operation


def _of_key(key: str, kind: str, target: str, subject: UUID) -> Operation | None:
    known = Operation.objects.filter(key=key).first()
    if known and (known.kind, known.target, known.subject) != (kind, target, subject):
        raise KeyReused(Sentence(_("This key was used for another operation. Use a new key.")))
    return known


def _active_on(target: str) -> Operation | None:
    return Operation.objects.select_for_update().filter(target=target, state__in=ACTIVE).first()


def _refusal(other: Operation | None) -> OperationActive:
    parts = {"kind": other.kind if other else "", "target": other.target if other else ""}
    sentence = Sentence(
        _("Another operation (%(kind)s) is active on %(target)s. Wait for its end or take over."), parts
    )
    return OperationActive(sentence, reasons=(Reason(OperationActive.code, sentence),))


def _write_steps(operation: Operation, steps: Sequence[StepPlan]) -> None:
    """Write the plan down: whom each step comes after by position, and what it shares its connection's places with."""
    after = [[at for at, other in enumerate(steps, start=1) if other.name in step.after] for step in steps]
    Step.objects.bulk_create(
        Step(
            operation=operation,
            position=position,
            stage=step.stage,
            name=step.name,
            kind=step.kind,
            connection=step.connection,
            repeatable=step.repeatable,
            after=after[position - 1],
            waits=bool(after[position - 1]),
            goes_on=step.goes_on,
            lane=f"{operation.queue} {step.connection}" if step.at_once else "",
            at_once=step.at_once,
            note=moves.as_note(step.note) if step.note else None,
            desired=dict(step.desired),
            op_key=f"{operation.pk}:{position}",
        )
        for position, step in enumerate(steps, start=1)
    )
