"""End a rollback by hand: what a person found, why, and what shows it."""

from collections.abc import Mapping

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as now_in_words
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.changes import queries
from releases.changes.states import State
from releases.core import clock
from releases.core.errors import GmudError, Missing, Sentence
from releases.core.words import mark
from releases.rollback import services as rollback
from releases.rollback.states import ByHand
from releases.web.answer import page
from releases.web.errors import trouble_of
from releases.web.looks import line_of
from releases.web.pages.seen import look_at
from releases.web.request import Request, shows_again, signed_in

ENDS: Mapping[ByHand, str] = {
    ByHand.BACK: mark("Everything is back on %(back)s: people brought it there"),
    ByHand.STAY: mark("It stays on %(version)s: nobody goes back"),
}


class ByHandForm(forms.Form):
    """How it stands, why, and what shows it."""

    how = forms.ChoiceField(choices=[(one.value, one.value) for one in ByHand])
    reason = forms.CharField(max_length=500)
    evidence = forms.CharField(max_length=2000)


def _again(request: Request, error: GmudError, number: int) -> HttpResponse:
    return _shown(request, number, ByHandForm(request.POST), status=error.status, trouble=trouble_of(error))


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_again)
def by_hand(request: Request, number: int) -> HttpResponse:
    """End the rollback, on this person's word."""
    require(request.actor, Right.CHANGE_READ)
    form = ByHandForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _shown(request, number, form, status=422 if form.errors else 200)
    rollback.end_by_hand(
        change_id=queries.by_number(number).pk,
        how=ByHand(form.cleaned_data["how"]),
        actor=request.actor,
        reason=form.cleaned_data["reason"],
        evidence=form.cleaned_data["evidence"],
        now=clock.now(),
    )
    messages.success(request, now_in_words("The rollback is ended, the review is open."))
    return HttpResponseRedirect(reverse("change", args=[number]))


def _shown(request: Request, number: int, form: ByHandForm, *, status: int, **context: object) -> HttpResponse:
    seen = look_at(number, clock.now())
    if seen.row.state != State.ROLLING_BACK:
        raise Missing(Sentence(mark("No rollback of %(name)s is under way."), {"name": seen.card.name}))
    buttons = {one.verb: one.reasons for one in queries.buttons(seen.row, actor=request.actor, now=seen.now)}
    shown = {
        "live": {"name": seen.card.name, "title": seen.card.title, "href": reverse("live-change", args=[number])},
        "form": form,
        "ends": [(one.value, Sentence(text, seen.names)) for one, text in ENDS.items()],
        "refusals": [line_of(reason) for reason in buttons[ByHand.BACK]],
        "note": _("What the mesh says at this moment is kept beside what was approved."),
        **context,
    }
    return page(request, "live/by_hand.html", shown, here="live", status=status)


urlpatterns = [path("live/<int:number>/by-hand", by_hand, name="by-hand")]
