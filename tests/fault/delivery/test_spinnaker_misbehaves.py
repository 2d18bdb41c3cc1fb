"""Spinnaker answers 500, HTML, half an answer or nothing, or yes to what it does not do: one order deploys once."""

import base64
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gmud.sandbox.keeping import Memory
from gmud.sandbox.server import running
from gmud.sandbox.spinnaker.api import Gate as Spinnaker
from releases.core import breaker
from releases.core.errors import External, Rejected, Unreachable
from releases.delivery.ports import Answer
from releases.delivery.states import State
from tests.factories.delivery import ask, control, fault, requests_of
from tests.factories.spinnaker import TARGET, World, a_world, going_back, order, via_echo

GARBAGE = ["", "null", "{}", "7", '[{"id": 1', '[{"id": 1}]', '[{"status": "ODD", "trigger": {}}]', '["text"]']
WAYS = {"v1": TARGET, "v2": via_echo(), "task": going_back("undoRolloutManifest", revision="1")}


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def posts(world):
    return [one for one in requests_of(world.url) if one["method"] == "POST"]


def patches(world):
    return [one for one in world.cluster.log if one["method"] == "PATCH"]


def test_answers_that_are_lost_after_the_order_was_carried_out_never_double_it(world):
    world.settings(stages=[{"type": "wait", "name": "Wait"}], limit_concurrent=False)
    for _order in range(300):
        wanted = order()
        fault(world.url, "close_after", method="POST", path="/pipelines/")
        with pytest.raises(Unreachable):
            world.adapter.start(wanted)
        breaker._breakers.clear()
        found = world.adapter.find(TARGET, wanted.key)
        assert found.state is not State.NOT_FOUND
        assert world.adapter.start(wanted).handle.run == found.handle.run

    assert len(world.executions()) == 300
    assert len({one.key for one in world.executions()}) == 300


def test_a_response_lost_after_a_task_was_taken_ends_in_one_task(world):
    wanted = order(target=going_back("undoRolloutManifest", revision="1"))
    fault(world.url, "close_after", method="POST", path="/tasks")
    with pytest.raises(Unreachable):
        world.adapter.start(wanted)

    again = world.adapter.start(wanted)

    assert again.handle.run == f"tasks/{world.executions('ORCHESTRATION')[0].id}"
    assert len(world.executions("ORCHESTRATION")) == 1


def test_a_request_delayed_past_the_retry_starts_twice_and_the_permit_lets_one_deploy(world):
    wanted = order()
    world.ended(world.adapter.start(wanted).handle)
    late = posts(world)[0]

    # The same bytes arrive once more when the first has ended: Orca has forgotten the key by then.
    _again(world, late)
    time.sleep(0.3)

    assert len(world.executions()) == 2
    assert {one.status for one in world.executions()} == {"SUCCEEDED", "TERMINAL"}
    assert len(patches(world)) == 1
    assert world.adapter.find(TARGET, wanted.key).state is State.SUCCEEDED


def test_while_the_first_runs_the_delayed_request_joins_it(world):
    world.settings(hold="Deploy")
    wanted = order()
    begun = world.adapter.start(wanted)
    world.until(begun.handle, lambda one: one.state is State.RUNNING)

    _again(world, posts(world)[0])
    world.settings(hold="")

    assert world.ended(begun.handle).state is State.SUCCEEDED
    assert len(world.executions()) == 1


def test_two_requests_that_both_pass_the_correlation_deploy_once(world):
    world.settings(limit_concurrent=False)
    wanted = order(jti="one-permit")
    twin = order(jti="one-permit")

    states = {world.ended(world.adapter.start(one).handle).state for one in (wanted, twin)}

    assert states == {State.SUCCEEDED, State.FAILED}
    assert len(patches(world)) == 1


def test_when_the_late_twin_got_through_the_gate_it_is_the_one_that_counts(world):
    world.gate.status = 409
    refused = world.ended(world.adapter.start(order()).handle)
    world.gate.status = 200

    _again(world, posts(world)[0])
    seen = world.ended(refused.handle)

    assert (refused.state, seen.state) == (State.FAILED, State.SUCCEEDED)
    assert seen.handle.run != refused.handle.run
    assert len(patches(world)) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_whoever_asks_to_be_left_alone_is_left_alone_for_so_long(world, status):
    handle = world.ended(world.adapter.start(order()).handle).handle
    fault(world.url, f"status:{status}", headers={"Retry-After": "42"}, times=2)

    for ask_it in (lambda: world.adapter.look(handle), lambda: world.adapter.start(order())):
        with pytest.raises(Unreachable) as caught:
            ask_it()
        assert caught.value.after_seconds == 42


def _again(world, sent):
    """Deliver the same bytes once more."""
    headers = {"X-Spinnaker-Token": sent["headers"]["x-spinnaker-token"]}
    assert ask(world.url, sent["method"], sent["path"], headers=headers, body=sent["body"]).status == 202


@pytest.mark.parametrize("do", ["500", "status:429", "status:502", "status:503", "status:504", "html", "close_before"])
@pytest.mark.parametrize(
    "target", [TARGET, via_echo(), going_back("undoRolloutManifest", revision="1")], ids=["v1", "v2", "task"]
)
def test_an_answer_to_an_order_that_proves_nothing_is_unknown(world, do, target):
    wanted = order(target=target)
    fault(world.url, do, method="POST", headers={"Retry-After": "7"})

    with pytest.raises(Unreachable):
        world.adapter.start(wanted)

    assert world.adapter.find(target, wanted.key).state is State.NOT_FOUND


@pytest.mark.parametrize("body", GARBAGE)
@pytest.mark.parametrize("path", ["executions", "search", "pipelineConfigs"])
def test_garbage_is_unknown_and_never_an_absence(world, path, body):
    handle = world.ended(world.adapter.start(order()).handle).handle
    fault(world.url, "status:200", method="GET", path=path, body=body, times=50)

    read = {
        "executions": lambda: world.adapter.look(handle),
        "search": lambda: world.adapter.find(TARGET, handle.key),
        "pipelineConfigs": lambda: world.adapter.preflight(TARGET).reasons,
    }[path]
    with pytest.raises(Unreachable):
        read()


def test_orca_that_fails_behind_gate_is_unknown_though_gate_says_200(world):
    world.settings(stages=[{"type": "manualJudgment", "name": "Judge"}])
    seen = world.until(world.adapter.start(order()).handle, lambda one: bool(one.questions))
    control(world.url, "settings", {"orca": "refuses"})

    with pytest.raises(External):
        world.adapter.look(seen.handle)
    fault(world.url, "status:200", method="GET", path="^/executions", body=json.dumps(_told(world)), times=50)
    with pytest.raises(Unreachable, match="nothing"):
        world.adapter.look(seen.handle)


def _told(world):
    (one,) = world.executions()
    stage = {"id": one.stages[0].id, "type": "manualJudgment", "name": "Judge", "status": "RUNNING"}
    return [{"id": one.id, "status": "RUNNING", "stages": [stage], "trigger": one.trigger}]


def test_an_execution_canceled_by_somebody_else_is_not_taken_for_ours(world):
    world.settings(hold="Deploy")
    handle = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING).handle
    world.spinnaker.orca.cancel(world.executions()[0], "operator", "")

    assert world.ended(handle).state is State.ABORTED_EXTERNALLY
    assert patches(world) == []


def test_a_pipeline_disabled_between_the_look_and_the_order_is_a_clear_no(world):
    world.settings(disabled=True)
    fault(world.url, "status:200", method="GET", path="pipelineConfigs", body=json.dumps(_config(world)))

    with pytest.raises(Rejected, match="is disabled"):
        world.adapter.start(order())


def test_through_echo_a_pipeline_disabled_meanwhile_is_said_to_be_lost_and_nothing_is_made_up(world):
    world.settings(disabled=True)
    fault(world.url, "status:200", method="GET", path="pipelineConfigs", body=json.dumps(_config(world)))
    begun = world.adapter.start(order(target=via_echo()))
    later = replace(world.adapter, now=lambda: datetime.now(UTC) + timedelta(minutes=2))

    assert (begun.state, begun.handle.run) == (State.QUEUED, "")
    assert later.look(begun.handle).state is State.LOST


def _config(world):
    found = next(one for one in world.spinnaker.pipelines.values() if one.name == "Deploy ledgerwriter")
    return {"id": found.id, "application": found.application, "parameterConfig": found.parameters}


def test_a_judgment_that_gate_took_and_orca_wiped_away_is_a_clear_no_and_nothing_deployed(world):
    world.settings(stages=[{"type": "manualJudgment", "name": "Judge", "selectedStageRoles": ["oncall"]}])
    seen = world.until(world.adapter.start(order()).handle, lambda one: bool(one.questions))

    with pytest.raises(Rejected, match="did not take"):
        world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=True))

    assert patches(world) == []


def test_a_lost_answer_to_a_judgment_is_unknown_and_the_next_look_sees_that_it_took(world):
    world.settings(stages=[{"type": "manualJudgment", "name": "Judge"}])
    seen = world.until(world.adapter.start(order()).handle, lambda one: bool(one.questions))
    fault(world.url, "close_after", method="PATCH")
    said = Answer(seen.questions[0].id, goes_on=True)

    with pytest.raises(Unreachable):
        world.adapter.answer(seen.handle, said)

    assert world.ended(seen.handle).state is State.SUCCEEDED
    assert world.adapter.answer(seen.handle, said).questions == ()


@pytest.mark.parametrize("call", ["pipelineConfigs", "search", "^/pipelines/"])
@pytest.mark.parametrize("do", ["500", "html", "close_before", "status:302", "status:401", "status:403", "status:404"])
def test_every_failure_at_every_call_of_a_start_is_a_known_error(world, call, do):
    fault(world.url, do, path=call, times=9)

    with pytest.raises(External):
        world.adapter.start(order())

    assert world.executions() == []


@pytest.mark.parametrize("call", ["serverGroupManagers", "manifests", "^/tasks", "/tasks$"])
@pytest.mark.parametrize("do", ["500", "html", "close_before", "status:403"])
def test_every_failure_at_every_call_of_going_back_is_a_known_error_and_sends_nothing(world, call, do):
    fault(world.url, do, path=call, times=9)

    with pytest.raises(External):
        world.adapter.start(order(target=going_back("undoRolloutManifest", revision="1")))

    assert world.executions("ORCHESTRATION") == []


def test_an_answer_that_takes_too_long_is_unknown_and_found_later(world, monkeypatch):
    monkeypatch.setattr("releases.core.http.READ_SECONDS", 0.3)
    wanted = order()
    fault(world.url, "slow", method="POST", path="/pipelines/", seconds=1.0)

    with pytest.raises(Unreachable):
        world.adapter.start(wanted)
    threading.Event().wait(1.0)

    assert world.adapter.find(TARGET, wanted.key).state is not State.NOT_FOUND
    assert len(world.executions()) == 1


def test_an_answer_without_end_is_cut_off_and_unknown(world):
    fault(world.url, "status:200", path="search", body="[" + '{"id": 1},' * 200_000)

    with pytest.raises(Unreachable, match="1 MiB"):
        world.adapter.find(TARGET, "gmud-any")


def test_a_stand_in_that_restarts_in_the_middle_goes_on_where_it_was(tmp_path):
    with a_world() as world:
        kept = Memory(tmp_path / "spinnaker.json")
        first = Spinnaker(world.spinnaker.works, speed=50.0, memory=kept)
        with running(first) as url:
            one = World(url, first, world.gate, world.cluster)
            one.settings(hold="Deploy")
            wanted = order()
            begun = one.adapter.start(wanted)
            one.until(begun.handle, lambda seen: len(seen.stages) == 2 and seen.stages[0].state is State.SUCCEEDED)
        second = Spinnaker(world.spinnaker.works, speed=50.0, memory=kept)
        with running(second) as url:
            after = World(url, second, world.gate, world.cluster)
            assert after.ended(begun.handle).state is State.SUCCEEDED
            assert after.adapter.start(wanted).state is State.SUCCEEDED
        assert len(patches(world)) == 1


def test_a_key_is_never_written_as_a_pattern_that_could_mean_another(world):
    first = order("gmud-1")
    world.ended(world.adapter.start(first).handle)

    assert world.adapter.find(TARGET, "gmud-.").state is State.NOT_FOUND
    asked = [one for one in requests_of(world.url) if one["path"].endswith("search")][-1]
    assert json.loads(base64.b64decode(asked["query"]["trigger"][0])) == {"correlationId": "gmud-."}
