"""The Spinnaker sandbox is believed only as far as it answers as the derived shapes do, oddities included."""

import base64
import json
import time
from urllib.parse import quote

import pytest

from gmud.sandbox.spinnaker.accounts import ACCOUNTS, TOKEN
from tests.factories.delivery import PARAMETERS, ask, basic, control, permit
from tests.factories.spinnaker import GATE_TOKEN, JOB, PLACE, RECORDINGS, REGION, a_world

SHAPES = {one["name"]: one for one in json.loads((RECORDINGS / "shapes.json").read_text())["exchanges"]}
SIGNED = {"X-Spinnaker-Token": TOKEN}
TRIGGER = "/pipelines/ledger/Deploy%20ledgerwriter"
BY_ECHO = "/pipelines/v2/ledger/Deploy%20ledgerwriter"
FREE = {"context", "outputs", "parameters", "variables", "execution", "allowedAccounts", "eventId", "timestamp"}


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def body(key="gmud-42-a1", **parameters):
    given = {**PARAMETERS, "GMUD_PERMIT": permit("one"), "GMUD_PERMIT_ID": "one", **parameters}
    return {"type": "manual", "correlationId": key, "parameters": given}


def begun(world, path=TRIGGER, **more):
    answer = ask(world.url, "POST", path, headers=SIGNED, body=body(**more))
    assert answer.status == 202
    return json.loads(answer.text)["ref"]


def read(world, path):
    answer = ask(world.url, "GET", path, headers=SIGNED)
    return answer.status, json.loads(answer.text) if answer.text else None


def settle(world, path, seen):
    deadline = time.monotonic() + 10
    while True:
        status, found = read(world, path)
        if status == 200 and found and seen(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def shape_of(value):
    """Return the names of a JSON value, without its values; what is free in it is left out."""
    if isinstance(value, dict):
        return {name: None if name in FREE else shape_of(one) for name, one in value.items()}
    return [shape_of(one) for one in value[:1]] if isinstance(value, list) else None


def without(value, *names):
    return {name: one for name, one in value.items() if name not in names}


def search(key="gmud-42-a1", name="Deploy ledgerwriter"):
    trigger = quote(base64.b64encode(json.dumps({"correlationId": key}).encode()).decode(), safe="")
    return f"/applications/ledger/executions/search?triggerTypes=manual&pipelineName={quote(name)}&trigger={trigger}"


@pytest.mark.parametrize(("name", "path"), [("trigger-v1", TRIGGER), ("trigger-v2", BY_ECHO)])
def test_a_trigger_answers_as_derived(world, name, path):
    answer = ask(world.url, "POST", path, headers=SIGNED, body=body())

    assert answer.status == SHAPES[name]["response"]["status"]
    assert json.loads(answer.text).keys() == SHAPES[name]["response"]["json"].keys()


def test_a_required_parameter_that_is_missing_is_refused_by_the_older_trigger_alone(world):
    asked = {"type": "manual"}
    refused = ask(world.url, "POST", TRIGGER, headers=SIGNED, body=asked)
    taken = ask(world.url, "POST", BY_ECHO, headers=SIGNED, body=asked)

    shape = SHAPES["trigger-v1-missing-param"]["response"]
    assert (refused.status, taken.status) == (shape["status"], 202)
    assert json.loads(refused.text).keys() == shape["json"].keys()
    assert json.loads(refused.text)["message"] == "Required parameter SERVICE is missing"


def test_an_execution_and_a_search_for_it_have_the_derived_fields(world):
    world.settings(hold="Deploy")
    ref = begun(world)
    whole = settle(world, ref, lambda one: len(one["stages"]) == 2 and one["stages"][1]["status"] == "RUNNING")
    (found,) = read(world, search())[1]

    shape = SHAPES["execution"]["response"]["json"]
    assert shape_of(whole["stages"][1]) == shape_of(shape["stages"][0])
    assert shape_of(without(whole, "stages", "trigger")) == shape_of(without(shape, "stages", "trigger"))
    assert whole["trigger"].keys() | {"eventId"} == shape["trigger"].keys()
    assert found["id"] == whole["id"]
    assert [(stage["context"], stage["outputs"], stage["tasks"]) for stage in found["stages"]] == [({}, {}, [])] * 2


def test_what_orca_does_not_know_is_404_and_what_it_refuses_is_200_with_nothing(world):
    ref = begun(world)
    unknown = ask(world.url, "GET", "/pipelines/01K8ZZZZZZZZZZZZZZZZZZZZZZ", headers=SIGNED)
    control(world.url, "settings", {"orca": "refuses"})
    empty = ask(world.url, "GET", ref, headers=SIGNED)
    listed = ask(world.url, "GET", f"/executions?executionIds={ref.split('/')[-1]}", headers=SIGNED)

    assert unknown.status == SHAPES["execution-404"]["response"]["status"]
    assert json.loads(unknown.text)["message"].startswith("Pipeline not found (id: ")
    shape = SHAPES["execution-upstream-error"]["response"]
    assert (empty.status, empty.text) == (shape["status"], shape["body"])
    assert listed.status == 403


def test_a_cancel_answers_with_nothing_and_the_execution_ends_later(world):
    world.settings(hold="Deploy")
    ref = begun(world)
    settle(world, ref, lambda one: one["status"] == "RUNNING")
    answer = ask(world.url, "PUT", f"{ref}/cancel?reason=GMUD-42&force=false", headers=SIGNED)

    done = settle(world, ref, lambda one: one["status"] == "CANCELED")
    shape = SHAPES["cancel"]["response"]
    assert (answer.status, answer.text) == (shape["status"], shape["body"])
    assert (done["canceled"], done["canceledBy"], done["cancellationReason"]) == (True, "gmud", "GMUD-42")


def judged(world, **context):
    """Begin an execution that asks, and answer ``continue``; return its address and the answer's status."""
    world.settings(stages=[{"type": "manualJudgment", "name": "Judge", **context}])
    ref = begun(world)
    stage = settle(world, ref, lambda one: one["stages"][0]["status"] == "RUNNING")["stages"][0]
    said = SHAPES["manual-judgment"]["request"]["json"]
    answer = ask(world.url, "PATCH", f"{ref}/stages/{stage['id']}", headers=SIGNED, body=said)
    return ref, answer


def test_a_judgment_answers_with_the_execution_and_is_taken_a_while_later(world):
    ref, answer = judged(world)

    assert answer.status == SHAPES["manual-judgment"]["response"]["status"]
    assert json.loads(answer.text)["stages"][0]["context"]["judgmentInput"] == "GMUD-42 approved"
    assert settle(world, ref, lambda one: one["status"] == "SUCCEEDED")


def test_a_judgment_of_somebody_who_may_not_judge_answers_alike_and_is_wiped_away(world):
    ref, answer = judged(world, selectedStageRoles=["oncall"])

    assert answer.status == 200
    wiped = settle(world, ref, lambda one: one["stages"][0]["context"].get("judgmentStatus") == "")
    assert (wiped["status"], wiped["stages"][0]["status"]) == ("RUNNING", "RUNNING")


def test_a_stage_takes_any_key_from_anybody_who_may_execute(world):
    world.settings(hold="Deploy")
    ref = begun(world)
    stage = settle(world, ref, lambda one: one["status"] == "RUNNING")["stages"][1]

    ask(world.url, "PATCH", f"{ref}/stages/{stage['id']}", headers=SIGNED, body={"manifest": "mine"})

    assert read(world, ref)[1]["stages"][1]["context"]["manifest"] == "mine"


def test_a_task_and_its_view_have_the_derived_fields(world):
    world.settings(hold="")
    ref = begun(world)
    settle(world, ref, lambda one: one["status"] == "SUCCEEDED")
    job = {**SHAPES["task-undo-rollout"]["request"]["json"]["job"][0], **PLACE}
    asked = {**SHAPES["task-undo-rollout"]["request"]["json"], "application": "ledger", "job": [job]}

    answer = ask(world.url, "POST", "/tasks", headers=SIGNED, body=asked)
    task = json.loads(answer.text)
    done = settle(world, task["ref"], lambda one: one["status"] == "SUCCEEDED")

    assert answer.status == SHAPES["task-undo-rollout"]["response"]["status"]
    assert task.keys() == SHAPES["task-undo-rollout"]["response"]["json"].keys()
    shape = SHAPES["task-status"]["response"]["json"]
    assert done.keys() == shape.keys()
    assert done["name"] == asked["description"]
    assert {"name", "status"} <= done["steps"][0].keys()
    assert world.deployed().endswith(":v0.6.10")


def test_the_newer_trigger_promises_an_execution_that_may_never_come(world):
    for change in ({"disabled": True}, {"disabled": False, "name": "Renamed"}):
        world.settings(**change)
        ref = begun(world, BY_ECHO)
        time.sleep(0.1)
        assert read(world, ref)[0] == 404
    assert world.executions() == []


def test_the_older_trigger_refuses_a_disabled_pipeline_and_an_execution_tells_of_it(world):
    world.settings(disabled=True)

    assert ask(world.url, "POST", TRIGGER, headers=SIGNED, body=body()).status == 400
    assert [one.status for one in world.executions()] == ["TERMINAL"]


def test_the_older_trigger_takes_an_id_of_any_application(world):
    name = world.spinnaker.pipelines[JOB].id
    ref = begun(world, f"/pipelines/frontend/{name}")

    assert settle(world, ref, lambda one: True)["application"] == "ledger"


def test_a_correlation_joins_while_the_first_runs_and_not_when_it_is_over(world):
    world.settings(hold="Deploy")
    first, joined = begun(world), begun(world)
    by_echo = begun(world, BY_ECHO)
    time.sleep(0.1)
    world.settings(hold="")
    settle(world, first, lambda one: one["status"] == "SUCCEEDED")

    again = begun(world)

    assert first == joined
    assert read(world, by_echo)[0] == 404  # joined too, so the reference never comes true
    assert again != first
    assert len(world.executions()) == 2


def test_echo_drops_what_its_trigger_has_no_place_for(world):
    asked = {**body(), "payload": {"gmud": 42}}
    ref = json.loads(ask(world.url, "POST", BY_ECHO, headers=SIGNED, body=asked).text)["ref"]

    assert "payload" not in settle(world, ref, lambda one: True)["trigger"]


def test_of_those_that_wait_the_newest_starts_and_spinnaker_cancels_the_others(world):
    world.settings(hold="Deploy")
    first = begun(world, key="a")
    settle(world, first, lambda one: one["status"] == "RUNNING")
    second, third = begun(world, key="b"), begun(world, key="c")
    assert [read(world, one)[1]["status"] for one in (second, third)] == ["NOT_STARTED"] * 2

    world.settings(hold="")

    dropped = settle(world, second, lambda one: one["status"] == "CANCELED")
    assert (dropped["canceledBy"], dropped["startTime"]) == ("spinnaker", None)
    assert settle(world, third, lambda one: one["status"] != "NOT_STARTED")


def test_a_search_matches_whatever_the_case_or_as_a_pattern_and_by_the_names_of_now(world):
    ref = begun(world)
    settle(world, ref, lambda one: one["status"] == "SUCCEEDED")

    assert len(read(world, search("GMUD-42-A1"))[1]) == 1
    assert len(read(world, search("gmud-.*"))[1]) == 1
    world.settings(name="Renamed")
    assert read(world, search())[1] == []
    assert len(read(world, search(name="Renamed"))[1]) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 302),
        (SIGNED, 200),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": basic("gmud", ACCOUNTS["gmud"]["password"])}, 200),
        ({"X-Spinnaker-Token": "spk_wrong"}, 401),
        ({"Authorization": basic("gmud", "wrong")}, 401),
    ],
)
def test_it_lets_in_whom_it_knows_and_sends_strangers_to_its_sign_in_page(world, headers, status):
    answer = ask(world.url, "GET", "/applications", headers=headers)

    assert answer.status == status
    if status == 302:
        assert answer.headers["Location"] == f"{world.url}/login"
        assert ask(world.url, "GET", "/auth/user").text == ""


def test_who_may_only_read_is_refused_everything_else(world):
    reader = {"X-Spinnaker-Token": ACCOUNTS["reader"]["token"]}

    refused = [
        ask(world.url, "POST", path, headers=reader, body=given).status
        for path, given in ((TRIGGER, body()), (BY_ECHO, body()), ("/tasks", {"application": "ledger", "job": []}))
    ]

    assert refused == [403, 403, 403]


def test_a_rollback_of_a_cluster_passes_over_a_region_with_one_group_and_succeeds(world):
    control(world.url, "settings", {"groups": {"prod/shop-prod/us-east-1": [{"name": "shop-prod-v007"}]}})
    job = {"type": "rollbackCluster", "credentials": "prod", "regions": ["us-east-1"], "cloudProvider": "aws"}
    asked = {"application": "ledger", "job": [{**job, "moniker": {"cluster": "shop-prod"}}]}
    ref = json.loads(ask(world.url, "POST", "/tasks", headers=SIGNED, body=asked).text)["ref"]

    done = settle(world, ref, lambda one: one["status"] == "SUCCEEDED")

    assert done["execution"]["stages"][0]["outputs"] == {"rollbackTypes": {}, "rollbackContexts": {}}
    place = f"/applications/ledger/clusters/prod/{REGION['cluster']}/aws/us-east-1/serverGroups/target"
    assert read(world, f"{place}/CURRENT?onlyEnabled=true")[1]["name"] == "shop-prod-v007"
    assert read(world, f"{place}/PREVIOUS")[0] == 404


def test_its_permit_is_redeemed_at_the_gate_with_a_secret_that_no_execution_shows(world):
    ref = begun(world)
    done = settle(world, ref, lambda one: one["status"] == "SUCCEEDED")

    (call,) = world.gate.log
    assert call["path"] == "/api/v1/gate/permits/one/redeem"
    assert json.loads(call["body"])["run"] == {"provider": "spinnaker", "id": done["id"]}
    assert call["headers"]["authorization"] == f"Bearer {GATE_TOKEN}"
    assert GATE_TOKEN not in json.dumps(done)
