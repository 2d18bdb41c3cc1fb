"""Every shape derived from Spinnaker's source, replayed to the adapter: what we send, what we make of the answer.

Two are not: a webhook trigger, which starts any number of pipelines without a key and is never sent, and Echo's events,
which come to us.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest

from gmud.sandbox.server import Answer as Reply
from gmud.sandbox.server import Sandbox, running
from releases.core.errors import Rejected, Unreachable
from releases.delivery.ports import Handle, Order, Target
from releases.delivery.spinnaker.adapter import SpinnakerDelivery
from releases.delivery.spinnaker.client import Gate
from releases.delivery.spinnaker.tasks import BEFORE
from releases.delivery.states import Act, State
from tests.factories.delivery import permit, requests_of
from tests.factories.spinnaker import RECORDINGS, door_to

SHAPES = {one["name"]: one for one in json.loads((RECORDINGS / "shapes.json").read_text())["exchanges"]}
KEY = "gmud-42-a1"
RUN = "01K8ZZZZZZZZZZZZZZZZZZZZZZ"
STAGE = "01K8STAGE0000000000000000A"
TARGET = Target("shop/Deploy to prod", {"version": "1.2.3"}, since=datetime.fromtimestamp(1760999600, tz=UTC))
CONFIG = {
    "id": "f3284c09",
    "application": "shop",
    "disabled": False,
    "parameterConfig": [{"name": name} for name in ("GMUD_CORRELATION", "GMUD_PERMIT", "version")],
}
REVISIONS = [
    {
        "name": "deployment cart",
        "account": "prod-k8s",
        "namespace": "shop",
        "serverGroups": [
            {"name": "replicaSet cart-a", "moniker": {"sequence": 6}},
            {"name": "replicaSet cart-b", "moniker": {"sequence": 7}},
        ],
    }
]


def manifest(image):
    return {
        "manifest": {"metadata": {"generation": 3}, "spec": {"template": {"spec": {"containers": [{"image": image}]}}}}
    }


class Replay(Sandbox):
    """Answers by the end of the path; the last that fits counts."""

    def __init__(self, **answers):
        super().__init__()
        self.answers = {"pipelineConfigs/": CONFIG, "search": [], **answers}

    def answer(self, call):
        for name, value in reversed(self.answers.items()):
            if name in f"{call.method} {unquote(call.path)}":
                return value if isinstance(value, Reply) else Reply(200, json.dumps(value).encode())
        return Reply(404, json.dumps({"message": f"no {call.path}"}).encode())


def of(name):
    """Return a shape's answer."""
    found = SHAPES[name]["response"]
    body = json.dumps(found["json"]) if "json" in found else found.get("body", "")
    return Reply(found["status"], body.encode())


def sent(url, method="POST"):
    """Return the one request of this method: method, path and query as written, body."""
    (one,) = [each for each in requests_of(url) if each["method"] == method]
    return one


def same_request(one, name):
    """Compare a request with the shape's."""
    wanted = SHAPES[name]["request"]
    path, _, query = wanted["path"].partition("?")
    assert (one["method"], one["path"]) == (wanted["method"], path)
    return dict(pair.split("=", 1) for pair in query.split("&")) if query else {}


def adapter(url):
    return SpinnakerDelivery(door_to(url), pause=lambda _seconds: None)


@pytest.mark.parametrize(("name", "options"), [("trigger-v1", {}), ("trigger-v2", {"via": "v2"})])
def test_a_trigger_is_sent_as_derived_with_our_parameters_beside(name, options):
    target = Target(TARGET.job, TARGET.parameters, options=options)
    with running(Replay(POST=of(name))) as url:
        begun = adapter(url).start(Order(KEY, target, permit("one")))
        one = sent(url)

    same_request(one, name)
    ours = {"GMUD_CORRELATION": KEY, "GMUD_PERMIT": permit("one"), "GMUD_PERMIT_ID": "one"}
    wanted = SHAPES[name]["request"]["json"]
    assert json.loads(one["body"]) == {**wanted, "parameters": {**wanted["parameters"], **ours}}
    assert begun.state is State.QUEUED
    kept = (begun.handle.ticket, begun.handle.run)
    assert kept == ((f"pipelines/{RUN}", "") if options else ("", f"pipelines/{RUN}"))


def test_a_missing_parameter_is_a_clear_no_that_names_it():
    with running(Replay(POST=of("trigger-v1-missing-param"))) as url:
        with pytest.raises(Rejected, match="Required parameter version is missing") as caught:
            adapter(url).start(Order(KEY, TARGET))
        same_request(sent(url), "trigger-v1-missing-param")

    assert caught.value.http_status == 400


def test_an_execution_is_read_stage_by_stage():
    shape = SHAPES["execution"]["response"]["json"]
    with running(Replay(executions=[shape])) as url:
        seen = adapter(url).look(Handle(KEY, TARGET.job, run=f"pipelines/{RUN}"))
        asked = sent(url, "GET")

    assert (asked["path"], asked["query"]) == ("/executions", {"executionIds": [RUN], "expand": ["false"]})
    assert (seen.state, seen.acts) == (State.RUNNING, {Act.STOP, Act.PAUSE})
    assert [(one.name, one.state) for one in seen.stages] == [("Deploy", State.RUNNING)]


@pytest.mark.parametrize("name", ["execution", "execution-404", "execution-upstream-error"])
def test_a_whole_execution_is_there_or_absent_or_not_known(name):
    with running(Replay(GET=of(name))) as url:
        gate = Gate(door_to(url))
        if name == "execution-upstream-error":
            with pytest.raises(Unreachable, match="nothing"):
                gate.whole(RUN)
        else:
            found = gate.whole(RUN)
            assert found == (SHAPES[name]["response"]["json"] if name == "execution" else None)
        same_request(sent(url, "GET"), name)


def test_a_search_gives_the_key_as_derived_and_reads_what_it_finds():
    with running(Replay(search=SHAPES["search-by-correlation"]["response"]["json"])) as url:
        found = adapter(url).find(TARGET, KEY)
        one = sent(url, "GET")

    wanted = same_request(one, "search-by-correlation")
    given = {name: values[0] for name, values in one["query"].items()}
    trigger = given.pop("trigger")
    assert base64.b64decode(trigger) == b'{"correlationId":"gmud-42-a1"}'
    assert given == {name: unquote(value) for name, value in wanted.items() if name != "trigger"}
    assert (found.state, found.handle.run) == (State.RUNNING, f"pipelines/{RUN}")


def test_a_cancel_names_its_reason():
    shape = SHAPES["execution"]["response"]["json"]
    with running(Replay(executions=[shape], PUT=of("cancel"))) as url:
        seen = adapter(url).act(Handle(KEY, TARGET.job, run=f"pipelines/{RUN}"), Act.STOP)
        one = sent(url, "PUT")

    wanted = same_request(one, "cancel")
    assert one["query"] == {"reason": [f"GMUD {KEY}"], "force": [wanted["force"]]}
    assert seen.handle.stop_asked


def test_a_judgment_sends_two_keys_and_no_other():
    shape = SHAPES["manual-judgment"]["request"]
    with running(Replay(PATCH=of("manual-judgment"))) as url:
        Gate(door_to(url)).judge(RUN, STAGE, status=shape["json"]["judgmentStatus"], note="GMUD-42 approved")
        one = sent(url, "PATCH")

    same_request(one, "manual-judgment")
    assert json.loads(one["body"]) == shape["json"]


def test_an_undo_is_sent_as_derived_but_with_the_revision_named():
    options = {
        "task": "undoRolloutManifest",
        "account": "prod-k8s",
        "location": "shop",
        "manifestName": "deployment cart",
    }
    answers = {
        "serverGroupManagers": REVISIONS,
        "tasks": [],
        "manifests": manifest("cart:1.2.3"),
        "replicaSet cart-a": manifest("cart:1.2.2"),
        "POST": of("task-undo-rollout"),
    }
    with running(Replay(**answers)) as url:
        begun = adapter(url).start(Order("gmud-42-rb1", Target("shop", {"VERSION": "1.2.2"}, options=options)))
        one = sent(url)

    same_request(one, "task-undo-rollout")
    wanted, given = SHAPES["task-undo-rollout"]["request"]["json"], json.loads(one["body"])
    named = {"revision": "6", "reason": "GMUD gmud-42-rb1"}
    named[BEFORE] = {"parameters": {"VERSION": "1.2.2"}, "stood": "cart:1.2.3", "wanted": "cart:1.2.2"}
    job = {name: value for name, value in wanted["job"][0].items() if name not in ("numRevisionsBack", "user")}
    assert given["job"] == [{**job, **named}]
    assert (given["application"], given["trigger"]) == (wanted["application"], wanted["trigger"])
    assert begun.handle.run == "tasks/01K8TASK00000000000000000A"


def test_a_task_is_read_by_its_own_address():
    shape = SHAPES["task-status"]["response"]["json"]
    stage = {"type": "undoRolloutManifest", "name": "undoRolloutManifest", "status": "SUCCEEDED", "context": {}}
    whole = {**shape, "execution": {"stages": [stage]}}
    with running(Replay(**{"tasks/": whole})) as url:
        seen = adapter(url).look(Handle("gmud-42-rb1", "shop", run="tasks/01K8TASK00000000000000000A"))
        same_request(sent(url, "GET"), "task-status")

    assert seen.state is State.SUCCEEDED


@pytest.mark.parametrize("options", [{}, {"via": "v2"}], ids=["v1", "v2"])
def test_no_pipeline_is_ever_started_by_a_webhook(options):
    """Anybody may send one, it is found by no key, and any number of pipelines may start."""
    refused = SHAPES["webhook-trigger"]["request"]["path"]
    with running(Replay(POST=of("trigger-v1"))) as url:
        adapter(url).start(Order(KEY, Target(TARGET.job, TARGET.parameters, options=options)))
        paths = [one["path"] for one in requests_of(url)]

    assert [path for path in paths if path.startswith(refused.rsplit("/", 1)[0])] == []
    assert len(paths) > 1


def test_no_shape_is_left_out():
    """Each name stands in a test above, so that a shape that is added is replayed, too; Echo's events come to us."""
    text = Path(__file__).read_text()

    assert [name for name in SHAPES if f'"{name}"' not in text and name != "echo-rest-event"] == []
