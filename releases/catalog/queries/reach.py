"""Who calls whom, who is served, and what is wrong now."""

from collections.abc import Iterable
from uuid import UUID

from releases.accounts.rules import folded, one_line
from releases.catalog.cards import CustomerCard, Edge, IncidentCard, Reach, Reached
from releases.catalog.kinds import DependencySource, EnvironmentKind, Place
from releases.catalog.models import Customer, Dependency, Environment, Incident, Service
from releases.catalog.rules import hops_to
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _


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
        customer_card(row, (one.name for one in row.services.all() if one.pk in wanted))
        for row in rows.order_by("-size", "name")
    ]


def customer_named(name: str) -> CustomerCard:
    """Return a customer by its name, whatever its case.

    :raises Invalid: there is none, with the field's name
    """
    row = Customer.objects.filter(folded_name=folded(one_line(name))).first()
    if row is None:
        sentence = Sentence(_("There is no customer %(name)s in the catalog."), {"name": name})
        raise Invalid(sentence, fields={"customer": [sentence]})
    return customer_card(row)


def customer_card(row: Customer, services: Iterable[str] = ()) -> CustomerCard:
    """Return a customer without its table, with the names of these services."""
    return CustomerCard(
        id=row.pk,
        name=row.name,
        segment=row.segment,
        size=row.size,
        notice_hours=row.notice_hours,
        services=tuple(services),
    )


def customers_hurt(places: Iterable[Place]) -> dict[Place, tuple[CustomerCard, ...]]:
    """Return, place by place, whom a change there may hurt, the largest first.

    In production that is everybody who is served by it or by what may feel it (see :func:`dependents`); elsewhere
    nobody is. The cards name no services.
    """
    found: dict[Place, tuple[CustomerCard, ...]] = dict.fromkeys(places, ())
    kinds = Environment.objects.filter(pk__in={place[1] for place in found}, kind=EnvironmentKind.PRODUCTION)
    production = set(kinds.values_list("pk", flat=True))
    if not (live := [place for place in found if place[1] in production]):
        return found
    callers = _callers(_edges())
    reach = {service_id: {service_id, *hops_to([service_id], callers)} for service_id, _environment in live}
    everything = {one for many in reach.values() for one in many}
    served: dict[UUID, set[UUID]] = {}
    through = Customer.services.through.objects.filter(service_id__in=everything)
    for customer_id, service_id in through.values_list("customer_id", "service_id"):
        served.setdefault(customer_id, set()).add(service_id)
    rows = Customer.objects.filter(services__in=everything).distinct().order_by("-size", "name")
    cards = [customer_card(row) for row in rows]
    for place in live:
        found[place] = tuple(card for card in cards if not reach[place[0]].isdisjoint(served.get(card.id, ())))
    return found


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
