"""Propose the way back of an item from what runs now: the version, the traffic as it stands, the job that deploys."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from releases.catalog import queries as catalog
from releases.catalog.cards import BindingCard, RouteCard, RunningCard
from releases.catalog.kinds import Place, Purpose


@dataclass(frozen=True, slots=True)
class WayBack:
    """A proposal: the artifact to return to, the weights to restore, the job to run; by value."""

    target_id: UUID | None
    target_version: str = ""
    target_digest: str = ""
    traffic_snapshot: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    is_traffic_unread: bool = False  # a route is there, and nobody has looked at it yet


def propose(places: Iterable[Place]) -> dict[Place, WayBack]:
    """Return, place by place, the way back to what runs now; its target is ``None`` where nothing is known to run.

    A route has two targets that take turns: one carries the traffic, the next version is deployed to the other. Going
    back therefore means the weights of the last reading; the gate refuses a plan whose weights are no longer those.
    """
    places = list(places)
    running, routes = catalog.running_in(places), catalog.routes_in(places)
    jobs = catalog.bindings_in(places, Purpose.DEPLOY)
    return {place: _way(running.get(place), routes.get(place), jobs.get(place)) for place in places}


def _way(running: RunningCard | None, route: RouteCard | None, job: BindingCard | None) -> WayBack:
    weights = dict(route.reading.weights) if route and route.reading else {}
    return WayBack(
        target_id=running.artifact.id if running else None,
        target_version=running.artifact.version if running else "",
        target_digest=running.artifact.digest if running else "",
        traffic_snapshot={"route": str(route.id), "weights": weights} if route and weights else {},
        job={"connection": str(job.connection.id), **job.settings} if job else {},
        is_traffic_unread=route is not None and not weights,
    )
