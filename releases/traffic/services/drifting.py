"""Say what drifted: what stands on a route is not what was asked for last, and nobody of ours is about to change it."""

from datetime import datetime
from uuid import UUID

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.catalog.models import Route
from releases.operations import services as operations
from releases.traffic import queries
from releases.traffic.facts import Seen
from releases.traffic.models import Drift

WATCHER = system("traffic")


def hold(route_id: UUID) -> None:
    """Take a route's lock, inside the caller's transaction: whoever writes about it comes one after the other.

    Closes the race of two who end one shift or see one drift. Rows of the ledger are not locked themselves: that takes
    the privilege to change them, which nobody has.
    """
    list(Route.objects.select_for_update().filter(pk=route_id).values_list("pk"))


def compare(*, route_id: UUID, seen: Seen, now: datetime) -> None:
    """Raise a drift, follow it, or take it back, inside the caller's transaction, which holds the route.

    It is raised once and lasts until the weights are those asked for again, by whatever way. While a shift of this
    route is under way, what stands there meanwhile is no drift.
    """
    drift = Drift.objects.select_related("shift").filter(route_id=route_id, ended_at=None).first()
    asked = queries.asked_of(route_id)
    if asked is None or asked.is_met_by(seen.weights):
        if drift is not None:
            _end(drift, seen, now=now)
    elif drift is not None and drift.observed == dict(seen.weights):
        return
    elif route_id not in queries.in_flight():
        _raise(drift or Drift(route_id=route_id, raised_at=now), asked.shift.id, seen, now=now)


def _raise(drift: Drift, shift_id: UUID, seen: Seen, *, now: datetime) -> None:
    """Write what drifted, and who did it as far as the object tells; a drift that moves on stays the same drift."""
    is_new = drift._state.adding
    drift.shift_id, drift.observed, drift.owner = shift_id, dict(seen.weights), seen.owner
    drift.consequence = seen.consequence.as_json() if seen.consequence else {}
    drift.writer, drift.written_at = seen.writer, seen.written_at
    drift.save()
    _tell(Kind.DRIFT_RAISED, drift)
    if is_new:
        operations.post(kind=Kind.DRIFT_RAISED.value, ref=drift.pk, now=now)


def _end(drift: Drift, seen: Seen, *, now: datetime) -> None:
    drift.ended_at = max(now, drift.raised_at)
    drift.save(update_fields=("ended_at",))
    _tell(Kind.DRIFT_ENDED, drift, stands=dict(seen.weights))
    operations.post(kind=Kind.DRIFT_ENDED.value, ref=drift.pk, now=now)


def _tell(kind: Kind, drift: Drift, **more: dict[str, int]) -> None:
    route = Route.objects.select_related("service", "environment").get(pk=drift.route_id)
    data = {
        "drift": str(drift.pk),
        "route": str(drift.route_id),
        "service": route.service.name,
        "environment": route.environment.name,
        "shift": str(drift.shift_id),
        "asked": drift.shift.asked,
        "observed": drift.observed,
        "writer": drift.writer,
        "written_at": drift.written_at.isoformat() if drift.written_at else "",
        "owner": drift.owner,
        **more,
    }
    audit.record(stream=drift.stream, kind=kind, actor=WATCHER, data=data)
