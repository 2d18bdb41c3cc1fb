"""Live: whether it goes well, and whether we are back yet."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.changes import queries
from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.states import RUNNING
from releases.core import clock
from releases.core.errors import GmudError, Missing, Sentence
from releases.core.words import mark
from releases.operations import queries as operations
from releases.rollback import services as rollback
from releases.rollout import services as rollout
from releases.traffic.services.choosing import CODE as OWNER_CHOICE
from releases.web.answer import page, part
from releases.web.errors import trouble_of
from releases.web.pages import progress, routes
from releases.web.request import Request, shows_again, signed_in

TEMPLATE = "live/live.html"


@require_GET
@signed_in
def live(request: Request) -> HttpResponse:
    """List what moves."""
    require(request.actor, Right.CHANGE_READ)
    context = {"running": progress.running(clock.now())}
    if request.GET.get("part") == "operations":
        return part(request, "live/list.html#operations", context)
    return page(request, "live/list.html", context, here="live")


@require_GET
@signed_in
def live_change(request: Request, number: int) -> HttpResponse:
    """Show one change as it moves, or only the part that changes."""
    require(request.actor, Right.CHANGE_READ)
    return _answer(request, number)


def _answer(request: Request, number: int, *, status: int = 200, **context: object) -> HttpResponse:
    shown = {"live": progress.live_of(number, actor=request.actor, now=clock.now()), **context}
    if getattr(request, "htmx", False):
        name = "consoles" if request.GET.get("part") == "consoles" else "live"
        return part(request, f"{TEMPLATE}#{name}", shown, status=status)
    return page(request, TEMPLATE, shown, here="live", status=status)


def _again(request: Request, error: GmudError, number: int, **_kwargs: object) -> HttpResponse:
    row = queries.by_number(number)
    if any(reason.code == OWNER_CHOICE for reason in error.reasons):
        messages.error(request, str(error.detail))
        return HttpResponseRedirect(reverse("routes", args=[number]))
    if row.state in RUNNING or operations.operations_of(row.pk):
        return _answer(request, number, status=error.status, trouble=trouble_of(error))
    messages.error(request, str(error.detail))
    return HttpResponseRedirect(reverse("change", args=[number]))


Deed = Callable[[ChangeRequest, Actor, str, datetime], object]


def _door(deed: Deed) -> Callable[..., HttpResponseBase]:
    """Return the view that does one thing to a release and shows how it stands."""

    @require_POST
    @signed_in
    @shows_again(_again)
    def view(request: Request, number: int) -> HttpResponse:
        row, reason = queries.by_number(number), request.POST.get("reason", "")[:500]
        deed(row, request.actor, reason, clock.now())
        if getattr(request, "htmx", False):
            return _answer(request, number)
        return HttpResponseRedirect(reverse("live-change", args=[number]))

    return view


def _start(row: ChangeRequest, actor: Actor, _reason: str, now: datetime) -> object:
    return rollout.start(change_id=row.pk, actor=actor, now=now)


def _advance(row: ChangeRequest, actor: Actor, _reason: str, now: datetime) -> object:
    return rollout.advance(change_id=row.pk, actor=actor, now=now)


def _hold(row: ChangeRequest, actor: Actor, reason: str, now: datetime) -> object:
    return changes.hold(change_id=row.pk, actor=actor, reason=reason, now=now)


def _let_go_on(row: ChangeRequest, actor: Actor, _reason: str, now: datetime) -> object:
    return changes.resume(change_id=row.pk, actor=actor, now=now)


def _try_again(row: ChangeRequest, actor: Actor, _reason: str, now: datetime) -> object:
    return rollout.resume(change_id=row.pk, actor=actor, now=now)


def _stop(row: ChangeRequest, actor: Actor, reason: str, now: datetime) -> object:
    return rollout.stop(change_id=row.pk, actor=actor, reason=reason, now=now)


def _back(row: ChangeRequest, actor: Actor, reason: str, now: datetime) -> object:
    return rollback.begin(change_id=row.pk, actor=actor, reason=reason, now=now)


def _take_over(row: ChangeRequest, actor: Actor, reason: str, now: datetime) -> object:
    return rollback.take_over(change_id=row.pk, actor=actor, reason=reason, now=now)


@require_POST
@signed_in
@shows_again(_again)
def retry_step(request: Request, number: int, step_id: UUID) -> HttpResponse:
    """Try a step again that waits for a person; what was sent before is looked for first."""
    row = queries.by_number(number)
    if step_id not in {step.id for one in operations.operations_of(row.pk) for step in one.steps}:
        raise Missing(Sentence(mark("There is no such step.")))
    rollout.retry_step(step_id=step_id, actor=request.actor, now=clock.now())
    return HttpResponseRedirect(reverse("live-change", args=[number]))


DOORS: Mapping[str, Deed] = {
    "release": _start,
    "advance": _advance,
    "hold": _hold,
    "let-go-on": _let_go_on,
    "try-again": _try_again,
    "stop": _stop,
    "go-back": _back,
    "take-over": _take_over,
}

urlpatterns = [
    path("live", live, name="live"),
    path("live/<int:number>", live_change, name="live-change"),
    *(path(f"live/<int:number>/{name}", _door(deed), name=name) for name, deed in DOORS.items()),
    path("live/<int:number>/steps/<uuid:step_id>/retry", retry_step, name="retry-step"),
    *routes.urlpatterns,
]
