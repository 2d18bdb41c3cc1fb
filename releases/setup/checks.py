"""Test a connection: whether the other side answers, takes our secret, and can do what services are bound for.

What must be mended is told apart from what was met there: the version, what is served, how it is run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import F

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.catalog import rules, services
from releases.catalog.cards import RouteCard
from releases.catalog.credentials import Credentials, last_day
from releases.catalog.doors import door_for, doors_beside, secret_of
from releases.catalog.kinds import ConnectionKind, Light, Purpose
from releases.catalog.models import Connection
from releases.cluster.client import HTTP_ROUTES, LINKERD_ROUTES, TRAFFIC_SPLITS, VIRTUAL_SERVICES, ClusterClient
from releases.cluster.errors import Unauthorized
from releases.core.errors import External, Missing, Refused, Rejected, Sentence
from releases.core.http import Door
from releases.core.words import mark as _
from releases.delivery.providers import PROVIDERS
from releases.health.endpoint.adapter import EndpointProbe
from releases.health.ports import Question
from releases.health.prometheus.adapter import PrometheusProbe
from releases.setup import wiring
from releases.traffic import rights
from releases.traffic import services as traffic
from releases.traffic.admin import Unknown
from releases.traffic.apisix.adapter import Apisix
from releases.traffic.apisix.client import ApisixClient
from releases.traffic.apisix.control import ControlApi
from releases.traffic.guarded import Guarded
from releases.traffic.kong.adapter import Kong
from releases.traffic.kong.client import KongClient
from releases.traffic.ports import NotEditable, TrafficProvider
from releases.traffic.providers import IN_A_CLUSTER, apisix, kong, reference, system_of
from releases.traffic.rights import Bound

MOST = 5  # jobs or routes that one test looks at
_GROUPS: Mapping[str, str] = {
    VIRTUAL_SERVICES.group: "Istio",
    HTTP_ROUTES.group: "Gateway API",
    LINKERD_ROUTES.group: "Linkerd",
    TRAFFIC_SPLITS.group: "SMI",
    "argoproj.io": "Argo Rollouts",
    "flagger.app": "Flagger",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said: its version, what must be mended, and what else was met."""

    version: str
    lines: Sequence[Sentence] = ()
    facts: Sequence[Sentence] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """How a test ended: its light, the version that was met, what must be mended, and what else was met."""

    light: Light
    version: str = ""
    lines: tuple[Sentence, ...] = ()
    facts: tuple[Sentence, ...] = ()


def check(*, actor: Actor, connection_id: UUID, now: datetime) -> Check:
    """Speak to the other side of a connection, and keep how that ended. Nothing is changed there.

    It speaks outside of any transaction, and passes an open breaker: whoever tests has just mended something.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such connection
    """
    require(actor, Right.CATALOG_EDIT)
    row = Connection.objects.filter(pk=connection_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such connection.")))
    found = _look(row, now)
    services.note_check(
        actor=actor,
        connection_id=row.pk,
        light=found.light,
        version=found.version,
        lines=found.lines,
        facts=found.facts,
        now=now,
    )
    return found


def _look(row: Connection, now: datetime) -> Check:
    ends = [one for one in [rules.ending(row.name, row.config, today=now.date())] if one]
    try:
        ends += _certificate_ends(row, today=now.date())
        said = _SYSTEMS[ConnectionKind(row.kind)](row, door_for(row, urgent=True), now)
    except (External, Refused) as error:
        return Check(Light.STOP, lines=(error.detail, *ends))
    lines = (*said.lines, *ends)
    return Check(Light.WAIT if lines else Light.GO, said.version, lines, tuple(said.facts))


def _certificate_ends(row: Connection, *, today: date) -> list[Sentence]:
    """Return that the client certificate of a connection ends soon, if it does.

    :raises Refused: the secret does not open
    """
    last = last_day(Credentials.read(secret_of(row)).certificate)
    told = rules.ending(row.name, {rules.EXPIRES_ON: last.isoformat()}, today=today) if last else None
    return [told] if told else []


def _delivery(row: Connection, door: Door, _now: datetime) -> Answer:
    """Look at what the account sees, and at the jobs of bindings as they would be ordered, forward and back."""
    system = PROVIDERS[ConnectionKind(row.kind)](door)
    version, lines, facts = system.version(), list[Sentence](), list[Sentence]()
    try:
        parts = {"n": len(system.jobs()), "account": row.account or row.name}
        facts.append(Sentence(_("The account %(account)s sees %(n)s jobs, folders or applications."), parts))
    except Rejected as error:
        lines.append(error.detail)
    bound = row.bindings.filter(purpose=Purpose.DEPLOY.value).order_by("pk")
    for one in bound.select_related("service", "environment")[:MOST]:
        found = wiring.obstacles(row, system, one.service, one.environment, one.settings)
        lines += found
        if not found:
            text = _(
                "%(job)s is there, enabled, and takes what it is bound with. May the account start it? No system says."
            )
            facts.append(Sentence(text, {"job": one.settings.get("job", "")}))
            told = wiring.stood_there(row, system, one.service, one.environment, one.settings)
            facts += [told] if told else []
    return Answer(version, wiring.once(lines), wiring.once(facts))


def _kubernetes(row: Connection, door: Door, now: datetime) -> Answer:
    """Look at what the cluster serves, at what the token may do, and at routes of whichever mesh or gateway."""
    cluster = ClusterClient(door)
    version = cluster.version()
    lines = _routes(row, lambda route: Guarded(IN_A_CLUSTER[system_of(route)](cluster)), now)
    for namespace, lacks in rights.missing(cluster, bound_in_a_cluster(row)).items():
        text = _("In %(namespace)s the token may not: %(lacks)s. Apply the role that stands here.")
        lines.append(Sentence(text, {"namespace": namespace, "lacks": ", ".join(lacks)}))
    return Answer(version, lines, list(_served(cluster)))


def _served(cluster: ClusterClient) -> Iterator[Sentence]:
    """Give what of the control planes we speak to is served here, and what is not."""
    absent: list[str] = []
    for group, product in _GROUPS.items():
        versions = cluster.offered(group)
        if not versions:
            absent.append(f"{product} ({group})")
            continue
        parts = {"product": product, "group": group, "versions": ", ".join(versions)}
        parts["kinds"] = ", ".join(cluster.kinds(group, versions[0]))
        yield Sentence(_("%(product)s: %(group)s %(versions)s with %(kinds)s"), parts)
        if group == TRAFFIC_SPLITS.group:
            yield Sentence(_("TrafficSplits are recognised but not shifted: write an HTTPRoute in their place."))
    if absent:
        yield Sentence(_("Not served here: %(names)s"), {"names": ", ".join(absent)})


def _kong(row: Connection, door: Door, now: datetime) -> Answer:
    """Look at the node, whether it can be written at all, and at routes."""
    client = KongClient(door)
    obstacle = Kong(client).capabilities().obstacle
    if client.is_konnect:
        return Answer("", [obstacle] if obstacle else [], [Sentence(_("Mode: Konnect, Kong's cloud."))])
    node = client.node()
    database = str(node["configuration"].get("database", "?"))
    mode = _("Mode: without a database.") if database == "off" else _("Mode: with a database (%(database)s).")
    facts = [Sentence(mode, {"database": database})]
    if node.get("edition"):
        facts.append(Sentence(_("Edition: %(edition)s."), {"edition": node["edition"]}))
    lines = [*([obstacle] if obstacle else []), *_routes(row, lambda _route: kong(door), now)]
    for route in _bound(row):
        ref = reference(route)
        if obstacle is None and not client.may_weigh(ref.namespace, ref.name, ref.stable):
            parts = {"name": "/".join(part for part in (ref.namespace, ref.name) if part)}
            lines.append(Sentence(_("The token may read %(name)s, but not change it."), parts))
    return Answer(f"{node['version']} ({database})", lines, facts)


def _apisix(row: Connection, door: Door, now: datetime) -> Answer:
    """Look at the Admin API, whether it can be written at all, at routes, and at the Control APIs that are named."""
    client = ApisixClient(door)
    version, obstacle = client.version(), Apisix(client).capabilities().obstacle
    may_write = obstacle is not None or client.may_write()
    lines = [obstacle] if obstacle else []
    if not may_write:
        lines.append(Sentence(_("This key may only read (its role is viewer). Give the connection one of role admin.")))
    facts = [Sentence(_("Mode: standalone, without etcd.") if obstacle else _("Mode: with etcd."))]
    if may_write and not obstacle:
        facts.append(Sentence(_("Role of the key: admin.")))
    for node in doors_beside(row, urgent=True):
        try:
            ControlApi((node,)).seen()
            facts.append(Sentence(_("Control API of %(name)s: answers."), {"name": node.origin}))
        except External as error:
            lines.append(error.detail)
    return Answer(version, [*lines, *_routes(row, lambda _route: apisix(door), now)], facts)


def bound_in_a_cluster(row: Connection) -> list[Bound]:
    """Return the routes that a connection to a cluster is bound for, as rights are counted; of gateways none."""
    found: list[Bound] = []
    if row.kind != ConnectionKind.KUBERNETES:
        return found
    for route in _bound(row, most=None):
        with suppress(NotEditable):  # a route of something else is told by its own look
            found.append(Bound.to(system_of(route), reference(route)))
    return found


def _bound(row: Connection, most: int | None = MOST) -> Iterator[RouteCard]:
    """Give routes, those first that were seen longest ago."""
    longest_ago = F("reading__seen_at").asc(nulls_first=True)
    for route_id in list(row.routes.order_by(longest_ago, "pk").values_list("pk", flat=True)[:most]):
        yield catalog.route(route_id)


def _routes(row: Connection, provide: Callable[[RouteCard], TrafficProvider], now: datetime) -> list[Sentence]:
    """Look at routes; what is seen is kept, and what is missing told.

    :raises Unauthorized: the cluster does not take the token
    :raises Unknown: the gateway does not take it
    """
    lines: list[Sentence] = []
    for route in _bound(row):
        try:
            traffic.look(route_id=route.id, now=now, provide=provide, by="test")
        except (Unauthorized, Unknown):
            raise
        except Rejected as error:
            lines.append(error.detail)
    return lines


def _prometheus(row: Connection, door: Door, now: datetime) -> Answer:
    probe = PrometheusProbe(door)
    asked = ((Purpose.HEALTH, "query"), (Purpose.HEALTH, "split"), (Purpose.BUDGET, "query"))
    first = [next(iter(_settings(row, purpose, name)), "") for purpose, name in asked]
    for query in [str(one) for one in first if one] or ["vector(0)"]:
        probe.measure(Question("prometheus", row.name, query, 1.0), at=now)
    return Answer(probe.version())


def _http(row: Connection, door: Door, now: datetime) -> Answer:
    addresses = {urlsplit(str(url)).path or "/" for url in _settings(row, Purpose.HEALTH, "url")}
    lines: list[Sentence] = []
    for path in sorted(addresses)[:MOST] or ["/"]:
        try:
            measure = EndpointProbe(door).measure(Question("http", row.name, path, 0.5), at=now)
        except Rejected as error:
            if not error.http_status:
                raise  # it was never sent
            lines.append(error.detail)
            continue
        if measure.value:
            lines.append(Sentence(_("%(path)s answers that the service is ill."), {"path": path}))
    return Answer("", lines)


def _settings(row: Connection, purpose: Purpose, name: str) -> Iterable[object]:
    """Return what the bindings of a connection say for a purpose, each once."""
    bound = row.bindings.filter(purpose=purpose.value).order_by("pk").values_list("settings", flat=True)
    return dict.fromkeys(said[name] for said in bound if said.get(name))


_SYSTEMS: Mapping[ConnectionKind, Callable[[Connection, Door, datetime], Answer]] = {
    ConnectionKind.JENKINS: _delivery,
    ConnectionKind.KUBERNETES: _kubernetes,
    ConnectionKind.PROMETHEUS: _prometheus,
    ConnectionKind.HTTP: _http,
    ConnectionKind.KONG: _kong,
    ConnectionKind.APISIX: _apisix,
    ConnectionKind.SPINNAKER: _delivery,
}
