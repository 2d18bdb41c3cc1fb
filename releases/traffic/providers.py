"""Which adapter serves which connection, and how a route of the catalogue is called there."""

from collections.abc import Callable, Mapping

from releases.catalog.cards import RouteCard
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind
from releases.cluster.client import ClusterClient
from releases.core.http import Door
from releases.traffic.istio.adapter import IstioAdapter
from releases.traffic.ports import RouteRef, TrafficProvider


def istio(door: Door) -> TrafficProvider:
    """Return Istio behind the door of an API server."""
    return IstioAdapter(ClusterClient(door))


PROVIDERS: Mapping[ConnectionKind, Callable[[Door], TrafficProvider]] = {ConnectionKind.KUBERNETES: istio}


def provider_for(route: RouteCard, *, urgent: bool = False) -> TrafficProvider:
    """Return the adapter of a route; ``urgent`` is for rollbacks, which pass an open breaker.

    :raises Refused: the connection's secret does not open
    :raises Missing: the connection is gone
    """
    return PROVIDERS[ConnectionKind(route.connection.kind)](door_for(route.connection, urgent=urgent))


def reference(route: RouteCard) -> RouteRef:
    """Return a route as its adapter finds it."""
    locator = route.locator
    index = str(locator.get("index", ""))
    return RouteRef(
        namespace=locator["namespace"],
        name=locator["name"],
        stable=route.stable,
        canary=route.canary,
        route=locator.get("route", ""),
        index=int(index) if index else None,
        shape=locator.get("shape", ""),
    )
