"""Propose the way back of an item from what runs now: the version, the traffic as it stands, the job that deploys."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from releases.catalog import queries as catalog
from releases.catalog.cards import BindingCard, RouteCard, RunningCard
from releases.catalog.filling import backward
from releases.catalog.kinds import Place, Purpose


@dataclass(frozen=True, slots=True)
class WayBack:
    """A proposal: the artifact to return to, the weights to restore, the job to run; by value."""

    target_id: UUID | None
    target_version: str = ""
    target_digest: str = ""
    traffic_snapshot: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    is_traffic_unread: bool = False  # a route is there that nobody has looked at yet


def splits_of(snapshot: Mapping[str, Any]) -> dict[UUID, dict[str, int]]:
    """Return the weights of each route that a way back restores; plans of one route once stood without a list."""
    kept = snapshot.get("routes", [snapshot] if snapshot else [])
    return {UUID(one["route"]): one["weights"] for one in kept}


def is_divided(snapshot: Mapping[str, Any]) -> bool:
    """Say whether the routes of one place carry their traffic to different sides: then no side is free to deploy to."""
    most = {
        max(sorted(weights, reverse=True), key=lambda one: weights[one]) for weights in splits_of(snapshot).values()
    }
    return len(most) > 1


def propose(places: Iterable[Place]) -> dict[Place, WayBack]:
    """Return, place by place, the way back to what runs now; its target is ``None`` where nothing is known to run.

    A route has two targets that take turns: one carries the traffic, the next version is deployed to the other. Going
    back therefore means the weights of the last reading; the gate refuses a plan whose weights are no longer those.
    """
    places = list(places)
    running, routes = catalog.running_in(places), catalog.routes_in(places)
    jobs = catalog.bindings_in(places, Purpose.DEPLOY)
    return {place: _way(running.get(place), routes[place], jobs.get(place)) for place in places}


def _way(running: RunningCard | None, routes: Sequence[RouteCard], job: BindingCard | None) -> WayBack:
    seen = {str(one.id): dict(one.reading.weights) for one in routes if one.reading and one.reading.weights}
    is_unread = len(seen) < len(routes)
    return WayBack(
        target_id=running.artifact.id if running else None,
        target_version=running.artifact.version if running else "",
        target_digest=running.artifact.digest if running else "",
        traffic_snapshot=_snapshot(seen) if not is_unread else {},
        job={"connection": str(job.connection.id), **backward(job.settings)} if job else {},
        is_traffic_unread=is_unread,
    )


def _snapshot(seen: Mapping[str, dict[str, int]]) -> dict[str, Any]:
    """Return what :func:`splits_of` reads."""
    return {"routes": [{"route": route, "weights": weights} for route, weights in seen.items()]} if seen else {}
