"""What is known of policies, rounds and votes; every tally is counted anew from who people are now."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.accounts.models import Grant
from releases.committee.models import Delegation, Policy, Round, Vote
from releases.committee.rules import Ballot, Decision, Lent, Member, Standing, Tally, tally, ways, why_no_way
from releases.committee.rules import policy as policies
from releases.committee.rules.policy import Need, Rule
from releases.committee.seats import SEATS, Relation
from releases.core import canonical
from releases.core.errors import Invalid, Missing, Reason, Refused, Sentence
from releases.core.words import mark as _


def current_policy() -> Policy | None:
    """Return the policy in force, or ``None`` before the first one is saved."""
    return Policy.objects.filter(is_current=True).first()


def proposed_policies(among: Iterable[UUID] | None = None) -> list[Policy]:
    """Return the policies that wait for the committee, newest first; ``among`` looks at these subjects of rounds."""
    waiting = Round.objects.filter(closed_at=None).values("subject")
    found = Policy.objects.filter(in_force_at=None, pk__in=waiting).select_related("based_on")
    return list(found if among is None else found.filter(pk__in=among))


def policy_of(version: int) -> Policy:
    """Return the policy of that version.

    :raises Missing: there is none
    """
    found = Policy.objects.filter(version=version).select_related("based_on").first()
    if found is None:
        raise Missing(Sentence(_("There is no such version of the policy.")))
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody knew of the policies who begins to edit: the version in force, and the latest one there was."""

    in_force: int
    latest: int


def seen_now() -> Seen:
    """Return the version in force and the latest one; 0 where there is none."""
    known = dict(Policy.objects.values_list("version", "is_current"))
    return Seen(next((version for version, is_current in known.items() if is_current), 0), max(known, default=0))


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy that was put before the committee: its round, who proposed it, and how it stands."""

    policy: Policy
    round: Round
    tally: Tally

    @property
    def author(self) -> UUID | None:
        """Return whose proposal it is: who cannot vote on it, and can withdraw it."""
        return next((who for who, how in self.round.relations.items() if how == Relation.AUTHOR), None)

    @property
    def is_open(self) -> bool:
        """Say whether the committee still decides."""
        return self.round.closed_at is None


def proposals_of(proposed: Iterable[Policy], now: datetime) -> list[Proposal]:
    """Return how these stand, in the same order; one that nobody had to vote on is left out."""
    by_id = {policy.pk: policy for policy in proposed}
    latest = {one.subject: one for one in Round.objects.filter(subject__in=by_id).order_by("opened_at", "id")}
    counts = counts_of(latest.values(), now)
    return [Proposal(policy, latest[pk], counts[latest[pk].pk].tally) for pk, policy in by_id.items() if pk in latest]


def voices_for(author: UUID | None, now: datetime) -> Tally | None:
    """Return whose votes an edit of the policy by this person would need; ``None`` while there is no policy.

    :raises Refused: (``policy_error``) the policy in force cannot be read
    """
    current = current_policy()
    if current is None:
        return None
    excluded = {author: Relation.AUTHOR.value} if author else {}
    standing = Standing(members=members(), excluded=excluded, delegations=_delegations())
    return tally(needed=hardest_need(current).seats, ballots=(), standing=standing, now=now)


def rules_of(policy: Policy) -> tuple[Rule, ...]:
    """Return the rules of a policy, after checking that the text is what the digest names.

    :raises Refused: (``policy_error``) the text was changed behind the digest
    """
    document = policy.document
    if canonical.digest(document) != policy.digest:
        sentence = Sentence(_("The text of the policy is not what its digest names: save the policy anew."))
        raise Refused(sentence, reasons=[Reason("policy_error", sentence)])
    return policies.parse(document)


def written_out(policy: Policy) -> list[dict[str, Any]]:
    """Return the rules of a policy with every part there is today, for comparing; as they stand if they cannot be read.

    A policy saved by an earlier release lacks the parts that came later.
    """
    with suppress(Invalid):
        return policies.canonical_form(policies.parse(policy.document))
    return policy.document


def rules_in_force() -> tuple[Rule, ...]:
    """Return the rules of the policy in force; none where there is none that can be read and is what its digest names.

    There is no policy without rules, so none means that there is nothing to decide by.
    """
    current = current_policy()
    try:
        return rules_of(current) if current else ()
    except (Refused, Invalid, ValueError):
        return ()


def required(policy: Policy, *, environment_kinds: Iterable[str], level: str, change_type: str) -> Need:
    """Return which seats, and how fresh a sign-in, a policy asks for.

    :raises Refused: (``policy_error``) no rule covers this, or the policy cannot be read
    """
    return policies.required(
        rules_of(policy), environment_kinds=environment_kinds, level=level, change_type=change_type
    )


def hardest_need(policy: Policy) -> Need:
    """Return what a policy asks of the hardest normal change there can be.

    :raises Refused: (``policy_error``) the policy cannot be read
    """
    return policies.hardest(rules_of(policy))


def members() -> dict[UUID, Member]:
    """Return every active person who holds a seat now."""
    held: dict[UUID, tuple[str, set[str]]] = {}
    grants = Grant.objects.filter(role__in=SEATS, person__is_active=True)
    for person_id, name, role in grants.values_list("person_id", "person__name", "role"):
        held.setdefault(person_id, (name, set()))[1].add(role)
    return {person_id: Member(person_id, name, frozenset(seats)) for person_id, (name, seats) in held.items()}


def standing_for(round_: Round) -> Standing:
    """Return who is who now for the votes of a round."""
    return Standing(members=members(), excluded=round_.relations, delegations=_delegations())


def _delegations() -> list[Lent]:
    return [_lent(one) for one in Delegation.objects.filter(revoked_at=None)]


def ballots_on(round_: Round) -> list[Ballot]:
    """Return what people did on exactly this content, in order."""
    votes = Vote.objects.filter(subject=round_.subject, content_digest=round_.content_digest)
    return [_ballot(vote) for vote in votes.select_related("person", "for_person")]


def _ballot(vote: Vote) -> Ballot:
    return Ballot(
        person=vote.person_id,
        name=vote.person.name,
        decision=Decision(vote.decision),
        seat=vote.seat,
        cast_at=vote.cast_at,
        for_person=vote.for_person_id,
        for_name=vote.for_person.name if vote.for_person else "",
        reason=vote.reason,
    )


def round_of(subject: UUID, digest: str) -> Round | None:
    """Return the latest round on exactly this content."""
    return Round.objects.filter(subject=subject, content_digest=digest).order_by("-opened_at", "-id").first()


@dataclass(frozen=True, slots=True)
class Counted:
    """A round counted again: how it stands, and who is who for it."""

    tally: Tally
    standing: Standing


def counts_of(rounds: Iterable[Round], now: datetime) -> dict[UUID, Counted]:
    """Count rounds again, open or closed, from who people are now: who left or lost the seat counts no more.

    By the id of the round; what many rounds cost is what one costs.
    """
    rounds = list(rounds)
    cast: dict[tuple[UUID, str], list[Ballot]] = {}
    votes = Vote.objects.filter(subject__in=[round_.subject for round_ in rounds])
    for vote in votes.select_related("person", "for_person"):
        cast.setdefault((vote.subject, vote.content_digest), []).append(_ballot(vote))
    everybody, lent = members(), _delegations()
    counts: dict[UUID, Counted] = {}
    for round_ in rounds:
        standing = Standing(members=everybody, excluded=round_.relations, delegations=lent)
        counted = tally(
            needed=round_.needed,
            ballots=cast.get((round_.subject, round_.content_digest), []),
            standing=standing,
            now=now,
            is_pre_approved=round_.is_pre_approved,
        )
        counts[round_.pk] = Counted(counted, standing)
    return counts


def tally_of(round_: Round, now: datetime) -> Tally:
    """Count one round again, open or closed, from who people are now."""
    return counts_of([round_], now)[round_.pk].tally


def may_vote(round_: Round, person_id: UUID, now: datetime) -> Reason | None:
    """Return why this person may not vote in this round now, or ``None``: what the page's buttons say."""
    if round_.closed_at is not None:
        return Reason("round_closed", Sentence(_("The committee has decided already: this round is over.")))
    count = counts_of([round_], now)[round_.pk]
    standing, views = count.standing, count.tally.ballots
    if ways(person_id, needed=round_.needed, ballots=views, standing=standing, now=now):
        return None
    return why_no_way(person_id, needed=round_.needed, ballots=views, standing=standing, now=now)


def awaits(person_id: UUID, now: datetime) -> list[UUID]:
    """Return the subjects of open rounds that this person can help to settle now, oldest first."""
    return [call.subject for call in calls_for_votes(now, among=[person_id]) if call.people]


@dataclass(frozen=True, slots=True)
class CallForVotes:
    """An open round: who may vote in it now, which seats are open, and who of them can fill one (``needed``)."""

    round_id: UUID
    subject: UUID
    people: frozenset[UUID]
    needed: frozenset[UUID]
    seats: tuple[str, ...]


def calls_for_votes(now: datetime, *, among: Iterable[UUID] | None = None) -> list[CallForVotes]:
    """Return every open round that is not settled, oldest first, in four queries; ``among`` looks at these people."""
    rounds = list(Round.objects.filter(closed_at=None).order_by("opened_at"))
    counts = counts_of(rounds, now)
    found = []
    for round_ in rounds:
        counted, standing = counts[round_.pk].tally, counts[round_.pk].standing
        if counted.is_settled:
            continue
        seats = tuple(one.seat for one in counted.seats if one.missing)
        how = {
            person: {
                way.seat
                for way in ways(person, needed=round_.needed, ballots=counted.ballots, standing=standing, now=now)
            }
            for person in (standing.members if among is None else among)
        }
        people = frozenset(person for person, mine in how.items() if mine)
        needed = frozenset(person for person, mine in how.items() if mine & set(seats))
        found.append(CallForVotes(round_.pk, round_.subject, people, needed, seats))
    return found


@dataclass(frozen=True, slots=True)
class DelegationCard:
    """A seat lent, as pages show it."""

    id: UUID
    from_name: str
    to_name: str
    seat: str
    starts_at: datetime
    ends_at: datetime


def delegations_of(person_id: UUID, now: datetime) -> list[DelegationCard]:
    """Return what this person has lent or borrowed that is not over."""
    living = Delegation.objects.filter(revoked_at=None, ends_at__gt=now).select_related("from_person", "to_person")
    mine = living.filter(from_person_id=person_id) | living.filter(to_person_id=person_id)
    return [
        DelegationCard(one.pk, one.from_person.name, one.to_person.name, one.seat, one.starts_at, one.ends_at)
        for one in mine
    ]


def _lent(one: Delegation) -> Lent:
    return Lent(one.from_person_id, one.to_person_id, one.seat, one.starts_at, one.ends_at, one.revoked_at)
