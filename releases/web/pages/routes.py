"""The routes of a change: what a shift would do, who else writes them, and what may be asked of whom."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as now_in_words
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.changes import queries
from releases.changes.models import ChangeRequest
from releases.changes.states import ENDED, RUNNING
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Sentence
from releases.core.words import mark
from releases.rollback import services as rollback
from releases.rollout.outlook import RouteOutlook, outlooks
from releases.traffic.drivers.ports import Progress, Standing, Wish
from releases.traffic.keeping import spoken
from releases.traffic.ports import CANARY
from releases.traffic.services.choosing import choose
from releases.traffic.services.driving import RIGHTS, wish
from releases.traffic.states import Choice
from releases.web.answer import page
from releases.web.errors import trouble_of
from releases.web.looks import Line, Words
from releases.web.request import Request, shows_again, signed_in

TEMPLATE = "live/routes.html"
CHOICES: Mapping[Choice, str | Promise] = {
    Choice.GO_ON: _("Shift it anyway"),
    Choice.GIT: _("Change it in Git instead: GMUD writes nothing and waits for it"),
}
CHOSEN: Mapping[str, str] = {
    Choice.GO_ON: mark("%(by)s chose to shift it anyway."),
    Choice.GIT: mark("%(by)s chose to change it in Git instead."),
}
WISHES: Mapping[Wish, str | Promise] = {
    Wish.ABORT: _("Abort: all traffic back"),
    Wish.ROLLBACK: _("Roll back: all traffic back"),
    Wish.UNDO: _("Undo: the stable version again"),
    Wish.PROMOTE: _("Promote one step"),
    Wish.PROMOTE_FULLY: _("Promote fully"),
    Wish.PAUSE: _("Pause"),
    Wish.RESUME: _("Resume"),
    Wish.RETRY: _("Try again"),
    Wish.ANALYSE: _("Analyse again"),
}
TAKES_BACK = frozenset({Wish.ABORT, Wish.ROLLBACK, Wish.UNDO})


@dataclass(frozen=True, slots=True)
class WishButton:
    """One thing that may be asked of a driver."""

    wish: Wish
    word: str | Promise
    weight: str


@dataclass(frozen=True, slots=True)
class DriverShown:
    """Who drives a route, how it stands, and what this person may ask of it now."""

    name: str
    title: Words
    lines: tuple[Line, ...]
    buttons: tuple[WishButton, ...]


@dataclass(frozen=True, slots=True)
class RouteShown:
    """One route, ready to print."""

    id: UUID
    title: Words
    lines: tuple[Line, ...]
    commit: str
    asks: bool
    choice: str
    drivers: tuple[DriverShown, ...]


class ChoiceForm(forms.Form):
    """What becomes of a route that Git or a chart holds."""

    choice = forms.ChoiceField(choices=[(one.value, one.value) for one in Choice])
    reason = forms.CharField(max_length=500, required=False)


class WishForm(forms.Form):
    """What is asked of which driver."""

    driver = forms.CharField(max_length=253)
    wish = forms.ChoiceField(choices=[(one.value, one.value) for one in Wish])
    reason = forms.CharField(max_length=500, required=False)


@require_GET
@signed_in
def routes(request: Request, number: int) -> HttpResponse:
    """Show the routes of a change as they stand at this moment."""
    require(request.actor, Right.CHANGE_READ)
    return _shown(request, number)


def _shown(request: Request, number: int, *, status: int = 200, **context: object) -> HttpResponse:
    row = queries.by_number(number)
    shown = {
        "change": {"name": row.name, "title": row.title, "number": number, "href": reverse("change", args=[number])},
        "routes": [_route(one, row, request.actor) for one in outlooks(row)],
        "choices": [(one.value, word) for one, word in CHOICES.items()],
        **context,
    }
    return page(request, TEMPLATE, shown, here="live", status=status)


def _again(request: Request, error: GmudError, number: int, **_kwargs: object) -> HttpResponse:
    status = 422 if isinstance(error, Invalid) else error.status
    return _shown(request, number, status=status, trouble=trouble_of(error))


@require_POST
@signed_in
@shows_again(_again)
def choose_for(request: Request, number: int, route_id: UUID) -> HttpResponse:
    """Keep what this person chose for a route."""
    data = _read(ChoiceForm(request.POST))
    choose(
        change_id=queries.by_number(number).pk,
        route_id=route_id,
        choice=Choice(data["choice"]),
        reason=data["reason"],
        actor=request.actor,
        now=clock.now(),
    )
    messages.success(request, now_in_words("Your choice is kept with the shift."))
    return HttpResponseRedirect(reverse("routes", args=[number]))


@require_POST
@signed_in
@shows_again(_again)
def ask(request: Request, number: int, route_id: UUID) -> HttpResponse:
    """Ask a driver for something; a rollback is the change's own, of which Flagger is told when it asks."""
    data = _read(WishForm(request.POST))
    asked = Wish(data["wish"])
    parts = {"actor": request.actor, "reason": data["reason"], "now": clock.now()}
    change = queries.by_number(number)
    if asked is Wish.ROLLBACK:
        rollback.begin(change_id=change.pk, **parts)
        return HttpResponseRedirect(reverse("live-change", args=[number]))
    wish(change_id=change.pk, route_id=route_id, driver=data["driver"], wish=asked, **parts)
    messages.success(request, now_in_words("It was asked, and it was taken."))
    return HttpResponseRedirect(reverse("routes", args=[number]))


def _read(form: forms.Form) -> dict[str, Any]:
    if not form.is_valid():
        fields = {name: [Sentence(mark("Choose one of what is shown."))] for name in form.errors}
        raise Invalid(Sentence(mark("Choose one of what is shown.")), fields=fields)
    return form.cleaned_data


def _route(one: RouteOutlook, row: ChangeRequest, actor: Actor) -> RouteShown:
    title = Sentence(mark("%(service)s in %(where)s"), {"service": one.service, "where": one.environment})
    may_choose = row.state not in ENDED and Right.CHANGE_RELEASE in accounts.rights_of(actor)
    return RouteShown(
        id=one.route_id,
        title=title,
        lines=tuple(_lines(one)),
        commit=one.keeping.commit if one.keeping else "",
        asks=bool(one.keeping) and may_choose,
        choice=one.choice["choice"] if one.choice else "",
        drivers=tuple(_driver(standing, row, actor) for standing in one.drivers),
    )


def _lines(one: RouteOutlook) -> Iterable[Line]:
    if one.preview is None:
        yield Line("wait", "?", one.why or "")
        return
    parts = {"before": spoken(one.preview.before.weights), "after": spoken(one.wanted)}
    if one.preview.steps:
        yield Line("info", "→", Sentence(mark("The next shift takes it from %(before)s to %(after)s."), parts))
    else:
        yield Line("go", "✓", Sentence(mark("It stands at %(before)s."), parts))
    for obstacle in one.preview.obstacles:
        if not one.progress or obstacle != one.drivers[0].owner.consequence:  # it is asked, not written past
            yield Line("stop", "✕", obstacle)
    if one.progress:
        yield _progress_line(one, one.progress)
    for doubt in one.preview.doubts:
        yield Line("wait", "◔", doubt)
    told = one.preview.before.owner.consequence if one.keeping and one.preview.before.owner else None
    for warning in one.preview.warnings:
        if warning != told:  # the same is said more exactly just below
            yield Line("wait", "!", warning)
    if one.keeping:
        yield Line("wait", "!", one.keeping.consequence)
        yield _choice_line(one)


def _progress_line(one: RouteOutlook, progress: Progress) -> Line:
    """Say whether the release can ask whoever drives the route for its next share."""
    if progress.obstacle:
        return Line("stop", "✕", progress.obstacle)
    owner = one.drivers[0].owner
    text = mark("The release writes nothing: it asks %(system)s %(name)s for %(percent)s %%, and waits for it.")
    return Line(
        "info", "▶", Sentence(text, {"system": owner.system, "name": owner.name, "percent": one.wanted[CANARY]})
    )


def _choice_line(one: RouteOutlook) -> Line:
    if not one.choice:
        return Line(
            "stop", "✕", _("Nobody has chosen yet: the release does not begin, and no shift forward is written.")
        )
    text = Sentence(CHOSEN[one.choice["choice"]], {"by": one.choice["by"]})
    return Line("go", "✓", text, detail=one.choice["reason"])


def _driver(standing: Standing, row: ChangeRequest, actor: Actor) -> DriverShown:
    owner, rights = standing.owner, accounts.rights_of(actor)
    parts = {
        "system": owner.system,
        "name": owner.name,
        "phase": standing.phase or "?",
        "canary": "?" if standing.canary is None else standing.canary,
        "whole": standing.whole,
    }
    lines = [Line("info", "▶", Sentence(mark("%(phase)s; the new version gets %(canary)s of %(whole)s."), parts))]
    lines += [Line("wait", "!", warning) for warning in standing.warnings]
    buttons = [
        WishButton(wish, word, "undo" if wish in TAKES_BACK else "")
        for wish, word in WISHES.items()
        if row.state in RUNNING and wish in standing.wishes and rights & set(RIGHTS[wish])
    ]
    return DriverShown(
        owner.name, Sentence(mark("%(system)s %(name)s drives this route"), parts), tuple(lines), tuple(buttons)
    )


urlpatterns = [
    path("live/<int:number>/routes", routes, name="routes"),
    path("live/<int:number>/routes/<uuid:route_id>/choose", choose_for, name="choose-route"),
    path("live/<int:number>/routes/<uuid:route_id>/ask", ask, name="ask-driver"),
]
