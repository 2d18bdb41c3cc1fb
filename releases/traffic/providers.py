"""Which adapter serves which route, and how a route of the catalogue is called there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from releases.catalog.cards import RouteCard
from releases.catalog.doors import door_for, doors_beside
from releases.catalog.kinds import ConnectionKind
from releases.catalog.rules import WORKSPACE
from releases.cluster.client import ClusterClient, Kind
from releases.core.errors import Sentence
from releases.core.http import Door
from releases.core.words import mark as _
from releases.traffic.apisix.adapter import Apisix
from releases.traffic.apisix.client import ApisixClient
from releases.traffic.apisix.control import ControlApi
from releases.traffic.drivers.finding import drivers_of
from releases.traffic.drivers.ports import Driver
from releases.traffic.gateway.adapter import Gateway
from releases.traffic.guarded import Guarded
from releases.traffic.istio.adapter import Istio
from releases.traffic.kong.adapter import Kong
from releases.traffic.kong.client import KongClient
from releases.traffic.linkerd.adapter import Linkerd
from releases.traffic.objects import Spot
from releases.traffic.plane import ControlPlane
from releases.traffic.ports import NotEditable, RouteRef, System, TrafficProvider

Drive = Callable[..., Sequence[Driver]]


def istio(door: Door) -> TrafficProvider:
    """Return Istio behind the door of an API server."""
    return Guarded(Istio(ClusterClient(door)))


def linkerd(door: Door) -> TrafficProvider:
    """Return Linkerd behind the door of an API server."""
    return Guarded(Linkerd(ClusterClient(door)))


def gateway(door: Door) -> TrafficProvider:
    """Return the Gateway API behind the door of an API server."""
    return Guarded(Gateway(ClusterClient(door)))


def kong(door: Door) -> TrafficProvider:
    """Return Kong behind the door of its Admin API."""
    return Guarded(Kong(KongClient(door)))


def apisix(door: Door, control: Sequence[Door] = ()) -> TrafficProvider:
    """Return APISIX behind the door of its Admin API; the Control APIs of its nodes tell who lives."""
    return Guarded(Apisix(ApisixClient(door), ControlApi(control)))


PROVIDERS: Mapping[System, Callable[[Door], TrafficProvider]] = {
    System.ISTIO: istio,
    System.LINKERD: linkerd,
    System.GATEWAY: gateway,
    System.KONG: kong,
    System.APISIX: apisix,
}


class Mesh(ControlPlane[Spot], Protocol):
    """A control plane whose routes are objects of an API server."""

    def kind_of(self, route: RouteRef) -> Kind:
        """Return the kind of a route's object.

        :raises NotEditable: there is no such kind
        """


IN_A_CLUSTER: Mapping[System, Callable[[ClusterClient], Mesh]] = {
    System.ISTIO: Istio,
    System.LINKERD: Linkerd,
    System.GATEWAY: Gateway,
}
# The first is the usual one.
SERVES: Mapping[ConnectionKind, Sequence[System]] = {
    ConnectionKind.KUBERNETES: tuple(IN_A_CLUSTER),
    ConnectionKind.KONG: (System.KONG,),
    ConnectionKind.APISIX: (System.APISIX,),
}


def system_of(route: RouteCard) -> System:
    """Return the control plane of a route: the one its locator names, else the usual one of its connection.

    :raises NotEditable: its connection leads to no such control plane
    """
    served = SERVES[ConnectionKind(route.connection.kind)]
    named = route.locator.get("system") or served[0]
    if named not in served:
        text = _("%(connection)s leads to no control plane called %(name)s, but to: %(served)s.")
        parts = {"connection": route.connection.name, "name": named, "served": ", ".join(served)}
        raise NotEditable(Sentence(text, parts))
    return System(named)


# What the usual object of each control plane is called there.
_OBJECTS: Mapping[str, str] = {
    System.ISTIO: "VirtualService",
    System.LINKERD: "HTTPRoute",
    System.GATEWAY: "HTTPRoute",
    System.KONG: "upstream",
    System.APISIX: "route",
}


def object_of(route: RouteCard) -> dict[str, str]:
    """Return which object of which control plane a route names: two routes that name the same one say the same."""
    system = str(route.locator.get("system") or SERVES[ConnectionKind(route.connection.kind)][0])
    targets = {"stable": route.stable, "canary": route.canary}
    kind = {"system": system, "object": str(route.locator.get("kind") or _OBJECTS.get(system, ""))}
    return {**route.locator, **kind, **targets, "connection": str(route.connection.id)}


def drivers_for(route: RouteCard, *, urgent: bool = False) -> tuple[Driver, ...]:
    """Return who drives the weights of a route, as far as the token may look; gateways have nobody who does.

    :raises Rejected: a clear no
    :raises Unreachable: no answer
    """
    plane = IN_A_CLUSTER.get(system_of(route))
    if plane is None:
        return ()
    cluster = ClusterClient(door_for(route.connection, urgent=urgent))
    spot = plane(cluster).find(reference(route)).at
    namespace, name = spot.meta["namespace"], spot.meta["name"]
    return tuple(drivers_of(cluster, plural=spot.kind.plural, namespace=namespace, name=name, unknown=[]))


def provider_for(route: RouteCard, *, urgent: bool = False) -> TrafficProvider:
    """Return the adapter of a route; ``urgent`` is for rollbacks, which pass an open breaker.

    :raises NotEditable: its connection leads to no such control plane
    :raises Refused: the connection's secret does not open
    :raises Missing: the connection is gone
    """
    system, door = system_of(route), door_for(route.connection, urgent=urgent)
    if system is System.APISIX:
        return apisix(door, doors_beside(route.connection, urgent=urgent))
    return PROVIDERS[system](door)


def reference(route: RouteCard) -> RouteRef:
    """Return a route as its adapter finds it; one of Kong is in its connection's workspace unless it names another."""
    locator = route.locator
    index = str(locator.get("index", ""))
    return RouteRef(
        namespace=locator.get("namespace") or str(route.connection.config.get(WORKSPACE, "")),
        name=locator["name"],
        stable=route.stable,
        canary=route.canary,
        route=locator.get("route", ""),
        index=int(index) if index else None,
        shape=locator.get("shape", ""),
        kind=locator.get("kind", ""),
    )
