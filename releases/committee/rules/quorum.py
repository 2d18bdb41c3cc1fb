"""When it is decided, and by whom: distinct people on distinct seats, the tally. Knows no table.

Everything here is evaluated again whenever somebody asks: at the vote, at
the gate's verdict, at redeem. What is recorded is what people did; whether it counts is computed from who they are
now.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.committee.rules.eligibility import Ballot, Member, Standing, eligibility
from releases.committee.rules.matching import Seating
from releases.committee.seats import Decision, title_of
from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _


@dataclass(frozen=True, slots=True)
class Decider:
    """Somebody whose approval would count now, maybe in the place of somebody else until a moment."""

    id: UUID
    name: str
    for_name: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SeatTally:
    """One seat: how many it asks for, who approved on it, who may still decide."""

    seat: str
    needed: int
    approved_by: tuple[Ballot, ...]
    may_decide: tuple[Decider, ...]

    @property
    def title(self) -> Sentence:
        """Return the seat's title, translatable."""
        return title_of(self.seat)

    @property
    def missing(self) -> int:
        """Return how many approvals are still missing."""
        return max(0, self.needed - len(self.approved_by))

    @property
    def is_filled(self) -> bool:
        """Say whether enough people approved."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class BallotView:
    """A ballot with the reason why it does not count, if so."""

    ballot: Ballot
    why_not: Reason | None = None

    @property
    def counts(self) -> bool:
        """Say whether it counts now."""
        return self.why_not is None


@dataclass(frozen=True, slots=True)
class Tally:
    """Where the decision stands, computed from what people did and who they are now."""

    seats: tuple[SeatTally, ...]
    ballots: tuple[BallotView, ...]
    approved: bool
    rejected: bool
    changes_requested: bool
    missing: tuple[Reason, ...]
    is_pre_approved: bool = False

    @property
    def is_settled(self) -> bool:
        """Say whether nobody needs to decide any more."""
        return self.approved or self.rejected or self.changes_requested

    @property
    def needed(self) -> int:
        """Return how many approvals are asked for in all."""
        return sum(seat.needed for seat in self.seats)

    @property
    def given(self) -> int:
        """Return how many of them are given."""
        return sum(len(seat.approved_by) for seat in self.seats)

    def as_facts(self) -> dict[str, Any]:
        """Return the tally as JSON, for the record."""
        return {
            "approved": self.approved,
            "rejected": self.rejected,
            "changes_requested": self.changes_requested,
            "seats": {
                seat.seat: {"needed": seat.needed, "approved_by": [str(ballot.person) for ballot in seat.approved_by]}
                for seat in self.seats
            },
        }


def tally(
    *,
    needed: Mapping[str, int],
    ballots: Iterable[Ballot],
    standing: Standing,
    now: datetime,
    is_pre_approved: bool = False,
) -> Tally:
    """Count: every seat filled by distinct people, nobody against.

    A person counts once: as voter, and as the one who is voted for. Who voted in person is not represented; of two
    representatives the first counts. An eligible rejection rejects, an eligible request for changes sends it back.
    Without any seat asked for it is approved only when that was said (``is_pre_approved``).
    """
    views = tuple(_views(needed, ballots, standing))
    decisions = {view.ballot.decision for view in views if view.counts}
    rejected = Decision.REJECT in decisions
    changes_requested = Decision.REQUEST_CHANGES in decisions and not rejected
    approvals = [view.ballot for view in views if view.counts and view.ballot.decision is Decision.APPROVE]
    seating = Seating(needed)
    for index, ballot in enumerate(approvals):
        seating.add(index, _options(ballot, needed, standing))
    is_full = not seating.missing() if needed else is_pre_approved
    approved = is_full and not rejected and not changes_requested
    may_decide: dict[str, list[Decider]] = {}
    if not (approved or rejected or changes_requested):
        may_decide = _deciders(seating, len(approvals), views, standing, now)
    seats = tuple(
        SeatTally(
            seat,
            seating.room[seat],
            tuple(approvals[index] for index in sorted(seating.taken[seat])),
            tuple(may_decide.get(seat, ())),
        )
        for seat in sorted(needed)
    )
    return Tally(
        seats=seats,
        ballots=views,
        approved=approved,
        rejected=rejected,
        changes_requested=changes_requested,
        missing=tuple(_missing(seat) for seat in seats if seat.missing),
        is_pre_approved=is_pre_approved and not needed,
    )


def _options(ballot: Ballot, needed: Mapping[str, int], standing: Standing) -> list[str]:
    """Return the seats this ballot can fill, the chosen one first."""
    seats = sorted(needed, key=lambda seat: (seat != ballot.seat, seat))
    return [
        seat
        for seat in seats
        if eligibility(ballot.person, seat, standing=standing, at=ballot.cast_at, for_person=ballot.for_person) is None
    ]


def _views(needed: Mapping[str, int], ballots: Iterable[Ballot], standing: Standing) -> Iterator[BallotView]:
    """Judge each ballot, in the order they were cast."""
    ordered = sorted(ballots, key=lambda ballot: (ballot.cast_at, str(ballot.person)))
    in_person = {ballot.person for ballot in ordered}
    voted: set[UUID] = set()
    represented: set[UUID] = set()
    for ballot in ordered:
        why_not = _why_not(ballot, needed, standing, in_person, voted, represented)
        voted.add(ballot.person)
        if why_not is None and ballot.for_person is not None:
            represented.add(ballot.for_person)
        yield BallotView(ballot, why_not)


def _why_not(
    ballot: Ballot,
    needed: Mapping[str, int],
    standing: Standing,
    in_person: set[UUID],
    voted: set[UUID],
    represented: set[UUID],
) -> Reason | None:
    if not _options(ballot, needed, standing):
        reason = eligibility(
            ballot.person, ballot.seat, standing=standing, at=ballot.cast_at, for_person=ballot.for_person
        )
        return reason or Reason("no_seat", Sentence(_("This seat is not asked for.")))
    if ballot.person in voted:
        return Reason("already_voted", Sentence(_("This person had voted already; one person counts once.")))
    if ballot.for_person in in_person:
        return Reason("voted_in_person", Sentence(_("%(name)s voted in person."), {"name": ballot.for_name}))
    if ballot.for_person in represented:
        return Reason("represented", Sentence(_("Somebody else voted for %(name)s first."), {"name": ballot.for_name}))
    return None


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a person may vote: on a seat, for themselves or for who lent it."""

    seat: str
    for_person: UUID | None = None


def ways(
    person: UUID, *, needed: Iterable[str], ballots: Iterable[BallotView], standing: Standing, now: datetime
) -> list[Way]:
    """Return how this person may vote now, own seats before lent ones; nothing for who has voted."""
    ballots, seats = list(ballots), sorted(needed)
    voted = {view.ballot.person for view in ballots}
    if person in voted:
        return []
    lent_to = {lent.from_person for lent in standing.delegations if lent.to_person == person}
    lenders = sorted(lent_to - voted - _represented(ballots), key=str)
    return [
        Way(seat, for_person)
        for for_person in (None, *lenders)
        for seat in seats
        if eligibility(person, seat, standing=standing, at=now, for_person=for_person) is None
    ]


def why_no_way(
    person: UUID,
    *,
    needed: Iterable[str],
    ballots: Iterable[BallotView],
    standing: Standing,
    now: datetime,
    seat: str = "",
    for_person: UUID | None = None,
) -> Reason:
    """Return why :func:`ways` has none for this person (on this seat, for that person, when they ask for one)."""
    needed = sorted(needed)
    if any(view.ballot.person == person for view in ballots):
        return Reason("already_voted", Sentence(_("You have voted already; one person votes once, from any account.")))
    if not needed:
        return Reason("no_seat", Sentence(_("Nobody needs to vote here: the policy approved this beforehand.")))
    if seat and seat not in needed:
        return Reason("no_seat", Sentence(_("The seat %(seat)s is not asked for here."), {"seat": title_of(seat)}))
    reasons = [
        eligibility(person, one, standing=standing, at=now, for_person=for_person)
        for one in ([seat] if seat else needed)
    ]
    found = [reason for reason in reasons if reason is not None]
    if len(found) < len(reasons):
        return Reason("represented", Sentence(_("The person you would vote for is counted already.")))
    telling = next((reason for reason in found if reason.code != "no_seat"), found[0])
    if seat or for_person or telling.code != "no_seat" or person not in standing.members:
        return telling
    titles = ", ".join(str(title_of(one)) for one in needed)
    text = _("This asks for %(seats)s, and you hold none of these seats.")
    return Reason("no_seat", Sentence(text, {"seats": titles}))


def _represented(ballots: Iterable[BallotView]) -> set[UUID]:
    return {view.ballot.for_person for view in ballots if view.counts and view.ballot.for_person is not None}


def _deciders(
    seating: Seating, count: int, ballots: Sequence[BallotView], standing: Standing, now: datetime
) -> dict[str, list[Decider]]:
    """Return, per seat that is not full, whose approval would help: on it, or by letting somebody move to it."""
    found: dict[str, list[Decider]] = {}
    represented = _represented(ballots)
    empty = seating.missing()
    for member in sorted(standing.members.values(), key=lambda one: (one.name, str(one.id))):
        if member.id in represented:
            continue
        by_whom: dict[UUID | None, list[str]] = {}
        for way in ways(member.id, needed=seating.room, ballots=ballots, standing=standing, now=now):
            by_whom.setdefault(way.for_person, []).append(way.seat)
        for for_person, seats in by_whom.items():
            direct = [seat for seat in seats if seat in empty]
            for seat in direct or _by_moving(seating, count, seats):
                found.setdefault(seat, []).append(_decider(member, for_person, seats, standing, now))
    return found


def _by_moving(seating: Seating, count: int, seats: Sequence[str]) -> list[str]:
    """Return the seat that would be filled if somebody on these seats moved over."""
    trial = seating.copy()
    if not trial.add(count, seats):
        return []
    return [seat for seat in seating.taken if len(trial.taken[seat]) > len(seating.taken[seat])]


def _decider(
    member: Member, for_person: UUID | None, seats: Sequence[str], standing: Standing, now: datetime
) -> Decider:
    """Name who could help; a lent seat may be another than the one that their help fills in the end."""
    if for_person is None:
        return Decider(member.id, member.name)
    until = max(
        lent.ends_at
        for lent in standing.delegations
        if (lent.from_person, lent.to_person) == (for_person, member.id) and lent.seat in seats and lent.covers(now)
    )
    return Decider(member.id, member.name, standing.members[for_person].name, until)


def _missing(seat: SeatTally) -> Reason:
    parts = {"seat": seat.title, "count": seat.missing}
    if seat.may_decide:
        names = ", ".join(sorted({decider.name for decider in seat.may_decide}))
        fix = Sentence(_("Ask %(names)s."), {"names": names})
    else:
        fix = Sentence(_("Nobody is left who may decide: give this seat to somebody who took no part."))
    return Reason("approvals_missing", Sentence(_("%(seat)s: %(count)s more must approve."), parts), fix)
