"""Whatever JSON a gateway answers, the adapter has an outcome for it and never an unforeseen error."""

import contextlib
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmud.sandbox.server import Answer
from releases.core.errors import External
from releases.traffic.ports import Split
from tests.contract.traffic.stages.apisix import apisix as apisix_stage
from tests.contract.traffic.stages.kong import kong as kong_stage
from tests.examples import examples

pytestmark = pytest.mark.once
ODD = st.sampled_from(
    [None, True, 0, -1, 3, 1e308, 2**70, "", "x", "checkout", [], [None], [[]], {}, {"x": []}, {"": None}]
)
OLD, NEW = {"stable": 90, "canary": 10}, {"stable": 25, "canary": 75}
ASKED = Split(NEW, reason="tried")


@pytest.fixture(scope="module", params=[kong_stage, apisix_stage], ids=["kong", "apisix"])
def stage(request):
    with request.param() as found:
        yield found


def places(value, path=()):
    """Give the path of everything inside a JSON value."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*path, key))


def replaced(value, path, odd):
    """Return a value with what stands at a path replaced."""
    if not path:
        return odd
    found = copy.deepcopy(value)
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = odd
    return found


@examples(50)
@given(st.integers(0, 11), st.integers(0, 10_000), ODD)
def test_any_part_of_any_answer_may_be_anything(stage, request_number, place_number, odd):
    stage.stand(**OLD)
    seen = stage.provider.read(stage.route).version
    left = [request_number]
    honest = type(stage.sandbox).answer

    def lying(call):
        answer = honest(stage.sandbox, call)
        left[0] -= 1
        if left[0] != -1 or not answer.body:
            return answer
        body = json.loads(answer.body)
        found = list(places(body))
        body = replaced(body, found[place_number % len(found)], odd)
        return Answer(answer.status, json.dumps(body).encode(), answer.headers)

    stage.sandbox.answer = lying
    try:
        with contextlib.suppress(External):
            stage.provider.preview(stage.route, ASKED)
        with contextlib.suppress(External):
            stage.provider.write(stage.route, ASKED, seen=seen)
    finally:
        del stage.sandbox.answer
    assert all(weight in (OLD[side], NEW[side]) for side, weight in stage.raw().items())
