"""When a run is looked at again, what its earlier runs brought, and which answers a question takes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.delivery.ports import Parameter, Question, Run, Version
from releases.delivery.rules import LATER, RARELY, SOON, look_after, misgiven, stood_there
from releases.delivery.states import ENDS, State

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLACE = {"SERVICE": "ledgerwriter", "ENVIRONMENT": "production", "SLOT": "canary"}


@pytest.mark.parametrize(
    ("state", "age", "left", "seconds"),
    [
        (State.QUEUED, 0, None, SOON),
        (State.QUEUED, 61, None, LATER),
        (State.RUNNING, 0, None, SOON),
        (State.RUNNING, 600, None, LATER),
        (State.RUNNING, 600, 0.0, SOON),
        (State.RUNNING, 600, 20.0, 5.0),
        (State.RUNNING, 1, 3600.0, RARELY),
        (State.WAITING_INPUT, 1, None, LATER),
        (State.PAUSED, 1, 1.0, LATER),
    ],
)
def test_a_run_is_looked_at_often_when_it_may_change_and_seldom_in_between(state, age, left, seconds):
    assert look_after(state, age=age, left=left) == seconds


@given(st.sampled_from(sorted(set(State) - ENDS)), st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
def test_nothing_is_looked_at_more_often_than_every_two_seconds_nor_forgotten(state, age, left):
    assert SOON <= look_after(state, age=age, left=left) <= RARELY


def a_run(name, version, minute, *, state=State.SUCCEEDED, slot="canary", is_over=True):
    parameters = {**PLACE, "SLOT": slot, "VERSION": version, "DIGEST": f"sha256:{version}"}
    return Run(name, state, parameters, NOON + timedelta(minutes=minute) if is_over else None)


def test_what_stood_there_is_told_newest_first_by_when_it_came_and_each_once_in_a_row():
    runs = [
        a_run("9", "v4", 0, is_over=False, state=State.RUNNING),
        a_run("8", "v1", 30),
        a_run("7", "v3", 60, state=State.FAILED),
        a_run("6", "v2", 50),
        a_run("5", "v2", 40),
        a_run("4", "v9", 70, slot="stable"),
        a_run("3", "v2", 10),
    ]

    found = stood_there(runs, PLACE)

    assert found == (Version("v2", "6", "sha256:v2"), Version("v1", "8", "sha256:v1"), Version("v2", "3", "sha256:v2"))


def test_nothing_is_known_of_a_place_where_nothing_succeeded():
    assert stood_there([a_run("1", "v1", 1, state=State.FAILED)], PLACE) == ()


QUESTION = Question(
    "Q", "Go live?", (), (Parameter("SHARE", "10", ("10", "50")), Parameter("NOTE"), Parameter("PIN", is_secret=True))
)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({}, set()),
        ({"SHARE": "50", "NOTE": "anything"}, set()),
        ({"SHARE": "75"}, {"SHARE"}),
        ({"PIN": "1234"}, {"PIN"}),
        ({"WHO": "me", "SHARE": ""}, {"WHO", "SHARE"}),
    ],
)
def test_what_a_question_does_not_take_is_named_one_by_one(values, wrong):
    assert misgiven(QUESTION, values).keys() == wrong
