"""What the rooms of a rollback share: its story in the change's, and its hold on the work."""

from django.db.models import Q

from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.changes.back import splits_of
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest
from releases.operations.models import Operation
from releases.operations.states import ACTIVE
from releases.rollback.states import KIND
from releases.traffic import queries as traffic


def hold_work_on(change: ChangeRequest) -> list[Operation]:
    """Lock and return what is active on the change or moves a route of it, before its story is written.

    A worker that ends a step locks the operation, then the change's story. Whoever takes the operation over has to
    take both in that order, else the two wait for each other. The rollback of another change is left alone.
    """
    routes = {route for item in items_of(change) for route in splits_of(item.way_back.traffic_snapshot)}
    elsewhere = Q(pk__in=traffic.work_on(routes)) & ~Q(kind=KIND)
    active = Operation.objects.select_for_update().filter(Q(target=change.stream) | elsewhere, state__in=ACTIVE)
    return list(active.order_by("pk"))


def tell(kind: Kind, change: ChangeRequest, actor: Actor, *, reason: str = "", **more: str) -> None:
    """Add an event to the change's story, inside the caller's transaction; what is empty is left out."""
    data = {"number": change.number, "state": change.state, **{name: value for name, value in more.items() if value}}
    audit.record(stream=change.stream, kind=kind, actor=actor, data=data, text={"reason": reason} if reason else {})
