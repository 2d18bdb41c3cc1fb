"""Jenkins answers 500, HTML, garbage or nothing: the outcome is unknown, and looking finds out; one build deploys."""

import pytest

from gmud.sandbox.server import Fault
from releases.core.errors import External, Unreachable
from releases.delivery.states import State
from tests.factories.delivery import PARAMETERS, TARGET, a_world, fault, order, requests_of

GARBAGE = [
    '{"builds": [{"num',
    "[]",
    "null",
    '{"builds": 7}',
    '{"builds": [{}]}',
    '{"items": [{"actions": 3}]}',
    "7" * 50,
]


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def posts(world):
    return [one for one in requests_of(world.url) if one["method"] == "POST" and "build" in one["path"]]


@pytest.mark.parametrize("do", ["500", "status:502", "status:503", "html", "close_before", "close_after", "status:429"])
def test_a_trigger_without_a_trustworthy_answer_is_unknown_and_searching_decides(world, do):
    wanted = order()
    fault(world.url, do, method="POST", path="buildWithParameters")

    with pytest.raises(Unreachable):
        world.adapter.start(wanted)
    found = world.adapter.find(TARGET, wanted.key)

    assert (found.state is not State.NOT_FOUND) == (do == "close_after")


def test_a_lost_answer_after_the_build_started_ends_in_one_build_and_one_deployment(world):
    wanted = order()
    fault(world.url, "close_after", method="POST", path="buildWithParameters")
    with pytest.raises(Unreachable):
        world.adapter.start(wanted)

    done = world.ended(world.adapter.start(wanted).handle)

    assert done.state is State.SUCCEEDED
    assert len(world.job.builds) == len(posts(world)) == 1
    assert world.deployed() == PARAMETERS["VERSION"]


def test_a_request_delivered_twice_starts_two_builds_and_the_permit_lets_one_deploy(world):
    first = order(jti="one-permit")
    second = order(jti="one-permit")

    states = {world.ended(world.adapter.start(one).handle).state for one in (first, second)}

    assert states == {State.SUCCEEDED, State.FAILED}
    patches = [one for one in world.cluster.log if one["method"] == "PATCH"]
    assert len(patches) == 1


@pytest.mark.parametrize("body", GARBAGE)
def test_garbage_instead_of_json_is_unknown_and_never_an_absence(world, body):
    fault(world.url, "status:200", path="/api/json", body=body, times=20)

    with pytest.raises(Unreachable):
        world.adapter.find(TARGET, "gmud-any")


@pytest.mark.parametrize("do", ["500", "html", "close_before"])
def test_a_look_without_a_trustworthy_answer_is_unknown_and_the_next_one_sees(world, do):
    handle = world.adapter.start(order()).handle
    fault(world.url, do, path="(queue/item|/api/json)", times=9)

    with pytest.raises(Unreachable):
        world.adapter.look(handle)

    world.jenkins.faults.clear()
    assert world.ended(handle).state is State.SUCCEEDED


@pytest.mark.parametrize("call", ["job/[^/]+/api/json$", "queue/api/json", "buildWithParameters"])
@pytest.mark.parametrize("do", ["500", "html", "close_before", "status:403", "status:404"])
def test_every_failure_at_every_call_of_a_start_is_a_known_error(world, call, do):
    fault(world.url, do, path=call, times=9)

    with pytest.raises(External):
        world.adapter.start(order())


def test_a_gate_that_fails_is_asked_again_by_the_same_run(world):
    world.gate.faults += [Fault(do="500", path="redeem"), Fault(do="close_after", path="redeem")]

    done = world.ended(world.adapter.start(order()).handle)

    assert done.state is State.SUCCEEDED
    assert len(world.gate.log) == 3
    assert len({one["body"] for one in world.gate.log}) == 1


def test_a_server_that_takes_the_order_and_then_says_nothing_is_unknown_and_found_later(world, monkeypatch):
    monkeypatch.setattr("releases.core.http.READ_SECONDS", 0.3)
    wanted = order()
    fault(world.url, "slow", method="POST", path="buildWithParameters", seconds=1.0)

    with pytest.raises(Unreachable):
        world.adapter.start(wanted)
    world.jenkins.closing.wait(1.0)

    assert world.adapter.find(TARGET, wanted.key).state is not State.NOT_FOUND
    assert len(world.job.builds) <= 1


def test_an_answer_without_end_is_cut_off_and_unknown(world):
    fault(world.url, "status:200", path="queue/api/json", body='{"items": [' + '{"id": 1},' * 200_000)

    with pytest.raises(Unreachable, match="1 MiB"):
        world.adapter.find(TARGET, "gmud-any")
