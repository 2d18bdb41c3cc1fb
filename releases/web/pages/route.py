"""One route: what was asked of it and what was seen, over time and in words; who did each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.changes.models import ChangeRequest
from releases.core import clock
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.traffic import queries
from releases.traffic.ports import CANARY, Verification
from releases.traffic.providers import object_of
from releases.traffic.queries import DriftCard, ObservationCard, ShiftCard
from releases.traffic.rules import printed
from releases.traffic.states import ShiftState
from releases.web import names
from releases.web.answer import page
from releases.web.looks import Bar, Fact, Look, Words
from releases.web.pages import history
from releases.web.pages.drifted import MAY_RESTORE
from releases.web.pages.panels import share
from releases.web.request import Request, signed_in

MAY_LOOK = frozenset({Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN, Right.CATALOG_EDIT})
SYSTEMS: Mapping[str, str] = {
    "istio": "Istio",
    "linkerd": "Linkerd",
    "gateway": "Gateway API",
    "kong": "Kong",
    "apisix": "APISIX",
}
SHIFTS: Mapping[ShiftState, Look] = {
    ShiftState.ASKED: Look("info", "▶", _("asked for")),
    ShiftState.CONFIRMED: Look("go", "✓", _("asked for, confirmed")),
    ShiftState.FAILED: Look("stop", "✕", _("asked for, failed")),
    ShiftState.NEEDS_HUMAN: Look("wait", "!", _("asked for, waits for a person")),
    ShiftState.SUPERSEDED: Look("", "→", _("asked for, replaced")),
}
LEVELS: Mapping[str, Words] = {
    Verification.STORED: _("It is stored; that traffic follows was not told."),
    Verification.HELD: _("It still stood when it was looked at again."),
    Verification.OBSERVED: _("The requests followed."),
}
SEEN = Look("", "◉", _("seen"))
UNSEEN = Look("stop", "✕", _("cannot be seen"))
DRIFTED = Look("wait", "≠", _("drifted"))


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the table: from when to when, what, which weights, who, and what there is to say."""

    at: datetime
    until: datetime | None
    look: Look
    weights: str
    who: Words
    note: Words = ""
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    id: UUID
    name: str
    service: str
    environment: str
    bars: tuple[Bar, ...]
    seen_at: datetime | None
    drift: DriftCard | None
    facts: tuple[Fact, ...]
    picture: history.Picture | None
    rows: tuple[Told, ...]
    may_look: bool
    may_restore: bool


def system_of(card: RouteCard) -> str:
    """Return what the control plane of a route is called."""
    return SYSTEMS.get(object_of(card)["system"], "?")


@require_GET
@signed_in
def route(request: Request, route_id: UUID) -> HttpResponse:
    """Show one route and its history."""
    require(request.actor, Right.CHANGE_READ)
    card, now = catalog.route(route_id), clock.now()
    shifts, seen = queries.ledger(route_id), queries.observations(route_id)
    drifts = queries.drifts_of(route_id)
    rights = accounts.rights_of(request.actor)
    service = next((one.name for one in catalog.services() if one.id == card.service_id), "")
    environment = next((one.name for one in catalog.environments() if one.id == card.environment_id), "")
    shown = Page(
        id=card.id,
        name=card.name(service),
        service=service,
        environment=environment,
        bars=(_bar(card, shifts),),
        seen_at=card.reading.seen_at if card.reading else None,
        drift=next((one for one in drifts if one.ended_at is None), None),
        facts=tuple(_facts(card, seen)),
        picture=history.draw(shifts, seen, drifts, side=CANARY, title=card.canary, now=now),
        rows=tuple(_rows(shifts, seen, drifts)),
        may_look=bool(rights & MAY_LOOK),
        may_restore=bool(rights & MAY_RESTORE),
    )
    return page(request, "traffic/route.html", {"route": shown}, here="traffic")


def _bar(card: RouteCard, shifts: Sequence[ShiftCard]) -> Bar:
    title = Sentence(mark("share on %(name)s"), {"name": card.canary})
    asked = next((share(one.counted, CANARY) for one in shifts if one.state is ShiftState.CONFIRMED), None)
    return Bar(title, asked, share(card.reading.weights, CANARY) if card.reading else None)


def _facts(card: RouteCard, seen: Sequence[ObservationCard]) -> list[Fact]:
    named = object_of(card)
    where = "/".join(part for part in (named.get("namespace", ""), named["name"], named.get("route", "")) if part)
    facts = [
        Fact(_("Control plane"), system_of(card), note=card.connection.name),
        Fact(_("Object"), where, note=named["object"], code=True),
        Fact(_("Stable target"), card.stable, code=True),
        Fact(_("Canary target"), card.canary, code=True),
    ]
    if seen and seen[0].owner:
        facts.append(Fact(_("Also written by"), seen[0].owner))
    if seen and seen[0].writer:
        facts.append(Fact(_("Written last by"), seen[0].writer, at=seen[0].written_at))
    return facts


def _rows(shifts: Sequence[ShiftCard], seen: Sequence[ObservationCard], drifts: Sequence[DriftCard]) -> list[Told]:
    """Return everything that happened, newest first."""
    ids = {one.change_id for one in shifts if one.change_id}
    numbers = dict(ChangeRequest.objects.filter(pk__in=ids).values_list("pk", "number"))
    rows = [_shift(one, numbers.get(one.change_id) if one.change_id else None) for one in shifts]
    rows += [_observation(one) for one in seen]
    rows += [
        Told(one.raised_at, one.ended_at, DRIFTED, printed(one.observed), one.writer or _("nobody said"),
             queries.who_did_it(one))
        for one in drifts
    ]  # fmt: skip
    return sorted(rows, key=lambda one: one.at, reverse=True)


def _shift(one: ShiftCard, number: int | None) -> Told:
    level = LEVELS.get(one.verification, "") if one.state is ShiftState.CONFIRMED else ""
    note = one.why or one.reason or one.evidence or level
    return Told(one.asked_at, one.ended_at, SHIFTS[one.state], printed(one.counted), one.asked_by, note, number)


def _observation(one: ObservationCard) -> Told:
    who = names.actor(one.seen_by)
    if one.why:
        return Told(one.seen_at, one.last_at, UNSEEN, "", who, one.why)
    return Told(one.seen_at, one.last_at, SEEN, printed(one.weights), who)
