"""Weights are whole numbers that mean shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.traffic import rules

SHARES = st.lists(st.integers(0, 1000), min_size=2, max_size=6).filter(any)


@given(SHARES, st.sampled_from([10, 100, 1000, 10_000]))
def test_apportioned_weights_sum_to_the_scale_and_forget_nobody(shares, scale):
    weights = rules.apportion(shares, scale)
    assert sum(weights) == scale
    assert all((weight > 0) == (share > 0) for weight, share in zip(weights, shares, strict=True))


@given(SHARES, st.sampled_from([100, 1000, 10_000]))
def test_apportioned_weights_are_off_by_less_than_one_or_lifted_from_zero(shares, scale):
    weights = rules.apportion(shares, scale)
    total = sum(shares)
    lifted = sum(1 for share in shares if 0 < share * scale < total)
    for weight, share in zip(weights, shares, strict=True):
        assert abs(weight * total - share * scale) < total * (1 + lifted)


@given(SHARES, st.integers(1, 50))
def test_a_split_equals_its_multiples_and_nothing_else(shares, factor):
    assert rules.same_shares(shares, [share * factor for share in shares])
    more = [*shares[:-1], shares[-1] + 1]
    only = sum(1 for share in shares[:-1] if share) == 0
    assert rules.same_shares(shares, more) == (only and shares[-1] > 0)


@given(SHARES, st.integers(0, 5000))
def test_what_we_would_write_counts_as_asked(shares, existing):
    weights = rules.in_scale(shares, existing)
    assert rules.as_asked(weights, shares)


@pytest.mark.parametrize(
    ("shares", "existing", "written"),
    [
        ((90, 10), 100, [90, 10]),
        ((90, 10), 10, [9, 1]),
        ((90, 10), 1000, [900, 100]),
        ((90, 10), 0, [90, 10]),
        ((2, 1), 3, [2, 1]),
        ((2, 1), 100, [67, 33]),
        ((1, 999), 100, [1, 999]),
        ((1, 2999), 100, [3, 9997]),
        ((0, 100), 100, [0, 100]),
    ],
)
def test_the_scale_of_the_object_is_kept_when_it_divides_well(shares, existing, written):
    assert rules.in_scale(shares, existing) == written


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((9, 1), (90, 10), True),
        ((9, 1), (90, 11), False),
        ((0, 100), (0, 1), True),
        ((0, 0), (0, 0), True),
        ((0, 0), (1, 0), False),
        ((1, 1), (1, 1, 0), False),
    ],
)
def test_shares_are_compared_without_rounding(one, other, same):
    assert rules.same_shares(one, other) is same


@pytest.mark.parametrize(
    "weights",
    [
        {"stable": -1, "canary": 2},
        {"stable": True, "canary": 1},
        {"stable": 1.0, "canary": 1},
        {"stable": "90", "canary": 10},
        {"stable": 0, "canary": 0},
        {"stable": None, "canary": 0},
        {"stable": 2**31, "canary": 1},
    ],
)
def test_weights_that_make_no_sense_are_refused(weights):
    assert rules.problem(weights)


@given(st.lists(st.none() | st.integers(-2, 1) | st.integers(99, 102), min_size=1, max_size=4), st.integers(0, 2))
def test_weights_are_refused_just_when_one_is_out_of_range_or_all_together_are_nothing(weights, absent):
    named = {str(at): weight for at, weight in enumerate(weights)}
    there = [absent if weight is None else weight for weight in weights]
    in_range = all(0 <= weight <= 100 for weight in weights if weight is not None)
    assert (rules.problem(named, largest=100, absent=absent) is None) == (in_range and sum(there) > 0)


@given(st.integers(0, rules.BASIS_POINTS), st.integers(0, 70_000))
def test_a_percent_in_basis_points_is_written_to_the_very_point_whatever_the_scale_was(points, existing):
    rest, some = rules.in_scale([rules.BASIS_POINTS - points, points], existing)
    assert some * rules.BASIS_POINTS == points * (rest + some)


@given(SHARES, st.sampled_from([10, 100, 1000, 10_000]))
def test_what_is_left_over_goes_to_the_largest_remainders(shares, scale):
    total = sum(shares)
    exact = [share * scale // total for share in shares]
    if all(exact[at] or not share for at, share in enumerate(shares)):  # nobody has to be lifted from nothing
        left = [weight - floor for weight, floor in zip(rules.apportion(shares, scale), exact, strict=True)]
        remainders = [share * scale % total for share in shares]
        assert set(left) <= {0, 1}
        assert min((remainders[at] for at, more in enumerate(left) if more), default=total) >= max(
            (remainders[at] for at, more in enumerate(left) if not more), default=0
        )


def test_a_removed_weight_is_allowed_beside_a_live_one():
    assert rules.problem({"stable": None, "canary": 100}) is None


ROUTES = [
    {"name": "a", "match": [{"uri": {"prefix": "/a"}}], "route": [{"destination": {"host": "a"}}]},
    {
        "name": "b",
        "route": [{"destination": {"host": "b", "subset": "x"}, "weight": 1}, {"destination": {"host": "b"}}],
        "timeout": "5s",
    },
]


def changed(index, **parts):
    return [route if place != index else {**route, **parts} for place, route in enumerate(ROUTES)]


def test_weights_do_not_move_the_fingerprint_and_everything_else_of_the_route_does():
    print_ = rules.fingerprint(ROUTES, 1)
    light = [{**ROUTES[1]["route"][0], "weight": 99}, {**ROUTES[1]["route"][1], "weight": 1}]
    assert rules.fingerprint(changed(1, route=light), 1) == print_
    assert rules.fingerprint(changed(1, timeout="6s"), 1) != print_
    assert rules.fingerprint(changed(1, route=list(reversed(ROUTES[1]["route"]))), 1) != print_
    assert rules.fingerprint(changed(0, match=[{"uri": {"prefix": "/"}}]), 1) != print_
    assert rules.fingerprint(changed(0, route=[{"destination": {"host": "z"}}]), 1) == print_
    assert rules.fingerprint(list(reversed(ROUTES)), 0) != print_


@given(percent=st.integers(1, 100), before=st.integers(0, 99))
def test_requests_follow_when_they_are_split_as_asked_and_never_while_they_are_split_as_before(percent, before):
    assert rules.follows(percent / 100, percent=percent, before=before)
    assert rules.follows(before / 100, percent=percent, before=before) is (percent == before)


@given(percent=st.integers(1, 99), before=st.integers(0, 100))
def test_a_part_of_the_requests_is_neither_none_nor_all_of_them(percent, before):
    assert not any(rules.follows(extreme, percent=percent, before=before) for extreme in (0.0, 1.0))


@pytest.mark.parametrize(
    ("counted", "percent", "before", "is_seen"),
    [
        (0.121, 10, 0, True),
        (0.13, 10, 0, False),
        (0.996, 100, 10, True),
        (0.99, 100, 10, False),
        (0.56, 60, 50, True),
        (0.54, 60, 50, False),
    ],
)
def test_how_far_counted_requests_may_be_off(counted, percent, before, is_seen):
    assert rules.follows(counted, percent=percent, before=before) is is_seen
