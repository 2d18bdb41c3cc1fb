"""The Gateway API as a control plane: one rule of an HTTPRoute or a GRPCRoute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from releases.cluster.client import GRPC_ROUTES, HTTP_ROUTES, ClusterClient, Kind
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import objects, rules
from releases.traffic.gateway import parsing
from releases.traffic.gateway.survey import look_around
from releases.traffic.objects import Spot
from releases.traffic.plane import Operation, Place, Sent, Survey, named
from releases.traffic.ports import Capabilities, NotEditable, RouteRef, Weights

CAPABILITIES = Capabilities(largest=1_000_000, is_strict=True, is_atomic=True, tries_out=True)
ABSENT = 1
USUAL = "HTTPRoute"
KINDS: Mapping[str, Kind] = {"HTTPRoute": HTTP_ROUTES, "GRPCRoute": GRPC_ROUTES}


@dataclass(slots=True)
class Gateway:
    """The Gateway API behind one API server; see :class:`releases.traffic.plane.ControlPlane`."""

    cluster: ClusterClient

    def capabilities(self) -> Capabilities:
        """Return what the Gateway API can do."""
        return CAPABILITIES

    @staticmethod
    def kind_of(route: RouteRef) -> Kind:
        """Return the kind of a route's object.

        :raises NotEditable: there is no such kind
        """
        if (kind := KINDS.get(route.kind or USUAL)) is None:
            text = _("The Gateway API splits traffic in the kinds HTTPRoute and GRPCRoute, not in %(kind)s.")
            raise NotEditable(Sentence(text, {"kind": route.kind}))
        return kind

    def find(self, route: RouteRef) -> Place[Spot]:
        """Read the object and find the one rule."""
        kind, where = self.kind_of(route), (route.namespace, route.name)
        body = objects.fetched(self.cluster, kind, *where, called=route.kind or USUAL, product="The Gateway API")
        return rule_of(kind, body, route)

    def survey(self, place: Place[Spot], wanted: Weights) -> Survey:
        """Look for backends that do not live."""
        return look_around(self.cluster, place.at, wanted)

    def operations(self, place: Place[Spot], wanted: Weights) -> Sequence[Operation]:
        """Return the guarded patch."""
        return place.at.operations(wanted)

    def send(self, place: Place[Spot], operations: Sequence[Operation], *, dry_run: bool = False) -> Sent:
        """Send it."""
        return objects.send(self.cluster, place.at, operations, dry_run=dry_run)


def rule_of(
    kind: Kind,
    body: objects.Object,
    route: RouteRef,
    *,
    obstacles: Sequence[Sentence] = (),
    warnings: Sequence[Sentence] = (),
) -> Place[Spot]:
    """Return the one rule of a route of the Gateway API, or of Linkerd's own that has the same shape.

    :raises NotEditable: it is not there exactly once
    """
    found = body["spec"].get(parsing.SECTION, ())
    index = objects.found_in(found, route, rules.GATEWAY, name=route.route)
    entries = list(parsing.entries_of(found[index].get("backendRefs", ()), route.namespace))
    spot = Spot(kind, body, parsing.SECTION, index, rules.GATEWAY, named(entries, route, absent=ABSENT), body)
    return objects.place_of(
        spot,
        hosts=parsing.hosts_of(body),
        is_taken_up=parsing.is_taken_up(body),
        obstacles=obstacles,
        warnings=[*parsing.troubles(body), *warnings],
    )
