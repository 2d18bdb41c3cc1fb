"""A refusal says why, to the person it concerns."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from releases.committee.rules import (
    Ballot,
    Decision,
    Lent,
    Member,
    Standing,
    signed_in_freshly,
    tally,
    ways,
    why_no_way,
)

NOW = datetime(2026, 9, 15, 12, tzinfo=UTC)
ANN, BOB = UUID(int=1), UUID(int=2)
NEEDED = {"seat_engineering": 1, "seat_security": 1}
HOUR = timedelta(hours=1)


def standing(*, ann="", bob="", excluded=None, lent=()):
    seats = {ANN: ann.split(), BOB: bob.split()}
    members = {
        one: Member(one, "Ann" if one == ANN else "Bob", frozenset(f"seat_{seat}" for seat in held))
        for one, held in seats.items()
        if held
    }
    return Standing(members, excluded or {}, lent)


def refusal(who, *, needed=NEEDED, ballots=(), **more):
    views = tally(needed=needed, ballots=ballots, standing=who, now=NOW).ballots
    assert ways(ANN, needed=needed, ballots=views, standing=who, now=NOW) == [] or more
    return why_no_way(ANN, needed=needed, ballots=views, standing=who, now=NOW, **more)


@pytest.mark.parametrize(
    ("relation", "sentence"),
    [
        ("requester", "You asked for this change, so you cannot vote on it."),
        ("author", "You wrote a revision of this, so you cannot vote on it."),
        ("committer", "You committed code that this change releases, so you cannot vote on it."),
        ("implementer", "You carry out this change, so you cannot vote on it."),
        ("something new", "You took part in this change, so you cannot vote on it."),
    ],
)
def test_whoever_took_part_is_told_how(relation, sentence):
    reason = refusal(standing(ann="engineering", excluded={ANN: relation}))
    assert (reason.code, str(reason.message)) == ("self_approval", sentence)


def test_who_holds_no_seat_is_told_so():
    assert str(refusal(standing(bob="engineering")).message) == (
        "You hold no seat in the committee, so you cannot vote."
    )


def test_who_holds_another_seat_is_told_which_are_asked_for():
    assert str(refusal(standing(ann="business")).message) == (
        "This asks for Engineering, Security, and you hold none of these seats."
    )


def test_who_has_voted_is_told_so():
    ballot = Ballot(ANN, "Ann", Decision.ABSTAIN, "seat_engineering", NOW)
    assert refusal(standing(ann="engineering security"), ballots=[ballot]).code == "already_voted"


def test_where_nobody_is_asked_nobody_votes():
    assert "beforehand" in str(refusal(standing(ann="engineering"), needed={}).message)


def test_a_borrowed_seat_is_not_counted_twice():
    lent = [Lent(BOB, ANN, "seat_security", NOW - HOUR, NOW + HOUR)]
    ballot = Ballot(BOB, "Bob", Decision.APPROVE, "seat_security", NOW)
    who = standing(ann="business", bob="security", lent=lent)
    assert refusal(who, ballots=[ballot], for_person=BOB).code == "represented"


def test_own_seats_come_before_borrowed_ones():
    lent = [Lent(BOB, ANN, "seat_security", NOW - HOUR, NOW + HOUR)]
    who = standing(ann="engineering", bob="security", lent=lent)
    found = ways(ANN, needed=NEEDED, ballots=[], standing=who, now=NOW)
    assert [(way.seat, way.for_person) for way in found] == [("seat_engineering", None), ("seat_security", BOB)]


@pytest.mark.parametrize(
    ("ago", "is_fresh"),
    [
        (timedelta(0), True),
        (timedelta(minutes=5), True),
        (timedelta(minutes=5, microseconds=1), False),
        (timedelta(microseconds=-1), False),
        (None, False),
    ],
)
def test_a_sign_in_is_fresh_for_five_minutes_and_never_from_the_future(ago, is_fresh):
    signed_in_at = None if ago is None else NOW - ago
    assert signed_in_freshly(signed_in_at, within_minutes=5, now=NOW) is is_fresh


def test_without_the_wish_any_sign_in_will_do():
    assert signed_in_freshly(None, within_minutes=None, now=NOW)
