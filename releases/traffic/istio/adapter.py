"""Istio as a control plane: one route of a VirtualService, or of the delegate it hands over to."""

from collections.abc import Sequence
from dataclasses import dataclass

from releases.cluster.client import VIRTUAL_SERVICES, ClusterClient, Kind
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import objects, rules
from releases.traffic.istio import parsing
from releases.traffic.istio.survey import look_around
from releases.traffic.objects import Object, Spot
from releases.traffic.plane import Operation, Place, Sent, Survey, named
from releases.traffic.ports import Capabilities, NotEditable, RouteRef, Weights

CAPABILITIES = Capabilities(largest=rules.LARGEST, is_strict=True, is_atomic=True, tries_out=True)
ABSENT = 0


@dataclass(slots=True)
class Istio:
    """Istio behind one API server; see :class:`releases.traffic.plane.ControlPlane`."""

    cluster: ClusterClient

    def capabilities(self) -> Capabilities:
        """Return what Istio can do."""
        return CAPABILITIES

    @staticmethod
    def kind_of(_route: RouteRef) -> Kind:
        """Return the kind of a route's object."""
        return VIRTUAL_SERVICES

    def find(self, route: RouteRef) -> Place[Spot]:
        """Read the object and find the one route, following a delegate."""
        section = parsing.section_of(route)
        outer, _slash, inner = route.route.partition("/")
        root = body = self._get(route.namespace, route.name)
        index = objects.found_in(body["spec"].get(section, ()), route, rules.ISTIO, name=outer)
        handed = parsing.delegate_of(body["spec"][section][index], route.namespace)
        if handed:
            body = self._get(*handed)
            index = parsing.inner_route(body, route, inner)
        found = body["spec"][section][index]
        if found.get("delegate"):
            raise NotEditable(Sentence(_("A delegate hands over to another one, which Istio does not follow.")))
        targets = named([parsing.entry_of(entry) for entry in found.get("route", ())], route, absent=ABSENT)
        spot = Spot(VIRTUAL_SERVICES, body, section, index, rules.ISTIO, targets, root)
        return objects.place_of(spot, hosts=root["spec"].get("hosts", ()))

    def survey(self, place: Place[Spot], wanted: Weights) -> Survey:
        """Look for rivals, other users of a delegate, targets that do not live."""
        return look_around(self.cluster, place.at, wanted)

    def operations(self, place: Place[Spot], wanted: Weights) -> Sequence[Operation]:
        """Return the guarded patch."""
        return place.at.operations(wanted)

    def send(self, place: Place[Spot], operations: Sequence[Operation], *, dry_run: bool = False) -> Sent:
        """Send it."""
        return objects.send(self.cluster, place.at, operations, dry_run=dry_run)

    def _get(self, namespace: str, name: str) -> Object:
        return objects.fetched(
            self.cluster, VIRTUAL_SERVICES, namespace, name, called="VirtualService", product="Istio"
        )
