"""The votes on a proposed policy: who gave theirs, who may, how many are missing, and what the reader can do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from releases.accounts import queries as accounts
from releases.audit.actor import Actor
from releases.committee import queries
from releases.committee.queries import Proposal
from releases.committee.rules import SeatTally, Tally, signed_in_freshly, signed_in_twice
from releases.committee.seats import Decision, RoundOutcome
from releases.core.errors import Sentence
from releases.core.words import mark, plural
from releases.web import telling
from releases.web.looks import SEATS, Line, Words, line_of
from releases.web.pages.panels import FRESH_SIGN_IN, STILL_NEEDED, Act, who_may

ACTS = (
    Act("approve", _("Vote for it"), weight="main"),
    Act("request_changes", _("Request changes")),
    Act("abstain", _("Abstain")),
    Act("reject", _("Vote against it"), weight="stop"),
)
ENDED: Mapping[str, str] = {
    RoundOutcome.APPROVED: mark("The committee approved it."),
    RoundOutcome.REJECTED: mark("The committee rejected it."),
    RoundOutcome.RETURNED: mark("The committee asked for changes."),
    RoundOutcome.VOID: mark("It was withdrawn, or another policy came into force before."),
}
SIGNS: Mapping[Decision, tuple[str, str]] = {
    Decision.APPROVE: ("go", "✓"),
    Decision.REJECT: ("stop", "✕"),
    Decision.REQUEST_CHANGES: ("wait", "✎"),
    Decision.ABSTAIN: ("", "○"),
}
VOICES = plural("This edit needs %(n)s vote.", "This edit needs %(n)s votes.", by="n")


@dataclass(frozen=True, slots=True)
class Panel:
    """The panel of a decision as one person sees it; ``missing`` is how many votes are."""

    sentence: Words
    seats: tuple[Line, ...]
    missing: int = 0
    said: tuple[Line, ...] = ()
    acts: tuple[Act, ...] = ()
    notes: tuple[Words, ...] = ()
    refusals: tuple[Line, ...] = ()
    sign_in_again: str = ""
    sign_in_word: str | Promise = ""
    reason: str = ""


def decision_on(proposal: Proposal, *, actor: Actor, now: datetime, reason: str = "") -> Panel:
    """Return the panel of a proposal as this person sees it."""
    tally, me = proposal.tally, actor.person_id
    said = tuple(_said(tally))
    seats = tuple(_seats(tally, me))
    if not proposal.is_open:
        filled = tuple(line for line in seats if line.tone == "go")
        return Panel(Sentence(ENDED.get(proposal.round.outcome, "")), filled, said=said)
    missing = sum(seat.missing for seat in tally.seats)
    sentence = Sentence(STILL_NEEDED, {"given": tally.given, "needed": tally.needed})
    why_not = queries.may_vote(proposal.round, me, now) if me else None
    if me is None or why_not is not None:
        is_mine = proposal.author == me
        mine = Sentence(mark("You proposed it, so you cannot vote on it."))
        lines = (Line("info", "i", mine),) if is_mine else ()
        if why_not is not None and not is_mine:
            lines = (line_of(replace(why_not, severity="info")),)
        return Panel(sentence, seats, missing, said, refusals=lines)
    again = f"{reverse('sign-in-again')}?{urlencode({'next': reverse('policies')})}"
    minutes = proposal.round.fresh_sign_in_minutes
    if not signed_in_freshly(actor.signed_in_at, within_minutes=minutes, now=now):
        note = Sentence(FRESH_SIGN_IN, {"minutes": minutes})
        return Panel(sentence, seats, missing, said, notes=(note,), sign_in_again=again)
    if proposal.round.second_factor and not signed_in_twice(actor.methods):
        has_one = accounts.has_second_factor(actor)
        note = Sentence(mark("The policy asks for a sign-in with a second factor before this vote."))
        return Panel(
            sentence,
            seats,
            missing,
            said,
            notes=(note,),
            sign_in_again=again if has_one else reverse("profile"),
            sign_in_word="" if has_one else _("Add a second factor"),
        )
    return Panel(sentence, seats, missing, said, acts=ACTS, reason=reason)


def voices(tally: Tally | None, actor: Actor) -> Panel | None:
    """Return whose votes an edit by this person would need; ``None`` when it would be in force at once."""
    if tally is None:
        return None
    seats = tuple(_seats(tally, actor.person_id))
    return Panel(Sentence(VOICES, {"n": tally.needed}), seats, tally.needed)


def _seats(tally: Tally, me: UUID | None) -> Iterable[Line]:
    for seat in tally.seats:
        for ballot in seat.approved_by:
            who = Sentence(mark("%(who)s for %(other)s"), {"who": ballot.name, "other": ballot.for_name})
            yield Line("go", "✓", SEATS[seat.seat], detail=who if ballot.for_name else ballot.name, at=ballot.cast_at)
        if seat.missing:
            yield _missing(seat, me)


def _missing(seat: SeatTally, me: UUID | None) -> Line:
    """Return who may still vote on a seat; that nobody may is told as what it is: it can never be approved so."""
    end = Sentence(mark("%(n)s more"), {"n": seat.missing}) if seat.missing > 1 else ""
    if len(seat.may_decide) < seat.missing:
        tone, sign = "stop", "✕"
    else:
        tone, sign = "wait", "◔"
    return Line(tone, sign, SEATS[seat.seat], detail=who_may(seat, me), end=end)


def _said(tally: Tally) -> Iterable[Line]:
    """Yield what people said that fills no seat: against, abstained, not counted; all of it once it is over."""
    seated = {ballot.person for seat in tally.seats for ballot in seat.approved_by}
    for view in tally.ballots:
        ballot = view.ballot
        if ballot.person in seated and ballot.decision is Decision.APPROVE and not ballot.reason:
            continue
        tone, sign = SIGNS[ballot.decision]
        text = Sentence(telling.DECISIONS[ballot.decision], {"who": ballot.name})
        yield Line(tone, sign, text, detail=view.why_not.message if view.why_not else ballot.reason, at=ballot.cast_at)
