"""One change: whether it may go, and how we got here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as now_in_words
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.changes.pace import Step
from releases.changes.states import ENDED, RUNNING, Outcome, State
from releases.committee.rules import Decision as Choice
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Missing, Sentence, Stale
from releases.core.words import mark
from releases.gate import queries as gate
from releases.impact.models import Factor
from releases.web import looks
from releases.web.answer import page, part
from releases.web.errors import Trouble, trouble_of
from releases.web.looks import Fact, Line, Look, Stop, Words
from releases.web.pages import panels
from releases.web.pages.told import told
from releases.web.request import Request, shows_again, signed_in
from releases.web.tags import both, end_of, moment
from releases.web.ways_back import WayBack, way_back

TEMPLATE = "changes/change.html"


@dataclass(frozen=True, slots=True)
class Lens:
    """One of the four lenses: what was found, each with its points, source and age."""

    title: Words
    factors: tuple[Line, ...]
    quiet: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What stands still while one looks."""

    number: int
    name: str
    title: str
    by: Words
    href: str
    badges: tuple[Look, ...]
    rail: tuple[Stop, ...]
    hold: str
    why: str
    plan: str
    facts: tuple[Fact, ...]
    impact: Words
    lenses: tuple[Lens, ...]
    ways_back: tuple[WayBack, ...]
    digest: str
    live_href: str = ""


class VoteForm(forms.Form):
    """One person's act on the content they saw."""

    decision = forms.ChoiceField(choices=[(one.value, one.value) for one in Choice])
    seen_digest = forms.CharField(max_length=71)
    reason = forms.CharField(max_length=2000, required=False)

    def clean(self) -> dict[str, Any]:
        """Ask for a reason where somebody has to act on it."""
        data = super().clean() or {}
        if data.get("decision") in {Choice.REJECT, Choice.REQUEST_CHANGES} and not data.get("reason", "").strip():
            self.add_error("reason", _("Say why, so that they can act on it."))
        return data


class ReviewForm(forms.Form):
    """How it went."""

    outcome = forms.ChoiceField(choices=[(one.value, looks.OUTCOMES[one].word) for one in Outcome])
    summary = forms.CharField(max_length=10000)


WEIGHTS = {0: "", 1: "wait", 2: "wait"}


def the_change(row: ChangeRequest) -> Change:
    """Return the still part of the page, ready to print."""
    card = queries.card(row)
    badges = [looks.STATES[card.state]]
    badges += [looks.RISKS[card.level]] if card.level else []
    badges += [looks.TYPES[card.type]] if card.type != "normal" else []
    badges += [looks.OUTCOMES[card.outcome]] if card.outcome else []
    assessment = row.assessment
    by = Sentence(mark("asked by %(who)s, %(team)s"), {"who": card.requester, "team": card.team})
    return Change(
        number=card.number,
        name=card.name,
        title=card.title,
        by=by if card.team else Sentence(mark("asked by %(who)s"), {"who": card.requester}),
        href=reverse("change", args=[card.number]),
        badges=tuple(badges),
        rail=looks.rail(card.state, reached=_reached(row)),
        hold=card.hold_reason if card.is_on_hold else "",
        why=card.why,
        plan=row.plan,
        facts=_facts(row, card),
        impact=Sentence(
            mark("impact %(impact)s × likelihood %(likelihood)s, of 4 each"),
            {"impact": assessment.impact, "likelihood": assessment.likelihood},
        )
        if assessment
        else "",
        lenses=_lenses(row),
        ways_back=tuple(_way_back(item) for item in card.items),
        digest=row.content_digest,
        live_href=reverse("live-change", args=[card.number]) if row.state in RUNNING else "",
    )


def _reached(row: ChangeRequest) -> str:
    """Return how far a change came that ended off the main line."""
    return State.AUTHORIZING if row.round_id else State.DRAFT


def _facts(row: ChangeRequest, card: queries.ChangeCard) -> tuple[Fact, ...]:
    facts: list[Fact] = []
    for item in card.items:
        versions = f"{item.back_version or '—'} → {item.version}"
        facts.append(Fact(item.service, versions, note=item.environment, href=reverse("service", args=[item.service])))
        facts.append(Fact(_("Artifact"), item.digest, code=True))
    if card.starts_at and card.ends_at:
        span = {"start": card.starts_at, "end": end_of(card.starts_at, card.ends_at)}
        facts.append(Fact(_("Window"), Sentence(mark("%(start)s to %(end)s"), span)))
    if card.steps:
        facts.append(Fact(_("Steps"), both(_step(one) for one in card.steps)))
    facts += [Fact(name, value, note=_("to the job"), code=True) for name, value in sorted(row.parameters.items())]
    tests = row.test_evidence
    if "passed" in tests:
        figures = {"passed": tests["passed"], "failed": tests.get("failed", 0)}
        facts.append(
            Fact(
                _("Tests"),
                Sentence(mark("%(passed)s passed, %(failed)s failed"), figures),
                href=_safe(tests.get("url")),
            )
        )
    if card.revision_number:
        facts.append(Fact(_("Revision"), str(card.revision_number)))
    if other := row.superseded_by:
        facts.append(Fact(_("In its place"), other.name, href=reverse("change", args=[other.number])))
    facts.append(Fact(_("Content"), card.content_digest, code=True))
    return tuple(facts)


def _step(one: Step) -> Sentence:
    """Return one step of a release as people say it."""
    text = mark("%(share)s %% for %(minutes)s min") if one.pause_minutes else mark("%(share)s %%")
    return Sentence(text, {"share": one.percent, "minutes": one.pause_minutes})


def _safe(url: str | None) -> str:
    return url if url and url.startswith(("https://", "http://")) else ""


def _lenses(row: ChangeRequest) -> tuple[Lens, ...]:
    if row.assessment is None:
        return ()
    factors = list(row.assessment.factors.all())
    return tuple(_lens(title, [one for one in factors if one.lens == name]) for name, title in looks.LENSES.items())


def _lens(title: Words, factors: list[Factor]) -> Lens:
    """Return a lens with what weighs first; what weighs nothing is folded away."""
    loud = tuple(_factor(one) for one in factors if one.points or not one.is_known)
    quiet = tuple(_factor(one) for one in factors if one.is_known and not one.points)
    return Lens(title, loud, quiet) if loud else Lens(title, quiet[:1], quiet[1:])


def _factor(factor: Factor) -> Line:
    if not factor.is_known:
        return Line("wait", "?", factor.sentence, detail=factor.source, at=factor.seen_at)
    sign = f"+{factor.points}" if factor.points else "·"
    return Line(WEIGHTS.get(factor.points, "stop"), sign, factor.sentence, detail=factor.source, at=factor.seen_at)


def _way_back(item: queries.ItemCard) -> WayBack:
    return way_back(
        service=item.service,
        where=item.environment,
        version=item.back_version,
        splits=tuple(item.splits.values()),
        job=item.job,
        migration_class=item.migration_class,
    )


def _context(row: ChangeRequest, request: Request, names: tuple[str, ...]) -> dict[str, Any]:
    now, actor = clock.now(), request.actor
    outlooks = cache(lambda: () if row.state in ENDED else tuple(gate.would_open(row, now=now)))
    makers: Mapping[str, Callable[[], Mapping[str, Any]]] = {
        "decision": lambda: {"decision": panels.decision(row, actor=actor, now=now)},
        "gate": lambda: {"gate": panels.gate_now(row, outlooks())},
        "told": lambda: {"told": told(row, actor=actor, now=now)},
        "traffic": lambda: {"traffic": panels.traffic(row)},
        "story": lambda: {"story": panels.story(row)},
        "acts": lambda: _acts(row, actor, now, outlooks),
    }
    context: dict[str, Any] = {"change": the_change(row), "form": VoteForm()}
    for name in names:
        context.update(makers[name]() if name in makers else {})
    return context


def _acts(
    row: ChangeRequest, actor: Actor, now: datetime, outlooks: Callable[[], Sequence[gate.Outlook]]
) -> Mapping[str, Any]:
    """Return what this person can do and what only others can, both from one look at the guards."""
    buttons = queries.buttons(row, actor=actor, now=now)
    mine = panels.acts(row, buttons, actor=actor, outlooks=outlooks)
    return {"acts": mine, "others": panels.for_others(buttons)}


PARTS = ("head", "decision", "gate", "told", "traffic", "story", "acts")


@require_GET
@signed_in
def change(request: Request, number: int) -> HttpResponse:
    """Show one change, or the part of it that is asked for."""
    require(request.actor, Right.CHANGE_READ)
    row, name = queries.by_number(number), request.GET.get("part", "")
    seen = request.GET.get("seen", row.content_digest)
    if name == "decision" and seen != row.content_digest:
        told = Sentence(mark("%(name)s changed since you looked: look again, then decide."), {"name": row.name})
        return _moved(request, row, trouble_of(Stale(told, reasons=queries.between(row, seen))))
    if name in PARTS:
        return part(request, f"{TEMPLATE}#{name}", _context(row, request, (name,)))
    return page(request, TEMPLATE, _context(row, request, PARTS), here="changes")


def _again(request: Request, error: GmudError, number: int, **_kwargs: object) -> HttpResponse:
    """Show the panel, or the page, as it is now, and say what happened."""
    row = queries.by_number(number)
    trouble = trouble_of(error)
    if getattr(request, "htmx", False):
        return _moved(request, row, trouble, status=error.status)
    context = _context(row, request, PARTS) | {"trouble": trouble}
    return page(request, TEMPLATE, context, here="changes", status=error.status)


def _moved(request: Request, row: ChangeRequest, trouble: Trouble, *, status: int = 200) -> HttpResponse:
    """Answer with the panel and what is decided on, together: nobody votes on what does not stand beside the button."""
    context = _context(row, request, ("decision",)) | {"trouble": trouble}
    return part(request, "changes/moved.html", context, status=status)


@require_POST
@signed_in
@shows_again(_again)
def vote(request: Request, number: int) -> HttpResponse:
    """Cast a vote and show the decision panel again."""
    row, form = queries.by_number(number), VoteForm(request.POST)
    if not form.is_valid():
        context = _context(row, request, PARTS) | {"form": form}
        if getattr(request, "htmx", False):
            return part(request, f"{TEMPLATE}#decision", context, status=422)
        return page(request, TEMPLATE, context, here="changes", status=422)
    decision = Choice(form.cleaned_data.pop("decision"))
    services.vote(change_id=row.pk, actor=request.actor, decision=decision, now=clock.now(), **form.cleaned_data)
    if getattr(request, "htmx", False):
        fresh = queries.by_number(number)
        return part(request, "changes/voted.html", _context(fresh, request, PARTS))
    return HttpResponseRedirect(reverse("change", args=[number]))


Deed = Callable[[ChangeRequest, Actor, str, datetime], object]
DEEDS: Mapping[str, Deed] = {
    "withdraw": lambda row, actor, reason, now: services.withdraw(
        change_id=row.pk, actor=actor, reason=reason, now=now
    ),
    "supersede": lambda row, actor, other, now: services.supersede(
        change_id=row.pk, actor=actor, successor_number=_number(other), now=now
    ),
    "cancel": lambda row, actor, reason, now: services.cancel(change_id=row.pk, actor=actor, reason=reason, now=now),
    "hold": lambda row, actor, reason, now: services.hold(change_id=row.pk, actor=actor, reason=reason, now=now),
    "resume": lambda row, actor, _reason, now: services.resume(change_id=row.pk, actor=actor, now=now),
    "deployed": lambda row, actor, _reason, now: services.deployed(change_id=row.pk, actor=actor, now=now),
    "failed": lambda row, actor, reason, now: services.failed(change_id=row.pk, actor=actor, reason=reason, now=now),
    **dict.fromkeys(
        ("submit", "submit_standard", "submit_emergency", "report"),
        lambda row, actor, _reason, now: services.submit(change_id=row.pk, actor=actor, now=now),
    ),
}
DONE: Mapping[str, Any] = {
    "withdraw": _("It is a draft again."),
    "supersede": _("The other change took its place."),
    "cancel": _("It is canceled."),
    "hold": _("It is on hold: the gate refuses it."),
    "resume": _("It goes on."),
    "deployed": _("The watch has begun."),
    "failed": _("The review is open."),
}
LONGEST_NUMBER = 9  # of digits that a number of ours may have
HANDED_IN: Mapping[str, Any] = {
    State.AUTHORIZING: _("It is handed in. Those who decide see it in their inbox."),
    State.SCHEDULED: _("The policy pre-approves it: it is scheduled."),
    State.REVIEWING: _("It is reported. The review is open."),
}
MOVED_ON = _("It is handed in, and somebody has answered since.")


def _number(said: str) -> int:
    """Return the number in "CHG-1042" or "1042".

    :raises Invalid: there is none
    """
    digits = said.strip().upper().removeprefix("CHG-")
    if not digits.isdecimal() or len(digits) > LONGEST_NUMBER:
        sentence = Sentence(mark("Name the other change by its number, like CHG-1042."))
        raise Invalid(sentence, fields={"successor": [sentence]})
    return int(digits)


@require_POST
@signed_in
@shows_again(_again)
def act(request: Request, number: int, verb: str) -> HttpResponse:
    """Make one move of the table that a person asked for."""
    deed = DEEDS.get(verb)
    if deed is None:
        raise Missing(Sentence(mark("There is no such act.")))
    row, field = queries.by_number(number), panels.ACTS[verb][1] or "reason"
    deed(row, request.actor, request.POST.get(field, "")[:2000], clock.now())
    messages.success(request, DONE.get(verb) or HANDED_IN.get(queries.by_number(number).state, MOVED_ON))
    return HttpResponseRedirect(reverse("change", args=[number]))


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_again)
def review(request: Request, number: int) -> HttpResponse:
    """Write the review, and close the change with it."""
    require(request.actor, Right.CHANGE_READ)
    row = queries.by_number(number)
    form = ReviewForm(request.POST or None, initial={"outcome": row.outcome or Outcome.SUCCESSFUL})
    if request.method == "POST" and form.is_valid():
        services.close(
            change_id=row.pk,
            actor=request.actor,
            outcome=Outcome(form.cleaned_data["outcome"]),
            summary=form.cleaned_data["summary"],
            now=clock.now(),
        )
        messages.success(request, now_in_words("The review is written, the change is closed."))
        return HttpResponseRedirect(reverse("change", args=[number]))
    opened = queries.review_of(row)
    context = {
        "change": the_change(row),
        "form": form,
        "outcomes": [(one.value, looks.OUTCOMES[one].word) for one in Outcome],
        "summary": form["summary"].value() or "",
        "due": moment(opened.due_at) if opened else "",
    }
    return page(request, "changes/review.html", context, here="changes", status=422 if form.errors else 200)


urlpatterns = [
    path("changes/<int:number>", change, name="change"),
    path("changes/<int:number>/vote", vote, name="vote"),
    path("changes/<int:number>/review", review, name="review"),
    path("changes/<int:number>/do/<slug:verb>", act, name="act"),
]
