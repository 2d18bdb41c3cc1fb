"""Board: what runs where, and what is on its way there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET

from releases.calendar import queries as calendar
from releases.calendar.rules import Closure
from releases.catalog import queries as catalog
from releases.catalog.cards import EnvironmentCard, IncidentCard, RouteCard, RunningCard, ServiceCard
from releases.catalog.kinds import EnvironmentKind, Place
from releases.changes import queries as changes
from releases.changes.queries import PlacedCard
from releases.changes.states import State
from releases.core import clock
from releases.core.errors import Sentence
from releases.core.words import mark, plural
from releases.rollout.rules import idle_target, live_target
from releases.traffic import queries as ledger
from releases.traffic import rules as weights
from releases.traffic.queries import ShiftCard
from releases.traffic.states import ShiftState
from releases.web.answer import page, part
from releases.web.looks import STATES, Chip, Look, Words
from releases.web.pages.panels import seen_on, share
from releases.web.request import Request, signed_in
from releases.web.tags import percent

IN_SERVICE = Look("go", "✓", _("in service"))
TAKEN_BACK = Look("undo", "↶", _("rolled back"))
QUARANTINED = Look("stop", "✕", _("quarantined"))
INCIDENT = Look("stop", "!", _("incident"))
UNKNOWN = Look("", "○", _("nothing known"))
NEED_A_LOOK = plural("%(n)s place needs a look", "%(n)s places need a look", by="n")
MOVE = plural("%(n)s place is moving", "%(n)s places are moving", by="n")
SHUT = frozenset({"freeze", "lock"})  # outside a window the line is not stopped, only not open yet
DRIFT_SHOWN = 0.005  # a difference of shares below this is rounding


@dataclass(frozen=True, slots=True)
class Cell:
    """One service in one environment: what runs, how it stands, since when; ``shut`` says what stops the line there."""

    environment: str
    is_production: bool
    version: str
    digest: str
    look: Look
    note: Words
    since_at: datetime | None
    history: str
    href: str
    shut: Words


@dataclass(frozen=True, slots=True)
class Row:
    """One service in every environment."""

    name: str
    href: str
    team: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """The whole page."""

    headline: Words
    environments: tuple[str, ...]
    rows: tuple[Row, ...]
    chips: tuple[Chip, ...]
    shut: tuple[Sentence, ...]
    is_moving: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of every place, each read once."""

    running: Mapping[Place, RunningCard]
    on_the_way: Mapping[Place, PlacedCard]
    taken_back: Mapping[Place, PlacedCard]
    routes: Mapping[Place, Sequence[RouteCard]]
    asked: Mapping[UUID, ShiftCard]
    incidents: Mapping[Place, IncidentCard]
    closures: Mapping[Place, Sequence[Closure]]


@require_GET
@signed_in
def board(request: Request) -> HttpResponse:
    """Show what runs where; ``?team=`` keeps the services of one team."""
    context = {"board": _board(request.GET.get("team", "")[:63], now=clock.now())}
    if request.GET.get("part") == "places":
        return part(request, "board/board.html#places", context)
    return page(request, "board/board.html", context, here="board")


def _board(team: str, *, now: datetime) -> Board:
    every = [one for one in catalog.services() if one.retired_at is None]
    services = [one for one in every if team in {"", one.team}]
    environments = catalog.environments()
    places = [(service.id, environment.id) for service in services for environment in environments]
    known = _known(places, now)
    rows = tuple(
        Row(
            service.name,
            reverse("service", args=[service.name]),
            service.team,
            tuple(_cell(service, environment, known) for environment in environments),
        )
        for service in services
    )
    cells = [cell for row in rows for cell in row.cells]
    moving = sum(known.on_the_way[place].is_moving for place in places if place in known.on_the_way)
    sentences = (one.sentence for many in known.closures.values() for one in many if one.kind in SHUT)
    return Board(
        headline=_headline(cells, moving),
        environments=tuple(environment.name for environment in environments),
        rows=rows,
        chips=_chips(every, team),
        shut=tuple({str(sentence): sentence for sentence in sentences}.values()),
        is_moving=bool(moving),
    )


def _known(places: Sequence[Place], now: datetime) -> _Known:
    services, environments = {place[0] for place in places}, {place[1] for place in places}
    incidents = catalog.open_incidents(services, environments)
    return _Known(
        running=catalog.running_in(places),
        on_the_way=changes.on_the_way(),
        taken_back=changes.taken_back(),
        routes=catalog.routes_in(places),
        asked=ledger.latest(),
        incidents={(one.service_id, one.environment_id): one for one in incidents},
        closures=calendar.closures_in(places=places, at=now),
    )


def _headline(cells: Iterable[Cell], moving: int) -> Words:
    bad = sum(cell.look.tone == "stop" for cell in cells)
    if bad:
        return Sentence(NEED_A_LOOK, {"n": bad})
    if moving:
        return Sentence(MOVE, {"n": moving})
    return Sentence(mark("Nothing moves"))


def _chips(services: Iterable[ServiceCard], team: str) -> tuple[Chip, ...]:
    counts: dict[str, int] = {}
    for service in services:
        counts[service.team] = counts.get(service.team, 0) + 1
    here = reverse("board")
    teams = (
        Chip(name, f"{here}?{urlencode({'team': name})}", count, is_on=name == team)
        for name, count in sorted(counts.items())
    )
    return (Chip(_("All teams"), here, sum(counts.values()), is_on=not team), *teams)


def _cell(service: ServiceCard, environment: EnvironmentCard, known: _Known) -> Cell:
    place = (service.id, environment.id)
    running = known.running.get(place)
    look, note, href = _standing(place, running, known)
    shut = next((one.sentence for one in known.closures.get(place, ()) if one.kind in SHUT), "")
    history = urlencode({"environment": environment.name})
    return Cell(
        environment=environment.name,
        is_production=environment.kind == EnvironmentKind.PRODUCTION,
        version=running.artifact.version if running else "",
        digest=running.artifact.digest if running else "",
        look=look,
        note=note,
        since_at=running.since_at if running else None,
        history=f"{reverse('service-history', args=[service.name])}?{history}",
        href=href,
        shut=shut,
    )


def _standing(place: Place, running: RunningCard | None, known: _Known) -> tuple[Look, Words, str]:
    """Return how it stands there, in one badge: the worst first, then what moves, then what waits."""
    coming = known.on_the_way.get(place)
    if incident := known.incidents.get(place):
        return INCIDENT, incident.title, ""
    if coming and coming.is_moving:
        look = _moving(coming, known.routes[place], known.asked)
        return look, coming.name, reverse("live-change", args=[coming.number])
    if running and running.artifact.is_quarantined:
        return QUARANTINED, running.artifact.quarantine_reason, ""
    if drifted := _drift(known.routes[place], known.asked):
        return drifted
    if coming:
        state = STATES[coming.state]
        word = format_lazy("{} {}", coming.name, state.word)
        return Look(state.tone, state.sign, word), "", reverse("change", args=[coming.number])
    if running is None:
        return UNKNOWN, "", ""
    back = known.taken_back.get(place)
    if back and running.change_number is None and back.back_digest == running.artifact.digest:
        note = Sentence(mark("from %(version)s"), {"version": back.version})
        return TAKEN_BACK, note, reverse("change", args=[back.number])
    return IN_SERVICE, "", ""


def _moving(coming: PlacedCard, routes: Sequence[RouteCard], asked: Mapping[UUID, ShiftCard]) -> Look:
    """Return how far it is: the smallest share on the new side where that is read, else the state of the change."""
    state = STATES[coming.state]
    shares = (seen_on(one, _new_side(coming, asked.get(one.id))) for one in routes)
    observed = min((found for found in shares if found is not None), default=None)
    if observed is None or coming.state == State.ROLLING_BACK:
        return state
    parts = {"version": coming.version, "share": percent(observed)}
    return Look(state.tone, state.sign, _("%(version)s at %(share)s") % parts)


def _new_side(coming: PlacedCard, last: ShiftCard | None) -> str:
    """Return the side that serves the new version: the idle one, unless it was promoted to the other at the end."""
    splits = coming.splits.values()
    idle = idle_target(*splits)
    is_promoted = coming.state == State.WATCHING and last is not None and share(last.asked, idle) == 0
    return live_target(*splits) if is_promoted else idle


def _drift(routes: Sequence[RouteCard], asked: Mapping[UUID, ShiftCard]) -> tuple[Look, Words, str] | None:
    """Return of the routes there the first that has drifted."""
    return next((drifted for one in routes if (drifted := _drift_of(one, asked))), None)


def _drift_of(route: RouteCard, asked: Mapping[UUID, ShiftCard]) -> tuple[Look, Words, str] | None:
    """Return how far what was last seen is from what was last asked for and confirmed."""
    shift = asked.get(route.id)
    if route.reading is None or shift is None or shift.state != ShiftState.CONFIRMED:
        return None
    apart = weights.drift(shift.asked, route.reading.weights)
    if apart < DRIFT_SHOWN:
        return None
    word = pgettext_lazy("of traffic", "drift %(share)s") % {"share": percent(round(apart * 100))}
    return Look("wait", "≠", word), Sentence(mark("asked by %(name)s"), {"name": shift.asked_by}), ""


urlpatterns = [path("board", board, name="board")]
