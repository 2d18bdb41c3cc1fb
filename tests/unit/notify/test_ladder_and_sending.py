"""Who is called next, what goes out together, and when a try is repeated."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.core.errors import Rejected, Unreachable
from releases.notify.facts import Due, Rung
from releases.notify.kinds import Sink, Topic
from releases.notify.ports import Later
from releases.notify.rules import ATTEMPTS, LADDER, MANNERS, gathered, next_rung, next_try
from releases.notify.rules.answers import trouble_of
from releases.notify.rules.sending import MOST_IN_ONE
from releases.notify.states import NoticeState

NOW = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)
WAIT = timedelta(minutes=10)


def rung(number: int, *, minutes: float = 0, state: NoticeState = NoticeState.SENT) -> Rung:
    return Rung(number, NOW - timedelta(minutes=minutes), state)


def called(*told: Rung) -> int | None:
    return next_rung(told, now=NOW, wait=WAIT)


def test_a_page_has_its_time_before_the_next_ones_are_called():
    assert called(rung(0, minutes=9.9)) is None
    assert called(rung(0, minutes=10)) == 1
    assert called(rung(0, minutes=30), rung(1, minutes=5)) is None
    assert called(rung(0, minutes=30), rung(1, minutes=10)) == 2


def test_whoever_came_last_to_a_rung_has_the_whole_time():
    assert called(rung(0, minutes=30), rung(0, minutes=2)) is None


def test_nobody_is_called_once_somebody_took_it_or_when_the_ladder_ends():
    assert called(rung(0, minutes=30, state=NoticeState.ACKNOWLEDGED)) is None
    assert called(rung(len(LADDER) - 1, minutes=60)) is None
    assert called() is None


def test_a_rung_that_nothing_reached_is_not_waited_for():
    assert called(rung(0, state=NoticeState.FAILED)) == 1
    assert called(rung(0, state=NoticeState.FAILED), rung(0, state=NoticeState.PENDING)) is None


TOPICS = st.sampled_from([Topic.VOTE_NEEDED, Topic.APPROVED, Topic.NEEDS_HUMAN])
DUE = st.builds(Due, st.builds(uuid4), TOPICS, st.sampled_from(Sink), st.sampled_from(["ana", "bruno", "caio"]))


@given(st.lists(DUE, max_size=120))
def test_everything_goes_out_once_to_one_addressee_each_pages_alone_and_first(due):
    letters = gathered(due)

    assert sorted(one.id for letter in letters for one in letter) == sorted(one.id for one in due)
    assert all(len({(one.sink, one.addressee) for one in letter}) == 1 for letter in letters)
    assert all(len(letter) <= MOST_IN_ONE for letter in letters)
    paging = [MANNERS[letter[0].topic].is_page for letter in letters]
    assert paging == sorted(paging, reverse=True)
    assert all(len(letter) == 1 for letter in letters if MANNERS[letter[0].topic].is_page)


def test_a_program_gets_one_event_at_a_time_and_a_person_one_letter():
    def due(sink: Sink) -> list[Due]:
        return [Due(uuid4(), Topic.APPROVED, sink, "ana") for _ in range(3)]

    assert [len(letter) for letter in gathered(due(Sink.WEBHOOK))] == [1, 1, 1]
    assert [len(letter) for letter in gathered(due(Sink.EMAIL))] == [3]


def test_it_is_tried_five_times_a_page_within_two_minutes():
    for is_page, limit in ((True, timedelta(minutes=2)), (False, timedelta(hours=1))):
        waits = [next_try(tried, is_page=is_page) for tried in range(1, ATTEMPTS + 1)]
        assert waits[-1] is None
        assert waits[:-1] == sorted(wait for wait in waits if wait)
        assert sum((wait for wait in waits if wait), timedelta()) < limit


def test_the_other_side_may_ask_for_a_longer_rest_but_not_for_days():
    assert next_try(1, is_page=False, asked=timedelta(seconds=90)) == timedelta(seconds=90)
    assert next_try(1, is_page=False, asked=timedelta(seconds=1)) == timedelta(seconds=10)
    assert next_try(1, is_page=False, asked=timedelta(days=9)) == timedelta(hours=1)


ARRIVED, NEVER, NOT_NOW = (200, 202, 204), (302, 400, 404, 410), (408, 425, 429, 500, 503)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, None) for status in ARRIVED),
        *((status, Rejected) for status in NEVER),
        *((status, Unreachable) for status in NOT_NOW),
    ],
)
def test_a_status_says_arrived_never_or_not_now(status, kind):
    trouble = trouble_of(status, said="no_service")

    assert trouble is None if kind is None else type(trouble) is kind


def test_a_rest_that_is_asked_for_is_kept():
    trouble = trouble_of(429, retry_after="30")

    assert isinstance(trouble, Later)
    assert trouble.seconds == 30
    assert not isinstance(trouble_of(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), Later)


@pytest.mark.parametrize("asked", ["3601", "9" * 18, "9" * 400])
def test_a_rest_without_end_is_an_hour(asked):
    trouble = trouble_of(503, retry_after=asked)

    assert isinstance(trouble, Later)
    assert trouble.seconds == 3600
