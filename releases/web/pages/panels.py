"""The parts of a change's page that move by themselves: decision, gate, traffic, story, what can be done."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.audit import queries as audit
from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.changes import queries as changes
from releases.changes.back import splits_of
from releases.changes.models import ChangeRequest
from releases.changes.queries import Button
from releases.changes.states import ENDED, RUNNING, State
from releases.committee.models import Round
from releases.committee.rules import SeatTally, Standing, Tally, eligibility, signed_in_freshly, signed_in_twice, ways
from releases.core.errors import Reason, Sentence
from releases.core.words import mark, plural
from releases.gate import queries as gate
from releases.rollout.queries import led
from releases.rollout.rules import idle_target, live_target
from releases.traffic import queries as shifts
from releases.web import telling
from releases.web.looks import APPROVE_AS, SEATS, VERDICTS, Bar, Line, Look, Told, Words, held, line_of
from releases.web.names import VERBS
from releases.web.tags import both, either


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person may do here, or why not; ``weight`` is main, soft, stop or nothing, ``asks`` names a field."""

    verb: str
    word: Words
    refusals: tuple[Line, ...] = ()
    weight: str = ""
    asks: str = ""
    href: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The panel of the committee's decision."""

    sentence: Words
    seats: tuple[Line, ...] = ()
    acts: tuple[Act, ...] = ()
    notes: tuple[Words, ...] = ()
    refusals: tuple[Line, ...] = ()
    sign_in_again: str = ""
    sign_in_word: str | Promise = ""


@dataclass(frozen=True, slots=True)
class GateNow:
    """What the gate would say right now; nothing is stored, no permit is given."""

    look: Look
    lines: tuple[Line, ...]
    holding: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was asked of each route beside what was seen."""

    bars: tuple[Bar, ...]
    seen_at: datetime | None
    is_moving: bool


# What people can ask for, in the order of the page: verb -> weight, the field it asks for.
ACTS: Mapping[str, tuple[str, str]] = {
    "submit": ("main", ""),
    "submit_standard": ("main", ""),
    "submit_emergency": ("main", ""),
    "report": ("main", ""),
    "start": ("main", ""),
    "roll_back": ("undo", ""),
    "back_by_hand": ("", ""),
    "deployed": ("", ""),
    "failed": ("stop", "reason"),
    "close": ("main", ""),
    "revise": ("", ""),
    "withdraw": ("", ""),
    "hold": ("", "reason"),
    "resume": ("main", ""),
    "supersede": ("", "successor"),
    "cancel": ("stop", "reason"),
}
# Which free texts of an event the story quotes.
SAID = ("reason", "summary", "name", "told_by", "evidence")
# What the table of moves still misses, because the form behind the button asks for it.
ASKED_FOR: Mapping[str, str] = {"close": "review", "supersede": "successor"}
STILL_NEEDED = plural(
    "%(given)s of %(needed)s needed has approved.", "%(given)s of %(needed)s needed have approved.", by="given"
)
FRESH_SIGN_IN = plural(
    "The policy asks for a sign-in not older than %(minutes)s minute before this vote.",
    "The policy asks for a sign-in not older than %(minutes)s minutes before this vote.",
    by="minutes",
)
# One form in English; other languages have two.
AUTHORIZED = plural(
    "Authorized: %(given)s of %(needed)s approved.", "Authorized: %(given)s of %(needed)s approved.", by="given"
)
APPROVED = plural("%(given)s of %(needed)s had approved.", "%(given)s of %(needed)s had approved.", by="given")
DECIDED_SENTENCES: Mapping[str, str] = {
    State.DRAFT: mark("Not before the committee yet."),
    State.ASSESSING: mark("The impact is being assessed."),
    State.REJECTED: mark("The committee rejected it."),
}


def decision(change: ChangeRequest, *, actor: Actor, now: datetime) -> Decision:
    """Return the Decision panel as this person sees it."""
    round_, count = change.round, changes.counts_of([change], now=now).get(change.pk)
    if round_ is None or count is None:
        return Decision(Sentence(DECIDED_SENTENCES.get(State(change.state), mark("No decision is asked for."))))
    me, tally, standing = actor.person_id, count.tally, count.standing
    seats = tuple(line for seat in tally.seats for line in _seat_lines(seat, me))
    if change.state != State.AUTHORIZING:
        return Decision(_outcome(change, tally), seats)
    sentence = Sentence(STILL_NEEDED, _counts(tally))
    mine = ways(me, needed=round_.needed, ballots=tally.ballots, standing=standing, now=now) if me else []
    if not mine:
        why_not = tuple(line_of(reason) for reason in _why_not(me, round_, tally, standing, now))
        return Decision(sentence, seats, refusals=why_not)
    still = {seat.seat for seat in tally.seats if seat.missing}
    seat = min(mine, key=lambda way: way.seat not in still).seat
    again = f"{reverse('sign-in-again')}?{urlencode({'next': reverse('change', args=[change.number])})}"
    if not signed_in_freshly(actor.signed_in_at, within_minutes=round_.fresh_sign_in_minutes, now=now):
        minutes = Sentence(FRESH_SIGN_IN, {"minutes": round_.fresh_sign_in_minutes})
        return Decision(sentence, seats, notes=(minutes,), sign_in_again=again)
    if round_.second_factor and not signed_in_twice(actor.methods):
        has_one = accounts.has_second_factor(actor)
        return Decision(
            sentence,
            seats,
            notes=(Sentence(mark("The policy asks for a sign-in with a second factor before this vote.")),),
            sign_in_again=again if has_one else reverse("profile"),
            sign_in_word="" if has_one else _("Add a second factor"),
        )
    acts = (
        Act("approve", APPROVE_AS.get(seat, seat), weight="main"),
        Act("request_changes", _("Request changes")),
        Act("abstain", _("Abstain")),
        Act("reject", _("Reject"), weight="stop"),
    )
    note = Sentence(
        mark("You approve revision %(revision)s and its way back. You did not ask for this change."),
        {"revision": change.revision_number},
    )
    return Decision(sentence, seats, acts, notes=(note,))


def _outcome(change: ChangeRequest, tally: Tally) -> Sentence:
    if change.state in DECIDED_SENTENCES:
        return Sentence(DECIDED_SENTENCES[State(change.state)])
    if tally.approved and tally.is_pre_approved:
        return Sentence(mark("Pre-approved by the policy."))
    if tally.approved:
        return Sentence(AUTHORIZED, _counts(tally))
    return Sentence(APPROVED, _counts(tally))


def _counts(tally: Tally) -> dict[str, object]:
    return {"given": tally.given, "needed": tally.needed}


def _seat_lines(seat: SeatTally, me: UUID | None) -> Iterable[Line]:
    for ballot in seat.approved_by:
        who = Sentence(mark("%(who)s for %(other)s"), {"who": ballot.name, "other": ballot.for_name})
        yield Line("go", "✓", SEATS[seat.seat], detail=who if ballot.for_name else ballot.name, at=ballot.cast_at)
    if seat.missing:
        yield Line("wait", "◔", SEATS[seat.seat], detail=who_may(seat, me), end=_how_many(seat.missing))


def who_may(seat: SeatTally, me: UUID | None) -> Words:
    """Return who may still decide on a seat, the reader first."""
    names = [decider.name for decider in seat.may_decide if decider.id != me]
    if any(decider.id == me for decider in seat.may_decide):
        return Sentence(mark("you, or %(names)s"), {"names": names}) if names else Sentence(mark("you"))
    return either(names) if names else Sentence(mark("nobody is left who may decide"))


def _how_many(missing: int) -> Words:
    return Sentence(mark("%(n)s more"), {"n": missing}) if missing > 1 else ""


def _why_not(me: UUID | None, round_: Round, tally: Tally, standing: Standing, now: datetime) -> Iterable[Reason]:
    helpers = {decider.name for seat in tally.seats for decider in seat.may_decide}
    fix = Sentence(mark("%(names)s can."), {"names": sorted(helpers)}) if helpers else None
    if me is None:
        return
    cast = next((view.ballot for view in tally.ballots if view.ballot.person == me), None)
    if cast is not None:
        yield Reason("already_voted", Sentence(telling.DECISIONS[cast.decision], {"who": cast.name}), severity="info")
        return
    found = (eligibility(me, seat, standing=standing, at=now) for seat in sorted(round_.needed))
    first = next((reason for reason in found if reason), None)
    if first is not None:
        yield Reason(first.code, first.message, fix or first.fix, severity="info")


def gate_now(change: ChangeRequest, outlooks: Sequence[gate.Outlook]) -> GateNow | None:
    """Return what the gate would say to every item; ``None`` for what has ended or names nothing."""
    if change.state in ENDED or not outlooks:
        return None
    verdicts = {str(one.decision.verdict) for one in outlooks}
    worst = next(verdict for verdict in ("deny", "wait", "allow") if verdict in verdicts)
    lines: list[Line] = []
    for one in outlooks:
        several = f"{one.service}, {one.environment}" if len(outlooks) > 1 else ""
        for reason in one.decision.reasons:
            line = line_of(reason)
            lines.append(Line(line.tone, line.sign, line.text, line.detail or several, at=line.at, code=line.code))
    bad = {line.code for line in lines}
    holding = [code for code in outlooks[0].decision.passed if all(code in one.decision.passed for one in outlooks)]
    good = tuple(held(telling.HELD[code]) for code in holding if code in telling.HELD and code not in bad)
    return GateNow(VERDICTS[worst], tuple(lines), good)


def traffic(change: ChangeRequest) -> Traffic:
    """Return what was asked of every route of this change, and what was seen there: the share of the new side."""
    asked = {shift.route_id: shift.asked for shift in shifts.of_change(change.pk)}
    items = list(change.items.all())
    routes, driven = catalog.routes_in(item.place for item in items), led(change.pk)
    bars: list[Bar] = []
    seen: list[datetime] = []
    for item in items:
        splits = splits_of(item.way_back.traffic_snapshot).values()
        live, idle = live_target(*splits), idle_target(*splits)
        for route in routes[item.place]:
            led_by = driven.get(route.id)
            side = live if led_by and led_by.serves_all else idle
            if route.reading:
                seen.append(route.reading.seen_at)
            where = f"{route.name(item.service.name)}, {item.environment.name}"
            parts = {"service": where, "version": item.artifact.version}
            title = Sentence(mark("%(service)s: share on %(version)s"), parts)
            is_asked_for = led_by and not led_by.is_promoted and change.state != State.ROLLING_BACK
            wanted = led_by.percent if led_by and is_asked_for else share(asked.get(route.id, {}), side)
            bars.append(Bar(title, wanted, seen_on(route, side), item.artifact.version))
    return Traffic(tuple(bars), min(seen, default=None), change.state in RUNNING)


def seen_on(route: RouteCard, side: str) -> int | None:
    """Return the percentage of one side as it was last seen, or ``None`` when nobody looked."""
    return share(route.reading.weights, side) if route.reading else None


def share(weights: Mapping[str, int | None], side: str) -> int | None:
    """Return the percentage of one side, or ``None`` when the weights are not known."""
    known = {name: weight for name, weight in weights.items() if weight is not None}
    whole = sum(known.values())
    return round(known.get(side, 0) / whole * 100) if whole else None


def story(change: ChangeRequest) -> tuple[Told, ...]:
    """Return the audit stream of a change, newest first."""
    entries = audit.story(change.stream)
    return tuple(
        Told(
            entry.at,
            telling.tell(kind=str(entry.kind), who=entry.actor_name, data=entry.data),
            said=", ".join(entry.text[name] for name in SAID if entry.text.get(name)),
        )
        for entry in reversed(entries)
    )


def acts(
    change: ChangeRequest, buttons: Iterable[Button], *, actor: Actor, outlooks: Callable[[], Sequence[gate.Outlook]]
) -> tuple[Act, ...]:
    """Return what can be done here, each with every reason against it; a start is refused by a gate that is shut, too.

    ``outlooks`` asks the gate.
    """
    found = {button.verb: button.reasons for button in buttons}
    if "start" in found and not found["start"]:
        found["start"] = gate.shut_by(outlooks())
    if change.state not in ENDED and Right.CHANGE_RELEASE in accounts.rights_of(actor):
        found["resume" if change.is_on_hold else "hold"] = ()
    links = {
        "revise": reverse("edit-change", args=[change.number]),
        "roll_back": reverse("live-change", args=[change.number]),
        "back_by_hand": reverse("by-hand", args=[change.number]),
        "close": reverse("review", args=[change.number]),
    }
    return tuple(
        Act(
            verb,
            VERBS[verb],
            tuple(line_of(reason) for reason in found[verb] if reason.code != ASKED_FOR.get(verb)),
            weight,
            asks,
            links.get(verb, ""),
            _address(change.number, verb),
        )
        for verb, (weight, asks) in ACTS.items()
        if verb in found and not _for_others(found[verb])
    )


def _for_others(reasons: tuple[Reason, ...]) -> bool:
    return any(reason.code == "not_permitted" for reason in reasons)


def for_others(buttons: Iterable[Button]) -> tuple[Line, ...]:
    """Return what only other people can do here, one line for each answer to who can."""
    found: dict[str, list[Words]] = {}
    said: dict[str, Reason] = {}
    for button in buttons:
        refusal = next((reason for reason in button.reasons if reason.code == "not_permitted"), None)
        if refusal is not None and button.verb in ACTS:
            found.setdefault(str(refusal.message), []).append(VERBS[button.verb])
            said[str(refusal.message)] = refusal
    return tuple(Line("", "–", both(words), detail=said[key].message) for key, words in found.items())


def _address(number: int, verb: str) -> str:
    return reverse("release", args=[number]) if verb == "start" else reverse("act", args=[number, verb])
