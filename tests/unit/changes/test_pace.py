"""The pace of a release: what can be written, what is wrong with it, and that it is read as it was written."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.changes.pace import MOST_STEPS, Step, lasts, pace_of, problems, read, written

GOOD = (Step(5, 10), Step(25, 30), Step(100))
SHARES = st.lists(st.integers(1, 99), min_size=0, max_size=MOST_STEPS - 1, unique=True).map(sorted)
PAUSES = st.integers(1, 24 * 60)


@st.composite
def paces(draw):
    return (*(Step(share, draw(PAUSES)) for share in draw(SHARES)), Step(100))


@pytest.mark.parametrize(
    "text",
    ["5 % 10 min\n25 % 30 min\n100 %", "5% for 10 minutes, 25 30 min; 100", "5 % por 10 min\n\n25 % 30min\n100%"],
)
def test_a_pace_is_read_however_it_is_written(text):
    assert read(text) == (GOOD, {})


@given(paces())
def test_what_is_written_is_read_again_and_nothing_is_wrong_with_it(steps):
    assert read(written(steps)) == (steps, {})
    assert problems(steps) == {}
    assert pace_of([one.as_json() for one in steps]) == steps


@pytest.mark.parametrize("line", ["soon", "5 % 10", "-5 % 10 min", "5 % 10 days", "five"])
def test_a_line_that_is_no_step_is_quoted(line):
    steps, wrong = read(line)

    assert steps == ()
    assert line in str(wrong["steps"][0])


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        ((Step(0, 10), Step(100)), "steps.0.percent"),
        ((Step(25, 10), Step(25, 10), Step(100)), "steps.1.percent"),
        ((Step(100, 10), Step(100)), "steps.0.percent"),
        ((Step(5, 10), Step(50)), "steps.1.percent"),
        ((Step(5, 0), Step(100)), "steps.0.pause_minutes"),
        ((Step(5, 24 * 60 + 1), Step(100)), "steps.0.pause_minutes"),
        ((Step(5, 10), Step(100, 5)), "steps.1.pause_minutes"),
        ((*(Step(share, 1) for share in range(1, MOST_STEPS + 1)), Step(100)), "steps"),
    ],
)
def test_what_is_wrong_with_a_pace_is_said_at_its_field(steps, field):
    assert list(problems(steps)) == [field]


def test_pauses_must_fit_into_the_window():
    assert lasts(GOOD) == timedelta(minutes=40)
    assert problems(GOOD, window=timedelta(minutes=41)) == {}
    (sentence,) = problems(GOOD, window=timedelta(minutes=40))["steps"]
    assert "40 minutes" in str(sentence)


def test_no_steps_are_the_usual_pace():
    assert problems((), window=timedelta()) == {}
    assert read(" \n ") == ((), {})
