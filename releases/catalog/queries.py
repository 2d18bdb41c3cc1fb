"""What exists and what is known of it, as cards that other rooms read."""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import QuerySet

from releases.catalog.cards import (
    ArtifactCard,
    BindingCard,
    ConnectionCard,
    CustomerCard,
    Edge,
    EnvironmentCard,
    IncidentCard,
    Reach,
    Reached,
    ReadingCard,
    RouteCard,
    RunningCard,
    ServiceCard,
)
from releases.catalog.kinds import ConnectionKind, DependencySource, EnvironmentKind, Purpose
from releases.catalog.models import (
    Artifact,
    Binding,
    Connection,
    Customer,
    Dependency,
    Environment,
    Incident,
    Reading,
    Route,
    Running,
    Service,
)
from releases.catalog.rules import hops_to
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _


def service_named(name: str) -> ServiceCard:
    """Return the service with that name.

    :raises Missing: there is none
    """
    row = Service.objects.select_related("team").filter(name=name).first()
    if row is None:
        raise Missing(Sentence(_("There is no service %(name)s in the catalogue."), {"name": name[:80]}))
    return service_card(row)


def service(service_id: UUID) -> ServiceCard:
    """Return the service with that id, which stays when its name changes.

    :raises Missing: there is none
    """
    row = Service.objects.select_related("team").filter(pk=service_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such service in the catalogue.")))
    return service_card(row)


def services() -> list[ServiceCard]:
    """Return the services that were not retired, by name."""
    return [service_card(row) for row in Service.objects.select_related("team").filter(retired_at=None)]


def environment_named(name: str) -> EnvironmentCard:
    """Return the environment with that name.

    :raises Missing: there is none
    """
    row = Environment.objects.filter(name=name).first()
    if row is None:
        raise Missing(Sentence(_("There is no environment %(name)s in the catalogue."), {"name": name[:80]}))
    return environment_card(row)


def environments() -> list[EnvironmentCard]:
    """Return the environments on the way to production."""
    return [environment_card(row) for row in Environment.objects.all()]


def artifact_by_digest(digest: str, *, service_id: UUID | None = None) -> ArtifactCard | None:
    """Return the artifact with that digest, of one service when it is named."""
    rows = Artifact.objects.filter(digest=digest)
    row = (rows.filter(service_id=service_id) if service_id else rows).order_by("registered_at", "pk").first()
    return artifact_card(row) if row else None


def artifacts_of(service_id: UUID) -> list[ArtifactCard]:
    """Return the artifacts of a service, newest first."""
    return [artifact_card(row) for row in Artifact.objects.filter(service_id=service_id)]


def is_quarantined(digest: str) -> bool:
    """Say whether anything with this digest is in quarantine, whichever service it was registered for."""
    return Artifact.objects.filter(digest=digest, quarantined_at__isnull=False, cleared_at=None).exists()


def running(service_id: UUID, environment_id: UUID) -> RunningCard | None:
    """Return what runs there now, or ``None`` when that is not known."""
    row = _runs(service_id, environment_id).filter(ended_at=None).first()
    return _running_card(row) if row else None


def previous_running(service_id: UUID, environment_id: UUID) -> RunningCard | None:
    """Return the last other artifact that ran there before the present one: what one would go back to."""
    now = _runs(service_id, environment_id).filter(ended_at=None).first()
    past = _runs(service_id, environment_id).filter(ended_at__isnull=False)
    if now is not None:
        past = past.exclude(artifact_id=now.artifact_id)
    row = past.order_by("-ended_at", "-since_at").first()
    return _running_card(row) if row else None


def running_everywhere(service_ids: Collection[UUID]) -> list[RunningCard]:
    """Return what runs now of these services."""
    rows = Running.objects.filter(service_id__in=service_ids, ended_at=None).select_related("artifact")
    return [_running_card(row) for row in rows]


def dependents(service_ids: Iterable[UUID]) -> Reach:
    """Return who may feel a change of these services: callers, callers of callers, circles counted once.

    Unconfirmed hints are followed too, since a reach that is too small is the dangerous mistake; each service
    says whether facts alone lead to it. Edges that a person denied are left out.
    """
    targets = frozenset(service_ids)
    edges = _edges()
    everything = hops_to(targets, _callers(edges))
    certain = hops_to(targets, _callers(edge for edge in edges if edge.is_fact))
    rows = Service.objects.filter(pk__in=everything, retired_at=None).order_by("name")
    reached = [
        Reached(
            id=row.pk,
            name=row.name,
            title=row.title,
            tier=row.tier,
            criticality=row.criticality,
            hops=everything[row.pk],
            is_fact=row.pk in certain,
        )
        for row in rows
    ]
    inside = targets | everything.keys()
    return Reach(
        direct=tuple(one for one in reached if everything[one.id] == 1),
        indirect=tuple(one for one in reached if everything[one.id] > 1),
        edges=tuple(edge for edge in edges if edge.callee_id in inside),
    )


def edges_of(service_id: UUID) -> list[Edge]:
    """Return the edges that begin or end at a service, for its owners to confirm."""
    return [edge for edge in _edges() if service_id in {edge.caller_id, edge.callee_id}]


def customers_of(service_ids: Iterable[UUID]) -> list[CustomerCard]:
    """Return the customers these services serve, each once, the largest first."""
    wanted = frozenset(service_ids)
    rows = Customer.objects.filter(services__in=wanted).distinct().prefetch_related("services")
    return [
        CustomerCard(
            id=row.pk,
            name=row.name,
            segment=row.segment,
            size=row.size,
            notice_hours=row.notice_hours,
            services=tuple(one.name for one in row.services.all() if one.pk in wanted),
        )
        for row in rows.order_by("-size", "name")
    ]


def customers_by_segment(service_ids: Iterable[UUID]) -> dict[str, int]:
    """Return how many people or firms stand behind the customers of these services, by segment."""
    total: dict[str, int] = {}
    for card in customers_of(service_ids):
        total[card.segment] = total.get(card.segment, 0) + card.size
    return total


def open_incidents(service_ids: Iterable[UUID], environment_ids: Iterable[UUID] | None = None) -> list[IncidentCard]:
    """Return what is wrong now with these services, in all environments or in those named."""
    rows = Incident.objects.filter(service_id__in=list(service_ids), closed_at=None)
    if environment_ids is not None:
        rows = rows.filter(environment_id__in=list(environment_ids))
    return [IncidentCard(row.pk, row.service_id, row.environment_id, row.title, row.opened_at) for row in rows]


def connection(connection_id: UUID) -> ConnectionCard:
    """Return a connection, without its secret.

    :raises Missing: there is none
    """
    row = Connection.objects.filter(pk=connection_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such connection.")))
    return connection_card(row)


def connections() -> list[ConnectionCard]:
    """Return all connections, without their secrets."""
    return [connection_card(row) for row in Connection.objects.all()]


def binding_for(service_id: UUID, environment_id: UUID, purpose: Purpose) -> BindingCard | None:
    """Return what a service there uses for this purpose, or ``None``."""
    row = (
        Binding.objects.select_related("connection")
        .filter(service_id=service_id, environment_id=environment_id, purpose=purpose)
        .first()
    )
    if row is None:
        return None
    return BindingCard(row.pk, Purpose(row.purpose), connection_card(row.connection), row.settings, row.config_digest)


def wiring(service_id: UUID, environment_id: UUID) -> list[dict[str, str]]:
    """Return which connections a service there uses and how, as digests: an approval binds to them."""
    bindings = Binding.objects.select_related("connection").filter(service_id=service_id, environment_id=environment_id)
    found = [{"purpose": one.purpose, "config_digest": one.config_digest} for one in bindings]
    found += [
        {"purpose": "route", "config_digest": one.config_digest}
        for one in _routes().filter(service_id=service_id, environment_id=environment_id)
    ]
    return sorted(found, key=lambda one: (one["purpose"], one["config_digest"]))


def route_for(service_id: UUID, environment_id: UUID) -> RouteCard | None:
    """Return where the traffic of a service there is split, or ``None``."""
    row = _routes().filter(service_id=service_id, environment_id=environment_id).first()
    return _route_card(row) if row else None


def route(route_id: UUID) -> RouteCard:
    """Return a route.

    :raises Missing: there is none
    """
    row = _routes().filter(pk=route_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such route.")))
    return _route_card(row)


def routes() -> list[RouteCard]:
    """Return all routes."""
    return [_route_card(row) for row in _routes()]


def service_card(row: Service) -> ServiceCard:
    """Return the card of a row."""
    return ServiceCard(
        id=row.pk,
        name=row.name,
        title=row.title,
        team=row.team.name,
        tier=row.tier,
        criticality=row.criticality,
        data_classes=tuple(row.data_classes),
        description=row.description,
        retired_at=row.retired_at,
    )


def environment_card(row: Environment) -> EnvironmentCard:
    """Return the card of a row."""
    return EnvironmentCard(row.pk, row.name, EnvironmentKind(row.kind), row.rank)


def artifact_card(row: Artifact) -> ArtifactCard:
    """Return the card of a row."""
    return ArtifactCard(
        id=row.pk,
        service_id=row.service_id,
        version=row.version,
        image=row.image,
        digest=row.digest,
        is_quarantined=row.is_quarantined,
        quarantine_reason=row.quarantine_reason if row.is_quarantined else "",
        quarantined_at=row.quarantined_at if row.is_quarantined else None,
        quarantined_by=row.quarantined_by if row.is_quarantined else "",
    )


def connection_card(row: Connection) -> ConnectionCard:
    """Return the card of a row: nothing of the secret but its last four characters."""
    return ConnectionCard(
        id=row.pk,
        name=row.name,
        kind=ConnectionKind(row.kind),
        origin=row.origin,
        account=row.account,
        config=row.config,
        has_secret=row.secret_box is not None,
        secret_last4=row.secret_last4,
        config_digest=row.config_digest,
    )


def _runs(service_id: UUID, environment_id: UUID) -> QuerySet[Running]:
    return Running.objects.filter(service_id=service_id, environment_id=environment_id).select_related("artifact")


def _running_card(row: Running) -> RunningCard:
    return RunningCard(
        service_id=row.service_id,
        environment_id=row.environment_id,
        artifact=artifact_card(row.artifact),
        change_number=row.change_number,
        since_at=row.since_at,
        ended_at=row.ended_at,
    )


def _routes() -> QuerySet[Route]:
    return Route.objects.select_related("connection", "reading")


def _route_card(row: Route) -> RouteCard:
    seen: Reading | None = getattr(row, "reading", None)
    return RouteCard(
        id=row.pk,
        service_id=row.service_id,
        environment_id=row.environment_id,
        connection=connection_card(row.connection),
        locator=row.locator,
        stable=row.stable,
        canary=row.canary,
        config_digest=row.config_digest,
        reading=ReadingCard(seen.weights, seen.version, seen.healthy, seen.seen_at) if seen else None,
    )


def _edges() -> list[Edge]:
    """Return one edge per pair, with all its sources but those a person denied; what was retired calls nobody."""
    pairs: dict[tuple[UUID, UUID], list[Dependency]] = {}
    for row in Dependency.objects.filter(denied_at=None, caller__retired_at=None).select_related("caller", "callee"):
        pairs.setdefault((row.caller_id, row.callee_id), []).append(row)
    return [_edge(rows) for rows in pairs.values()]


def _edge(rows: list[Dependency]) -> Edge:
    first = rows[0]
    sources = tuple(DependencySource(row.source) for row in rows)
    is_confirmed = any(row.confirmed_at is not None for row in rows)
    return Edge(
        ids=tuple(row.pk for row in rows),
        caller_id=first.caller_id,
        callee_id=first.callee_id,
        caller=first.caller.name,
        callee=first.callee.name,
        sources=sources,
        is_confirmed=is_confirmed,
        is_fact=is_confirmed or not all(source.is_hint for source in sources),
    )


def _callers(edges: Iterable[Edge]) -> dict[UUID, list[UUID]]:
    callers: dict[UUID, list[UUID]] = {}
    for edge in edges:
        callers.setdefault(edge.callee_id, []).append(edge.caller_id)
    return callers
