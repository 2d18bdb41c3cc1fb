"""How states of operations and steps are written: always with their audit event, in the caller's transaction."""

from datetime import datetime
from typing import Any
from uuid import UUID

from releases.audit import services as audit
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.core.errors import Sentence
from releases.operations import bell, rules
from releases.operations.models import Operation, Step
from releases.operations.ports import Json, Ring
from releases.operations.services.outbox import post
from releases.operations.states import ACTIVE, IN_FLIGHT, OperationState, StepState

WORKER = system("worker")
MOST_CALLS = 8


def locked(operation_id: UUID) -> Operation | None:
    """Lock the operation's row: every write to it or to its steps begins here, so that nobody waits in a circle."""
    return Operation.objects.select_for_update().filter(pk=operation_id).first()


def facts_of(step: Step) -> rules.StepFacts:
    """Return what the rules know of a step."""
    return rules.StepFacts(
        stage=step.stage,
        state=StepState(step.state),
        has_snapshot=step.prev is not None,
        attempts=step.attempts,
        sends=step.sends,
        blind=step.blind,
        sent_at=step.sent_at,
        repeatable=step.repeatable,
    )


def advance(operation: Operation, *, actor: Actor, now: datetime) -> None:
    """Write where the operation stands now that a step has moved; its row is locked by the caller."""
    where = rules.standing([facts_of(step) for step in operation.steps.all()])
    if where.gives_up:
        for step in operation.steps.filter(state=StepState.TODO):
            move_step(operation, step, StepState.SKIPPED, actor=actor, fence=step.fence + 1, lease_until=None)
    if where.stage != operation.stage:
        operation.stage = where.stage
        operation.save(update_fields=["stage"])
        call_workers(operation)
    if where.state != operation.state:
        move_operation(operation, where.state, actor=actor, now=now)


def move_operation(
    operation: Operation, state: OperationState, *, actor: Actor, now: datetime, text: dict[str, str] | None = None
) -> None:
    """Write the operation's state, its event, and the message for those who wait for its end (or must help)."""
    data = {"from": operation.state, "state": state.value, "kind": operation.kind, "target": operation.target}
    operation.state = state
    operation.ended_at = None if state in ACTIVE else now
    operation.save(update_fields=["state", "ended_at"])
    record(operation, Kind.OPERATION_MOVED if state in ACTIVE else Kind.OPERATION_ENDED, actor, data, text)
    if state not in {OperationState.PENDING, OperationState.RUNNING}:
        about = {"kind": operation.kind, "subject": str(operation.subject)}
        post(kind=f"operation.{state}", ref=operation.pk, now=now, data=about)


def move_step(operation: Operation, step: Step, state: StepState, *, actor: Actor, **columns: Any) -> None:
    """Write a step's state and its event, with other columns if any; the operation's row is locked by the caller."""
    data = {"step": step.name, "position": step.position, "step_from": step.state, "step_state": state.value}
    for name, value in {"state": state, **columns}.items():
        setattr(step, name, value)
    step.save(update_fields=["state", *columns])
    about = {"remote_ref": step.remote_ref} if step.remote_ref else {}
    record(operation, Kind.STEP_MOVED, actor, {**data, **about, "fence": step.fence})


def close(operation: Operation, state: OperationState, *, actor: Actor, reason: str, now: datetime) -> None:
    """End an active operation from outside: all fences raised, nothing more sent; its row is locked by the caller."""
    for step in operation.steps.all():
        may_be_out = step.state in IN_FLIGHT or (step.state == StepState.NEEDS_HUMAN and step.sent_at is not None)
        if may_be_out or step.state in {StepState.TODO, StepState.NEEDS_HUMAN}:
            end = StepState.ABANDONED if may_be_out else StepState.SKIPPED
            move_step(operation, step, end, actor=actor, fence=step.fence + 1, lease_until=None, ended_at=now)
    move_operation(operation, state, actor=actor, now=now, text={"reason": reason} if reason else None)


def call_workers(operation: Operation) -> None:
    """Call, after the commit, as many workers as there are steps to do side by side."""
    waiting = operation.steps.filter(stage=operation.stage, state=StepState.TODO).count()
    bell.ring_on_commit(Ring(operation.queue, "operation", operation.pk), times=max(1, min(waiting, MOST_CALLS)))


def record(
    operation: Operation, kind: Kind, actor: Actor, data: dict[str, Json], text: dict[str, str] | None = None
) -> None:
    """Add an event to the operation's stream."""
    audit.record(stream=operation.stream, kind=kind, actor=actor, data=data, text=text, operation=str(operation.pk))


def as_note(sentence: Sentence) -> dict[str, Json]:
    """Return a sentence as it is kept, to be translated when it is shown."""
    parts = {name: _plain(part) for name, part in sentence.parts.items()}
    return {"text": rules.printable(sentence.text), "parts": parts}


def _plain(part: object) -> Json:
    if isinstance(part, Sentence):
        return as_note(part)
    return part if isinstance(part, int | float) else rules.printable(str(part))
