"""Which customers must hear of a change before, who was told, and the form that records it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as now_in_words
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.changes.rules import NOBODY_TOLD, TOLD_LATE, Promise
from releases.changes.states import ENDED
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Missing, Sentence
from releases.core.words import mark
from releases.web.answer import page
from releases.web.errors import Trouble, trouble_of
from releases.web.looks import Fact, Line, Words
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.words import NOBODY
from releases.web.request import Request, shows_again, signed_in, why_not
from releases.web.tags import end_of


@dataclass(frozen=True, slots=True)
class Told:
    """Who must hear of a change before and how that stands; ``href`` leads to the form, or ``why`` says why not."""

    lines: tuple[Line, ...]
    voided: tuple[Line, ...]
    href: str = ""
    why: Words = ""


class ToldForm(SettingForm):
    """Who was told, when, by whom, and where that can be looked up; ``about`` is the number of the change."""

    customer = forms.ChoiceField(label=_("Customer"))
    told_at = forms.DateTimeField(label=_("Told at"))
    told_by = Text(max_length=120, label=_("Told by"))
    evidence = Text(
        max_length=300,
        label=_("Where it can be looked up"),
        help_text=_("The number of a mail, a ticket, a page."),
    )

    def prepare(self) -> None:
        """Offer those who were promised notice, whoever was not told yet first."""
        promises = sorted(
            queries.promises_of(queries.by_number(int(self.about))), key=lambda one: one.told_at is not None
        )
        self.offer("customer", [NOBODY, *((str(one.customer), one.name) for one in promises)])


def told(change: ChangeRequest, *, actor: Actor, now: datetime) -> Told | None:
    """Return who must hear of a change and who was told; ``None`` when nobody was promised anything."""
    promises, notices = queries.promises_of(change), queries.notices_of(change)
    if not promises and not notices:
        return None
    old = [one for one in notices if not one.counts]
    is_open = change.state not in ENDED and bool(promises)
    why = why_not(actor, Right.CHANGE_FILE) if is_open else ""
    return Told(
        lines=tuple(_line(one, now) for one in promises),
        voided=tuple(_voided(old)),
        href=reverse("told", args=[change.number]) if is_open and not why else "",
        why=why,
    )


def _line(promise: Promise, now: datetime) -> Line:
    names = {"customer": promise.name, "hours": promise.hours}
    if promise.good_from is None:
        return Line("stop", "✕", Sentence(NOBODY_TOLD, names))
    by = Sentence(mark("told by %(by)s: %(evidence)s"), {"by": promise.told_by, "evidence": promise.evidence})
    if now < promise.good_from:
        return Line("wait", "◔", Sentence(TOLD_LATE, names), detail=by, at=promise.good_from)
    return Line("go", "✓", promise.name, detail=by, at=promise.told_at)


def _voided(notices: Iterable[queries.NoticeCard]) -> Iterable[Line]:
    for one in notices:
        text = mark("%(customer)s was told of other items or another window: this counts no longer.")
        by = Sentence(mark("told by %(by)s: %(evidence)s"), {"by": one.told_by, "evidence": one.evidence})
        yield Line("", "–", Sentence(text, {"customer": one.customer}), detail=by, at=one.told_at)


def _what(row: ChangeRequest) -> Iterable[Fact]:
    """Yield what customers are told: what goes where, and when."""
    card = queries.card(row)
    for item in card.items:
        yield Fact(item.service, item.version, note=item.environment)
    if card.starts_at and card.ends_at:
        span = {"start": card.starts_at, "end": end_of(card.starts_at, card.ends_at)}
        yield Fact(_("Window"), Sentence(mark("%(start)s to %(end)s"), span))


def _form(request: Request, number: int) -> ToldForm:
    initial = {} if request.method == "POST" else {"told_at": clock.now(), "told_by": request.actor.name}
    return ToldForm(
        request.POST if request.method == "POST" else None,
        read=lambda: initial,
        about=str(number),
        actor=request.actor,
        filled=request.GET,
    )


def _again(request: Request, error: GmudError, number: int) -> HttpResponse:
    form = _form(request, number)
    form.is_valid()
    trouble = None if isinstance(error, Invalid) and form.take(error) else trouble_of(error)
    return _shown(request, number, form, status=error.status, trouble=trouble)


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_again)
def tell(request: Request, number: int) -> HttpResponse:
    """Record that a customer was told."""
    require(request.actor, Right.CHANGE_READ)
    row, form = queries.by_number(number), _form(request, number)
    if request.method != "POST" or not form.is_valid():
        return _shown(request, number, form, status=422 if form.is_bound else 200)
    data = {name: form.cleaned_data[name] for name in ("told_at", "told_by", "evidence")}
    customer = UUID(form.cleaned_data["customer"])
    services.tell_customer(
        change_id=row.pk,
        customer_id=customer,
        actor=request.actor,
        seen_digest=request.POST.get("seen_digest", ""),
        now=clock.now(),
        **data,
    )
    messages.success(request, now_in_words("The notice is recorded."))
    return HttpResponseRedirect(reverse("change", args=[number]))


def _shown(
    request: Request, number: int, form: ToldForm, *, status: int, trouble: Trouble | None = None
) -> HttpResponse:
    row = queries.by_number(number)
    state = told(row, actor=request.actor, now=clock.now())
    if state is None or not (state.href or state.why):
        raise Missing(Sentence(mark("No customer waits to hear of %(name)s."), {"name": row.name}))
    shown = {
        "change": {"name": row.name, "title": row.title, "href": reverse("change", args=[number])},
        "told": state,
        "what": tuple(_what(row)),
        "seen_digest": queries.told_of(row),
        "inputs": list(form.inputs()),
        "trouble": trouble,
    }
    return page(request, "changes/told.html", shown, here="changes", status=status)


urlpatterns = [path("changes/<int:number>/told", tell, name="told")]
