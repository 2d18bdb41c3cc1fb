"""After this, do that: which messages of the outbox somebody reacts to.

A reaction may see a message twice and must not mind. What is not in the table has happened, and nobody needs to act.
"""

from collections.abc import Callable, Mapping, Sequence

from releases.core import clock
from releases.delivery import steps as delivery
from releases.gate import services as gate
from releases.operations.ports import Message
from releases.rollback import services as rollback
from releases.rollout import services as rollout

Reaction = Callable[[Message], None]


def revoke_permits(message: Message) -> None:
    """Mark the open permits of a change revoked; redeeming decides again in any case."""
    gate.revoke_for(change_id=message.ref, now=clock.now())


def follow_operation(message: Message) -> None:
    """Tell the room whose operation ended."""
    follow = FOLLOWERS.get(str(message.data.get("kind")))
    if follow:
        follow(operation_id=message.ref, state=message.kind.removeprefix("operation."), now=clock.now())


def call_off(message: Message) -> None:
    """Stop at the CI system what a stopped or superseded operation left running."""
    delivery.call_off(operation_id=message.ref, now=clock.now())


FOLLOWERS: Mapping[str, Callable[..., None]] = {
    "rollout": rollout.ended,
    "watch": rollout.watched,
    "rollback": rollback.ended,
}
REACTIONS: Mapping[str, Sequence[Reaction]] = {
    "change.cancel": (revoke_permits,),
    "change.failed": (revoke_permits,),
    "change.revise": (revoke_permits,),
    "change.roll_back": (revoke_permits,),
    "change.supersede": (revoke_permits,),
    "change.withdraw": (revoke_permits,),
    "operation.failed": (follow_operation,),
    "operation.stopped": (follow_operation, call_off),
    "operation.succeeded": (follow_operation,),
    "operation.superseded": (call_off,),
}
