"""Catalog: what we have, who owns it, what runs of it and who is hurt when it breaks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.accounts.models import Team
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.catalog import queries, services
from releases.catalog.cards import BudgetCard, CustomerCard, Edge, EnvironmentCard, RunningCard, ServiceCard
from releases.changes import queries as changes
from releases.core import clock
from releases.core.errors import Missing, Sentence
from releases.core.words import mark, plural
from releases.web import around
from releases.web.answer import page
from releases.web.around import Picture
from releases.web.looks import Fact, Line, Look, Words
from releases.web.names import DATA
from releases.web.pages.changes import Row, row_of
from releases.web.pages.who_decides import Deciding, deciding
from releases.web.request import Request, signed_in
from releases.web.tags import both, number

MOST = 10
SOURCES: Mapping[str, str | Promise] = {
    "manual": _("said by a person"),
    "environment": _("read in its settings"),
    "config": _("read in its own configuration"),
    "shared_config": _("hint from a shared address book"),
    "backstage": _("read in Backstage"),
    "csv": _("read in a CSV file"),
}


NOTICE = plural("told %(n)s hour before", "told %(n)s hours before", by="n")
CALLERS = plural("%(n)s service calls it", "%(n)s services call it", by="n")
CALLEES = plural("it calls %(n)s service", "it calls %(n)s services", by="n")


@dataclass(frozen=True, slots=True)
class Place:
    """What runs of a service in one environment; without a version nothing is known to."""

    environment: str
    version: str = ""
    digest: str = ""
    since: Words = ""
    change: str = ""
    change_href: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An artifact the gate refuses; ``clear_href`` is empty for who may not clear it."""

    id: UUID
    lines: tuple[Line, ...]
    clear_href: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One service in the list."""

    name: str
    title: str
    href: str
    team: str
    tier: str
    criticality: int
    running: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """The page of one service."""

    name: str
    title: str
    headline: Words
    description: str
    facts: tuple[Fact, ...]
    picture: Picture | None
    picture_says: Words
    callers: tuple[Line, ...]
    callees: tuple[Line, ...]
    places: tuple[Place, ...]
    deciding: Deciding
    on_call: tuple[Line, ...]
    customers: tuple[Line, ...]
    budgets: tuple[Line, ...]
    changes: tuple[Row, ...]
    quarantined: tuple[Quarantined, ...]
    badges: tuple[Look, ...] = ()


@require_GET
@signed_in
def catalog(request: Request) -> HttpResponse:
    """List the services and what runs of them."""
    require(request.actor, Right.CHANGE_READ)
    cards = queries.services()
    running = _places([card.id for card in cards])
    entries = tuple(
        Entry(
            card.name,
            card.title,
            reverse("service", args=[card.name]),
            card.team,
            card.tier,
            card.criticality,
            tuple(running.get(card.id, ())),
        )
        for card in cards
    )
    return page(request, "catalog/catalog.html", {"services": entries}, here="catalog")


@require_GET
@signed_in
def service(request: Request, name: str) -> HttpResponse:
    """Show one service."""
    require(request.actor, Right.CHANGE_READ)
    return page(
        request,
        "catalog/service.html",
        {"service": _service(queries.service_named(name), request.actor)},
        here="catalog",
    )


def _service(card: ServiceCard, actor: Actor) -> Service:
    environments = sorted(queries.environments(), key=lambda one: (-one.rank, one.name))
    running = {one.environment: one for one in _places([card.id]).get(card.id, ())}
    edges = queries.edges_of(card.id)
    calls = sorted((edge for edge in edges if edge.callee_id == card.id), key=lambda edge: edge.caller)
    called = sorted((edge for edge in edges if edge.caller_id == card.id), key=lambda edge: edge.callee)
    team = Team.objects.prefetch_related("members").get(name=card.team)
    members = {one.pk: one.name for one in team.members.all() if one.is_active}
    return Service(
        name=card.name,
        title=card.title,
        headline=_headline(card, tuple(running.values())),
        description=card.description,
        facts=_facts(card, team, members.values()),
        picture=around.lay_out(
            card.name,
            callers=[_neighbour(edge, edge.caller) for edge in calls],
            callees=[_neighbour(edge, edge.callee) for edge in called],
        ),
        picture_says=_picture_says(card, calls, called),
        callers=tuple(_edge(edge, edge.caller) for edge in calls),
        callees=tuple(_edge(edge, edge.callee) for edge in called),
        places=tuple(running.get(one.name, Place(one.name)) for one in environments),
        deciding=deciding(environments),
        on_call=tuple(_on_call(members)),
        customers=tuple(_customers(card)),
        budgets=tuple(_budgets(card, environments, clock.now())),
        changes=tuple(row_of(one) for one in changes.page(service=card.name).cards[:MOST]),
        quarantined=tuple(_quarantined(card, actor)),
        badges=(Look("", "✕", _("Retired")),) if card.retired_at else (),
    )


def _headline(card: ServiceCard, places: tuple[Place, ...]) -> Words:
    if not places:
        return Sentence(mark("%(name)s: nothing is known to run"), {"name": card.name})
    last = places[-1]
    parts = {"name": card.name, "version": last.version, "where": last.environment}
    return Sentence(mark("%(name)s runs %(version)s in %(where)s"), parts)


def _facts(card: ServiceCard, team: Team, members: Iterable[str]) -> tuple[Fact, ...]:
    who = both(members) or Sentence(mark("Nobody is in it yet."))
    facts = [Fact(_("Owner"), team.title, note=who, href=reverse("settings-one", args=["teams", team.pk]))]
    if card.title and card.title != card.name:
        facts.append(Fact(_("Title"), card.title))
    if card.tier:
        facts.append(Fact(pgettext_lazy("of a service", "Tier"), card.tier))
    facts.append(Fact(_("Criticality"), Sentence(mark("%(n)s of 4"), {"n": card.criticality})))
    if card.data_classes:
        facts.append(Fact(_("Data"), both([DATA.get(name, name) for name in card.data_classes])))
    return tuple(facts)


def _customers(card: ServiceCard) -> Iterable[Line]:
    """Yield whom it serves, the largest first, and how many more there are."""
    cards = queries.customers_of([card.id])
    yield from (_customer(one) for one in cards[:MOST])
    if (rest := len(cards) - MOST) > 0:
        href = reverse("settings-list", args=["customers"])
        yield Line("", "…", Sentence(mark("and %(n)s more"), {"n": rest}), href=href)


def _customer(card: CustomerCard) -> Line:
    parts = {"segment": card.segment, "size": number(card.size)}
    notice = Sentence(NOTICE, {"n": card.notice_hours}) if card.notice_hours else ""
    return Line("", "○", card.name, detail=Sentence(mark("%(segment)s, %(size)s"), parts), end=notice)


def _budgets(card: ServiceCard, environments: Iterable[EnvironmentCard], now: datetime) -> Iterable[Line]:
    """Yield what is left of each error budget, through what it was read and when, or that nobody knows."""
    found = queries.budgets_in((card.id, one.id) for one in environments)
    for one in environments:
        if (budget := found.get((card.id, one.id))) is None:
            continue
        tone, sign, text = _left(budget, now)
        parts = {"where": one.name, "left": round(100 * (budget.left or 0))}
        source = Sentence(mark("read through %(connection)s"), {"connection": budget.binding.connection.name})
        href = reverse("settings-one", args=["bindings", budget.binding.id])
        yield Line(tone, sign, Sentence(text, parts), detail=source, at=budget.seen_at, href=href)


def _left(budget: BudgetCard, now: datetime) -> tuple[str, str, str]:
    if budget.left is None:
        return "wait", "?", mark("%(where)s: not known, it was never read")
    if budget.known(now) is None:
        return "wait", "?", mark("%(where)s: not known, the last reading (%(left)s %%) is too old")
    if budget.is_spent(now):
        return "stop", "✕", mark("%(where)s: spent, only an emergency may go")
    return "go", "✓", mark("%(where)s: %(left)s %% left")


def _on_call(members: Mapping[UUID, str]) -> Iterable[Line]:
    """Yield who is on call, the members of the team that owns the service first."""
    known = sorted(accounts.holders_of(Role.ON_CALL), key=lambda one: one.id not in members)
    for one in known:
        yield Line("", "☎", one.name, detail=Sentence(mark("member of the team")) if one.id in members else "")
    if not known:
        href = reverse("settings-one", args=["roles", Role.ON_CALL.value])
        yield Line("wait", "!", Sentence(mark("Nobody is on call: give somebody the role.")), href=href)


def _neighbour(edge: Edge, other: str) -> around.Neighbour:
    return around.Neighbour(other, _source(edge), edge.is_confirmed)


def _picture_says(card: ServiceCard, calls: Sequence[Edge], called: Sequence[Edge]) -> Words:
    callers = Sentence(CALLERS, {"n": len(calls)}) if calls else Sentence(mark("no service calls it"))
    callees = Sentence(CALLEES, {"n": len(called)}) if called else Sentence(mark("it calls none"))
    return Sentence(
        mark("%(name)s: %(callers)s, %(callees)s"), {"name": card.name, "callers": callers, "callees": callees}
    )


def _places(service_ids: Iterable[UUID]) -> dict[UUID, list[Place]]:
    environments = {one.id: one for one in queries.environments()}
    found: dict[UUID, list[RunningCard]] = {}
    for running in queries.running_everywhere(list(service_ids)):
        found.setdefault(running.service_id, []).append(running)
    return {
        service_id: [
            _place(running, environments[running.environment_id].name)
            for running in sorted(many, key=lambda one: environments[one.environment_id].rank)
        ]
        for service_id, many in found.items()
    }


def _place(running: RunningCard, environment: str) -> Place:
    number = running.change_number
    return Place(
        environment=environment,
        version=running.artifact.version,
        digest=running.artifact.digest,
        since=running.since_at,
        change=f"CHG-{number}" if number else "",
        change_href=reverse("change", args=[number]) if number else "",
    )


def _source(edge: Edge) -> str:
    return both([SOURCES.get(one, one) for one in edge.sources])


def _edge(edge: Edge, other: str) -> Line:
    href, parts = reverse("service", args=[other]), {"source": _source(edge)}
    if edge.is_confirmed:
        return Line("go", "✓", other, detail=Sentence(mark("%(source)s, confirmed"), parts), href=href)
    tone, sign = ("", "→") if edge.is_fact else ("wait", "?")
    return Line(tone, sign, other, detail=Sentence(mark("%(source)s, not confirmed"), parts), href=href)


def _quarantined(card: ServiceCard, actor: Actor) -> Iterable[Quarantined]:
    may_clear = accounts.can(actor, Right.QUARANTINE_CLEAR)
    for artifact in queries.artifacts_of(card.id):
        if artifact.is_quarantined:
            line = Line("stop", "✕", artifact.version, detail=artifact.quarantine_reason, at=artifact.quarantined_at)
            href = reverse("clear-quarantine", args=[card.name, artifact.id]) if may_clear else ""
            yield Quarantined(artifact.id, (line,), href)


@require_POST
@signed_in
def clear(request: Request, name: str, artifact_id: UUID) -> HttpResponse:
    """Let the gate accept an artifact again, for a reason."""
    service = queries.service_named(name)
    artifact = next((one for one in queries.artifacts_of(service.id) if one.id == artifact_id), None)
    if artifact is None:
        raise Missing(Sentence(mark("There is no such artifact.")))
    services.clear_quarantine(
        actor=request.actor, artifact_id=artifact.id, reason=request.POST.get("reason", ""), now=clock.now()
    )
    return redirect("service", name=name)


urlpatterns = [
    path("catalog", catalog, name="catalog"),
    path("catalog/<slug:name>/artifacts/<uuid:artifact_id>/clear", clear, name="clear-quarantine"),
    path("catalog/<slug:name>", service, name="service"),
]
