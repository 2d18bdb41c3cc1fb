"""When and where a notice goes: quiet hours over midnight and changing clocks, digests, storms."""

from datetime import UTC, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from releases.notify.facts import Preferences, QuietHours
from releases.notify.kinds import Digest, Sink, Topic
from releases.notify.rules import MANNERS, at_choice, is_quiet, is_zone, quiet_until, storm_slot, when, where

SAO_PAULO = "America/Sao_Paulo"  # no summer time since 2019
NIGHT = QuietHours(time(22), time(7))
ZONES = st.sampled_from(["UTC", SAO_PAULO, "Europe/Lisbon", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
FIRST, LAST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (2025, 2028))
MOMENTS = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))
HOURS = st.builds(QuietHours, TIMES, TIMES)


def wanted(**choice) -> Preferences:
    return Preferences(**{"sink": Sink.EMAIL, "zone": SAO_PAULO, **choice})


def local(at: datetime, zone: str = SAO_PAULO) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def moment(text: str, zone: str = SAO_PAULO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-09-15T21:59", "2026-09-15T21:59"),
        ("2026-09-15T22:00", "2026-09-16T07:00"),
        ("2026-09-16T00:00", "2026-09-16T07:00"),
        ("2026-09-16T06:59", "2026-09-16T07:00"),
        ("2026-09-16T07:00", "2026-09-16T07:00"),
    ],
)
def test_a_night_begins_before_midnight_and_ends_after_it(at, until):
    assert quiet_until(moment(at), NIGHT, ZoneInfo(SAO_PAULO)) == moment(until)


def test_a_night_in_which_clocks_go_forward_is_an_hour_shorter_and_one_in_which_they_go_back_an_hour_longer():
    zone = ZoneInfo("America/New_York")
    forward, back = moment("2026-03-07T22:00", zone.key), moment("2026-10-31T22:00", zone.key)

    assert quiet_until(forward, NIGHT, zone) - forward == timedelta(hours=8)
    assert quiet_until(back, NIGHT, zone) - back == timedelta(hours=10)


def test_quiet_hours_that_end_in_the_hour_left_out_end_soon_after_it():
    zone = ZoneInfo("America/New_York")

    end = quiet_until(moment("2026-03-08T00:30", zone.key), QuietHours(time(0), time(2, 30)), zone)

    assert local(end, zone.key) == datetime(2026, 3, 8, 3, 30, tzinfo=zone)


@given(MOMENTS, HOURS, ZONES)
def test_quiet_hours_end_and_nobody_is_disturbed_before(at, hours, zone):
    until = quiet_until(at, hours, ZoneInfo(zone))

    assert at <= until <= at + timedelta(hours=49)
    assert not is_quiet(until, hours, ZoneInfo(zone))
    if until > at:
        for share in (0.0, 0.3, 0.7, 0.999):
            assert is_quiet(at + (until - at) * share, hours, ZoneInfo(zone))


@given(MOMENTS, HOURS)
def test_where_clocks_never_change_the_hours_are_what_the_clock_shows(at, hours):
    shown = at.time()
    within = hours.starts <= shown < hours.ends
    over = shown >= hours.starts or shown < hours.ends
    expected = within if hours.starts < hours.ends else over if hours.starts > hours.ends else False

    assert is_quiet(at, hours, ZoneInfo("UTC")) == expected


@given(MOMENTS, HOURS, ZONES)
def test_outside_the_days_on_which_clocks_change_so_they_are_everywhere(at, hours, zone):
    days = [at + timedelta(days=days) for days in (-2, -1, 0, 1, 2)]
    assume(len({local(day, zone).utcoffset() for day in days}) == 1)
    shown = local(at, zone).time()
    within = hours.starts <= shown < hours.ends
    over = shown >= hours.starts or shown < hours.ends
    expected = within if hours.starts < hours.ends else over if hours.starts > hours.ends else False

    assert is_quiet(at, hours, ZoneInfo(zone)) == expected


@given(MOMENTS, HOURS, ZONES, st.sampled_from(Digest), st.integers(0, 50), st.sampled_from(Topic))
def test_whatever_one_chose_a_page_goes_at_once_and_nothing_waits_for_ever(at, hours, zone, digest, lately, topic):
    due = when(topic, wanted=wanted(quiet=hours, zone=zone, digest=digest), now=at, lately=lately)

    assert at <= due <= at + timedelta(days=4)
    if MANNERS[topic].is_page:
        assert due == at


def test_what_cannot_wait_comes_at_night_too_and_what_can_waits_for_the_morning():
    at = moment("2026-09-16T03:00")
    choice = wanted(quiet=NIGHT, digest=Digest.HOUR)

    assert when(Topic.NEEDS_HUMAN, wanted=choice, now=at, lately=100) == at
    assert when(Topic.VERDICT_BAD, wanted=choice, now=at, lately=0) == at
    assert when(Topic.VOTE_NEEDED, wanted=choice, now=at, lately=0) == moment("2026-09-16T07:00")


@pytest.mark.parametrize(
    ("digest", "due"),
    [
        (Digest.AT_ONCE, "2026-09-15T10:31"),
        (Digest.QUARTER, "2026-09-15T10:45"),
        (Digest.HOUR, "2026-09-15T11:00"),
        (Digest.DAY, "2026-09-16T09:00"),
    ],
)
def test_a_digest_goes_out_at_the_next_full_quarter_hour_or_morning(digest, due):
    now = moment("2026-09-15T10:31")

    assert when(Topic.APPROVED, wanted=wanted(digest=digest), now=now, lately=0) == moment(due)


def test_the_morning_of_a_daily_digest_is_the_readers_own():
    now = moment("2026-09-15T10:31")

    due = when(Topic.APPROVED, wanted=wanted(digest=Digest.DAY, zone="Asia/Kolkata"), now=now, lately=0)

    assert local(due, "Asia/Kolkata").time() == time(9)


def test_of_a_storm_the_first_five_come_one_by_one_and_the_rest_in_one_letter_every_five_minutes():
    began = moment("2026-09-15T10:30")
    moments = [began + timedelta(minutes=number / 1000) for number in range(1000)]

    due = [when(Topic.FREEZE, wanted=wanted(), now=at, lately=told) for told, at in enumerate(moments)]

    assert due[:5] == moments[:5]
    assert set(due[5:]) == {storm_slot(began)} == {began + timedelta(minutes=5)}


def test_what_is_about_muted_services_or_was_left_out_stays_here_and_pages_never_do():
    loud, muted = uuid4(), uuid4()
    choice = wanted(muted=frozenset({muted}), topics=frozenset({Topic.VOTE_NEEDED}))

    assert where(Topic.VOTE_NEEDED, wanted=choice, services=[muted]) is Sink.HERE
    assert where(Topic.VOTE_NEEDED, wanted=choice, services=[muted, loud]) is Sink.EMAIL
    assert where(Topic.VOTE_NEEDED, wanted=choice, services=[]) is Sink.EMAIL
    assert where(Topic.APPROVED, wanted=choice, services=[loud]) is Sink.HERE
    assert where(Topic.NEEDS_HUMAN, wanted=choice, services=[muted]) is Sink.EMAIL


def test_every_topic_has_its_row_and_no_page_can_be_left_out():
    assert set(MANNERS) == set(Topic)
    assert not [topic for topic in at_choice() if MANNERS[topic].is_page]


def test_a_time_zone_is_one_that_is_known_here():
    assert is_zone(SAO_PAULO)
    assert not is_zone("America/../../etc/passwd")
    assert not is_zone("")
