"""Test a connection: whether the other side answers, takes our secret, and can do what services are bound for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.db.models import F

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.catalog import services
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind, Light, Purpose
from releases.catalog.models import Connection
from releases.cluster.client import VIRTUAL_SERVICES, ClusterClient
from releases.cluster.errors import Unauthorized
from releases.core.errors import External, Missing, Refused, Rejected, Sentence
from releases.core.http import Door
from releases.core.words import mark as _
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.ports import Target
from releases.health.endpoint.adapter import EndpointProbe
from releases.health.ports import Question
from releases.health.prometheus.adapter import PrometheusProbe
from releases.traffic import services as traffic
from releases.traffic.providers import istio, reference

MOST = 5  # jobs or routes that one test looks at
_PLAIN = Target(job="")
Answer = tuple[str, list[Sentence]]


@dataclass(frozen=True, slots=True)
class Check:
    """How a test ended: its light, the version that was met, and what must be mended."""

    light: Light
    version: str = ""
    lines: tuple[Sentence, ...] = ()


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
        actor=actor, connection_id=row.pk, light=found.light, version=found.version, lines=found.lines, now=now
    )
    return found


def _look(row: Connection, now: datetime) -> Check:
    try:
        version, lines = _SYSTEMS[ConnectionKind(row.kind)](row, door_for(row, urgent=True), now)
    except (External, Refused) as error:
        return Check(Light.STOP, lines=(error.detail,))
    return Check(Light.WAIT if lines else Light.GO, version, tuple(lines))


def _jenkins(row: Connection, door: Door, _now: datetime) -> Answer:
    delivery = JenkinsDelivery(door)
    version = delivery.version()
    jobs = {str(job) for job in _settings(row, Purpose.DEPLOY, "job")}
    config = row.config
    return version, [
        reason
        for job in sorted(jobs)[:MOST]
        for reason in delivery.preflight(
            Target(
                job=job,
                key_parameter=str(config.get("key_parameter", _PLAIN.key_parameter)),
                permit_parameter=str(config.get("permit_parameter", _PLAIN.permit_parameter)),
            )
        ).reasons
    ]


def _kubernetes(row: Connection, door: Door, now: datetime) -> Answer:
    """Look at the cluster and at routes, those first that were seen longest ago; what is seen is kept."""
    cluster, mesh = ClusterClient(door), istio(door)
    version = cluster.version()
    lines: list[Sentence] = []
    longest_ago = F("reading__seen_at").asc(nulls_first=True)
    for route_id in list(row.routes.order_by(longest_ago, "pk").values_list("pk", flat=True)[:MOST]):
        ref = reference(catalog.route(route_id))
        try:
            seen = mesh.read(ref)
            with transaction.atomic(durable=True):
                traffic.note(route_id=route_id, weights=seen.weights, version=seen.version.token, now=now)
            if not cluster.may("patch", VIRTUAL_SERVICES, ref.namespace, ref.name):
                parts = {"name": f"{ref.namespace}/{ref.name}"}
                lines.append(Sentence(_("The token may read %(name)s, but not change it."), parts))
        except Unauthorized:
            raise
        except Rejected as error:
            lines.append(error.detail)
    return version, lines


def _prometheus(row: Connection, door: Door, now: datetime) -> Answer:
    probe = PrometheusProbe(door)
    first = [next(iter(_settings(row, purpose, "query")), "") for purpose in (Purpose.HEALTH, Purpose.BUDGET)]
    for query in [str(one) for one in first if one] or ["vector(0)"]:
        probe.measure(Question("prometheus", row.name, query, 1.0), at=now)
    return probe.version(), []


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
    return "", lines


def _settings(row: Connection, purpose: Purpose, name: str) -> Iterable[object]:
    """Return what the bindings of a connection say for a purpose, each once."""
    bound = row.bindings.filter(purpose=purpose.value).order_by("pk").values_list("settings", flat=True)
    return dict.fromkeys(said[name] for said in bound if said.get(name))


_SYSTEMS: Mapping[ConnectionKind, Callable[[Connection, Door, datetime], Answer]] = {
    ConnectionKind.JENKINS: _jenkins,
    ConnectionKind.KUBERNETES: _kubernetes,
    ConnectionKind.PROMETHEUS: _prometheus,
    ConnectionKind.HTTP: _http,
}
