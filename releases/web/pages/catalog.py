"""Catalog: what we have, who owns it, what runs of it and who is hurt when it breaks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.catalog import queries, services
from releases.catalog.cards import Edge, RunningCard, ServiceCard
from releases.changes import queries as changes
from releases.committee import queries as committee
from releases.core import clock
from releases.core.errors import Missing, Refused, Sentence
from releases.core.words import mark
from releases.web import looks
from releases.web.answer import page
from releases.web.looks import Fact, Line, Look, Words
from releases.web.pages.changes import Row, row_of
from releases.web.request import Request, signed_in
from releases.web.tags import either, number

MOST = 10
DATA: Mapping[str, str | Promise] = {
    "personal": _("personal data"),
    "card": _("card data"),
    "money": _("money"),
}
SOURCES: Mapping[str, str | Promise] = {
    "manual": _("said by a person"),
    "environment": _("read in its settings"),
    "config": _("read in its own configuration"),
    "shared_config": _("hint from a shared address book"),
    "backstage": _("read in Backstage"),
    "csv": _("read in a CSV file"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """What runs of a service in one environment."""

    environment: str
    version: str
    digest: str
    since: Words
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
    callers: tuple[Line, ...]
    callees: tuple[Line, ...]
    places: tuple[Place, ...]
    policy: tuple[Line, ...]
    policy_note: Words
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
    places = tuple(_places([card.id]).get(card.id, ()))
    edges = queries.edges_of(card.id)
    policy, note = _policy()
    return Service(
        name=card.name,
        title=card.title,
        headline=_headline(card, places),
        description=card.description,
        facts=_facts(card),
        callers=tuple(_edge(edge, edge.caller) for edge in edges if edge.callee_id == card.id),
        callees=tuple(_edge(edge, edge.callee) for edge in edges if edge.caller_id == card.id),
        places=places,
        policy=policy,
        policy_note=note,
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


def _facts(card: ServiceCard) -> tuple[Fact, ...]:
    customers = queries.customers_by_segment([card.id])
    facts = [
        Fact(_("Title"), card.title or card.name),
        Fact(_("Team"), card.team),
        Fact(pgettext_lazy("of a service", "Tier"), card.tier),
        Fact(_("Criticality"), Sentence(mark("%(n)s of 4"), {"n": card.criticality})),
    ]
    if card.data_classes:
        facts.append(Fact(_("Data"), either([DATA.get(name, name) for name in card.data_classes])))
    facts += [Fact(_("Customers"), number(size), note=segment) for segment, size in sorted(customers.items())]
    return tuple(facts)


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


def _edge(edge: Edge, other: str) -> Line:
    href = reverse("service", args=[other])
    source = either([SOURCES.get(one, one) for one in edge.sources])
    if edge.is_confirmed:
        return Line("go", "✓", other, detail=Sentence(mark("%(source)s, confirmed"), {"source": source}), href=href)
    if edge.is_fact:
        return Line("", "→", other, detail=source, href=href)
    return Line("wait", "?", other, detail=Sentence(mark("%(source)s, not confirmed"), {"source": source}), href=href)


def _policy() -> tuple[tuple[Line, ...], Words]:
    policy = committee.current_policy()
    if policy is None:
        return (), Sentence(mark("There is no policy yet."))
    try:
        need = committee.required(policy, environment_kinds=["production"], level="high", change_type="normal")
    except Refused as error:
        return (), error.detail
    lines = tuple(
        Line("", str(people), looks.SEATS[seat], detail=either([one.name for one in accounts.holders_of(Role(seat))]))
        for seat, people in need.seats.items()
    )
    note = Sentence(mark("For a normal change of high risk; policy version %(version)s."), {"version": policy.version})
    return lines, note


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
