"""What stands where: what runs there, what it is wired to, how its traffic is split.

Each is asked for many places at once, so that a change of twenty items costs what a change of one does.
"""

from collections.abc import Collection, Iterable
from typing import TypeVar
from uuid import UUID

from django.db.models import F, QuerySet

from releases.catalog.cards import BindingCard, BudgetCard, ReadingCard, RouteCard, RunningCard
from releases.catalog.kinds import Place, Purpose
from releases.catalog.models import Binding, BudgetReading, Reading, Route, Running
from releases.catalog.queries.things import artifact_card, connection_card
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _

Row = TypeVar("Row", Binding, Route, Running)


def running_in(places: Iterable[Place]) -> dict[Place, RunningCard]:
    """Return what runs now in each place where that is known."""
    rows = Running.objects.filter(ended_at=None).select_related("artifact")
    return {place: _running_card(row) for place, row in _there(rows, places)}


def running(service_id: UUID, environment_id: UUID) -> RunningCard | None:
    """Return what runs there now, or ``None`` when that is not known."""
    here = (service_id, environment_id)
    return running_in([here]).get(here)


def running_everywhere(service_ids: Collection[UUID]) -> list[RunningCard]:
    """Return what runs now of these services."""
    rows = Running.objects.filter(service_id__in=service_ids, ended_at=None).select_related("artifact")
    return [_running_card(row) for row in rows]


def bindings_in(places: Iterable[Place], purpose: Purpose) -> dict[Place, BindingCard]:
    """Return what each place uses for this purpose, where anything is bound."""
    rows = Binding.objects.filter(purpose=purpose).select_related("connection")
    return {place: _binding_card(row) for place, row in _there(rows, places)}


def binding_for(service_id: UUID, environment_id: UUID, purpose: Purpose) -> BindingCard | None:
    """Return what a service there uses for this purpose, or ``None``."""
    here = (service_id, environment_id)
    return bindings_in([here], purpose).get(here)


def budgets_in(places: Iterable[Place]) -> dict[Place, BudgetCard]:
    """Return the error budget of each place that has one."""
    return {place: _budget_card(row) for place, row in _there(_budgets(), places)}


def budgets() -> list[tuple[str, str, BudgetCard]]:
    """Return every error budget with its service and environment, those first that were read longest ago."""
    rows = _budgets().filter(service__retired_at=None).select_related("service", "environment")
    in_turn = rows.order_by(F("budget__seen_at").asc(nulls_first=True), "pk")
    return [(row.service.name, row.environment.name, _budget_card(row)) for row in in_turn]


def wiring_in(places: Iterable[Place]) -> dict[Place, list[dict[str, str]]]:
    """Return which connections each place uses and how, as digests: an approval binds to them."""
    places = list(places)
    found: dict[Place, list[dict[str, str]]] = {place: [] for place in places}
    for place, binding in _there(Binding.objects.select_related("connection"), places):
        found[place].append({"purpose": binding.purpose, "config_digest": binding.config_digest})
    for place, route in _there(_routes(), places):
        found[place].append({"purpose": "route", "config_digest": route.config_digest})
    return {
        place: sorted(many, key=lambda one: (one["purpose"], one["config_digest"])) for place, many in found.items()
    }


def routes_in(places: Iterable[Place]) -> dict[Place, tuple[RouteCard, ...]]:
    """Return where the traffic of each place is split, by label; nothing where it is not."""
    places = list(places)
    found: dict[Place, list[RouteCard]] = {place: [] for place in places}
    for place, row in _there(_routes(), places):
        found[place].append(_route_card(row))
    return {place: tuple(many) for place, many in found.items()}


def routes_for(service_id: UUID, environment_id: UUID) -> tuple[RouteCard, ...]:
    """Return where the traffic of a service there is split, by label."""
    here = (service_id, environment_id)
    return routes_in([here])[here]


def routes() -> list[RouteCard]:
    """Return every route of the services in use."""
    return [_route_card(row) for row in _routes().filter(service__retired_at=None)]


def route(route_id: UUID) -> RouteCard:
    """Return a route.

    :raises Missing: there is none
    """
    row = _routes().filter(pk=route_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such route.")))
    return _route_card(row)


def _there(rows: QuerySet[Row], places: Iterable[Place]) -> list[tuple[Place, Row]]:
    """Return the rows of these places, each with its place, in one query."""
    wanted = frozenset(places)
    services, environments = {place[0] for place in wanted}, {place[1] for place in wanted}
    found = rows.filter(service_id__in=services, environment_id__in=environments)
    return [(place, row) for row in found if (place := (row.service_id, row.environment_id)) in wanted]


def _binding_card(row: Binding) -> BindingCard:
    return BindingCard(row.pk, Purpose(row.purpose), connection_card(row.connection), row.settings, row.config_digest)


def _budgets() -> QuerySet[Binding]:
    return Binding.objects.filter(purpose=Purpose.BUDGET).select_related("connection", "budget")


def _budget_card(row: Binding) -> BudgetCard:
    seen: BudgetReading | None = getattr(row, "budget", None)
    return BudgetCard(_binding_card(row), seen.left if seen else None, seen.seen_at if seen else None)


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
        label=row.label,
    )
