"""What the rooms of a rollback share: its story in the change's, and its hold on the work."""

from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.changes.models import ChangeRequest
from releases.operations.models import Operation
from releases.operations.states import ACTIVE


def hold_work_on(change: ChangeRequest) -> None:
    """Lock what is active on the change before its story is written.

    A worker that ends a step locks the operation, then the change's story. Whoever takes the operation over has to
    take both in that order, else the two wait for each other.
    """
    list(Operation.objects.select_for_update().filter(target=change.stream, state__in=ACTIVE))


def tell(kind: Kind, change: ChangeRequest, actor: Actor, *, reason: str = "", **more: str) -> None:
    """Add an event to the change's story, inside the caller's transaction; what is empty is left out."""
    data = {"number": change.number, "state": change.state, **{name: value for name, value in more.items() if value}}
    audit.record(stream=change.stream, kind=kind, actor=actor, data=data, text={"reason": reason} if reason else {})
