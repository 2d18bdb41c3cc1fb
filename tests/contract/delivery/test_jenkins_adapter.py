"""The Jenkins adapter against the sandbox over real HTTP: what it sends, and what it makes of the answers."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from gmud.sandbox.server import Answer, Sandbox, running
from releases.core.errors import Rejected, Unreachable
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.ports import DeliveryProvider, Handle, Target
from releases.delivery.states import Act, State
from tests.factories.delivery import (
    JOB,
    PARAMETERS,
    TARGET,
    a_world,
    ask,
    basic,
    control,
    door_to,
    fault,
    order,
    requests_of,
)


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def settings(world, **job):
    control(world.url, "settings", {"jobs": {JOB: job}})


def test_it_is_a_delivery_provider(world):
    provider: DeliveryProvider = world.adapter

    assert provider.preflight(TARGET).is_ready


def test_an_order_is_deployed_and_every_look_says_where_it_is(world):
    wanted = order()

    begun = world.adapter.start(wanted)
    done = world.ended(begun.handle)

    assert begun.state in (State.QUEUED, State.RUNNING)
    assert done.state is State.SUCCEEDED
    assert [(stage.name, stage.state) for stage in done.stages] == [
        ("Permit", State.SUCCEEDED),
        ("Deploy", State.SUCCEEDED),
        ("Verify", State.SUCCEEDED),
    ]
    assert done.url == f"{world.url}/job/ledger/job/deploy-ledgerwriter/1/"
    assert world.deployed() == PARAMETERS["VERSION"]
    assert world.deployed(track="stable") != PARAMETERS["VERSION"]


def test_the_runs_of_a_job_say_what_they_were_started_with_and_how_they_ended(world):
    settings(world, outcomes={"Deploy": "FAILED"})
    failed = world.ended(world.adapter.start(order("op:0")).handle)
    settings(world, outcomes={}, hold="Deploy")
    begun = world.adapter.start(order("op:1"))
    world.until(begun.handle, lambda seen: seen.state is State.RUNNING)

    running, past = world.adapter.runs(TARGET)
    settings(world, hold="")
    world.ended(begun.handle)
    done = world.adapter.runs(TARGET)[0]

    assert (past.name, past.state, past.parameters[TARGET.key_parameter]) == ("1", failed.state, "op:0")
    assert past.parameters.items() >= PARAMETERS.items()
    assert (running.name, running.state, running.is_over) == ("2", State.RUNNING, False)
    assert (done.state, done.parameters[TARGET.key_parameter]) == (State.SUCCEEDED, "op:1")
    assert past.ended_at < done.ended_at <= datetime.now(UTC) + timedelta(seconds=1)


def test_the_request_is_one_form_with_basic_credentials_and_nothing_in_the_address(world):
    wanted = order()
    world.adapter.start(wanted)

    (sent,) = [one for one in requests_of(world.url) if one["method"] == "POST"]

    assert sent["path"] == "/job/ledger/job/deploy-ledgerwriter/buildWithParameters"
    assert sent["query"] == {}
    assert sent["headers"]["authorization"] == basic()
    assert sent["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert not {"cookie", "jenkins-crumb"} & sent["headers"].keys()
    given = {name: values[0] for name, values in parse_qs(sent["body"]).items()}
    own = {"GMUD_CORRELATION": wanted.key, "GMUD_PERMIT": wanted.permit, "delay": "0sec"}
    assert given == {**PARAMETERS, **own}


def test_the_same_order_twice_is_one_build_while_it_waits_while_it_runs_and_when_it_is_done(world):
    wanted = order()
    control(world.url, "settings", {"executors": 0})
    waiting = world.adapter.start(wanted)
    again = world.adapter.start(wanted)
    assert (again.state, again.handle.ticket) == (State.QUEUED, waiting.handle.ticket)

    control(world.url, "settings", {"executors": 1})
    world.ended(waiting.handle)

    assert world.adapter.start(wanted).state is State.SUCCEEDED
    assert len(world.job.builds) == 1


def test_a_folded_request_is_a_success_when_it_carries_our_key(world):
    wanted = order()
    control(world.url, "settings", {"executors": 0})
    world.adapter.start(wanted)
    fault(world.url, "status:200", path="/queue/api/json", body='{"items": []}')  # hide the item from the search

    folded = world.adapter.start(wanted)

    assert [one["status"] for one in requests_of(world.url) if one["method"] == "POST"] == [201, 303]
    assert (folded.state, folded.handle.ticket) == (State.QUEUED, "1")


def test_only_the_number_of_the_location_is_used(world):
    control(world.url, "settings", {"base_url": "http://internal.invalid:8080/ci"})

    begun = world.adapter.start(order())

    assert begun.handle.ticket == "1"
    assert world.ended(begun.handle).url.startswith(world.url)


def test_an_order_is_found_by_its_key_in_the_queue_and_among_the_builds(world):
    wanted = order()
    control(world.url, "settings", {"executors": 0})
    world.adapter.start(wanted)
    assert world.adapter.find(TARGET, wanted.key).state is State.QUEUED
    control(world.url, "settings", {"executors": 1})
    world.ended(Handle(wanted.key, JOB, ticket="1"))

    found = world.adapter.find(TARGET, wanted.key)

    assert (found.state, found.handle.run) == (State.SUCCEEDED, "1")


def test_an_order_that_is_nowhere_is_not_found_after_two_rounds(world):
    found = world.adapter.find(TARGET, "gmud-nowhere")

    asked = [one["path"].split("/")[1] for one in requests_of(world.url)]
    assert found.state is State.NOT_FOUND
    assert asked == ["queue", "job", "queue", "job"]


def test_an_item_that_jenkins_forgot_is_found_by_its_build(world):
    begun = world.adapter.start(order())
    world.ended(begun.handle)
    control(world.url, "settings", {"left_seconds": 0})

    assert world.adapter.look(begun.handle).state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"disabled": True}, "disabled"),
        ({"parameters": [{"name": "GMUD_PERMIT"}]}, "GMUD_CORRELATION"),
        ({"parameters": []}, "GMUD_CORRELATION"),
    ],
)
def test_a_job_that_cannot_take_orders_is_refused_before_anything_is_sent(world, change, word):
    settings(world, **change)

    readiness = world.adapter.preflight(TARGET)
    with pytest.raises(Rejected):
        world.adapter.start(order())

    assert word in " ".join(map(str, readiness.reasons))
    assert [one for one in requests_of(world.url) if one["method"] == "POST"] == []


def test_an_undeclared_parameter_and_a_value_outside_the_choices_are_named(world):
    target = Target(JOB, {**PARAMETERS, "SLOT": "purple", "EXTRA": "1"})

    said = list(map(str, world.adapter.preflight(target).reasons))

    assert said == [
        f"The job {JOB} does not allow purple for its parameter SLOT.",
        f"The job {JOB} does not declare the parameter EXTRA. Add it, then run the job once.",
    ]


def test_a_job_that_is_not_there_is_a_reason(world):
    assert "no job ledger/none" in str(world.adapter.preflight(Target("ledger/none")).reasons[0])


@pytest.mark.parametrize(
    ("status", "headers", "word"),
    [
        (400, {}, "parameters"),
        (401, {}, "token"),
        (403, {"X-Required-Permission": "hudson.model.Item.Build"}, "hudson.model.Item.Build"),
        (403, {}, "permissions"),
        (404, {}, "no such job"),
        (405, {}, "kind of request"),
        (409, {}, "disabled"),
    ],
)
def test_a_clear_no_to_a_trigger_is_a_rejection_that_says_what_to_do(world, status, headers, word):
    fault(world.url, f"status:{status}", method="POST", headers=headers)

    with pytest.raises(Rejected, match=word) as caught:
        world.adapter.start(order())

    assert caught.value.http_status == status
    assert world.job.builds == {}


def test_a_veto_is_a_rejection_and_a_redirect_to_elsewhere_is_not_known(world):
    settings(world, vetoed=True)
    with pytest.raises(Rejected, match="decided not to queue"):
        world.adapter.start(order())

    fault(world.url, "status:302", method="POST", headers={"Location": f"{world.url}/login"})
    with pytest.raises(Unreachable):
        world.adapter.start(order())


def test_the_account_of_a_reader_is_told_which_permission_it_needs(world):
    adapter = JenkinsDelivery(door_to(world.url, basic("reader")))

    with pytest.raises(Rejected, match=r"hudson\.model\.Item\.Build"):
        adapter.start(order())


@pytest.mark.parametrize("authorization", ["", basic("gmud", "expired")], ids=["anonymous", "expired"])
def test_credentials_that_are_not_accepted_are_a_rejection_not_an_absence(world, authorization):
    adapter = JenkinsDelivery(door_to(world.url, authorization), pause=lambda _seconds: None)

    with pytest.raises(Rejected):
        adapter.preflight(TARGET)
    with pytest.raises(Rejected):
        adapter.find(TARGET, "gmud-any")


def test_a_run_that_is_unstable_is_not_a_success(world):
    settings(world, outcomes={"Verify": "UNSTABLE"})

    done = world.ended(world.adapter.start(order()).handle)

    assert done.state is State.FAILED
    assert "does not count as a success" in str(done.why)


def test_a_failed_stage_is_named(world):
    settings(world, outcomes={"Verify": "FAILED"})

    done = world.ended(world.adapter.start(order()).handle)

    assert (done.state, str(done.why)) == (State.FAILED, "The job failed in its stage Verify.")


def test_a_permit_that_the_gate_refuses_deploys_nothing(world):
    world.gate.status = 403
    before = world.deployed()

    done = world.ended(world.adapter.start(order()).handle)

    assert (done.state, str(done.why)) == (State.FAILED, "The job failed in its stage Permit.")
    assert world.deployed() == before


def test_a_build_that_we_stop_is_canceled_and_one_that_others_stop_is_not(world):
    settings(world, hold="Deploy")
    ours = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)
    stopped = world.adapter.act(ours.handle, Act.STOP)
    assert world.ended(stopped.handle).state is State.CANCELED

    theirs = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)
    ask(
        world.url,
        "POST",
        f"/job/ledger/job/deploy-ledgerwriter/{theirs.handle.run}/stop",
        headers={"Authorization": basic()},
    )
    done = world.ended(theirs.handle)

    assert done.state is State.ABORTED_EXTERNALLY
    assert world.deployed() != PARAMETERS["VERSION"]


def test_what_waits_is_taken_out_of_the_queue(world):
    control(world.url, "settings", {"executors": 0})
    waiting = world.adapter.start(order())

    stopped = world.adapter.act(waiting.handle, Act.STOP)

    assert stopped.state is State.CANCELED
    assert world.adapter.act(stopped.handle, Act.STOP).state is State.CANCELED


def test_a_build_that_was_deleted_is_lost(world):
    done = world.ended(world.adapter.start(order()).handle)
    world.job.builds.clear()

    assert world.adapter.look(done.handle).state is State.LOST


def test_a_build_of_the_same_number_in_another_life_of_the_server_is_not_taken_for_ours(world):
    done = world.ended(world.adapter.start(order()).handle)
    control(world.url, "reset", {})
    world.ended(world.adapter.start(order()).handle)

    assert world.adapter.look(done.handle).state is State.LOST


def test_progress_follows_the_estimate_of_earlier_builds(world):
    assert world.ended(world.adapter.start(order()).handle).progress is None
    settings(world, hold="Deploy")

    seen = world.until(world.adapter.start(order()).handle, lambda one: bool(one.stages))

    assert seen.state is State.RUNNING
    assert seen.progress is not None
    assert 0 <= seen.progress <= 0.99


def test_a_server_without_the_stage_plugin_shows_the_build_alone(world):
    handle = world.adapter.start(order()).handle
    world.ended(handle)
    fault(world.url, "status:404", path="wfapi", times=5)

    done = world.adapter.look(handle)

    assert (done.state, done.stages) == (State.SUCCEEDED, ())


class Old(Sandbox):
    """A server before 2.369: builds have no ``inProgress``; queue items may have left without a build yet."""

    def answer(self, call):
        parameters = '"actions":[{},{"parameters":[{"name":"GMUD_CORRELATION","value":"gmud-k"}]}]'
        if "/queue/item/" in call.path:
            return Answer(200, f'{{"id":1,"cancelled":false,"executable":null,{parameters}}}'.encode())
        if "wfapi" in call.path:
            return Answer(404)
        return Answer(200, f'{{"number":7,"building":false,"result":"SUCCESS",{parameters}}}'.encode())


def test_an_old_server_is_final_when_decided_and_an_item_that_just_left_is_still_queued():
    with running(Old()) as url:
        adapter = JenkinsDelivery(door_to(url))

        assert adapter.look(Handle("gmud-k", JOB, run="7")).state is State.SUCCEEDED
        assert adapter.look(Handle("gmud-k", JOB, ticket="1")).state is State.QUEUED


class Fixed(Sandbox):
    """A server that gives one JSON answer for each beginning of a path, and 303 to every trigger."""

    def __init__(self, **answers):
        super().__init__()
        self.answers = answers

    def answer(self, call):
        if call.method == "POST":
            return Answer(303, headers={"Location": "/queue/item/9/"})
        found = next((text for name, text in self.answers.items() if name in call.path), "")
        return Answer(200, found.encode()) if found else Answer(404)


def carrying(key):
    return f'"actions":[{{"parameters":[{{"name":"GMUD_CORRELATION","value":"{key}"}}]}}]'


def test_a_result_that_stands_while_the_build_is_still_in_progress_is_not_the_end():
    build = f'{{"number":7,"building":false,"inProgress":true,"result":"SUCCESS",{carrying("gmud-k")}}}'
    with running(Fixed(wfapi="", job=build)) as url:
        seen = JenkinsDelivery(door_to(url)).look(Handle("gmud-k", "deploy", run="7"))

    assert seen.state is State.RUNNING


@pytest.mark.parametrize(("key", "error"), [("gmud-other", Rejected), (None, Unreachable)])
def test_a_request_that_was_folded_into_another_is_never_taken_for_ours(key, error):
    names = '[{"name":"GMUD_CORRELATION"},{"name":"GMUD_PERMIT"}]'
    job = f'{{"buildable":true,"property":[{{"parameterDefinitions":{names}}}],"builds":[]}}'
    item = f'{{"id":9,{carrying(key)}}}' if key else ""
    with running(Fixed(item=item, queue='{"items":[]}', job=job)) as url, pytest.raises(error):
        JenkinsDelivery(door_to(url)).start(order(target=Target("deploy")))
