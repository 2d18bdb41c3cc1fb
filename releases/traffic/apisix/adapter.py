"""APISIX as a control plane: a rule of the plugin traffic-split, or the nodes of an upstream.

All targets change in one request, which APISIX checks against its own read, but not against ours. So the object is read
once more just before. A list is replaced whole (admin/resource.lua), so what somebody sets between that look and our
request is overwritten unseen if it stands in the same list: all rules of the plugin, or all nodes where they are a
list. Anything else of the object stays as they set it, and is noticed afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.traffic import rules
from releases.traffic.admin import Absent, Forbidden, Json
from releases.traffic.apisix import parsing
from releases.traffic.apisix.client import ApisixClient, Stored
from releases.traffic.apisix.control import ControlApi, Sight, lives
from releases.traffic.apisix.parsing import Site
from releases.traffic.plane import Operation, Outrun, Place, Sent, Survey, named
from releases.traffic.ports import Capabilities, NotEditable, Owner, Reading, RouteRef, Version, Weights, Writer

USUAL = "routes"
KINDS = (USUAL, "services", "upstreams", "plugin_configs")
ABSENT = 1
CONTROLLERS = ("apisix-ingress-controller", "api7-ingress-controller")
# Which objects use one of a kind, and the field in which they name it.
USERS: Mapping[str, Sequence[tuple[str, str]]] = {
    "services": (("routes", "service_id"),),
    "plugin_configs": (("routes", "plugin_config_id"),),
    "upstreams": (("routes", "upstream_id"), ("services", "upstream_id")),
}


@dataclass(frozen=True, slots=True)
class Spot:
    """An object as it was read, and where in it the weights stand."""

    kind: str
    key: str
    stored: Stored
    site: Site
    names: Sequence[str]


@dataclass(slots=True)
class Apisix:
    """APISIX behind one Admin API; see :class:`releases.traffic.plane.ControlPlane`."""

    client: ApisixClient
    control: ControlApi = field(default_factory=lambda: ControlApi(()))
    _known: Capabilities | None = None

    def capabilities(self) -> Capabilities:
        """Return what APISIX can do here; asked once."""
        if self._known is None:
            text = _(
                "This APISIX runs standalone: one document holds the weights and is replaced whole. Change it where it "
                "is kept; behind the ingress controller, shift the HTTPRoute instead."
            )
            self._known = Capabilities(
                largest=rules.LARGEST,
                is_strict=False,
                is_atomic=True,
                tries_out=False,
                obstacle=Sentence(text) if self.client.is_standalone() else None,
            )
        return self._known

    def find(self, route: RouteRef) -> Place[Spot]:
        """Read the object and find its weights."""
        kind = route.kind or USUAL
        if kind not in KINDS:
            text = _("APISIX has no weights in %(kind)s; they are in %(kinds)s.")
            raise NotEditable(Sentence(text, {"kind": kind, "kinds": ", ".join(KINDS)}))
        stored = self._stored(kind, route.name)
        with self.client.api.believed():
            return _place(kind, stored, route)

    def survey(self, place: Place[Spot], wanted: Weights) -> Survey:
        """Look whether the targets that get more have nodes, and who else uses this object."""
        survey, spot = Survey(), place.at
        sights = self._sights(survey)
        with self.client.api.believed():
            for target, upstream in zip(place.reading.targets, spot.site.upstreams(), strict=True):
                asked = wanted.get(target.name, target.weight)
                rises = (ABSENT if asked is None else asked) > target.share
                self._alive(spot, upstream, target.key, survey, sights if rises else None)
            survey.referrers += self._users(spot)
        return survey

    def _sights(self, survey: Survey) -> Mapping[str, Sequence[Sight]]:
        """Return what the Control APIs know; without an answer of each that is a warning, and nothing is known."""
        try:
            return self.control.seen()
        except (Rejected, Unreachable) as error:
            survey.warnings.append(Sentence(_("Part of the check was skipped. %(why)s"), {"why": error.detail}))
            return {}

    def _users(self, spot: Spot) -> Iterator[str]:
        """Give every object that uses this one."""
        for kind, pointer in USERS.get(spot.kind, ()):
            for key, value in self.client.all(kind):
                through = spot.kind == "upstreams" and parsing.names_upstream(value, spot.key)
                if through or str(value.get(pointer)) == spot.key:
                    yield f"{kind}/{key}"

    def operations(self, place: Place[Spot], wanted: Weights) -> Sequence[Operation]:
        """Return the one request."""
        spot = place.at
        return [spot.site.operation(spot.kind, spot.key, spot.names, wanted)]

    def send(self, place: Place[Spot], operations: Sequence[Operation], *, dry_run: bool = False) -> Sent:
        """Send it if the object is still the one that was read."""
        del dry_run  # never asked: APISIX tries nothing out
        spot = place.at
        if self._stored(spot.kind, spot.key).modified != spot.stored.modified:
            raise Outrun(Sentence(_("Somebody wrote to this object meanwhile.")))
        for operation in operations:
            self.client.patch(operation["path"], operation["body"])
        return Sent()

    def _stored(self, kind: str, key: str) -> Stored:
        try:
            try:
                return self.client.get(kind, key)
            except Absent:
                if self.capabilities().obstacle is None:
                    raise
                return self.client.get_standalone(kind, key)
        except Absent as error:
            text = _("There is no %(name)s in this APISIX, and none is made from here.")
            raise NotEditable(Sentence(text, {"name": f"{kind}/{key}"}), http_status=error.http_status) from error

    def _alive(
        self, spot: Spot, named_by: Json, key: str, survey: Survey, sights: Mapping[str, Sequence[Sight]] | None
    ) -> None:
        """Doubt an upstream that is to get more (``sights`` are given) and cannot answer; a missing one fails all."""
        parts = {"name": key}
        try:
            # The checker of an upstream inside a rule has no place that could be asked for.
            is_own = not named_by or named_by is spot.stored.value
            where, upstream = self._upstream(named_by, f"{spot.kind}/{spot.key}" if is_own else "")
        except Forbidden as error:
            survey.warnings.append(Sentence(_("Part of the check was skipped. %(why)s"), {"why": error.detail}))
            return
        except Absent:
            text = _("The upstream %(name)s is not there: APISIX answers 500 on this route. Make it again first.")
            (survey.warnings if sights is None else survey.obstacles).append(Sentence(text, parts))
            return
        if sights is None:
            return
        if upstream is not None and not _takes_requests(upstream):
            text = _("%(name)s has no node with a weight: traffic sent there would fail.")
            survey.doubts.append(Sentence(text, parts))
            return
        answer = lives(sights.get(where, ()), "" if named_by else key)
        if answer is False:
            survey.doubts.append(Sentence(_("%(name)s fails APISIX' health checks: traffic sent there fails."), parts))
        elif answer is None and self.control.doors:
            text = _("APISIX does not check whether %(name)s lives: it has no checker, or no request reached it yet.")
            survey.warnings.append(Sentence(text, parts))
        elif answer is None:
            text = _("Whether %(name)s lives is not known: name the Control API of the nodes in the connection.")
            survey.warnings.append(Sentence(text, parts))

    def _upstream(self, named_by: Json, where: str) -> tuple[str, Json | None]:
        """Return the upstream that an entry, route or service names, and where it stands; ``None``: none is named.

        :raises Absent: it is not there
        """
        if isinstance(named_by.get("upstream"), Mapping):
            return where, dict(named_by["upstream"])
        for kind, pointer in (("upstreams", "upstream_id"), ("services", "service_id")):
            if (key := named_by.get(pointer)) is not None:
                value, place = self.client.get(kind, str(key)).value, f"{kind}/{key}"
                return (place, value) if kind == "upstreams" else self._upstream({**value, "service_id": None}, place)
        return where, None


def _place(kind: str, stored: Stored, route: RouteRef) -> Place[Spot]:
    """Return the reading of an object."""
    site = parsing.site_of(kind, stored.value, route)
    targets = named(site.entries(), route, absent=ABSENT)
    owner = _owner(stored.value)
    obstacles = [owner.consequence] if owner else []
    if parsing.is_switched_off(stored.value):
        obstacles.append(Sentence(_("The plugin traffic-split is switched off here. Switch it on first.")))
    version = Version(
        token=stored.modified,
        uid=f"{kind}/{route.name}/{stored.created}",
        generation=int(stored.modified) if stored.modified.isdigit() else 0,
        fingerprint=site.fingerprint(),
        weights={target.name: target.weight for target in targets},
        is_strict=False,
    )
    reading = Reading(
        targets=targets,
        version=version,
        hosts=_hosts(stored.value),
        owner=owner,
        writer=_writer(stored.value),
        obstacles=tuple(obstacles),
        warnings=tuple(site.warnings()),
    )
    return Place(reading, Spot(kind, route.name, stored, site, [target.name for target in targets]))


def _takes_requests(upstream: Json) -> bool:
    if upstream.get("service_name"):
        return True  # its nodes are discovered elsewhere
    nodes = upstream.get("nodes") or {}
    weights = nodes.values() if isinstance(nodes, Mapping) else [one.get("weight", 0) for one in nodes]
    return any(weights)


def _owner(value: Json) -> Owner | None:
    controller = (value.get("labels") or {}).get("managed-by", "")
    if controller not in CONTROLLERS:
        return None
    text = _("The ingress controller writes this object again. Shift the HTTPRoute or ApisixRoute it comes from.")
    return Owner(controller, Sentence(text), drives=True, name=str(value.get("name", "")))


def _hosts(value: Json) -> tuple[str, ...]:
    for many, one in (("hosts", "host"), ("uris", "uri")):
        found = value.get(many) or [value[one]] if value.get(many) or value.get(one) else []
        if found:
            return tuple(str(name) for name in found)
    return (str(value.get("name") or value.get("id") or ""),)


def _writer(value: Json) -> Writer | None:
    """Return when the object was written last; APISIX does not keep by whom."""
    stamp = value.get("update_time")
    return Writer("?", datetime.fromtimestamp(stamp, UTC)) if isinstance(stamp, int) else None
