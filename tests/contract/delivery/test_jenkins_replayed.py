"""Every shape of Jenkins that we know of, replayed: what we asked for it, and what we made of it."""

import json
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from gmud.sandbox.server import Answer as Response
from gmud.sandbox.server import Sandbox, json_answer, running
from releases.core.errors import Rejected, Unreachable
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.ports import Handle, Listed, Order, Target
from releases.delivery.states import Act, State
from tests.factories.delivery import RECORDINGS, door_to

SHAPES = {one["name"]: one for one in json.loads((RECORDINGS / "shapes.json").read_text())["exchanges"]}
KEY = "gmud-42-a1"
JOB = "team/deploy"
TARGET = Target(JOB, {"VERSION": "1.2.3"})
ORDER = Order(KEY, TARGET, "a-permit")
HANDLE = Handle(KEY, JOB, ticket="41")
RUN = HANDLE.moved(run="7")
DECLARED = ("VERSION", "GMUD_CORRELATION", "GMUD_PERMIT")
READY = {"buildable": True, "property": [{"parameterDefinitions": [{"name": name} for name in DECLARED]}]}
AT_JOB, AT_RUN = "/job/team/job/deploy/api/json", "/job/team/job/deploy/7/api/json"
TRIGGER = "/job/team/job/deploy/buildWithParameters"
BASIC = "Basic Z211ZDpzZWNyZXQ="


class Replay(Sandbox):
    """Gives each path its answers one after the other, the last one for ever, and 404 where it has none."""

    def __init__(self, answers):
        super().__init__()
        self.answers = {path: deque(many) for path, many in answers.items()}

    def answer(self, call):
        left = self.answers.get(call.path, deque([Response(404)]))
        return left.popleft() if len(left) > 1 else left[0]


def recorded(name):
    """Return the answer of a shape as it goes over the wire."""
    shape = SHAPES[name]["response"]
    body = json.dumps(shape["json"]) if "json" in shape else shape.get("body_contains", shape.get("body", ""))
    given = {field: value for field, value in shape.get("headers", {}).items() if field != "Content-Length"}
    return Response(shape["status"], body.encode(), given)


def replay(name, act, *, path="", before=None):
    """Let the adapter act while the shape is what its request meets; return what came of it and what was sent there.

    The request must be the recorded one: method, path and, where the shape tells them, the fields of the form.
    """
    asked = SHAPES[name]["request"]
    place, _, query = (path or asked["path"]).partition("?")
    base = {AT_JOB: [json_answer({**READY, "builds": []})], "/queue/api/json": [json_answer({"items": []})]}
    server = Replay({**base, **(before or {}), place: [*(before or {}).get(place, ()), recorded(name)]})
    with running(server) as url:
        try:
            came = act(JenkinsDelivery(door_to(url, BASIC), pause=lambda _seconds: None))
        except (Rejected, Unreachable) as error:
            came = error
    sent = [one for one in server.log if one["path"] == place]
    assert [one["method"] for one in sent] == [asked["method"]] * len(sent) != []
    assert all(parse_qs(query).items() <= one["query"].items() for one in sent)
    assert all(one["headers"]["authorization"] == BASIC for one in server.log)
    if "Content-Type" in asked.get("headers", {}):
        assert {one["headers"]["content-type"] for one in sent} == {asked["headers"]["Content-Type"]}
    return came, sent


def start(adapter):
    return adapter.start(ORDER)


def look(adapter):
    return adapter.look(HANDLE)


def look_at_the_run(adapter):
    return adapter.look(RUN)


def test_a_trigger_that_was_taken_is_a_queue_item_by_its_number_alone():
    came, (sent,) = replay("trigger-created", start)

    recorded_form = parse_qs(SHAPES["trigger-created"]["request"]["body"])
    assert parse_qs(sent["body"]) == {**recorded_form, "GMUD_PERMIT": ["a-permit"]}
    assert (came.state, came.handle) == (State.QUEUED, HANDLE)
    assert "Cookie" not in sent["headers"]


def test_a_trigger_that_was_folded_is_ours_because_the_item_carries_our_key():
    came, sent = replay("trigger-folded", start, before={"/queue/item/41/api/json": [recorded("queue-waiting")]})

    assert len(sent) == 1
    assert (came.state, came.handle) == (State.QUEUED, HANDLE)


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("trigger-vetoed", 302, "decided not to queue"),
        ("job-disabled", 409, "disabled"),
        ("not-parameterized", 400, "takes no parameters"),
        ("missing-build-permission", 403, "hudson.model.Item.Build"),
    ],
)
def test_a_trigger_that_was_refused_is_a_clear_no_that_is_sent_once(name, status, word):
    came, sent = replay(name, start)

    assert len(sent) == 1
    assert isinstance(came, Rejected)
    assert came.http_status == status
    assert word in str(came)


def test_we_never_get_what_must_be_posted():
    """The shape answers a GET, which we never send: what it says is read nonetheless."""
    server = Replay({TRIGGER: [recorded("get-instead-of-post")]})
    with running(server) as url:
        reply = JenkinsDelivery(door_to(url))._jenkins.trigger(JOB, {})

    assert [one["method"] for one in server.log] == ["POST"]
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_a_password_gets_a_crumb_and_its_session_once_it_is_asked_for_one():
    name = "post-without-crumb-using-password"
    answers = {
        AT_JOB: [json_answer({**READY, "builds": []})],
        "/queue/api/json": [json_answer({"items": []})],
        TRIGGER: [recorded(name), recorded("trigger-created")],
        SHAPES["crumb"]["request"]["path"]: [recorded("crumb")],
    }
    with running(server := Replay(answers)) as url:
        came = start(JenkinsDelivery(door_to(url, BASIC)))

    first, asked, second = list(server.log)[-3:]
    assert came.state is State.QUEUED
    assert (asked["method"], asked["path"]) == ("GET", "/crumbIssuer/api/json")
    assert not {"cookie", "jenkins-crumb"} & (first["headers"].keys() | asked["headers"].keys())
    assert second["headers"]["jenkins-crumb"] == SHAPES["crumb"]["response"]["json"]["crumb"]
    assert second["headers"]["cookie"] == "JSESSIONID.xxxx=..."
    assert first["body"] == second["body"]


@pytest.mark.parametrize(
    ("name", "act", "word"),
    [
        ("bad-basic-credentials", lambda adapter: adapter.version(), "token"),
        ("anonymous-needs-login", lambda adapter: adapter.preflight(TARGET), "strangers"),
    ],
)
def test_an_account_that_is_not_taken_is_a_clear_no(name, act, word):
    came, _sent = replay(name, act)

    assert isinstance(came, Rejected)
    assert word in str(came)


@pytest.mark.parametrize(
    ("name", "why", "is_stuck"),
    [
        ("queue-waiting", "In the quiet period. Expires in 4.6 sec", False),
        ("queue-blocked", "Build #6 is already in progress (ETA: 40 sec)", False),
        ("queue-buildable-stuck", "There are no nodes with the label ‘deploy’", True),
    ],
)
def test_what_waits_says_why_and_whether_it_is_stuck(name, why, is_stuck):
    came, sent = replay(name, look)

    assert len(sent) == 1
    assert (came.state, came.is_stuck, came.acts) == (State.QUEUED, is_stuck, {Act.STOP})
    assert str(came.why) == f"Jenkins says: {why}"
    assert came.handle == HANDLE


def test_an_item_that_left_leads_to_its_build():
    came, _sent = replay("queue-left", look, before={AT_RUN: [recorded("build-running")]})

    assert (came.state, came.handle) == (State.RUNNING, RUN)


def test_an_item_that_was_canceled_is_an_end():
    came, _sent = replay("queue-cancelled", look)

    assert came.state is State.CANCELED


def test_an_item_that_jenkins_forgot_is_searched_by_its_key_before_it_counts_as_lost():
    builds = {AT_JOB: [json_answer({**READY, "builds": [SHAPES["build-done"]["response"]["json"]]})]}
    found, _sent = replay("queue-gone", look, before={**builds, AT_RUN: [recorded("build-done")]})
    lost, _sent = replay("queue-gone", look)

    assert (found.state, found.handle) == (State.SUCCEEDED, RUN)
    assert lost.state is State.LOST


def test_what_waits_is_canceled_by_its_number_and_looked_at():
    items = {"/queue/item/41/api/json": [recorded("queue-waiting"), recorded("queue-cancelled")]}
    came, (sent,) = replay("queue-cancel", lambda adapter: adapter.act(HANDLE, Act.STOP), before=items)

    assert (sent["method"], sent["query"], sent["body"]) == ("POST", {"id": ["41"]}, "")
    assert came.state is State.CANCELED


def test_a_build_that_runs_tells_its_progress_by_the_clock_of_jenkins():
    begun = int((time.time() - 30) * 1000)
    now = {**SHAPES["build-running"]["response"]["json"], "timestamp": begun}
    came, _sent = replay("build-running", look_at_the_run, before={AT_RUN: [json_answer(now)]})

    assert (came.state, came.handle) == (State.RUNNING, RUN)
    assert came.progress == pytest.approx(30_000 / 61_234, abs=0.05)
    assert came.left == pytest.approx(31.2, abs=3)
    assert came.acts == {Act.STOP}  # a freestyle build knows no harder way


def test_a_build_that_is_done_is_the_end_of_it():
    came, sent = replay("build-done", look_at_the_run)

    assert len(sent) == 1
    assert (came.state, came.why, came.progress, came.acts) == (State.SUCCEEDED, None, None, frozenset())


def test_a_stop_says_nothing_so_the_build_is_looked_at():
    runs = {AT_RUN: [recorded("build-running")]}
    came, sent = replay("build-stop", lambda adapter: adapter.act(RUN, Act.STOP), before=runs)

    assert len(sent) == 1
    assert (came.state, came.handle.stop_asked) == (State.RUNNING, True)


def test_the_console_goes_on_where_jenkins_says_and_ends_when_nothing_more_is_announced():
    first, (sent,) = replay("progressive-first", lambda adapter: adapter.log(RUN))
    last, (then,) = replay("progressive-last", lambda adapter: adapter.log(RUN, first.next))

    assert (sent["query"], then["query"]) == ({"start": ["0"]}, {"start": ["512"]})
    assert (first.text, first.next, first.has_more) == ("Started by user gmud\n...", 512, True)
    assert (last.text, last.next, last.has_more) == ("...Finished: SUCCESS\n", 2048, False)


def test_a_server_that_starts_is_not_known_and_says_so():
    came, _sent = replay("starting-up", lambda adapter: adapter.jobs())

    assert isinstance(came, Unreachable)
    assert "starting" in str(came)


def test_no_shape_is_left_out():
    """Each name stands in a test above, so that a shape that is added is replayed, too."""
    text = Path(__file__).read_text()

    assert [name for name in SHAPES if f'"{name}"' not in text] == []


# Answers recorded from real servers


def served(path, file):
    return Replay({path: [Response(200, (RECORDINGS / file).read_bytes(), {"Content-Type": "application/json"})]})


def test_a_multibranch_project_lists_its_branches_by_the_names_that_can_be_called():
    server = served("/job/Level1_multibranchjob/api/json", "mbranch.json")
    server.answers["/job/Level1_multibranchjob/job/feature%252Fgithub-commands/api/json"] = deque([json_answer(READY)])
    with running(server) as url:
        adapter = JenkinsDelivery(door_to(url))
        found = adapter.jobs("Level1_multibranchjob")
        readiness = adapter.preflight(Target(found[0].name))
        parent = adapter.preflight(Target("Level1_multibranchjob"))

    assert found == (
        Listed("Level1_multibranchjob/feature%2Fgithub-commands"),
        Listed("Level1_multibranchjob/master"),
    )
    assert readiness.is_ready
    assert ["a job for each branch" in str(one) for one in parent.reasons] == [True]


def test_a_pipeline_that_never_ran_declares_nothing_and_is_told_what_to_do():
    with running(served("/job/Level1_WorkflowJob/api/json", "pipeline.json")) as url:
        reasons = JenkinsDelivery(door_to(url)).preflight(Target("Level1_WorkflowJob")).reasons

    assert [str(one) for one in reasons] == [
        f"The job Level1_WorkflowJob does not declare the parameter {name}. Add it, then run the job once."
        for name in ("GMUD_CORRELATION", "GMUD_PERMIT")
    ]


@pytest.mark.parametrize(("file", "state"), [("workflowrun", State.FAILED), ("freestylebuild", State.SUCCEEDED)])
def test_a_recorded_build_of_a_server_that_does_not_tell_whether_it_is_in_progress_is_read(file, state):
    build = json.loads((RECORDINGS / "run" / f"{file}.json").read_text())
    now = {**build, "building": True, "result": None}
    with running(
        Replay({"/job/x/api/json": [json_answer({"builds": [build]}), json_answer({"builds": [now]})]})
    ) as url:
        adapter = JenkinsDelivery(door_to(url))
        (run,) = adapter.runs(Target("x"))
        (same,) = adapter.runs(Target("x"))

    assert (run.name, run.state, run.is_over) == (str(build["number"]), state, True)
    assert (same.state, same.is_over) == (State.RUNNING, False)
    assert run.ended_at == datetime.fromtimestamp((build["timestamp"] + build["duration"]) / 1000, tz=UTC)


def test_a_recorded_queue_with_items_of_others_and_without_parameters_holds_nothing_of_ours():
    server = served("/queue/api/json", "queue/queue.json")
    server.answers["/job/x/api/json"] = deque([json_answer({"builds": []})])
    with running(server) as url:
        found = JenkinsDelivery(door_to(url), pause=lambda _seconds: None).find(Target("x"), KEY)

    assert found.state is State.NOT_FOUND


@pytest.mark.parametrize("file", ["waitingitem", "blockeditem", "buildableitem", "leftitem"])
def test_a_recorded_item_that_is_not_ours_is_never_taken_for_ours(file):
    server = served("/queue/item/41/api/json", f"queue/{file}.json")
    server.answers["/queue/api/json"] = deque([json_answer({"items": []})])
    server.answers[AT_JOB] = deque([json_answer({"builds": []})])
    with running(server) as url:
        seen = JenkinsDelivery(door_to(url), pause=lambda _seconds: None).look(HANDLE)

    assert seen.state is State.LOST
