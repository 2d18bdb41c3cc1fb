"""When a move of several routes is torn: some made it, others cannot, and nothing is under way any more."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.operations.queries import StepLine
from releases.operations.states import IN_FLIGHT, StepState
from releases.rollout.rules import Leg, Torn, torn
from releases.rollout.services.putting_back import leg_of

DONE, STUCK, TODO = StepState.CONFIRMED, StepState.NEEDS_HUMAN, StepState.TODO
FALLEN = {StepState.FAILED, StepState.NEEDS_HUMAN}
LEGS = st.lists(st.tuples(st.sampled_from(StepState), st.booleans()), min_size=1, max_size=5).map(
    lambda many: [Leg(str(at), state, sent) for at, (state, sent) in enumerate(many)]
)


@pytest.mark.parametrize(
    ("legs", "found"),
    [
        ([Leg("a", DONE, True), Leg("b", STUCK, False)], Torn(("a",), ("b",))),
        ([Leg("a", DONE, True), Leg("b", StepState.FAILED, False), Leg("c", TODO, False)], Torn(("a",), ("b", "c"))),
        ([Leg("a", STUCK, True), Leg("b", TODO, False)], Torn(("a",), ("b",))),
        ([Leg("a", STUCK, False), Leg("b", TODO, False)], None),
        ([Leg("a", DONE, True), Leg("b", DONE, True)], None),
        ([Leg("a", DONE, True), Leg("b", TODO, False)], None),
        ([Leg("a", STUCK, True)], None),
    ],
)
def test_a_move_is_torn_when_some_made_it_and_others_cannot(legs, found):
    assert torn(legs) == found


@given(LEGS)
def test_what_is_in_flight_is_waited_for_and_nobody_is_forgotten(legs):
    found, states = torn(legs), {leg.state for leg in legs}

    if found is None:
        moved = [leg for leg in legs if leg.state is DONE or leg.may_have_moved]
        assert states & IN_FLIGHT or not states & FALLEN or not moved or len(legs) == 1
    else:
        assert not states & IN_FLIGHT
        assert sorted((*found.moved, *found.unmoved)) == sorted(leg.name for leg in legs)
        assert all(leg.name in found.moved for leg in legs if leg.state is DONE)


def a_line(name, state, remote_ref="", sent_at=None):
    told = dict.fromkeys(field.name for field in fields(StepLine))
    return StepLine(**{**told, "name": name, "state": state, "remote_ref": remote_ref, "sent_at": sent_at})


@pytest.mark.parametrize("waiting", [StepState.APPLIED, StepState.NEEDS_HUMAN])
def test_a_route_that_waits_for_git_keeps_nobody_from_putting_back_and_has_not_moved(waiting):
    lines = [a_line("a", DONE, "42", "12:00"), a_line("b", waiting, "in-git", "12:00"), a_line("c", STUCK)]

    assert torn([leg_of(line) for line in lines]) == Torn(("a",), ("b", "c"))


def test_what_git_brought_has_moved():
    assert leg_of(a_line("a", DONE, "in-git", "12:00")) == Leg("a", DONE, may_have_moved=True)
