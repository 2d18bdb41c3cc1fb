"""The journal of a step: each function is one commit, and each write is refused when somebody else holds the step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from releases.core.errors import Sentence
from releases.operations import rules
from releases.operations.models import Attempt, Operation, Step
from releases.operations.ports import Done, Ending, Failed, Json, NeedsHuman, StepHandler, StepView
from releases.operations.services import moves
from releases.operations.states import ACTIVE, AttemptOutcome, OperationState, StepState
from releases.operations.trouble import tell

ENDS = {Done: StepState.CONFIRMED, Failed: StepState.FAILED, NeedsHuman: StepState.NEEDS_HUMAN}


class LostLease(Exception):
    """Somebody else holds the step now, or its operation was ended: what we know of it may not be written."""


@dataclass(frozen=True, slots=True)
class Held:
    """A step a worker has claimed. ``fence`` guards every write; ``worn_out`` says why it may only ask a human."""

    operation_id: UUID
    step_id: UUID
    kind: str
    worker: str
    fence: int
    deadline: datetime
    worn_out: Sentence | None
    request: str = ""


def lease() -> timedelta:
    """Return how long a worker holds a step after each of its commits."""
    return timedelta(seconds=settings.GMUD_LEASE_SECONDS)


def due(*, operation_id: UUID, now: datetime) -> int:
    """Return how many steps of an operation somebody could take now."""
    return Step.objects.claimable(now).filter(operation=operation_id).count()


def claim(*, operation_id: UUID, worker: str, now: datetime) -> Held | None:
    """Take the next step of the operation that is free and due, count the claim and raise its fence."""
    with transaction.atomic(durable=True):
        operation = moves.locked(operation_id)
        if operation is None or operation.state not in ACTIVE:
            return None
        due = Step.objects.claimable(now).filter(operation=operation).order_by("position")
        is_late = operation.deadline_at <= now  # nothing is sent any more, so no place is needed to say so
        step = next((one for one in due if is_late or _takes_place(one)), None)
        if step is None:
            return None
        worn_out = rules.worn_out(step.attempts)
        step.fence += 1
        step.attempts += 1
        step.lease_owner, step.lease_until, step.heartbeat_at = worker, now + lease(), now
        step.save(update_fields=["fence", "attempts", "lease_owner", "lease_until", "heartbeat_at"])
        if operation.state == OperationState.PENDING:
            moves.advance(operation, actor=moves.WORKER, now=now)
        return Held(
            operation.pk, step.pk, step.kind, worker, step.fence, operation.deadline_at, worn_out, operation.request
        )


def _takes_place(step: Step) -> bool:
    """Take one of the places of the step's lane, unless it has one or needs none; ``False`` while all are taken.

    What the outside has needs none to be looked at: a person who was asked had given its place away.
    """
    if not step.at_once or step.place is not None or step.state == StepState.APPLIED:
        return True
    taken = Step.objects.filter(lane=step.lane, place__isnull=False).values_list("place", flat=True)
    for place in sorted({*range(1, step.at_once + 1)} - {*taken}):
        with suppress(IntegrityError), transaction.atomic():  # somebody may take it at the same moment
            Step.objects.filter(pk=step.pk).update(place=place)
            step.place = place
            return True
    return False


def look(held: Held, *, now: datetime) -> tuple[rules.StepFacts, StepView]:
    """Return the step as it stands, before speaking to the outside.

    :raises LostLease: somebody else holds the step, or our lease is over (this process was paused)
    """
    step = Step.objects.select_related("operation").filter(pk=held.step_id, fence=held.fence, lease_until__gt=now)
    row = step.first()
    if row is None:
        raise _lost(held)
    return moves.facts_of(row), view_of(row, row.operation)


def found(held: Held, *, remote_ref: str, now: datetime) -> None:
    """Adopt what an earlier send has left outside."""
    with _writing(held) as (operation, step):
        _answer(step, AttemptOutcome.FOUND, now=now, remote_ref=remote_ref)
        _move(operation, step, StepState.APPLIED, now=now, remote_ref=remote_ref, blind=0)


def not_found(held: Held, *, now: datetime) -> None:
    """Note that the earlier send certainly never arrived."""
    with _writing(held) as (_operation, step):
        _answer(step, AttemptOutcome.NOT_FOUND, now=now)
        _keep(step, now=now, blind=0)


def snapshot(held: Held, *, prev: Mapping[str, Json], now: datetime) -> None:
    """Keep what was there before the first send."""
    with _writing(held) as (_operation, step):
        _keep(step, now=now, prev=dict(prev), blind=0)


def intent(held: Held, *, now: datetime) -> None:
    """Write that the step is about to be sent."""
    with _writing(held) as (operation, step):
        seq = step.tries.count() + 1
        Attempt.objects.create(step=step, seq=seq, fence=held.fence, worker=held.worker, sent_at=now)
        _move(operation, step, StepState.SENDING, now=now, sent_at=now, sends=step.sends + 1, blind=0)


def sent(held: Held, *, remote_ref: str, now: datetime) -> None:
    """Write that the outside took it."""
    with _writing(held) as (operation, step):
        _answer(step, AttemptOutcome.SENT, now=now, remote_ref=remote_ref)
        _move(operation, step, StepState.APPLIED, now=now, remote_ref=remote_ref, error="")


def unknown(held: Held, *, error: str, look_at: datetime, now: datetime, is_orderly: bool) -> None:
    """Write that nobody knows whether it arrived, and let go. ``is_orderly``: an answer that can be expected."""
    with _writing(held) as (operation, step):
        _answer(step, AttemptOutcome.UNKNOWN, now=now, error=rules.printable(error))
        attempts = 0 if is_orderly else step.attempts
        freed = {"lease_until": None, "look_at": look_at, "attempts": attempts, "error": rules.printable(error)}
        _move(operation, step, StepState.UNKNOWN, now=now, **freed)
        _let_be_called_again(operation)


def postpone(
    held: Held,
    *,
    look_at: datetime,
    now: datetime,
    seen: Mapping[str, Json] | None = None,
    error: str = "",
    blind: int = 0,
) -> None:
    """Let go of the step until ``look_at``; it came back in good order, so the claims are counted from zero again."""
    with _writing(held) as (operation, step):
        data, error = step.data if seen is None else dict(seen), rules.printable(error)
        columns = {"look_at": min(look_at, held.deadline), "data": data, "error": error, "blind": blind, "attempts": 0}
        _keep(step, now=now, **{**columns, "lease_until": None})
        _let_be_called_again(operation)


def stumble(held: Held, *, error: str, now: datetime) -> None:
    """Let go of the step after an error nobody foresaw; the claim stays counted."""
    with _writing(held) as (operation, step):
        wait = rules.wait_after(step.attempts, lease=lease())
        _keep(step, now=now, lease_until=None, look_at=now + wait, error=rules.printable(error))
        _let_be_called_again(operation)


def end(
    held: Held,
    outcome: Ending,
    *,
    handler: StepHandler | None,
    now: datetime,
    answer: AttemptOutcome | None = None,
) -> None:
    """Write the step's end, let its handler write the domain's rows, and see where the operation stands.

    ``answer`` is the clear no that the latest send got: nothing of it is outside.

    :raises LostLease: somebody else holds the step
    """
    with _writing(held) as (operation, step):
        columns: dict[str, Any] = {"ended_at": now, "lease_until": None, "look_at": None}
        if outcome.seen:
            columns["data"] = dict(outcome.seen)
        columns["note"] = None if isinstance(outcome, Done) else moves.as_note(outcome.sentence)
        if answer and not isinstance(outcome, Done):
            _answer(step, answer, now=now, error=rules.printable(str(outcome.sentence)))
            columns["sent_at"] = None
        _move(operation, step, ENDS[type(outcome)], now=now, **columns)
        if handler:
            _settle(handler, view_of(step, operation), outcome, now)
        moves.advance(operation, actor=moves.WORKER, now=now)


def view_of(step: Step, operation: Operation) -> StepView:
    """Return the step as its handler sees it."""
    return StepView(
        op_id=operation.pk,
        step_id=step.pk,
        operation_kind=operation.kind,
        subject=operation.subject,
        name=step.name,
        kind=step.kind,
        connection=step.connection,
        desired=step.desired,
        prev=step.prev,
        op_key=step.op_key,
        remote_ref=step.remote_ref,
        attempts=step.attempts,
        fence=step.fence,
        urgent=operation.urgent,
        deadline=operation.deadline_at,
        sent_at=step.sent_at,
        data=step.data,
    )


@contextmanager
def _writing(held: Held) -> Iterator[tuple[Operation, Step]]:
    """Open the one transaction of a journal entry, with both rows locked and the fence compared."""
    with transaction.atomic(durable=True):
        operation = moves.locked(held.operation_id)
        step = Step.objects.select_for_update().filter(pk=held.step_id, fence=held.fence).first()
        if operation is None or step is None:
            raise _lost(held)
        yield operation, step


def _lost(held: Held) -> LostLease:
    return LostLease(f"{held.worker} does not hold step {held.step_id} any more (fence {held.fence}).")


def _keep(step: Step, *, now: datetime, **columns: Any) -> None:
    """Write columns of a step that stays in its state; unless it is let go, the lease begins anew."""
    columns = {"lease_until": now + lease(), "heartbeat_at": now, **columns}
    for name, value in columns.items():
        setattr(step, name, value)
    step.save(update_fields=list(columns))


def _move(operation: Operation, step: Step, state: StepState, *, now: datetime, **columns: Any) -> None:
    columns = {"lease_until": now + lease(), "heartbeat_at": now, **columns}
    moves.move_step(operation, step, state, actor=moves.WORKER, **columns)


def _let_be_called_again(operation: Operation) -> None:
    """Tell the sweep that no call is under way for what was let go."""
    operation.rung_at = None
    operation.save(update_fields=["rung_at"])


def _answer(step: Step, outcome: AttemptOutcome, *, now: datetime, remote_ref: str = "", error: str = "") -> None:
    """Write what became of the latest send."""
    latest = step.tries.order_by("-seq").first()
    if latest is None:
        return
    latest.outcome, latest.answered_at, latest.remote_ref, latest.error = outcome, now, remote_ref, error
    latest.save(update_fields=["outcome", "answered_at", "remote_ref", "error"])


def _settle(handler: StepHandler, step: StepView, outcome: Ending, now: datetime) -> None:
    """Let the handler write; asking for a human must succeed even when the handler is the one that is broken."""
    if not isinstance(outcome, NeedsHuman):
        handler.settle(step, outcome, now)
        return
    try:
        with transaction.atomic():
            handler.settle(step, outcome, now)
    except Exception as error:  # noqa: BLE001 - see above
        tell("settle_failed", error, step=str(step.step_id), kind=step.kind)
