"""Weights stand as asked only when nobody else takes traffic: the very numbers as well as shares."""

import pytest

from releases.traffic.guarded import is_as_asked
from releases.traffic.ports import Reading, Split, Target, Version

HOME = {"stable": 100, "canary": 0}


@pytest.mark.parametrize("literal", [True, False], ids=["numbers", "shares"])
@pytest.mark.parametrize(("third", "stands"), [(0, True), (50, False)])
def test_a_third_target_that_takes_traffic_is_seen(literal, third, stands):
    weights = {**HOME, "other": third}
    targets = tuple(Target(name, name, weight) for name, weight in weights.items())
    reading = Reading(targets, Version("7", "uid", 0, "shape", weights), hosts=())

    assert is_as_asked(reading, Split(HOME, literal=literal)) is stands
