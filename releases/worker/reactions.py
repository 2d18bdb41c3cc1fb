"""After this, do that: which messages of the outbox somebody reacts to.

A reaction may see a message twice and must not mind. What is not in the table has happened, and nobody needs to act.
"""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.db import transaction

from releases.audit.actor import system
from releases.changes import queries as changes
from releases.core import clock
from releases.delivery import services as delivery
from releases.gate import services as gate
from releases.operations.models import Step
from releases.operations.ports import Message
from releases.operations.services.journal import view_of
from releases.operations.states import StepState
from releases.rollback import services as rollback
from releases.rollout import services as rollout
from releases.rollout.steps import ROUTE_ENDED
from releases.traffic import queries as ledger
from releases.traffic import services as traffic
from releases.traffic import steps as shifts
from releases.traffic.services import Ended
from releases.traffic.states import ShiftState
from releases.worker.telling import TELLING

Reaction = Callable[[Message], None]
STILL_OPEN = frozenset({ShiftState.ASKED, ShiftState.NEEDS_HUMAN})


def revoke_permits(message: Message) -> None:
    """Mark the open permits of a change revoked; redeeming decides again in any case."""
    gate.revoke_for(change_id=message.ref, now=clock.now())


def revoke_broken_permits(_message: Message) -> None:
    """Mark open permits revoked whose authorization went with a person, a seat or a loan."""
    gate.revoke_broken(now=clock.now())


def look_at_traffic(message: Message) -> None:
    """Keep what the mesh says after a release, whoever shifted: the next way back is proposed from it."""
    rollout.look_at_traffic(changes.by_id(message.ref), now=clock.now())


def follow_operation(message: Message) -> None:
    """Tell the room whose operation ended."""
    follow = FOLLOWERS.get(str(message.data.get("kind")))
    if follow:
        follow(operation_id=message.ref, state=message.kind.removeprefix("operation."), now=clock.now())


def hold_together(message: Message) -> None:
    """Look whether all routes of a release made a move, and put back those that did alone."""
    rollout.hold_together(operation_id=UUID(message.data["operation"]), now=clock.now())


def call_off(message: Message) -> None:
    """Begin to stop at the CI system what an operation left running."""
    delivery.call_off(operation_id=message.ref, now=clock.now())


def close_ledger(message: Message) -> None:
    """Write into the ledger of traffic what a stopped or superseded operation may have left behind."""
    steps = Step.objects.select_related("operation").filter(operation_id=message.ref, kind=shifts.STEP_KIND)
    for step in steps:
        known = ledger.of_key(step.op_key)
        is_open = known.state in STILL_OPEN if known else step.state == StepState.ABANDONED
        if is_open:
            _write_off(step)


def _write_off(step: Step) -> None:
    with transaction.atomic(durable=True):
        traffic.end(
            asked=shifts.asked_by_step(view_of(step, step.operation)),
            ended=Ended(ShiftState.SUPERSEDED),
            actor=system("worker"),
            now=clock.now(),
        )


FOLLOWERS: Mapping[str, Callable[..., None]] = {
    "rollout": rollout.ended,
    "watch": rollout.watched,
    "put_back": rollout.put_back_ended,
    "rollback": rollback.ended,
}
FOLLOWING: Mapping[str, Sequence[Reaction]] = {
    "change.cancel": (revoke_permits,),
    "change.deployed": (look_at_traffic,),
    "change.failed": (revoke_permits,),
    "change.revise": (revoke_permits,),
    "change.roll_back": (revoke_permits,),
    "change.supersede": (revoke_permits,),
    "change.withdraw": (revoke_permits,),
    "delegation.revoked": (revoke_broken_permits,),
    "operation.failed": (follow_operation, call_off),
    "operation.needs_human": (follow_operation,),
    "operation.stopped": (follow_operation, call_off, close_ledger),
    "operation.succeeded": (follow_operation,),
    "operation.superseded": (follow_operation, call_off, close_ledger),
    "person.deactivated": (revoke_broken_permits,),
    "role.revoked": (revoke_broken_permits,),
    ROUTE_ENDED: (hold_together,),
}
# First the house goes on, then people hear of it: a notice is about where things stand then.
REACTIONS: Mapping[str, Sequence[Reaction]] = {
    kind: (*FOLLOWING.get(kind, ()), *TELLING.get(kind, ())) for kind in sorted({*FOLLOWING, *TELLING})
}
