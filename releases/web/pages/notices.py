"""Notices: what I was told, what I am called for, and how I want to hear."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.catalog.models import Service
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Sentence
from releases.core.words import mark
from releases.notify import queries, rules, services
from releases.notify.kinds import Sink
from releases.notify.queries import NoticeCard
from releases.notify.states import NoticeState
from releases.web.answer import page
from releases.web.errors import trouble_of
from releases.web.looks import Look, Words
from releases.web.pages.called import pages_of
from releases.web.pages.settings.hearing import WantedForm, chosen, wanted_of
from releases.web.request import Request, shows_again, signed_in

TEMPLATE = "notices/notices.html"
STATES: Mapping[NoticeState, Look] = {
    NoticeState.PENDING: Look("wait", "◷", pgettext_lazy("notice", "Waits")),
    NoticeState.SENT: Look("info", "→", pgettext_lazy("notice", "Sent")),
    NoticeState.WITHDRAWN: Look("", "✓", pgettext_lazy("notice", "Settled")),
    NoticeState.ACKNOWLEDGED: Look("go", "✓", pgettext_lazy("notice", "Taken")),
    NoticeState.FAILED: Look("stop", "✕", pgettext_lazy("notice", "Not delivered")),
}
HERE = Look("", "○", pgettext_lazy("notice", "Only here"))
BACK = ("today", "notices")


@dataclass(frozen=True, slots=True)
class Told:
    """One notice of the list."""

    id: UUID
    title: Words
    topic: Words
    lines: tuple[Words, ...]
    href: str
    look: Look
    told_at: datetime
    note: Words


def _context(request: Request, form: WantedForm | None = None) -> dict[str, Any]:
    person = accounts.person_behind(request.actor)
    _hears, row = queries.preferences(person)
    muted = list(row.muted.order_by("name").values_list("name", flat=True)) if row else []
    form = form or WantedForm(actor=request.actor, read=lambda: chosen(row))
    return {
        "told": [_told(card) for card in queries.own(person.pk)],
        "called": pages_of(request.actor),
        "inputs": list(form.inputs()),
        "errors": form.non_field_errors(),
        "muted": muted,
        "others": Service.objects.filter(retired_at=None).exclude(name__in=muted).values_list("name", flat=True),
        "email": person.email,
        "no_mail": queries.why_no_mail(person),
    }


def _told(card: NoticeCard) -> Told:
    look = HERE if card.sink is Sink.HERE and card.state is NoticeState.SENT else STATES[card.state]
    note: Words = ""
    if card.acknowledged_at:
        note = Sentence(mark("%(who)s took it, %(at)s"), {"who": card.acknowledged_by, "at": card.acknowledged_at})
    elif card.state is NoticeState.PENDING:
        note = Sentence(mark("goes out %(at)s"), {"at": card.due_at})
    elif card.state is NoticeState.FAILED:
        note = card.last_error
    title = Sentence(rules.MANNERS[card.topic].title)
    return Told(card.id, card.reason, title, card.lines, card.link, look, card.told_at, note)


@require_GET
@signed_in
def notices(request: Request) -> HttpResponse:
    """Show what this person was told, and how they hear."""
    return page(request, TEMPLATE, _context(request), here="notices")


def _again(request: Request, error: GmudError, **_kwargs: object) -> HttpResponse:
    context = {**_context(request), "trouble": trouble_of(error)}
    return page(request, TEMPLATE, context, here="notices", status=error.status)


@require_POST
@signed_in
def choose(request: Request) -> HttpResponse:
    """Save how this person wants to hear."""
    person = accounts.person_behind(request.actor)
    form = WantedForm(request.POST, actor=request.actor, read=lambda: chosen(queries.preferences(person)[1]))
    if form.is_valid():
        wanted = wanted_of(form.cleaned_data)
        try:
            services.subscribe(actor=request.actor, wanted=wanted, now=clock.now(), unchanged=form.unchanged)
        except Invalid as error:
            if not form.take(error):
                raise
        else:
            return _done(request, _("Saved."))
    return page(request, TEMPLATE, _context(request, form), here="notices", status=422)


@require_POST
@signed_in
@shows_again(_again)
def mute(request: Request) -> HttpResponse:
    """Keep a service out of this person's letters."""
    services.mute(actor=request.actor, service_name=request.POST.get("service", ""), now=clock.now())
    return _done(request, _("Muted. What is about this service stands here only."))


@require_POST
@signed_in
@shows_again(_again)
def unmute(request: Request) -> HttpResponse:
    """Hear of a service again."""
    services.unmute(actor=request.actor, service_name=request.POST.get("service", ""), now=clock.now())
    return _done(request, _("You hear of it again."))


@require_POST
@signed_in
@shows_again(_again)
def try_out(request: Request) -> HttpResponse:
    """Send a test to this person."""
    services.try_out(actor=request.actor, now=clock.now())
    return _done(request, _("A test is on its way."))


@require_POST
@signed_in
@shows_again(_again)
def take(request: Request, notice_id: UUID) -> HttpResponse:
    """Take a page on."""
    services.acknowledge(notice_id=notice_id, actor=request.actor, now=clock.now())
    back = request.POST.get("back", "")
    return _done(request, _("It is yours now: nobody else is called."), back if back in BACK else "notices")


def _done(request: Request, words: str | Promise, back: str = "notices") -> HttpResponse:
    messages.success(request, str(words))
    return HttpResponseRedirect(reverse(back))


urlpatterns = [
    path("notices", notices, name="notices"),
    path("notices/choice", choose, name="choose-notices"),
    path("notices/mute", mute, name="mute"),
    path("notices/unmute", unmute, name="unmute"),
    path("notices/test", try_out, name="try-notices"),
    path("notices/<uuid:notice_id>/take", take, name="take-page"),
]
