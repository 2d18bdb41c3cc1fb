"""Put a move back that some routes of a release made and others did not.

It is an operation of its own, urgent as a rollback is, and begun in the transaction that finds the move torn: whatever
crashes, the message that asks to look stands in the outbox. No gate is asked, nothing holds it up.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.changes.models import ChangeRequest
from releases.changes.services import locked
from releases.changes.states import State
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.ports import StepPlan
from releases.operations.queries import OperationView, StepLine
from releases.operations.states import OPEN, OperationState, StepState
from releases.rollout.models import Rollout
from releases.rollout.rules import Leg, Torn, torn
from releases.rollout.services.telling import tell
from releases.rollout.states import Work
from releases.traffic import steps as shifts
from releases.traffic.rivals import IN_GIT

LASTS_AT_MOST = timedelta(hours=1)
ACTOR = system("rollout")
LET_GO = frozenset({OperationState.STOPPED, OperationState.SUPERSEDED})
MAY_BE_TORN = frozenset({OperationState.RUNNING, OperationState.NEEDS_HUMAN, OperationState.FAILED})


@transaction.atomic(durable=True)
def hold_together(*, operation_id: UUID, now: datetime) -> None:
    """Look whether a rollout has torn a move, and begin to put back the routes that made it; safe to repeat.

    The rollout is superseded: nothing of it is sent any more.
    """
    row = Rollout.objects.filter(operation=operation_id).first()
    if row is None:
        return
    change = locked(row.change_id)
    row.refresh_from_db()
    list(Operation.objects.select_for_update().filter(pk=operation_id))  # nobody sends a step while we judge
    operation = operations_queries.operation(operation_id)
    if row.operation != operation_id or change.state != State.IMPLEMENTING or operation.state not in MAY_BE_TORN:
        return
    found = next(((legs, how) for legs in moves_of(operation) if (how := torn([leg_of(one) for one in legs]))), None)
    if found:
        _put_back(change, row, operation, *found, now=now)


def moves_of(operation: OperationView) -> list[list[StepLine]]:
    """Return the shifts of a rollout by the moves they make together."""
    moves: dict[int, list[StepLine]] = {}
    for step in operation.steps:
        if step.kind == shifts.STEP_KIND and "move" in step.desired:
            moves.setdefault(step.desired["move"], []).append(step)
    return [legs for _move, legs in sorted(moves.items())]


def leg_of(step: StepLine) -> Leg:
    """Return how a route stands in its move. Where somebody else changes Git, nothing of ours is out or on its way."""
    if step.remote_ref == IN_GIT and step.state is not StepState.CONFIRMED:
        return Leg(step.name, StepState.TODO if step.state in OPEN else step.state, may_have_moved=False)
    return Leg(step.name, step.state, may_have_moved=step.sent_at is not None)


def _put_back(
    change: ChangeRequest, row: Rollout, operation: OperationView, legs: Sequence[StepLine], how: Torn, *, now: datetime
) -> None:
    move = legs[0].desired["move"]
    begun = operations.begin(
        kind=Work.PUT_BACK,
        target=change.stream,
        subject=change.pk,
        steps=list(_steps(legs, how, change)),
        actor=ACTOR,
        deadline=now + LASTS_AT_MOST,
        key=f"put_back:{operation.id}:{move}",
        now=now,
        urgent=True,
        supersede=True,
    )
    row.put_back, row.put_back_state = begun.pk, ""
    row.save(update_fields=["put_back", "put_back_state"])
    tell(Kind.ROLLOUT_PUT_BACK_BEGUN, change, ACTOR, moved=", ".join(how.moved), unmoved=", ".join(how.unmoved))


def _steps(legs: Iterable[StepLine], how: Torn, change: ChangeRequest) -> Iterable[StepPlan]:
    """Yield the restore of every route that moved, to the numbers its snapshot kept; no foreign hand is undone."""
    for leg in legs:
        if leg.name not in how.moved or leg.prev is None:
            continue
        yield shifts.plan(
            route=catalog.route(UUID(leg.desired["route"])),
            weights=leg.prev["version"]["weights"],
            change_id=change.pk,
            asked_by=ACTOR.name,
            name=f"put back {leg.name.split(' ')[-1]}",
            expect=leg.desired["weights"],
            literal=True,
        )


@transaction.atomic(durable=True)
def put_back_ended(*, operation_id: UUID, state: str, now: datetime) -> None:
    """Follow what puts routes back to its end, or until it needs a human; safe to repeat.

    When all stand where they stood before the move, somebody decides: try the move again, or go back.
    """
    row = Rollout.objects.filter(put_back=operation_id).first()
    if row is None or state in LET_GO:
        return
    change = locked(row.change_id)
    row.refresh_from_db()
    if row.put_back != operation_id or row.put_back_state == state:
        return
    row.put_back_state = state
    row.save(update_fields=["put_back_state"])
    if state == OperationState.SUCCEEDED:
        names = [step.name.split(" ")[-1] for step in operations_queries.operation(operation_id).steps]
        tell(Kind.ROLLOUT_PUT_BACK, change, ACTOR, moved=", ".join(names))
        operations.post(kind=Kind.ROLLOUT_PUT_BACK.value, ref=change.pk, now=now)
    else:
        tell(Kind.ROLLOUT_WAITS, change, ACTOR, outcome=state)


def torn_move(change: ChangeRequest, row: Rollout) -> int | None:
    """Return the move whose routes all stand again where they stood before it, if the release rests there."""
    if row.put_back is None or change.state != State.IMPLEMENTING:
        return None
    every = operations_queries.operations_of(change.pk)
    latest = every[0] if every else None
    if latest is None or latest.id != row.put_back or latest.state is not OperationState.SUCCEEDED:
        return None
    legs = moves_of(operations_queries.operation(row.operation))
    return next((moves[0].desired["move"] for moves in legs if not is_whole(moves)), None)


def is_whole(legs: Iterable[StepLine]) -> bool:
    """Say whether every route made the move."""
    return all(leg.state is StepState.CONFIRMED for leg in legs)
