"""From measures to a verdict."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.catalog.kinds import Figure
from releases.health.ports import Measure, Question
from releases.health.rules import SAID, Limits, judge, watched
from releases.health.states import Health
from tests.factories.health import measures

LIMITS = Limits(at_most=0.05, needed=3, span=timedelta(seconds=20), patience=2)
SINCE = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)
VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)


@pytest.mark.parametrize(
    ("values", "health"),
    [
        ([], Health.UNKNOWN),
        ([0.0], Health.UNKNOWN),
        ([0.0, 0.0], Health.UNKNOWN),
        ([0.0, 0.0, 0.0], Health.HEALTHY),
        ([0.05, 0.05, 0.05], Health.HEALTHY),
        ([0.0, 0.0, 0.051], Health.UNKNOWN),
        ([0.0, 0.0, 0.0, 0.06, 0.06], Health.UNHEALTHY),
        ([0.06, 0.06], Health.UNHEALTHY),
        ([0.06, None, 0.06], Health.UNKNOWN),
        ([0.06, 0.0, 0.06], Health.UNKNOWN),
        ([0.0, None, 0.0, 0.0], Health.UNKNOWN),
        ([0.0, 0.0, 0.0, None], Health.UNKNOWN),
        ([0.06, 0.06, 0.0, 0.0, 0.0], Health.HEALTHY),
        ([None] * 9, Health.UNKNOWN),
    ],
)
def test_a_verdict_rests_on_what_was_seen_last(values, health, now):
    assert judge(measures(values, since=now), LIMITS).health is health


def test_enough_measures_in_too_short_a_time_are_not_healthy_yet(now):
    verdict = judge(measures([0.0] * 5, since=now, every=4), LIMITS)

    assert verdict.health is Health.UNKNOWN
    assert str(verdict.sentence) == "5 of 3 healthy measures in a row, over 16 of 20 seconds."


@pytest.mark.parametrize(
    ("figure", "value", "limit", "said"),
    [
        ("errors", 0.4, 0.05, "40 % of requests failed, the limit is 5 %; measured 2 times in a row."),
        ("errors", 0.0512, 0.005, "5.12 % of requests failed, the limit is 0.5 %; measured 2 times in a row."),
        ("seconds", 1.25, 0.8, "Requests took 1250 ms, the limit is 800 ms; measured 2 times in a row."),
        ("number", 7.5, 5, "7.5 was measured, the limit is 5; 2 times in a row."),
        ("answer", 1.0, 0.5, "It said 2 times in a row that it is ill."),
    ],
)
def test_an_unhealthy_verdict_says_the_figure_and_the_limit_as_people_say_them(now, figure, value, limit, said):
    limits = Limits(at_most=limit, figure=Figure(figure))

    assert str(judge(measures([value, value], since=now), limits).sentence) == said


def test_every_kind_of_figure_has_its_words():
    assert set(SAID) == set(Figure)


def test_a_measure_without_a_value_says_why(now):
    assert str(judge(measures([None], since=now), LIMITS).sentence) == "?"


@given(values=VALUES)
def test_what_ends_in_no_value_is_never_healthy_and_never_unhealthy(values):
    assert judge(measures([*values, None], since=SINCE), LIMITS).health is Health.UNKNOWN


@given(values=VALUES)
def test_healthy_means_the_last_ones_all_were(values):
    if judge(measures(values, since=SINCE), LIMITS).health is Health.HEALTHY:
        assert all(value is not None and value <= LIMITS.at_most for value in values[-LIMITS.needed :])


@given(values=VALUES)
def test_one_more_healthy_measure_never_makes_a_healthy_verdict_worse(values):
    if judge(measures(values, since=SINCE), LIMITS).health is Health.HEALTHY:
        assert judge(measures([*values, 0.0], since=SINCE), LIMITS).health is Health.HEALTHY


@pytest.mark.parametrize(
    ("values", "health"),
    [
        ([0.0] * 6, Health.UNKNOWN),
        ([0.0] * 7, Health.HEALTHY),
        ([0.0, 0.9, 0.9], Health.UNHEALTHY),
        ([0.0] * 6 + [None], Health.UNKNOWN),
        ([0.0, None, 0.0, 0.9, 0.0, 0.0, 0.0], Health.HEALTHY),
        ([], Health.UNKNOWN),
    ],
)
def test_a_watch_lasts_and_ends_healthy(values, health, now):
    assert watched(measures(values, since=now), LIMITS, lasts=timedelta(seconds=60)).health is health


def test_a_watch_says_how_far_it_is(now):
    verdict = watched(measures([0.0] * 4, since=now), LIMITS, lasts=timedelta(seconds=60))

    assert str(verdict.sentence) == "Watched for 30 of 60 seconds, healthy so far."


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_no_measure(value, now):
    with pytest.raises(ValueError, match="finite"):
        Measure(value, now, "test")


def test_measures_and_questions_survive_being_kept(now):
    question = Question("prometheus", "prom", "up", 0.05)
    kept = measures([0.5, None], since=now)

    assert [Measure.from_json(one.as_json()) for one in kept] == kept
    assert Question.from_json(question.as_json()) == question
