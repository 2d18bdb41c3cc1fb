"""Today: what waits for me, and what is about to happen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as now_in_words
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.calendar import queries as calendar
from releases.calendar.rules import WindowCard, where
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.changes.states import EDITABLE, RUNNING, State
from releases.committee import queries as committee
from releases.committee.models import Round
from releases.committee.queries import Counted, Proposal
from releases.committee.rules import Decision, Tally, ways
from releases.core import clock
from releases.core.errors import GmudError, Sentence
from releases.core.words import mark, plural
from releases.notify import queries as notices
from releases.operations import services as operations
from releases.web import looks
from releases.web.answer import page, part
from releases.web.errors import trouble_of
from releases.web.looks import Line, Look, Words
from releases.web.pages import panels
from releases.web.pages.called import Called, pages_of
from releases.web.pages.drifted import Drifted, drifted
from releases.web.pages.undelivered import MAY as MAY_REQUEUE
from releases.web.pages.undelivered import Undelivered, undelivered
from releases.web.request import Request, shows_again, signed_in
from releases.web.shell import Count

DAY = timedelta(hours=24)
INLINE = frozenset({"low", "moderate"})
MOST = 12
NEEDED_FOR_POLICY = plural(
    "%(name)s proposed it; with %(n)s more vote it comes into force.",
    "%(name)s proposed it; with %(n)s more votes it comes into force.",
    by="n",
)


@dataclass(frozen=True, slots=True)
class Approve:
    """The button that approves in the inbox what was shown there; what weighs a lot is opened first and has none."""

    href: str
    word: Words
    digest: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One change, or one proposed policy, that waits for this person's decision."""

    name: Words
    title: str
    why: Words
    href: str
    reason_href: str
    meta: tuple[Words, ...]
    seats: tuple[Line, ...]
    waits_since: datetime
    badges: tuple[Look, ...] = ()
    approve: Approve | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotYours:
    """One change that needs a seat this person holds, but not this person."""

    name: str
    href: str
    why: Words


@dataclass(frozen=True, slots=True)
class Mine:
    """One change this person asked for or runs, and the next thing to do about it."""

    name: str
    title: str
    href: str
    badges: tuple[Look, ...]
    meta: tuple[Words, ...]
    act: Words
    act_href: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One stop of the next 24 hours; ``kind`` is run, now, window, point or freeze."""

    at: datetime
    kind: str
    title: Words
    lines: tuple[Words, ...] = ()
    hours: int = 0
    href: str = ""


@dataclass(frozen=True, slots=True)
class Today:
    """The whole page; ``has_policy`` says that not only changes wait."""

    now: datetime
    decide: tuple[Ask, ...]
    has_policy: bool
    not_yours: tuple[NotYours, ...]
    asked: tuple[Mine, ...]
    run: tuple[Mine, ...]
    day: tuple[Moment, ...]
    undelivered: tuple[Undelivered, ...] | None
    drifted: tuple[Drifted, ...] | None
    called: tuple[Called, ...] = ()


def count(actor: Actor, now: datetime) -> Count | None:
    """Return how many votes and pages wait for this person, for the frame of every page."""
    subjects = committee.awaits(actor.person_id, now) if actor.person_id else []
    number = ChangeRequest.objects.filter(pk__in=subjects, state=State.AUTHORIZING).count() if subjects else 0
    number += len(committee.proposed_policies(subjects)) if subjects else 0
    if pages := notices.pages_waiting(actor.person_id) if actor.person_id else 0:
        return Count(number + pages, "stop", "!")
    return Count(number) if number else None


def the_day(actor: Actor, now: datetime) -> Today:
    """Return the page for one person."""
    me = actor.person_id
    waiting = {change.pk: change for change in queries.authorizing()} if me else {}
    counts = queries.counts_of(waiting.values(), now=now)
    subjects = committee.awaits(me, now) if me else []
    policies = committee.proposed_policies(subjects) if set(subjects) - waiting.keys() else []
    asks = {one.policy.pk: _policy_ask(one, me) for one in committee.proposals_of(policies, now)} if policies else {}
    asks |= {pk: _ask(waiting.pop(pk), counts.get(pk), me, now) for pk in subjects if me and pk in waiting}
    asked = queries.page(states=(*EDITABLE, State.REVIEWING), requester_id=me).cards if me else ()
    return Today(
        now=now,
        decide=tuple(asks[pk] for pk in subjects if pk in asks),
        has_policy=bool(policies),
        not_yours=tuple(_not_yours(me, waiting.values(), counts)) if me else (),
        asked=tuple(_mine(card) for card in asked[:MOST]),
        run=tuple(_mine(card) for card in _run(actor)),
        day=_next_hours(now),
        undelivered=undelivered(actor),
        drifted=drifted(actor),
        called=pages_of(actor),
    )


def _ask(change: ChangeRequest, count: Counted | None, me: UUID, now: datetime) -> Ask:
    card, round_ = queries.card(change), change.round
    seat = _seat(me, round_, count, now) if count is not None and round_ is not None else ""
    href = reverse("change", args=[card.number])
    word = looks.APPROVE_AS.get(seat, _("Approve"))
    inline = Approve(reverse("approve", args=[card.number]), word, card.content_digest)
    return Ask(
        name=card.name,
        title=card.title,
        why=card.why,
        href=href,
        reason_href=f"{href}#reason",
        badges=_badges(card),
        meta=_meta(card),
        seats=tuple(_seats(count.tally, me)) if count is not None else (),
        approve=inline if card.level in INLINE else None,
        waits_since=round_.opened_at if round_ else card.updated_at,
        due_at=card.starts_at if card.starts_at and card.starts_at > now else None,
    )


def _policy_ask(proposal: Proposal, me: UUID | None) -> Ask:
    """Return a proposed policy; it decides who decides, so it is read before anybody votes on it."""
    policy, tally = proposal.policy, proposal.tally
    here, version = reverse("policies"), {"version": policy.version}
    before = (
        Sentence(mark("instead of version %(version)s"), {"version": policy.based_on.version})
        if policy.based_on
        else ""
    )
    return Ask(
        name=Sentence(mark("Policy, version %(version)s"), version),
        title=policy.name,
        why=Sentence(NEEDED_FOR_POLICY, {"name": policy.created_by, "n": tally.needed - tally.given}),
        href=f"{here}#decision-{policy.version}",
        reason_href=f"{here}#reason-{policy.version}",
        meta=(before,) if before else (),
        seats=tuple(_seats(tally, me)),
        waits_since=proposal.round.opened_at,
    )


def _seats(tally: Tally, me: UUID | None) -> Iterable[Line]:
    for one in tally.seats:
        yield from (Line("go", "✓", looks.SEATS[one.seat], detail=ballot.name) for ballot in one.approved_by)
        if one.missing:
            yield Line("wait", "◔", looks.SEATS[one.seat], detail=panels.who_may(one, me))


def _seat(me: UUID, round_: Round, count: Counted, now: datetime) -> str:
    mine = ways(me, needed=round_.needed, ballots=count.tally.ballots, standing=count.standing, now=now)
    still = {one.seat for one in count.tally.seats if one.missing}
    return min(mine, key=lambda way: way.seat not in still).seat if mine else ""


def _badges(card: queries.ChangeCard) -> tuple[Look, ...]:
    kind = (looks.TYPES[card.type],) if card.type != "normal" else ()
    return (*kind, *((looks.RISKS[card.level],) if card.level else ()))


def _meta(card: queries.ChangeCard) -> tuple[Words, ...]:
    items = tuple(f"{item.service} {item.back_version or '—'} → {item.version}" for item in card.items)
    places = ", ".join(dict.fromkeys(item.environment for item in card.items))
    window = (card.starts_at,) if card.starts_at else ()
    return (*items, *((places,) if places else ()), *window)


def _not_yours(me: UUID, others: Iterable[ChangeRequest], counts: Mapping[UUID, Counted]) -> Iterable[NotYours]:
    """Yield changes that need a seat of this person, who took part and so may not decide."""
    held = {role.value for role in accounts.roles_of(me)}
    for change in others:
        count = counts.get(change.pk)
        if count is None or change.round is None or me not in change.round.relations:
            continue
        missing = [seat for seat in count.tally.seats if seat.missing and seat.seat in held]
        if missing:
            names = [decider.name for decider in missing[0].may_decide]
            why = Sentence(
                mark("needs %(seat)s too, but not you: you took part in it. %(who)s can decide."),
                {"seat": looks.SEATS[missing[0].seat], "who": names or Sentence(mark("nobody yet"))},
            )
            yield NotYours(change.name, reverse("change", args=[change.number]), why)


NEXT: dict[str, tuple[Words, str]] = {
    State.DRAFT: (_("Go on writing"), "edit-change"),
    State.REVIEWING: (_("Write the review"), "review"),
    State.IMPLEMENTING: (_("Open live"), "live-change"),
    State.WATCHING: (_("Open live"), "live-change"),
    State.ROLLING_BACK: (_("Open live"), "live-change"),
}


def _mine(card: queries.ChangeCard) -> Mine:
    word, name = NEXT.get(card.state, (_("Open"), "change"))
    outcome = (looks.OUTCOMES[card.outcome],) if card.outcome else ()
    return Mine(
        name=card.name,
        title=card.title or card.name,
        href=reverse("change", args=[card.number]),
        badges=(looks.STATES[card.state], *outcome),
        meta=_meta(card),
        act=word,
        act_href=reverse(name, args=[card.number]),
    )


def _run(actor: Actor) -> Iterable[queries.ChangeCard]:
    """Return what this person releases: all that is due for who may go back or plan, else what they implement."""
    rights = accounts.rights_of(actor)
    states = (State.SCHEDULED, *sorted(RUNNING))
    if Right.ROLLBACK_BEGIN in rights:
        return queries.page(states=states).cards[:MOST]
    me = actor.person_id
    return queries.page(states=states, implementer_id=me).cards[:MOST] if me else ()


def _next_hours(now: datetime) -> tuple[Moment, ...]:
    found = [Moment(now, "now", _("Now"))]
    for window in calendar.windows_between(now, now + DAY):
        parts = {"where": window.scope.environment_name, "until": window.ends_at}
        told = Sentence(mark("%(where)s until %(until)s"), parts)
        found.append(Moment(max(window.starts_at, now), "window", window.title, (told,), _hours(window, now)))
    for freeze in calendar.freezes_between(now, now + DAY):
        until = Sentence(mark("until %(until)s. Going back is always allowed."), {"until": freeze.ends_at})
        frozen = Sentence(mark("Freeze, %(where)s"), {"where": where(freeze.scope)})
        found.append(Moment(max(freeze.starts_at, now), "freeze", frozen, (freeze.title, until), _hours(freeze, now)))
    for card in queries.page(states=(State.SCHEDULED, *sorted(RUNNING))).cards:
        running = card.state in RUNNING
        if card.starts_at is None or not (running or now <= card.starts_at < now + DAY):
            continue
        title = f"{card.name} {card.title}"
        live = reverse("live-change" if running else "change", args=[card.number])
        state = looks.STATES[card.state].word
        found.append(Moment(card.starts_at, "run" if running else "point", title, (state,), 2 if running else 0, live))
    return tuple(sorted(found, key=lambda one: one.at))


def _hours(span: WindowCard, now: datetime) -> int:
    """Return how tall a span is drawn: 2, 4 or 8."""
    length = min(span.ends_at, now + DAY) - max(span.starts_at, now)
    return 8 if length > timedelta(hours=6) else 4 if length > timedelta(hours=3) else 2


PARTS = {
    "called": "today/today.html#called",
    "decide": "today/decided.html",
    "day": "today/today.html#day",
    "drifted": "today/today.html#drifted",
    "undelivered": "today/today.html#undelivered",
}


@require_GET
@signed_in
def today(request: Request) -> HttpResponse:
    """Show what waits for this person, or the part of it that is asked for."""
    require(request.actor, Right.CHANGE_READ)
    context = {"today": the_day(request.actor, clock.now())}
    if (name := request.GET.get("part", "")) in PARTS:
        return part(request, PARTS[name], context)
    return page(request, "today/today.html", context, here="today")


def _again(request: Request, error: GmudError, **_kwargs: object) -> HttpResponse:
    context = {"today": the_day(request.actor, clock.now()), "trouble": trouble_of(error)}
    if getattr(request, "htmx", False):
        return part(request, "today/decided.html", context, status=error.status)
    return page(request, "today/today.html", context, here="today", status=error.status)


@require_POST
@signed_in
@shows_again(_again)
def approve(request: Request, number: int) -> HttpResponse:
    """Approve from the inbox, on the content that was shown there."""
    services.vote(
        change_id=queries.by_number(number).pk,
        actor=request.actor,
        decision=Decision.APPROVE,
        seen_digest=request.POST.get("seen_digest", ""),
        now=clock.now(),
    )
    if getattr(request, "htmx", False):
        context = {"today": the_day(request.actor, clock.now()), "approved": f"CHG-{number}"}
        return part(request, "today/approved.html", context)
    messages.success(request, now_in_words("Your approval of %(name)s counts.") % {"name": f"CHG-{number}"})
    return HttpResponseRedirect(reverse("today"))


@require_POST
@signed_in
@shows_again(_again)
def requeue(request: Request, message_id: UUID) -> HttpResponse:
    """Have something delivered again that was given up."""
    require(request.actor, MAY_REQUEUE)
    operations.requeue_message(message_id=message_id, actor=request.actor, now=clock.now())
    messages.success(request, now_in_words("It is on its way again. If it fails once more, it comes back here."))
    return HttpResponseRedirect(reverse("today"))


urlpatterns = [
    path("", today, name="today"),
    path("today/<int:number>/approve", approve, name="approve"),
    path("today/messages/<uuid:message_id>/again", requeue, name="requeue"),
]
