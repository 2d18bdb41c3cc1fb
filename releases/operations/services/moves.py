"""How states of operations and steps are written: always with their audit event, in the caller's transaction."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from releases.audit import services as audit
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.operations import bell, rules
from releases.operations.models import Operation, Step
from releases.operations.ports import Json, Ring
from releases.operations.services.outbox import post
from releases.operations.states import ACTIVE, IN_FLIGHT, OPEN, OperationState, StepState

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
        position=step.position,
        after=frozenset(step.after),
        goes_on=step.goes_on,
    )


def advance(operation: Operation, *, actor: Actor, now: datetime) -> None:
    """Write where the operation stands now that a step has moved; its row is locked by the caller."""
    steps = {step.position: step for step in operation.steps.all()}
    where = rules.standing([facts_of(step) for step in steps.values()])
    for position, blamed in where.gives_up.items():
        step = steps[position]
        freed = {"fence": step.fence + 1, "lease_until": None, "note": as_note(_not_begun(blamed, steps))}
        move_step(operation, step, StepState.SKIPPED, actor=actor, **freed)
    begins = [step.pk for step in steps.values() if step.waits and step.position not in where.waits]
    operation.steps.filter(pk__in=begins).update(waits=False)
    if where.stage != operation.stage:
        operation.stage = where.stage
        operation.save(update_fields=["stage"])
        call_workers(operation)
    elif begins:
        call_workers(operation)
    if where.state != operation.state:
        move_operation(operation, where.state, actor=actor, now=now)


def _not_begun(blamed: Iterable[int], steps: Mapping[int, Step]) -> Sentence:
    names = ", ".join(steps[position].name for position in sorted(blamed))
    return Sentence(_("Not begun, because this failed: %(names)s."), {"names": names})


def move_operation(
    operation: Operation, state: OperationState, *, actor: Actor, now: datetime, text: dict[str, str] | None = None
) -> None:
    """Write the operation's state, its event, and the message for those who wait for its end (or must help)."""
    before = operation.state
    data: dict[str, Json] = {"from": before, "state": state.value, "kind": operation.kind, "target": operation.target}
    if state == OperationState.FAILED:
        data["not_begun"] = list(operation.steps.filter(state=StepState.SKIPPED).values_list("name", flat=True))
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
    if step.place is not None and state not in OPEN:
        columns["place"] = None
        _call_those_who_wait(step)
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
    waiting = operation.steps.filter(stage=operation.stage, state=StepState.TODO, waits=False).count()
    bell.ring_on_commit(Ring(operation.queue, "operation", operation.pk), times=max(1, min(waiting, MOST_CALLS)))


def _call_those_who_wait(step: Step) -> None:
    """Call, after the commit, workers to the operations that wait for a place of this step's lane."""
    waiting = Step.objects.filter(lane=step.lane, place=None, state=StepState.TODO, waits=False)
    due = Operation.objects.filter(steps__in=waiting.filter(stage=F("operation__stage")), state__in=ACTIVE)
    for operation in due.distinct().order_by("begun_at")[:MOST_CALLS]:
        bell.ring_on_commit(Ring(operation.queue, "operation", operation.pk))


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
