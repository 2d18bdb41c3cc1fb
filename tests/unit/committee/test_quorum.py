"""One person counts once: the tally against an oracle that was written from the specification alone."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from releases.committee.rules import Ballot, Decision, Lent, Member, Standing, Tally, strictest, tally
from releases.committee.rules import Requirement as Asked
from tests.examples import examples

NOW = datetime(2026, 9, 15, 12, tzinfo=UTC)
SEATS = ("seat_business", "seat_engineering", "seat_security")
PEOPLE = [UUID(int=number) for number in range(1, 7)]
APPROVE, REJECT, CHANGES, ABSTAIN = Decision.APPROVE, Decision.REJECT, Decision.REQUEST_CHANGES, Decision.ABSTAIN


def person(number: int) -> UUID:
    return PEOPLE[number - 1]


def who(**seats: str) -> dict[UUID, Member]:
    """p1="engineering security" is person 1 with two seats."""
    return {
        person(int(name[1:])): Member(person(int(name[1:])), name, frozenset(f"seat_{one}" for one in held.split()))
        for name, held in seats.items()
    }


def ballot(number: int, *, decision: Decision = APPROVE, seat: str = "", of: int | None = None, at: int = 0) -> Ballot:
    return Ballot(
        person=person(number),
        name=f"p{number}",
        decision=decision,
        seat=f"seat_{seat}",
        cast_at=NOW - timedelta(hours=1) + timedelta(minutes=at or number),
        for_person=person(of) if of else None,
    )


def loan(lender: int, borrower: int, seat: str, *, starts: int = -24, ends: int = 24, revoked: bool = False) -> Lent:
    return Lent(
        person(lender),
        person(borrower),
        f"seat_{seat}",
        NOW + timedelta(hours=starts),
        NOW + timedelta(hours=ends),
        NOW if revoked else None,
    )


def count(
    needed: Mapping[str, int],
    ballots: Sequence[Ballot],
    members: Mapping[UUID, Member],
    *,
    excluded: Sequence[int] = (),
    lent: Sequence[Lent] = (),
) -> Tally:
    standing = Standing(members, {person(one): "requester" for one in excluded}, lent)
    return tally(
        needed={f"seat_{seat}": people for seat, people in needed.items()}, ballots=ballots, standing=standing, now=NOW
    )


def approved(*arguments: object, **more: object) -> bool:
    return count(*arguments, **more).approved  # type: ignore[arg-type]  # tests pass what count takes


TWO = {"engineering": 1, "security": 1}


def test_two_people_on_two_seats_approve():
    assert approved(TWO, [ballot(1), ballot(2)], who(p1="engineering", p2="security"))


def test_one_person_with_both_seats_fills_only_one():
    found = count(TWO, [ballot(1, seat="security")], who(p1="engineering security"))
    assert not found.approved
    assert [(seat.seat, seat.missing) for seat in found.seats] == [("seat_engineering", 1), ("seat_security", 0)]


def test_somebody_moves_to_their_other_seat_to_let_one_more_in():
    members = who(p1="engineering security", p2="engineering")
    assert approved(TWO, [ballot(1, seat="engineering"), ballot(2, seat="engineering")], members)


def test_three_move_along_a_chain_of_seats():
    members = who(p1="business engineering", p2="engineering security", p3="business")
    ballots = [ballot(1, seat="business"), ballot(2, seat="engineering"), ballot(3, seat="business")]
    assert approved({"business": 1, "engineering": 1, "security": 1}, ballots, members)


def test_two_people_are_needed_where_two_are_asked_for():
    members = who(p1="engineering", p2="engineering")
    assert not approved({"engineering": 2}, [ballot(1)], members)
    assert approved({"engineering": 2}, [ballot(1), ballot(2)], members)


def test_two_ballots_of_one_person_count_as_one_even_if_the_table_let_them_in():
    members = who(p1="engineering security")
    found = count(TWO, [ballot(1, seat="engineering", at=1), ballot(1, seat="security", at=2)], members)
    assert not found.approved
    assert [view.counts for view in found.ballots] == [True, False]


@pytest.mark.parametrize("relation", ["requester", "author", "committer", "implementer"])
def test_whoever_took_part_does_not_count(relation):
    standing = Standing(who(p1="engineering"), {person(1): relation})
    found = tally(needed={"seat_engineering": 1}, ballots=[ballot(1)], standing=standing, now=NOW)
    assert not found.approved
    assert found.ballots[0].why_not.code == "self_approval"


def test_who_left_since_the_vote_counts_no_more():
    assert approved({"engineering": 1}, [ballot(1)], who(p1="engineering"))
    assert not approved({"engineering": 1}, [ballot(1)], {})


def test_who_lost_the_seat_since_the_vote_counts_no_more():
    assert not approved({"engineering": 1}, [ballot(1, seat="engineering")], who(p1="security"))


def test_an_eligible_rejection_rejects_although_every_seat_is_filled():
    members = who(p1="engineering", p2="engineering")
    found = count({"engineering": 1}, [ballot(1), ballot(2, decision=REJECT)], members)
    assert (found.approved, found.rejected, found.is_settled) == (False, True, True)


def test_a_request_for_changes_sends_it_back_and_a_rejection_beside_it_rejects():
    members = who(p1="engineering", p2="engineering")
    assert count({"engineering": 1}, [ballot(1, decision=CHANGES)], members).changes_requested
    both = count({"engineering": 1}, [ballot(1, decision=CHANGES), ballot(2, decision=REJECT)], members)
    assert both.rejected
    assert not both.changes_requested


@pytest.mark.parametrize("decision", [REJECT, CHANGES])
def test_who_may_not_decide_cannot_block_either(decision):
    members = who(p1="engineering", p2="engineering")
    ballots = [ballot(1), ballot(2, decision=decision)]
    assert approved({"engineering": 1}, ballots, members, excluded=[2])


def test_an_abstention_neither_fills_a_seat_nor_settles():
    found = count({"engineering": 1}, [ballot(1, decision=ABSTAIN)], who(p1="engineering", p2="engineering"))
    assert not found.is_settled
    assert [decider.name for decider in found.seats[0].may_decide] == ["p2"]


def test_asking_nobody_approves_only_when_that_was_said():
    standing = Standing({}, {})
    assert not tally(needed={}, ballots=[], standing=standing, now=NOW).approved
    assert tally(needed={}, ballots=[], standing=standing, now=NOW, is_pre_approved=True).approved
    seat = {"seat_engineering": 1}
    assert not tally(needed=seat, ballots=[], standing=standing, now=NOW, is_pre_approved=True).approved


def test_a_seat_that_asks_for_nought_still_asks_for_one():
    assert not approved({"engineering": 0}, [], who(p1="engineering"))


# Lent seats


def test_a_lent_seat_is_filled_by_who_borrowed_it():
    members = who(p1="security", p2="business")
    assert approved({"security": 1}, [ballot(2, of=1, seat="security")], members, lent=[loan(1, 2, "security")])


@pytest.mark.parametrize(
    ("members", "excluded"),
    [
        (who(p1="security"), []),  # the borrower holds no seat of their own, or left
        (who(p2="business"), []),  # the lender left
        (who(p1="business", p2="business"), []),  # the lender does not hold the seat
        (who(p1="security", p2="business"), [1]),  # the lender took part
        (who(p1="security", p2="business"), [2]),  # the borrower took part
    ],
)
def test_both_who_lends_and_who_borrows_must_be_eligible(members, excluded):
    ballots = [ballot(2, of=1, seat="security")]
    assert not approved({"security": 1}, ballots, members, excluded=excluded, lent=[loan(1, 2, "security")])


def test_a_lent_seat_cannot_be_lent_on():
    members = who(p1="security", p2="business", p3="business")
    lent = [loan(1, 2, "security"), loan(2, 3, "security")]
    assert not approved({"security": 1}, [ballot(3, of=2, seat="security")], members, lent=lent)
    assert not approved({"security": 1}, [ballot(3, of=1, seat="security")], members, lent=lent)


@pytest.mark.parametrize(
    ("starts", "ends", "revoked", "counts"),
    [(-24, 24, False, True), (-24, -2, False, False), (2, 24, False, False), (-24, 24, True, False)],
)
def test_the_loan_must_hold_when_the_vote_is_cast_and_not_be_taken_back(starts, ends, revoked, counts):
    lent = [loan(1, 2, "security", starts=starts, ends=ends, revoked=revoked)]
    ballots = [ballot(2, of=1, seat="security")]
    assert approved({"security": 1}, ballots, who(p1="security", p2="business"), lent=lent) is counts


def test_lender_and_borrower_together_fill_one_seat():
    members = who(p1="security", p2="business")
    ballots = [ballot(2, of=1, seat="security"), ballot(1, seat="security")]
    found = count({"security": 2}, ballots, members, lent=[loan(1, 2, "security")])
    assert not found.approved
    assert found.given == 1


def test_who_votes_in_person_is_not_represented():
    members = who(p1="security", p2="business")
    ballots = [ballot(2, of=1, seat="security"), ballot(1, seat="security", decision=REJECT, at=9)]
    assert count({"security": 1}, ballots, members, lent=[loan(1, 2, "security")]).rejected


def test_of_two_representatives_the_first_counts():
    members = who(p1="security", p2="business", p3="business")
    lent = [loan(1, 2, "security"), loan(1, 3, "security")]
    found = count(
        {"security": 2}, [ballot(2, of=1, seat="security"), ballot(3, of=1, seat="security")], members, lent=lent
    )
    assert [view.counts for view in found.ballots] == [True, False]
    assert not found.approved


def test_two_who_vote_for_each_other_count_for_nothing():
    members = who(p1="security", p2="security")
    lent = [loan(1, 2, "security"), loan(2, 1, "security")]
    found = count(
        {"security": 1}, [ballot(1, of=2, seat="security"), ballot(2, of=1, seat="security")], members, lent=lent
    )
    assert found.given == 0


# Who can still help


def test_who_could_help_by_letting_somebody_move_is_named():
    members = who(p1="engineering security", p2="engineering")
    found = count(TWO, [ballot(1, seat="engineering")], members)
    security = next(seat for seat in found.seats if seat.seat == "seat_security")
    assert [decider.name for decider in security.may_decide] == ["p2"]


def test_who_borrowed_a_seat_is_named_with_for_whom_and_until_when():
    members = who(p1="security", p2="business")
    found = count({"security": 1}, [], members, lent=[loan(1, 2, "security")])
    assert [(one.name, one.for_name, one.until) for one in found.seats[0].may_decide] == [
        ("p1", "", None),
        ("p2", "p1", NOW + timedelta(hours=24)),
    ]


def test_who_could_help_on_a_borrowed_seat_by_letting_somebody_move_is_named():
    members = who(p1="engineering security", p2="engineering", p3="business")
    found = count(TWO, [ballot(1, seat="engineering")], members, lent=[loan(2, 3, "engineering", ends=7)])
    security = next(seat for seat in found.seats if seat.seat == "seat_security")
    assert [(one.name, one.for_name, one.until) for one in security.may_decide] == [
        ("p2", "", None),
        ("p3", "p2", NOW + timedelta(hours=7)),
    ]


def test_a_seat_that_nobody_is_left_for_says_so():
    found = count({"security": 1}, [], who(p1="security"), excluded=[1])
    assert str(found.missing[0].message) == "Security: 1 more must approve."
    assert "Nobody is left" in str(found.missing[0].fix)


def test_nobody_is_asked_once_it_is_settled():
    members = who(p1="engineering", p2="engineering")
    assert count({"engineering": 1}, [ballot(1)], members).seats[0].may_decide == ()


def test_the_strictest_rule_wins_seat_by_seat():
    asked = [Asked("seat_security", 1), Asked("seat_engineering", 2), Asked("seat_security", 3)]
    assert strictest(asked) == {"seat_engineering": 2, "seat_security": 3}


# The oracle: written from the specification, by brute force, sharing nothing with the rules.


def oracle(needed: Mapping[str, int], ballots: Sequence[Ballot], standing: Standing) -> str:
    def may(voter: UUID, principal: UUID | None, seat: str, at: datetime) -> bool:
        for one in {voter, principal or voter}:
            if one in standing.excluded or one not in standing.members or not standing.members[one].seats:
                return False
        if principal is None:
            return seat in standing.members[voter].seats
        living = any(
            (lent.from_person, lent.to_person, lent.seat) == (principal, voter, seat)
            and lent.revoked_at is None
            and lent.starts_at <= at < lent.ends_at
            for lent in standing.delegations
        )
        return living and principal != voter and seat in standing.members[principal].seats

    live: list[tuple[Ballot, set[str]]] = []
    for one in sorted(ballots, key=lambda each: (each.cast_at, str(each.person))):
        fits = {seat for seat in needed if may(one.person, one.for_person, seat, one.cast_at)}
        twice = any(other.person == one.person for other in ballots if other.cast_at < one.cast_at)
        in_person = any(other.person == one.for_person for other in ballots)
        taken = any(earlier.for_person == one.for_person for earlier, _ in live if one.for_person)
        if fits and not twice and not in_person and not taken:
            live.append((one, fits))
    if any(one.decision is REJECT for one, _ in live):
        return "rejected"
    if any(one.decision is CHANGES for one, _ in live):
        return "changes_requested"
    approvals = [fits for one, fits in live if one.decision is APPROVE]
    return "approved" if any(seating == needed for seating in every_seating(approvals, needed)) else "open"


def every_seating(approvals: Sequence[set[str]], needed: Mapping[str, int]) -> Iterator[dict[str, int]]:
    for choice in product(*[[None, *sorted(fits)] for fits in approvals]):
        yield {seat: sum(one == seat for one in choice) for seat in needed}


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[str, int], list[Ballot], Standing]:
    """Random people behind random accounts; every account tries to vote, the table lets each person in once."""
    members = {
        one: Member(one, str(one)[-1], frozenset(draw(st.sets(st.sampled_from(SEATS), max_size=3))))
        for one in draw(st.sets(st.sampled_from(PEOPLE)))
    }
    needed = draw(st.dictionaries(st.sampled_from(SEATS), st.integers(1, 3), min_size=1))
    moments = st.integers(-50, 50).map(lambda hours: NOW + timedelta(hours=hours))
    lent = [
        Lent(a, b, seat, starts, ends, NOW if revoked else None)
        for a, b, seat, starts, ends, revoked in draw(
            st.lists(
                st.tuples(
                    st.sampled_from(PEOPLE),
                    st.sampled_from(PEOPLE),
                    st.sampled_from(SEATS),
                    moments,
                    moments,
                    st.booleans(),
                ),
                max_size=5,
            )
        )
    ]
    accounts = draw(st.lists(st.sampled_from(PEOPLE), max_size=9))  # the person behind each account that votes
    ballots: dict[UUID, Ballot] = {}
    for minute, one in enumerate(accounts):
        borrowed = [None, None, *(loan.from_person for loan in lent if loan.to_person == one)]
        ballots.setdefault(
            one,
            Ballot(
                person=one,
                name=str(one),
                decision=draw(st.sampled_from([APPROVE, APPROVE, APPROVE, APPROVE, ABSTAIN, REJECT, CHANGES])),
                seat=draw(st.sampled_from(SEATS)),
                cast_at=NOW - timedelta(hours=1) + timedelta(minutes=minute),
                for_person=draw(st.sampled_from(borrowed)),
            ),
        )
    excluded = dict.fromkeys(draw(st.sets(st.sampled_from(PEOPLE), max_size=2)), "author")
    return needed, list(ballots.values()), Standing(members, excluded, lent)


def outcome(found: Tally) -> str:
    return next((name for name in ("approved", "rejected", "changes_requested") if getattr(found, name)), "open")


@examples(1500)
@given(situations())
def test_the_tally_is_what_the_oracle_says(situation):
    needed, ballots, standing = situation
    assert outcome(tally(needed=needed, ballots=ballots, standing=standing, now=NOW)) == oracle(
        needed, ballots, standing
    )


@examples(1000)
@given(situations())
@example(
    (
        {"seat_security": 2},
        [ballot(2, of=1, seat="security"), ballot(1, seat="security")],
        Standing(who(p1="security", p2="business"), {}, [loan(1, 2, "security")]),
    )
)
def test_approved_means_distinct_people_who_took_no_part_all_of_them_members_now(situation):
    needed, ballots, standing = situation
    found = tally(needed=needed, ballots=ballots, standing=standing, now=NOW)
    seated = [one for seat in found.seats for one in seat.approved_by]
    spent = [one for each in seated for one in (each.person, each.for_person) if one is not None]
    assert len(spent) == len(set(spent))
    assert not set(spent) & set(standing.excluded)
    assert set(spent) <= set(standing.members)
    if found.approved:
        assert {seat.seat: len(seat.approved_by) for seat in found.seats} == needed


@examples(500)
@given(situations(), st.randoms())
def test_the_order_in_which_votes_are_read_changes_nothing(situation, random):
    needed, ballots, standing = situation
    shuffled = random.sample(ballots, len(ballots))
    first = tally(needed=needed, ballots=ballots, standing=standing, now=NOW)
    assert tally(needed=needed, ballots=shuffled, standing=standing, now=NOW) == first


@examples(500)
@given(situations())
def test_everybody_named_as_able_to_help_helps(situation):
    needed, ballots, standing = situation
    before = tally(needed=needed, ballots=ballots, standing=standing, now=NOW)
    by_name = {member.name: one for one, member in standing.members.items()}
    for seat in before.seats:
        for decider in seat.may_decide:
            one_more = Ballot(
                person=decider.id,
                name=decider.name,
                decision=APPROVE,
                seat=seat.seat,
                cast_at=NOW,
                for_person=by_name[decider.for_name] if decider.for_name else None,
            )
            after = tally(needed=needed, ballots=[*ballots, one_more], standing=standing, now=NOW)
            assert after.given == before.given + 1
