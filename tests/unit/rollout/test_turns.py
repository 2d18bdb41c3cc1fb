"""The two targets of a route take turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.rollout.rules import CANARY, STABLE, idle_target, live_target, split
from releases.rollout.states import ALL_PERCENT, CANARY_PERCENT, DEPLOY_STAGE, pause_stage, shift_stage

WEIGHTS = st.fixed_dictionaries({}, optional={STABLE: st.integers(0, 100), CANARY: st.integers(0, 100)})


@pytest.mark.parametrize(
    ("weights", "live"),
    [
        ({}, STABLE),
        ({STABLE: 100, CANARY: 0}, STABLE),
        ({STABLE: 0, CANARY: 100}, CANARY),
        ({STABLE: 50, CANARY: 50}, STABLE),
        ({CANARY: 1}, CANARY),
    ],
)
def test_the_side_with_the_traffic_is_live(weights, live):
    assert live_target(weights) == live


@given(WEIGHTS)
def test_the_next_version_never_goes_where_most_of_the_traffic_is(weights):
    idle, live = idle_target(weights), live_target(weights)

    assert {idle, live} == {STABLE, CANARY}
    assert weights.get(idle, 0) <= weights.get(live, 0)


@given(WEIGHTS, st.integers(0, 100))
def test_a_split_is_whole_and_gives_the_idle_side_its_share(weights, percent):
    found = split(weights, percent)

    assert sum(found.values()) == 100
    assert found[idle_target(weights)] == percent


@given(WEIGHTS)
def test_after_all_traffic_moved_the_sides_have_changed_their_roles(weights):
    after = split(weights, ALL_PERCENT)

    assert live_target(after) == idle_target(weights)
    assert idle_target(after) == live_target(weights)


def test_the_stages_follow_each_other_and_the_canary_is_small():
    stages = [DEPLOY_STAGE, *(stage(move) for move in (1, 2, 3) for stage in (shift_stage, pause_stage))]

    assert stages == list(range(1, 8))
    assert 0 < CANARY_PERCENT < ALL_PERCENT == 100


@given(st.lists(WEIGHTS, min_size=1))
def test_routes_of_one_service_are_live_on_the_canary_only_if_all_are(splits):
    is_canary = all(live_target(one) == CANARY for one in splits)

    assert live_target(*splits) == (CANARY if is_canary else STABLE)
    assert {live_target(*splits), idle_target(*splits)} == {STABLE, CANARY}


def test_without_a_route_there_is_one_side_and_everything_is_deployed_there():
    assert (live_target(), idle_target()) == (STABLE, STABLE)
