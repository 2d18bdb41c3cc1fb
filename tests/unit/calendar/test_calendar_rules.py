"""Spans are half-open, places clash in earnest, and the next opening is the first moment nothing closes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.calendar.rules import (
    Booked,
    Conflict,
    LockCard,
    Scope,
    WindowCard,
    closures,
    conflicts,
    contains,
    opens_at,
    overlaps,
)
from tests.examples import examples

NOON = datetime(2026, 9, 15, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
PRODUCTION, STAGING = UUID(int=1), UUID(int=2)
LEDGER, CONTACTS = UUID(int=11), UUID(int=12)
PLACE = (LEDGER, PRODUCTION)
END = NOON + timedelta(hours=24)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def window(starts: float, ends: float, *, environment=PRODUCTION, service=None, title="Black Friday") -> WindowCard:
    scope = Scope(environment, service, "production", "ledger" if service else "")
    return WindowCard(UUID(int=99), title, scope, at(starts), at(ends), "Helena")


def lock(*, until=None, environment=PRODUCTION, service=None, since: float = -1) -> LockCard:
    scope = Scope(environment, service, "production" if environment else "", "ledger" if service else "")
    return LockCard(UUID(int=98), scope, "fire", "Caio", at(since), None if until is None else at(until))


def booked(number: int, starts: float, ends: float, *, places=(PLACE,), booked_at: float | None = -1) -> Booked:
    moment = None if booked_at is None else at(booked_at)
    return Booked(UUID(int=number), number, frozenset(places), at(starts), at(ends), moment)


# Spans


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((NOON, NOON + HOUR), (NOON + HOUR, NOON + 2 * HOUR), False),
        ((NOON, NOON + HOUR), (NOON + HOUR - TICK, NOON + 2 * HOUR), True),
        ((NOON, NOON + HOUR), (NOON + HOUR + TICK, NOON + 2 * HOUR), False),
        ((NOON, NOON + HOUR), (NOON - HOUR, NOON), False),
        ((NOON, NOON + HOUR), (NOON - HOUR, NOON + TICK), True),
        ((NOON, NOON + HOUR), (NOON, NOON + HOUR), True),
        ((NOON, NOON + HOUR), (NOON + TICK, NOON + 2 * TICK), True),
        ((NOON, NOON), (NOON - HOUR, NOON + HOUR), False),
    ],
)
def test_spans_overlap_to_the_microsecond(a, b, expected):
    assert overlaps(*a, *b) is expected
    assert overlaps(*b, *a) is expected


@pytest.mark.parametrize(
    ("moment", "inside"),
    [(at(0) - TICK, False), (at(0), True), (at(1) - TICK, True), (at(1), False), (at(1) + TICK, False)],
)
def test_the_start_is_inside_and_the_end_is_not(moment, inside):
    assert contains(window(0, 1), moment) is inside


def test_the_hour_that_happens_twice_is_two_hours():
    before = datetime.fromisoformat("2026-11-01T01:30:00-04:00")  # New York, summer time
    after = datetime.fromisoformat("2026-11-01T01:30:00-05:00")  # the same wall clock, an hour later
    assert overlaps(before, after, before + timedelta(minutes=59), after)
    assert not overlaps(before, before + HOUR, after, after + HOUR)


SPANS = st.tuples(st.integers(-5, 5), st.integers(-5, 5))


@given(SPANS, SPANS)
def test_spans_overlap_exactly_when_some_instant_is_in_both(a, b):
    instants = range(-5, 6)
    shared = any(a[0] <= one < a[1] and b[0] <= one < b[1] for one in instants)
    assert overlaps(at(a[0]), at(a[1]), at(b[0]), at(b[1])) is shared


# Conflicts


def test_the_same_service_in_the_same_environment_at_the_same_time_clashes():
    mine = booked(1, 0, 2)
    assert [one.number for one in conflicts(mine, [booked(2, 1, 3)])] == [2]


@pytest.mark.parametrize(
    "other",
    [
        booked(2, 2, 3),  # it begins when mine ends
        booked(2, 0, 2, places=[(LEDGER, STAGING)]),
        booked(2, 0, 2, places=[(CONTACTS, PRODUCTION)]),
        booked(2, 0, 2, places=[(LEDGER, STAGING), (CONTACTS, PRODUCTION)]),  # each half alone is no place
        booked(1, 0, 2),  # my own
    ],
)
def test_other_times_and_other_places_do_not_clash(other):
    assert conflicts(booked(1, 0, 2, places=[PLACE]), [other]) == ()


def test_every_conflict_is_listed_with_the_places_shared():
    mine = booked(1, 0, 9, places=[PLACE, (CONTACTS, PRODUCTION)])
    found = conflicts(mine, [booked(3, 4, 5), booked(2, 1, 2, places=[(CONTACTS, PRODUCTION), (CONTACTS, STAGING)])])
    assert [(one.number, one.places) for one in found] == [(2, ((CONTACTS, PRODUCTION),)), (3, (PLACE,))]


def test_of_two_that_clash_exactly_one_is_ahead():
    early, late, same = booked(1, 0, 2, booked_at=-2), booked(2, 0, 2), booked(3, 0, 2)
    for one, other in ((early, late), (late, same)):
        assert conflicts(other, [one])[0].is_ahead
        assert not conflicts(one, [other])[0].is_ahead


def test_whoever_only_asks_is_behind_all_who_booked():
    assert conflicts(booked(9, 0, 2, booked_at=None), [booked(1, 0, 2)])[0].is_ahead


# Closures


def closed(*, moment=NOON, places=(PLACE,), freezes=(), locks=(), opens=()):
    return [
        (one.kind, str(one.sentence), one.until)
        for one in closures(places=places, at=moment, freezes=freezes, locks=locks, opens=opens)
    ]


def test_a_place_with_nothing_in_the_calendar_is_open():
    assert closed() == []


def test_a_freeze_says_what_it_is_and_until_when():
    assert closed(freezes=[window(-1, 1)]) == [("freeze", "Frozen, production: Black Friday", at(1))]


@pytest.mark.parametrize("moment", [at(-1) - TICK, at(1)])
def test_a_freeze_does_not_reach_beyond_its_ends(moment):
    assert closed(moment=moment, freezes=[window(-1, 1)]) == []


def test_a_freeze_of_one_service_leaves_the_others_alone():
    freeze = window(-1, 1, service=LEDGER)
    assert closed(freezes=[freeze]) == [("freeze", "Frozen, ledger in production: Black Friday", at(1))]
    assert closed(freezes=[freeze], places=[(CONTACTS, PRODUCTION), (LEDGER, STAGING)]) == []


def test_one_frozen_place_closes_a_change_with_many():
    freeze = window(-1, 1, service=LEDGER)
    assert len(closed(freezes=[freeze], places=[(CONTACTS, PRODUCTION), PLACE])) == 1


@pytest.mark.parametrize(
    ("scope", "where"),
    [
        ({"environment": None}, "everything"),
        ({}, "production"),
        ({"environment": None, "service": LEDGER}, "ledger"),
        ({"service": LEDGER}, "ledger in production"),
    ],
)
def test_a_lock_says_who_stopped_what_and_why(scope, where):
    assert closed(locks=[lock(**scope)]) == [("lock", f"Caio locked {where}: fire", None)]


def test_a_lock_for_elsewhere_does_not_close():
    assert closed(locks=[lock(environment=STAGING), lock(service=CONTACTS)]) == []


def test_a_lock_ends_by_itself_at_its_end():
    assert closed(locks=[lock(until=0)]) == []
    assert closed(locks=[lock(until=0)], moment=NOON - TICK) == [("lock", "Caio locked production: fire", NOON)]


def test_with_open_windows_only_they_are_open():
    opens = [window(-9, -8), window(1, 2), window(5, 6)]
    assert closed(opens=opens) == [("window", "No window is open in production now.", at(1))]
    assert closed(opens=opens, moment=at(1)) == []
    assert closed(opens=opens, moment=at(2)) == [("window", "No window is open in production now.", at(5))]


def test_past_windows_still_shut_a_place_and_nobody_knows_until_when():
    assert closed(opens=[window(-9, -8)]) == [("window", "No window is open in production now.", None)]


def test_a_window_of_one_service_does_not_shut_the_others():
    opens = [window(1, 2, service=LEDGER)]
    assert closed(opens=opens, places=[(CONTACTS, PRODUCTION)]) == []
    assert len(closed(opens=opens)) == 1


# The next opening


def opening(*, after=NOON, before=END, places=(PLACE,), freezes=(), locks=(), opens=(), taken=()):
    return opens_at(places=places, after=after, before=before, freezes=freezes, locks=locks, opens=opens, taken=taken)


def taken(starts: float, ends: float) -> Conflict:
    return Conflict(UUID(int=5), 5, (PLACE,), at(starts), at(ends), is_ahead=True)


def test_what_is_open_opens_at_once():
    assert opening() == NOON


def test_it_opens_when_the_last_of_all_that_closes_is_over():
    assert opening(freezes=[window(-1, 1), window(1, 3)], locks=[lock(until=2)]) == at(3)


def test_it_opens_between_a_freeze_and_the_next():
    assert opening(freezes=[window(-1, 1), window(2, 3)]) == at(1)


def test_it_opens_with_the_window_unless_that_is_frozen():
    assert opening(opens=[window(2, 4)]) == at(2)
    assert opening(opens=[window(2, 4)], freezes=[window(1, 3)]) == at(3)
    assert opening(opens=[window(2, 4), window(6, 7)], freezes=[window(1, 5)]) == at(6)


def test_who_booked_before_goes_first():
    assert opening(taken=[taken(-1, 2)]) == at(2)


@pytest.mark.parametrize(
    "closing",
    [
        {"locks": [lock()]},
        {"freezes": [window(-1, 24)]},
        {"opens": [window(24, 25)]},
        {"after": at(24)},
    ],
)
def test_when_it_does_not_open_in_time_that_is_said(closing):
    assert opening(**closing) is None


def test_every_place_must_be_open():
    freezes = [window(-1, 1, service=LEDGER), window(0.5, 2, service=CONTACTS)]
    assert opening(freezes=freezes, places=[PLACE, (CONTACTS, PRODUCTION)]) == at(2)


HOURS = st.integers(-3, 12)
WINDOWS = st.lists(
    st.tuples(HOURS, st.integers(1, 5), st.sampled_from([None, LEDGER, CONTACTS])).map(
        lambda one: window(one[0], one[0] + one[1], service=one[2])
    ),
    max_size=3,
)
PLACES = st.sampled_from([(PLACE,), ((CONTACTS, PRODUCTION),), (PLACE, (CONTACTS, PRODUCTION))])


@examples(400)
@given(WINDOWS, WINDOWS, st.lists(st.integers(1, 9).map(lambda until: lock(until=until)), max_size=1), PLACES)
def test_the_opening_is_the_first_quarter_hour_at_which_nothing_closes(freezes, opens, locks, places):
    def is_open(moment: datetime) -> bool:
        return not closures(places=places, at=moment, freezes=freezes, locks=locks, opens=opens)

    quarters = [NOON + timedelta(minutes=15 * count) for count in range(4 * 12)]
    first = next((moment for moment in quarters if is_open(moment)), None)
    assert opening(before=at(12), freezes=freezes, opens=opens, locks=locks, places=places) == first
