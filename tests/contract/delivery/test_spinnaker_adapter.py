"""The Spinnaker adapter against the sandbox over real HTTP: what is its own beside the contract of every CI system."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gmud.sandbox.spinnaker import work
from gmud.sandbox.spinnaker.accounts import ACCOUNTS, TOKEN
from releases.core.errors import Rejected, Unreachable
from releases.delivery.ports import Answer, Handle, Parameter, Target, Version
from releases.delivery.spinnaker import adapter as spinnaker
from releases.delivery.spinnaker.tasks import BEFORE
from releases.delivery.states import Act, State
from tests.factories.delivery import DIGEST, PARAMETERS, basic, control, fault, requests_of
from tests.factories.spinnaker import JOB, REGION, TARGET, a_world, going_back, order, via_echo


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def posts(world, path=""):
    return [one for one in requests_of(world.url) if one["method"] == "POST" and path in one["path"]]


def deployed(world, version, digest=DIGEST):
    """Bring a version there as a release does."""
    target = replace(TARGET, parameters={**PARAMETERS, "VERSION": version, "DIGEST": digest})
    done = world.ended(world.adapter.start(order(target=target)).handle)
    assert done.state is State.SUCCEEDED
    return done


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Spinnaker-Token": TOKEN},
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": basic("gmud", ACCOUNTS["gmud"]["password"])},
    ],
    ids=["token", "bearer", "basic"],
)
def test_every_way_to_sign_in_delivers(world, headers):
    adapter = world.adapter_with(headers)

    assert adapter.version() == "Gate (gmud)"
    assert world.ended(adapter.start(order()).handle).state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({}, "sign-in page"),
        ({"X-Spinnaker-Token": "spk_wrong"}, "does not accept"),
        ({"Authorization": basic("gmud", "x")}, "does not accept"),
    ],
    ids=["nobody", "wrong token", "wrong password"],
)
def test_who_is_not_let_in_is_told_so_and_no_absence_is_made_of_it(world, headers, word):
    adapter = world.adapter_with(headers)

    with pytest.raises(Rejected, match=word):
        adapter.find(TARGET, "gmud-any")
    with pytest.raises(Rejected):
        adapter.version()


def test_an_account_that_may_only_read_is_told_which_right_it_needs(world):
    adapter = world.adapter_with({"X-Spinnaker-Token": ACCOUNTS["reader"]["token"]})

    assert adapter.preflight(TARGET).is_ready
    with pytest.raises(Rejected, match="EXECUTE"):
        adapter.start(order())
    with pytest.raises(Rejected, match="WRITE"):
        adapter.start(order(target=going_back("undoRolloutManifest", revision="1")))


def test_applications_hold_pipelines_and_a_pipeline_its_parameters(world):
    assert "ledger" in {one.name for one in world.adapter.jobs() if one.is_folder}
    assert JOB in {one.name for one in world.adapter.jobs("ledger")}
    assert Parameter("SLOT", choices=("stable", "canary"), is_required=True) in world.adapter.parameters(JOB)
    with pytest.raises(Rejected, match="no pipeline"):
        world.adapter.parameters("ledger/none")


def test_everything_that_stands_against_a_pipeline_is_named_at_once(world):
    declared = [
        {"name": "GMUD_PERMIT"},
        {"name": "REGION", "required": True},
        {"name": "SLOT", "hasOptions": True, "options": [{"value": "blue"}]},
    ]
    world.settings(disabled=True, parameters=declared)
    target = Target(JOB, {"SLOT": "canary", "EXTRA": "1"}, options={"via": "v3", "colour": "red"})

    said = " ".join(map(str, world.adapter.preflight(target).reasons))

    for word in ("disabled", "GMUD_CORRELATION", "EXTRA", "canary", "REGION", "v2", "colour"):
        assert word in said


def test_a_name_with_a_slash_and_spaces_is_one_part_of_the_address(world):
    control(world.url, "settings", {"pipelines": {"ledger/Deploy / to prod?": {}}})

    world.adapter.start(order(target=replace(TARGET, job="ledger/Deploy / to prod?")))

    (sent,) = posts(world, "/pipelines/")
    assert sent["path"] == "/pipelines/ledger/Deploy%20%2F%20to%20prod%3F"


def test_the_key_is_the_correlation_and_the_permit_comes_with_its_id(world):
    wanted = order(jti="of-this-permit")
    world.ended(world.adapter.start(wanted).handle)

    (sent,) = posts(world, "/pipelines/")
    body = json.loads(sent["body"])
    assert body["correlationId"] == wanted.key
    own = {"GMUD_CORRELATION": wanted.key, "GMUD_PERMIT": wanted.permit, "GMUD_PERMIT_ID": "of-this-permit"}
    assert body["parameters"] == {**PARAMETERS, **own}
    assert sent["headers"]["x-ratelimit-app"] == "gmud"


def test_through_echo_the_execution_is_found_though_its_reference_lies(world):
    world.settings(hold="Deploy")
    wanted = order(target=via_echo())
    begun = world.adapter.start(wanted)
    found = world.until(begun.handle, lambda one: bool(one.handle.run))
    world.settings(hold="")

    (sent,) = posts(world, "/pipelines/")
    assert sent["path"] == "/pipelines/v2/ledger/Deploy%20ledgerwriter"
    assert (begun.state, begun.handle.run) == (State.QUEUED, "")
    assert begun.handle.ticket.startswith("pipelines/")
    assert world.ended(found.handle).state is State.SUCCEEDED


def test_what_echo_never_begins_is_lost_after_a_minute_and_not_before(world):
    control(world.url, "settings", {"echo": "deaf"})
    begun = world.adapter.start(order(target=via_echo()))
    later = replace(world.adapter, now=lambda: datetime.now(UTC) + timedelta(seconds=61))

    assert world.adapter.look(begun.handle).state is State.QUEUED
    gone = later.look(begun.handle)
    assert (gone.state, "Echo" in str(gone.why)) == (State.LOST, True)


def test_what_shall_stop_before_echo_begins_it_is_stopped_when_it_begins(world):
    control(world.url, "settings", {"echo_seconds": 10})
    world.settings(hold="Deploy")
    begun = world.adapter.start(order(target=via_echo()))

    asked = world.adapter.act(begun.handle, Act.STOP)

    assert asked.handle.stop_asked
    assert world.ended(asked.handle).state is State.CANCELED
    assert world.executions()[0].canceled_by == "gmud"


def test_echo_is_given_ten_seconds_before_a_search_says_that_nothing_is_there(world):
    waited = []
    adapter = replace(world.adapter, pause=waited.append)

    assert adapter.find(via_echo(), "gmud-any").state is State.NOT_FOUND
    assert adapter.find(TARGET, "gmud-any").state is State.NOT_FOUND
    assert waited == [spinnaker.ECHO_PAUSE_SECONDS, spinnaker.PAUSE_SECONDS]
    assert waited[0] >= 10


@pytest.mark.parametrize(("outcome", "counts"), [("SUCCEEDED", "first"), ("TERMINAL", "second")])
def test_of_two_executions_with_one_key_the_one_that_succeeded_counts_else_the_one_that_runs(world, outcome, counts):
    wanted = order()
    world.settings(outcomes={"Deploy": outcome})
    first = world.ended(world.adapter.start(wanted).handle)
    world.settings(hold="Permit", outcomes={})
    fault(world.url, "status:200", path="search", body="[]", method="GET")
    second = world.adapter.start(wanted)
    world.until(second.handle, lambda one: one.state is State.RUNNING)

    found = world.adapter.find(TARGET, wanted.key)

    assert len(world.executions()) == 2
    assert found.handle.run == {"first": first, "second": second}[counts].handle.run


def test_a_search_begins_when_the_order_was_asked_for(world):
    since = datetime(2026, 11, 1, 12, tzinfo=UTC)
    world.adapter.find(replace(TARGET, since=since), "gmud-any")

    asked = [one["query"] for one in requests_of(world.url) if one["path"].endswith("search")]
    begins = int((since - timedelta(minutes=10)).timestamp() * 1000)
    assert {one["triggerTimeStartBoundary"][0] for one in asked} == {str(begins)}


def test_a_pipeline_that_was_renamed_proves_no_absence(world):
    wanted = order()
    handle = world.ended(world.adapter.start(wanted).handle).handle
    world.settings(name="Renamed")

    with pytest.raises(Unreachable, match="no pipeline"):
        world.adapter.find(TARGET, wanted.key)
    assert world.adapter.look(handle).state is State.SUCCEEDED


def test_it_is_paused_and_goes_on_when_asked_to(world):
    world.settings(hold="Permit")
    running = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)

    paused = world.adapter.act(running.handle, Act.PAUSE)
    world.settings(hold="")
    again = world.adapter.act(paused.handle, Act.PAUSE)  # asked once more: its first answer was lost
    resumed = world.adapter.act(paused.handle, Act.RESUME)

    assert (paused.state, paused.acts) == (State.PAUSED, {Act.STOP, Act.RESUME})
    assert again.state is State.PAUSED
    assert world.ended(resumed.handle).state is State.SUCCEEDED


def test_a_newer_execution_that_took_its_place_supersedes_it(world):
    world.settings(hold="Deploy")
    first = world.adapter.start(order())
    world.until(first.handle, lambda one: one.state is State.RUNNING)
    second, third = world.adapter.start(order()), world.adapter.start(order())
    waiting = world.adapter.look(second.handle)
    world.settings(hold="")

    assert (waiting.state, "another execution" in str(waiting.why)) == (State.QUEUED, True)
    dropped = world.ended(second.handle)
    assert (dropped.state, "newer execution" in str(dropped.why)) == (State.SUPERSEDED, True)
    assert world.ended(third.handle).state is State.SUCCEEDED


def test_who_canceled_it_elsewhere_and_why_is_told(world):
    world.settings(hold="Deploy")
    handle = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING).handle
    world.spinnaker.orca.cancel(world.executions()[0], "operator", "wrong window")

    assert str(world.ended(handle).why) == "operator canceled it in Spinnaker (wrong window)."


def test_a_failed_stage_says_what_went_wrong(world):
    world.gate.status = 403

    done = world.ended(world.adapter.start(order()).handle)

    assert done.state is State.FAILED
    assert "stage Permit: The webhook request failed with status code 403" in str(done.why)
    assert "v0.6.10" in world.deployed()


def test_a_stage_whose_failure_the_pipeline_passes_over_is_told_with_the_success(world):
    world.settings(outcomes={"Deploy": "FAILED_CONTINUE"})

    done = world.ended(world.adapter.start(order()).handle)

    assert (done.state, "Deploy failed" in str(done.why)) == (State.SUCCEEDED, True)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ({"Permit": "SKIPPED", "Deploy": "SKIPPED"}, State.UNCHANGED),
        ({"Deploy": "STOPPED"}, State.FAILED),
        ({"Deploy": "TERMINAL"}, State.FAILED),
    ],
)
def test_what_ended_well_and_did_nothing_is_no_success(world, outcomes, state):
    world.settings(outcomes=outcomes)

    assert world.ended(world.adapter.start(order()).handle).state is state


def asked(world, **context):
    """Return a sighting of an execution that asks."""
    world.settings(stages=[{"type": "manualJudgment", "name": "Judge", "instructions": "Live?", **context}])
    return world.until(world.adapter.start(order()).handle, lambda one: bool(one.questions))


def test_a_judgment_says_who_may_give_it_and_which_words_it_takes(world):
    seen = asked(world, selectedStageRoles=["releasers"], judgmentInputs=[{"value": "blue"}, {"value": "green"}])
    (question,) = seen.questions
    takes = Parameter("judgmentInput", choices=("blue", "green"))
    assert (question.text, question.may_answer, question.takes) == ("Live?", ("releasers",), (takes,))

    after = world.adapter.answer(seen.handle, Answer(question.id, goes_on=True, values={"judgmentInput": "green"}))

    assert (after.state, after.questions) == (State.SUCCEEDED, ())
    assert world.executions()[0].stages[0].context["judgmentInput"] == "green"


def test_a_judgment_that_orca_wipes_away_is_a_clear_no_though_gate_said_200(world):
    seen = asked(world, selectedStageRoles=["oncall"])

    with pytest.raises(Rejected, match="roles"):
        world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=True, note="Ana"))

    assert {one["status"] for one in requests_of(world.url) if one["method"] == "PATCH"} == {200}
    assert world.adapter.look(seen.handle).state is State.WAITING_INPUT


def test_a_judgment_that_orca_has_not_read_yet_is_not_known():
    with a_world(speed=1.0) as world:
        seen = asked(world)
        adapter = replace(world.adapter, pause=lambda _seconds: None)

        with pytest.raises(Unreachable, match="not known yet"):
            adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=True))

    assert spinnaker.JUDGMENT_LOOKS * spinnaker.JUDGMENT_SECONDS > work.JUDGMENT_SECONDS


def test_only_two_keys_are_ever_patched_and_only_into_a_judgment(world):
    seen = asked(world)

    world.adapter.answer(seen.handle, Answer("another-stage", goes_on=True))
    world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=False, note="no"))

    (sent,) = [one for one in requests_of(world.url) if one["method"] == "PATCH"]
    assert json.loads(sent["body"]) == {"judgmentStatus": "stop", "judgmentInput": "no"}


def test_the_revisions_of_a_place_are_named_newest_first(world):
    deployed(world, "v0.6.11")

    there = world.adapter.versions(going_back("undoRolloutManifest"))

    assert there == [Version("v0.6.11", "2", DIGEST), Version("v0.6.10", "1", "")]


def test_going_back_names_the_revision_that_carries_what_was_ordered(world):
    deployed(world, "v0.6.11")
    deployed(world, "v0.6.12", "sha256:" + "cd" * 32)
    target = going_back("undoRolloutManifest")

    wanted = order(target=target)
    done = world.ended(world.adapter.start(wanted).handle)

    (sent,) = posts(world, "/tasks")
    (job,) = json.loads(sent["body"])["job"]
    assert (job["revision"], "numRevisionsBack" in job) == ("2", False)
    assert job[BEFORE]["wanted"].endswith(f"v0.6.11@{DIGEST}")
    assert done.state is State.SUCCEEDED
    assert done.handle.run.startswith("tasks/")
    assert world.deployed().endswith(f"v0.6.11@{DIGEST}")
    assert world.adapter.start(wanted).state is State.SUCCEEDED
    assert len(posts(world, "/tasks")) == 1


def test_a_version_that_no_revision_carries_is_refused_with_those_there_are(world):
    with pytest.raises(Rejected, match=r"No revision of .* carries v0\.6\.11.*v0\.6\.10 \(1\)"):
        world.adapter.start(order(target=going_back("undoRolloutManifest")))

    assert posts(world, "/tasks") == []


def test_a_revision_that_is_gone_is_refused_before_anything_is_sent(world):
    with pytest.raises(Rejected, match="no revision 9"):
        world.adapter.start(order(target=going_back("undoRolloutManifest", revision="9")))

    assert posts(world, "/tasks") == []


def settled(world, target):
    """Start a task and look at it with a clock past what a cache may hide."""
    begun = world.adapter.start(order(target=target))
    task = world.executions("ORCHESTRATION")[0]
    world.until(begun.handle, lambda _one: task.is_complete)
    task.ended -= 120
    return world.ended(begun.handle)


def test_a_task_that_succeeded_and_changed_nothing_is_no_success(world):
    deployed(world, "v0.6.11")
    world.spinnaker.works.clouds.undo = lambda place, job: None

    done = settled(world, going_back("undoRolloutManifest", revision="1"))

    assert (done.state, "nothing changed" in str(done.why)) == (State.UNCHANGED, True)


def test_until_a_cache_can_show_it_a_task_that_succeeded_is_not_over(world):
    deployed(world, "v0.6.11")
    world.spinnaker.works.clouds.undo = lambda place, job: None
    begun = world.adapter.start(order(target=going_back("undoRolloutManifest", revision="1")))

    time.sleep(0.1)
    seen = world.adapter.look(begun.handle)

    assert (seen.state, seen.acts) == (State.RUNNING, frozenset())


def test_a_task_after_which_something_else_stands_there_failed(world):
    deployed(world, "v0.6.11")
    clouds = world.spinnaker.works.clouds
    clouds.undo = lambda place, job: clouds.deploy(place, "ledgerwriter", "v9", "sha256:9")

    done = settled(world, going_back("undoRolloutManifest", revision="1"))

    assert done.state is State.FAILED
    assert "v9@sha256:9 stands there" in str(done.why)


def test_a_place_that_spinnaker_does_not_see_after_a_task_proves_nothing(world):
    deployed(world, "v0.6.11")
    begun = world.adapter.start(order(target=going_back("undoRolloutManifest", revision="1")))
    world.ended(begun.handle)
    fault(world.url, "status:404", path="manifests")

    with pytest.raises(Unreachable, match="knows nothing"):
        world.adapter.look(begun.handle)


def test_a_patch_took_when_the_object_changed(world):
    patch = {"spec": {"replicas": 5}}

    first = settled(world, going_back("patchManifest", patchBody=patch))
    again = settled(world, going_back("patchManifest", patchBody=patch))

    assert (first.state, again.state) == (State.SUCCEEDED, State.UNCHANGED)
    (job,) = json.loads(posts(world, "/tasks")[0]["body"])["job"]
    assert (job["patchBody"], job["options"]["mergeStrategy"]) == (patch, "strategic")


def groups(world, *names, **more):
    rows = [{"name": name, **more.get(name, {})} for name in names]
    control(world.url, "settings", {"groups": {"prod/shop-prod/us-east-1": rows}})


@pytest.mark.parametrize("task", ["rollbackCluster", "rollbackServerGroup"])
def test_server_groups_go_back_to_the_one_before(world, task):
    groups(world, "v006", "v007", v006={"enabled": False})
    target = going_back(task)
    assert [one.ref for one in world.adapter.versions(target)] == ["v007", "v006"]

    done = settled(world, target)

    assert done.state is State.SUCCEEDED
    assert [one.ref for one in world.adapter.versions(target)][:1] == ["v006"]
    if task == "rollbackServerGroup":
        (job,) = json.loads(posts(world, "/tasks")[0]["body"])["job"]
        names = (job["rollbackContext"]["rollbackServerGroupName"], job["rollbackContext"]["restoreServerGroupName"])
        assert (job["rollbackType"], names) == ("EXPLICIT", ("v007", "v006"))


@pytest.mark.parametrize("task", ["rollbackCluster", "rollbackServerGroup", "disableServerGroup"])
def test_a_task_whose_request_arrives_once_more_when_the_first_has_ended_goes_back_to_the_same_group(world, task):
    groups(world, "v006", "v007", v006={"enabled": task == "disableServerGroup"})
    target = going_back(task)
    chosen = replace(target, options=world.adapter.chosen(target))

    for _request in range(2):  # each with a key of its own: Orca joins equal ones only while the first runs
        settled(world, chosen)

    standing = world.spinnaker.works.clouds.groups[("prod", "shop-prod", "us-east-1")]
    assert {one.name: one.enabled for one in standing} == {"v006": True, "v007": False}


def test_where_nothing_can_be_chosen_nothing_is_ordered(world):
    groups(world, "v007")

    for target in (going_back("rollbackCluster"), going_back("explode"), going_back("undoRolloutManifest", account="")):
        with pytest.raises(Rejected):
            world.adapter.chosen(target)
    assert world.adapter.chosen(TARGET) == {}
    assert not posts(world, "/tasks")


def test_a_region_that_spinnaker_passes_over_is_no_success(world):
    groups(world, "v007")

    done = settled(world, going_back("rollbackCluster"))

    assert (done.state, "nothing changed" in str(done.why)) == (State.UNCHANGED, True)


def test_a_region_that_spinnaker_passed_over_is_no_success_though_somebody_else_changed_it(world):
    groups(world, "v006", "v007")
    clouds = world.spinnaker.works.clouds
    clouds.rollback = lambda region: setattr(clouds.groups[region][1], "enabled", False)

    assert settled(world, going_back("rollbackCluster")).state is State.UNCHANGED


def test_where_only_one_group_ever_stood_there_is_nothing_to_go_back_to(world):
    groups(world, "v007")

    with pytest.raises(Rejected, match="only v007"):
        world.adapter.start(order(target=going_back("rollbackServerGroup")))
    with pytest.raises(Rejected, match="knows nothing"):
        world.adapter.start(order(target=going_back("rollbackServerGroup", region="eu-west-1")))


def test_a_group_is_enabled_and_the_other_disabled(world):
    groups(world, "v006", "v007", v006={"enabled": False})

    enabled = settled(world, going_back("enableServerGroup"))
    disabled = settled(world, going_back("disableServerGroup"))

    assert (enabled.state, disabled.state) == (State.SUCCEEDED, State.SUCCEEDED)
    standing = {
        one.name: one.enabled for one in world.spinnaker.works.clouds.groups[("prod", "shop-prod", "us-east-1")]
    }
    assert standing == {"v006": True, "v007": False}
    sent = [json.loads(one["body"])["job"][0] for one in posts(world, "/tasks")]
    assert [(job["type"], job["serverGroupName"]) for job in sent] == [
        ("enableServerGroup", "v006"),
        ("disableServerGroup", "v007"),
    ]


def test_a_pipeline_that_rolls_a_cluster_back_and_finds_nothing_to_do_is_no_success(world):
    groups(world, "v007")
    stage = {"type": "rollbackCluster", "name": "Back", "regions": ["us-east-1"], "credentials": "prod"}
    world.settings(stages=[{**stage, "moniker": {"cluster": "shop-prod"}}])

    assert world.ended(world.adapter.start(order()).handle).state is State.UNCHANGED


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"task": "explode"}, "no task explode"),
        ({"task": "undoRolloutManifest", "account": "a", "location": "b"}, "manifestName"),
        ({"task": "rollbackCluster", **REGION, "colour": "red"}, "colour"),
        ({"task": "patchManifest", "account": "a", "location": "b", "manifestName": "deployment x"}, "patchBody"),
    ],
)
def test_a_task_says_what_it_needs(world, options, word):
    readiness = world.adapter.preflight(Target("ledger", options=options))

    assert word in " ".join(map(str, readiness.reasons))


def test_a_task_is_ready_only_where_something_stands(world):
    groups(world, "v007")

    assert world.adapter.preflight(going_back("undoRolloutManifest")).is_ready
    assert world.adapter.preflight(going_back("rollbackCluster")).is_ready
    for target in (
        going_back("undoRolloutManifest", manifestName="deployment nobody"),
        going_back("rollbackCluster", region="eu-west-1"),
    ):
        assert "knows nothing" in str(world.adapter.preflight(target).reasons[0])


def test_the_runs_of_a_place_that_goes_back_by_tasks_tell_what_was_ordered(world):
    deployed(world, "v0.6.11")
    target = going_back("undoRolloutManifest", revision="1")
    first = world.ended(world.adapter.start(order("gmud-1", target=target)).handle)
    second = world.ended(
        world.adapter.start(order("gmud-2", target=replace(target, options={**target.options, "revision": "2"}))).handle
    )
    world.spinnaker.orca.operate("ledger", "by hand", [{"type": "wait"}], {}, "operator")

    newest, oldest = world.adapter.runs(target)

    assert [newest.name, oldest.name] == [second.handle.run, first.handle.run]
    assert oldest.parameters == {**PARAMETERS, target.key_parameter: "gmud-1"}
    assert (oldest.state, oldest.is_over) == (State.SUCCEEDED, True)


def test_a_task_is_stopped_and_a_deleted_one_is_lost(world):
    world.spinnaker.orca.speed = 0.5
    begun = world.adapter.start(order(target=going_back("undoRolloutManifest", revision="1")))

    stopped = world.ended(world.adapter.act(begun.handle, Act.STOP).handle)

    assert stopped.state is State.CANCELED
    world.spinnaker.orca.executions.clear()
    assert world.adapter.look(begun.handle).state is State.LOST


def test_a_list_of_tasks_that_may_be_cut_off_proves_no_absence(world, monkeypatch):
    monkeypatch.setattr(spinnaker, "NEWEST", 1)
    world.ended(
        world.adapter.start(order(target=going_back("patchManifest", patchBody={"spec": {"replicas": 1}}))).handle
    )

    with pytest.raises(Unreachable, match="newest 1 tasks"):
        world.adapter.find(going_back("patchManifest"), "gmud-other")
    assert world.adapter.look(Handle("k", JOB, run="pipelines/none")).state is State.LOST
