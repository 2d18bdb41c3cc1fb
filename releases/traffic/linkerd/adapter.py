"""Linkerd as a control plane: one rule of an HTTPRoute before a Service, of Linkerd's own kind or the Gateway API's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from releases.cluster.client import (
    HTTP_ROUTES,
    LINKERD_ROUTES,
    SERVICE_PROFILES,
    TRAFFIC_SPLITS,
    ClusterClient,
    Kind,
)
from releases.cluster.errors import Forbidden, NotInstalled, ObjectMissing
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import liveness, objects
from releases.traffic.gateway.adapter import CAPABILITIES, rule_of
from releases.traffic.gateway.survey import look_around
from releases.traffic.objects import Object, Spot
from releases.traffic.plane import Operation, Place, Sent, Survey
from releases.traffic.ports import Capabilities, NotEditable, RouteRef, Weights

KINDS: Mapping[str, Kind] = {LINKERD_ROUTES.group: LINKERD_ROUTES, HTTP_ROUTES.group: HTTP_ROUTES}
WHOLE = "v1beta3"
WEIGHTLESS = ("v1beta1", "v1alpha1")


@dataclass(slots=True)
class Linkerd:
    """Linkerd behind one API server; see :class:`releases.traffic.plane.ControlPlane`."""

    cluster: ClusterClient

    def capabilities(self) -> Capabilities:
        """Return what Linkerd can do."""
        return CAPABILITIES

    @staticmethod
    def kind_of(route: RouteRef) -> Kind:
        """Return the kind of a route's object.

        :raises NotEditable: there is no such kind
        """
        if (kind := KINDS.get(route.kind or LINKERD_ROUTES.group)) is None:
            text = _("Linkerd's routes stand in the groups %(groups)s, not in %(group)s.")
            raise NotEditable(Sentence(text, {"groups": ", ".join(sorted(KINDS)), "group": route.kind}))
        return kind

    def find(self, route: RouteRef) -> Place[Spot]:
        """Read the object and find the one rule."""
        kind = self.kind_of(route)
        body = self._get(kind, route)
        if not list(_services(body)):
            text = _("%(name)s stands before no Service: it admits traffic and does not split it.")
            raise NotEditable(Sentence(text, {"name": route.name}))
        return rule_of(kind, body, route, obstacles=list(self._losses(kind)), warnings=list(_reach(body)))

    def survey(self, place: Place[Spot], wanted: Weights) -> Survey:
        """Look for backends that do not live, and for profiles that make proxies pass the route by."""
        survey = look_around(self.cluster, place.at, wanted)
        try:
            self._profiles(place.at, survey)
        except Forbidden as error:
            survey.warnings.append(liveness.unseen(error))
        return survey

    def operations(self, place: Place[Spot], wanted: Weights) -> Sequence[Operation]:
        """Return the guarded patch."""
        return place.at.operations(wanted)

    def send(self, place: Place[Spot], operations: Sequence[Operation], *, dry_run: bool = False) -> Sent:
        """Send it."""
        return objects.send(self.cluster, place.at, operations, dry_run=dry_run)

    def _get(self, kind: Kind, route: RouteRef) -> Object:
        """Read the route; where a TrafficSplit of that name stands instead, say what to make of it.

        :raises NotEditable: there is none
        """
        try:
            return objects.fetched(
                self.cluster, kind, route.namespace, route.name, called="HTTPRoute", product=f"Linkerd ({kind.group})"
            )
        except NotEditable:
            split = self._split(route)
            if split is None:
                raise
            backends = [f"{one['service']} ({one['weight']})" for one in split["spec"].get("backends", ())]
            text = _(
                "%(name)s is an SMI TrafficSplit, which nobody develops further. Write an HTTPRoute of "
                "gateway.networking.k8s.io with the Service %(service)s as its parent and the backends %(backends)s, "
                "delete the TrafficSplit, and name that route here."
            )
            parts = {"name": route.name, "service": split["spec"]["service"], "backends": ", ".join(backends)}
            raise NotEditable(Sentence(text, parts)) from None

    def _split(self, route: RouteRef) -> Object | None:
        try:
            return self.cluster.get(TRAFFIC_SPLITS, route.namespace, route.name).body
        except (NotInstalled, ObjectMissing, Forbidden):
            return None

    def _losses(self, kind: Kind) -> Iterator[Sentence]:
        """Iterate why a write would lose fields: only an older version of Linkerd's own kind is served.

        :raises NotEditable: not even the weights can be seen
        """
        served = self.cluster.served(kind)
        if kind is not LINKERD_ROUTES or served == WHOLE:
            return
        if served in WEIGHTLESS:
            text = _("The cluster serves HTTPRoutes of Linkerd as %(version)s, which knows no weights. Update Linkerd.")
            raise NotEditable(Sentence(text, {"version": served}))
        text = _(
            "The cluster serves HTTPRoutes of Linkerd as %(version)s: a write through it would lose their time-outs. "
            "Update Linkerd to a version that serves %(whole)s."
        )
        yield Sentence(text, {"version": served, "whole": WHOLE})

    def _profiles(self, spot: Spot, survey: Survey) -> None:
        for namespace, service in _services(spot.body):
            name = f"{service}.{namespace}.svc.cluster.local"
            for home in dict.fromkeys((namespace, spot.meta["namespace"])):
                try:
                    self.cluster.get(SERVICE_PROFILES, home, name)
                except (ObjectMissing, NotInstalled):
                    continue
                text = _(
                    "The ServiceProfile %(name)s in %(namespace)s makes proxies pass this route by. Delete it first."
                )
                survey.doubts.append(Sentence(text, {"name": name, "namespace": home}))


def _services(body: Object) -> Iterator[tuple[str, str]]:
    """Iterate namespace and name of the Services a route stands before."""
    for parent in body["spec"].get("parentRefs", ()):
        if parent.get("kind") == "Service" and parent.get("group", "") in ("", "core"):
            yield parent.get("namespace") or body["metadata"]["namespace"], parent["name"]


def _reach(body: Object) -> Iterator[Sentence]:
    """Iterate what to know of whom a route reaches."""
    own = body["metadata"]["namespace"]
    for namespace, service in _services(body):
        if namespace != own:
            text = _("Only clients in %(own)s follow this route to %(service)s in %(namespace)s.")
            yield Sentence(text, {"own": own, "service": service, "namespace": namespace})
