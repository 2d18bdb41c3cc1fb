"""Traffic: who gets what, whether that is what was asked for, and the way to have it so again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as now_in_words
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.changes.models import ChangeRequest
from releases.core import clock
from releases.core.errors import GmudError, Sentence
from releases.core.words import mark, plural
from releases.operations import queries as operations
from releases.operations.queries import OperationView
from releases.operations.states import OperationState
from releases.rollback.services.restoring import target_of
from releases.traffic import queries, rules, services
from releases.traffic.ports import CANARY
from releases.traffic.queries import DriftCard, ObservationCard, ShiftCard
from releases.web.answer import page, part
from releases.web.errors import trouble_of
from releases.web.looks import Bar, Look, Words
from releases.web.pages import restore, route
from releases.web.pages.drifted import MAY_RESTORE
from releases.web.pages.panels import share
from releases.web.request import Request, shows_again, signed_in
from releases.web.tags import percent

UNSEEN = Look("stop", "✕", _("cannot be seen"))
MOVING = Look("info", "▶", _("moving"))
AS_ASKED = Look("go", "✓", _("as asked"))
NOTHING_ASKED = Look("", "○", _("nothing asked yet"))
OLD = Look("wait", "◔", _("not seen lately"))
FIRST = ("≠", "✕", "◔", "▶")  # by their signs: what drifted, what nobody sees, what is old, what moves; then the rest
OLD_AFTER = 3  # turns without a look
DRIFTED = plural("The traffic of %(n)s route is not as asked", "The traffic of %(n)s routes is not as asked", by="n")
UNSEEN_ONES = plural("%(n)s route cannot be seen", "%(n)s routes cannot be seen", by="n")


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route: who gets what as asked and as seen, whose it is, how old the look is, and what can be done."""

    id: UUID
    name: str
    environment: str
    service: str
    system: Words
    bars: tuple[Bar, ...]
    look: Look
    owner: str
    seen_at: datetime | None
    lines: tuple[Words, ...]
    change_number: int | None
    drift_id: UUID | None
    may_restore: bool


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    headline: Words
    rows: tuple[RouteRow, ...]
    may_look: bool
    is_moving: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of every route, each read once."""

    services: Mapping[UUID, str]
    environments: Mapping[UUID, str]
    asked: Mapping[UUID, ShiftCard]
    unmade: Mapping[UUID, ShiftCard]
    seen: Mapping[UUID, ObservationCard]
    drifts: Mapping[UUID, DriftCard]
    moving: frozenset[UUID]
    work: Mapping[str, OperationView]
    numbers: Mapping[UUID, int]
    may_restore: bool
    now: datetime


def _traffic(actor: Actor, now: datetime) -> Page:
    rights, routes = accounts.rights_of(actor), catalog.routes()
    asked, drifts = queries.latest(), {one.route_id: one for one in queries.drifts()}
    changes = {one.change_id for one in asked.values() if one.change_id}
    known = _Known(
        services={one.id: one.name for one in catalog.services()},
        environments={one.id: one.name for one in catalog.environments()},
        asked=asked,
        unmade=queries.unmade(),
        seen=queries.last_seen(),
        drifts=drifts,
        moving=frozenset(queries.in_flight()),
        work={one.target: one for one in operations.active()} if drifts else {},
        numbers=dict(ChangeRequest.objects.filter(pk__in=changes).values_list("pk", "number")),
        may_restore=bool(MAY_RESTORE & rights),
        now=now,
    )
    rows = sorted((_row(one, known) for one in routes), key=_rank)
    return Page(_headline(rows), tuple(rows), bool(rights & route.MAY_LOOK), bool(known.moving))


def _rank(row: RouteRow) -> tuple[int, str, str]:
    place = FIRST.index(row.look.sign) if row.look.sign in FIRST else len(FIRST)
    return place, row.name, row.environment


def _headline(rows: list[RouteRow]) -> Sentence:
    if drifted := sum(row.drift_id is not None for row in rows):
        return Sentence(DRIFTED, {"n": drifted})
    if unseen := sum(row.look is UNSEEN for row in rows):
        return Sentence(UNSEEN_ONES, {"n": unseen})
    return Sentence(mark("All traffic is as asked") if rows else mark("No traffic is split"))


def _row(card: RouteCard, known: _Known) -> RouteRow:
    service = known.services.get(card.service_id, "")
    drift, seen, shift = known.drifts.get(card.id), known.seen.get(card.id), known.asked.get(card.id)
    asked = drift.asked if drift else shift.counted if shift else {}
    weights = card.reading.weights if card.reading else {}
    title = Sentence(mark("share on %(name)s"), {"name": card.canary})
    number = known.numbers.get(shift.change_id) if shift and shift.change_id else None
    return RouteRow(
        id=card.id,
        name=card.name(service),
        environment=known.environments.get(card.environment_id, ""),
        service=service,
        system=route.system_of(card),
        bars=(Bar(title, share(asked, CANARY), share(weights, CANARY)),),
        look=_look(card, known),
        owner=seen.owner if seen else "",
        seen_at=card.reading.seen_at if card.reading else None,
        lines=tuple(_lines(drift, seen, shift, known.unmade.get(card.id), known)),
        change_number=number,
        drift_id=drift.id if drift else None,
        may_restore=known.may_restore,
    )


def _look(card: RouteCard, known: _Known) -> Look:
    """Return how a route stands, in one badge: the worst first."""
    drift, seen, shift = known.drifts.get(card.id), known.seen.get(card.id), known.asked.get(card.id)
    if drift:
        apart = percent(round(rules.drift(drift.asked, drift.observed) * 100))
        return Look("wait", "≠", pgettext_lazy("of traffic", "drift %(share)s") % {"share": apart})
    if seen and seen.why:
        return UNSEEN
    if card.id in known.moving:
        return MOVING
    patience = timedelta(seconds=OLD_AFTER * settings.GMUD_READ_TRAFFIC_SECONDS)
    if seen is None or known.now - seen.last_at > patience:
        return OLD
    return AS_ASKED if shift else NOTHING_ASKED


def _lines(
    drift: DriftCard | None,
    seen: ObservationCard | None,
    shift: ShiftCard | None,
    unmade: ShiftCard | None,
    known: _Known,
) -> list[Words]:
    """Return what there is to say beyond the badge: who did it, what the owner does, what is stuck, why unseen.

    Where nothing drifted, who counted the requests, and what it saw. Then why the last shift was not made.
    """
    lines: list[Words] = [shift.evidence] if shift and shift.evidence and not drift else []
    if drift:
        asked = {"wanted": rules.printed(drift.asked), "found": rules.printed(drift.observed), "who": drift.asked_by}
        lines.append(Sentence(mark("%(found)s instead of %(wanted)s, which %(who)s asked for."), asked))
        lines += [line for line in (queries.who_did_it(drift), drift.consequence) if line]
        work = known.work.get(target_of(drift))
        if work and work.state == OperationState.NEEDS_HUMAN:
            lines += [step.note for step in work.steps if step.note]
    if seen and seen.why:
        lines.append(seen.why)
    if unmade and unmade.why:
        parts = {"who": unmade.asked_by, "wanted": rules.printed(unmade.asked), "why": unmade.why}
        lines.append(Sentence(mark("%(who)s asked for %(wanted)s last, and it was not made: %(why)s"), parts))
    return lines


def _shown(request: Request, *, status: int = 200, **more: object) -> HttpResponse:
    context = {"traffic": _traffic(request.actor, clock.now()), **more}
    if request.GET.get("part") == "routes":
        return part(request, "traffic/traffic.html#routes", context, status=status)
    return page(request, "traffic/traffic.html", context, here="traffic", status=status)


@require_GET
@signed_in
def traffic(request: Request) -> HttpResponse:
    """Show who gets what."""
    require(request.actor, Right.CHANGE_READ)
    return _shown(request)


def _again(request: Request, error: GmudError, **_kwargs: object) -> HttpResponse:
    return _shown(request, status=error.status, trouble=trouble_of(error))


@require_POST
@signed_in
@shows_again(_again)
def look_now(request: Request, route_id: UUID) -> HttpResponse:
    """Look at a route now, and keep what was seen."""
    require(request.actor, *sorted(route.MAY_LOOK))
    services.look(route_id=route_id, now=clock.now(), by=request.actor.name)
    messages.success(request, now_in_words("Seen just now."))
    back = request.POST.get("back") == "route"
    return HttpResponseRedirect(reverse("route", args=[route_id]) if back else reverse("traffic"))


urlpatterns = [
    path("traffic", traffic, name="traffic"),
    path("traffic/<uuid:route_id>", route.route, name="route"),
    path("traffic/<uuid:route_id>/look", look_now, name="look-now"),
    path("traffic/drifts/<uuid:drift_id>/restore", restore.restore, name="restore"),
]
