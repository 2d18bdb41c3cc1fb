"""Who may decide: members, lent seats, who took part; asked of one person and one seat. Knows no table.

Everything here speaks of persons, never of accounts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from releases.committee.seats import WHY_EXCLUDED, WHY_EXCLUDED_OTHERWISE, Decision, title_of
from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _

# A passkey is both at once: something one has, opened by a finger, a face or a PIN.
SECOND_FACTORS = frozenset({"mfa", "passkey", "recovery", "totp"})


@dataclass(frozen=True, slots=True)
class Member:
    """An active person and the seats they hold themselves; who is not active is no member."""

    id: UUID
    name: str
    seats: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lent:
    """A seat lent from one person to another for a while."""

    from_person: UUID
    to_person: UUID
    seat: str
    starts_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None

    def covers(self, at: datetime) -> bool:
        """Say whether the seat was lent at that moment; a revocation undoes the whole loan."""
        return self.revoked_at is None and self.starts_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one person did: a decision, on the seat they chose, for themselves or for who lent them a seat."""

    person: UUID
    name: str
    decision: Decision
    seat: str
    cast_at: datetime
    for_person: UUID | None = None
    for_name: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is who right now: members, who took part and how, which seats are lent."""

    members: Mapping[UUID, Member]
    excluded: Mapping[UUID, str]
    delegations: Sequence[Lent] = ()


def eligibility(
    person: UUID, seat: str, *, standing: Standing, at: datetime, for_person: UUID | None = None
) -> Reason | None:
    """Return why this person may not decide on this seat, or ``None``.

    ``for_person`` is who lent them the seat, ``at`` the moment for which the loan must hold. Whoever votes for
    somebody needs to be eligible themselves, and so does the other; a lent seat cannot be lent on, because the lender
    must hold it themselves.
    """
    if person in standing.excluded:
        sentence = WHY_EXCLUDED.get(standing.excluded[person], WHY_EXCLUDED_OTHERWISE)
        return Reason("self_approval", Sentence(sentence), Sentence(_("Somebody who took no part must decide.")))
    member = standing.members.get(person)
    if member is None or not member.seats:
        return Reason("no_seat", Sentence(_("You hold no seat in the committee, so you cannot vote.")))
    holder = member if for_person is None else standing.members.get(for_person)
    if for_person is not None and for_person in standing.excluded:
        return Reason(
            "self_approval", Sentence(_("Who lent you this seat took part in this change, so nobody votes for them."))
        )
    if holder is None or seat not in holder.seats:
        whose = _("You do not hold the seat %(seat)s.")
        theirs = _("Who lent you the seat %(seat)s does not hold it any more.")
        return Reason("no_seat", Sentence(whose if for_person is None else theirs, {"seat": title_of(seat)}))
    if for_person is not None and not _lent(person, seat, standing=standing, at=at, for_person=for_person):
        return Reason("not_lent", Sentence(_("The seat %(seat)s is not lent to you now."), {"seat": title_of(seat)}))
    return None


def _lent(person: UUID, seat: str, *, standing: Standing, at: datetime, for_person: UUID) -> bool:
    return person != for_person and any(
        lent.from_person == for_person and lent.to_person == person and lent.seat == seat and lent.covers(at)
        for lent in standing.delegations
    )


def signed_in_freshly(signed_in_at: datetime | None, *, within_minutes: int | None, now: datetime) -> bool:
    """Say whether the person proved who they are recently enough; a sign-in in the future proves nothing."""
    if within_minutes is None:
        return True
    return signed_in_at is not None and timedelta(0) <= now - signed_in_at <= timedelta(minutes=within_minutes)


def signed_in_twice(methods: Iterable[str]) -> bool:
    """Say whether a sign-in was proved with a second factor, here or (``mfa``) at the provider that vouched for it."""
    return bool(SECOND_FACTORS & set(methods))
