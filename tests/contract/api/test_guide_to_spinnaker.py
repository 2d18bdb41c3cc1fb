"""docs/connect-spinnaker.md, followed as it is written: its webhooks in Orca, its pipelines, every request of them."""

import json
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import Answer, Sandbox, running
from gmud.sandbox.spinnaker.accounts import TOKEN
from gmud.sandbox.spinnaker.api import Gate as Spinnaker
from gmud.sandbox.spinnaker.calls import speak
from gmud.sandbox.spinnaker.clouds import Clouds
from gmud.sandbox.spinnaker.models import pipeline_from
from gmud.sandbox.spinnaker.work import Works
from releases.accounts.rights import Right
from releases.changes import services
from releases.changes.states import State
from releases.delivery.ports import Target
from releases.gate.models import Permit
from tests.factories.accounts import a_token
from tests.factories.changes import a_change
from tests.factories.delivery import Gate, ask
from tests.factories.spinnaker import World, order

GUIDE = (Path(__file__).parents[3] / "docs" / "connect-spinnaker.md").read_text()
WEBHOOKS = re.search(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)[1]
PIPELINE, PULLED_STAGES = (json.loads(one) for one in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL))
JOB = f"{PIPELINE['application']}/{PIPELINE['name']}"
DIGEST = "sha256:" + "ab" * 32
PASSED_ON = ("authorization", "content-type", "idempotency-key")
PARAMETERS = {
    "SERVICE": "ledgerwriter",
    "ENVIRONMENT": "production",
    "VERSION": "v0.6.11",
    "DIGEST": DIGEST,
    "SLOT": "canary",
}


def webhooks(gmud, token):
    """Return the webhooks of the guide as Orca reads them, leading to another address."""
    text = WEBHOOKS.replace("https://gmud.example.com", gmud).replace("THE-TOKEN", token)
    return {one["type"]: one for one in yaml.safe_load(text)["webhook"]["preconfigured"]}


def spinnaker(cluster, gmud, token, pipeline=PIPELINE):
    known = webhooks(gmud, token)
    works = Works(Clouds(cluster, "sandbox-full"), lambda: known)
    return Spinnaker(works, pipelines={JOB: pipeline_from(pipeline)}, speed=50)


def test_pushed_the_pipeline_redeems_its_permit_and_deploys_by_digest():
    gate, cluster = Gate(), Cluster()
    with running(gate) as gmud, running(cluster) as there, running(one := spinnaker(there, gmud, "secret")) as url:
        world = World(url, one, gate, cluster)
        target = Target(JOB, PARAMETERS)
        assert world.adapter.preflight(target).reasons == ()
        done = world.ended(world.adapter.start(order(jti="one", target=target)).handle)
        told = ask(url, "GET", f"/{done.handle.run}", headers={"X-Spinnaker-Token": TOKEN}).text

    (call,) = gate.log
    assert (call["method"], call["path"]) == ("POST", "/api/v1/gate/permits/one/redeem")
    assert (call["headers"]["authorization"], call["headers"]["content-type"]) == ("Bearer secret", "application/json")
    run = {"provider": "spinnaker", "id": done.handle.run.removeprefix("pipelines/")}
    assert json.loads(call["body"]) == {"run": run, "artifact_digest": DIGEST}
    (patch,) = [one for one in cluster.log if one["method"] == "PATCH"]
    assert patch["path"] == "/apis/apps/v1/namespaces/bank-production/deployments/ledgerwriter-canary"
    assert [(stage.name, stage.state) for stage in done.stages] == [("Permit", "succeeded"), ("Deploy", "succeeded")]
    assert world.deployed() == f"registry.example.com/bank/ledgerwriter@{DIGEST}"
    assert "secret" not in told


def test_a_second_execution_with_the_same_permit_deploys_nothing():
    gate, cluster = Gate(), Cluster()
    with running(gate) as gmud, running(cluster) as there, running(one := spinnaker(there, gmud, "secret")) as url:
        world = World(url, one, gate, cluster)
        target = Target(JOB, PARAMETERS)
        states = [world.ended(world.adapter.start(order(jti="one", target=target)).handle).state for _ in range(2)]

    assert states == ["succeeded", "failed"]
    assert len([one for one in cluster.log if one["method"] == "PATCH"]) == 1


def pulled():
    """Return the pipeline as the guide says to make it one that is pulled."""
    gate, start, end = PULLED_STAGES
    deploy = {**PIPELINE["stages"][1], "requisiteStageRefIds": [start["refId"]]}
    parameters = [one for one in PIPELINE["parameterConfig"] if not one["name"].startswith("GMUD_")]
    return {**PIPELINE, "parameterConfig": parameters, "stages": [gate, start, deploy, end]}


class Between(Sandbox):
    """Hands every request on to the real server, and keeps it."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def answer(self, call):
        wanted = {name: call.headers[name] for name in PASSED_ON if name in call.headers}
        heard = speak(call.method, self.server + call.path, call.body.decode() or None, wanted)
        return Answer(heard.status, heard.text.encode(), {"Content-Type": heard.headers["content-type"]})


@pytest.fixture
def gmud(live_server, settings):
    """Return the real server, with somebody who writes down what it is asked."""
    between = Between(live_server.url)
    with running(between) as url:
        settings.PUBLIC_URL = between.url = url
        yield between


def begun(url, one, given):
    """Start the pipeline as somebody else does; return its execution."""
    asked = {"type": "manual", "parameters": given}
    path = "/pipelines/ledger/Deploy%20ledgerwriter"
    assert ask(url, "POST", path, headers={"X-Spinnaker-Token": TOKEN}, body=asked).status == 202
    return next(iter(one.orca.executions.values()))


@pytest.mark.django_db(transaction=True)
def test_pulled_it_asks_waits_and_deploys_when_the_gate_opens(gmud, now, house):
    starts, ends = now + timedelta(milliseconds=1), now + timedelta(hours=2)
    change = a_change(house, at=State.SCHEDULED, starts_at=starts, ends_at=ends)
    manager = house.actor("manager")
    services.hold(change_id=change.pk, actor=manager, reason="Wait for the bank", now=now)
    _row, token = a_token(Right.GATE_ASK, Right.PERMIT_REDEEM, now=now)
    service, digest = house.service.name, change.items.get().artifact.digest
    deployed = []
    with running(Cluster()) as there, running(one := spinnaker(there, gmud.url, token, pulled())) as url:
        one.works.clouds.patch = lambda place, body: deployed.append((place, body))
        execution = begun(url, one, {**PARAMETERS, "SERVICE": service, "DIGEST": digest})
        _until(lambda: execution.stages[0].context.get("progressMessage"))
        assert execution.stages[0].context["webhook"]["monitor"]["body"]["status"] == "PENDING"
        assert (execution.status, deployed) == ("RUNNING", [])

        services.resume(change_id=change.pk, actor=manager, now=now)
        _until(lambda: execution.is_complete)

    first, *polls, start, end = gmud.log
    assert (first["method"], first["path"], first["status"]) == ("POST", "/api/v1/gate/decisions", 200)
    assert first["headers"]["idempotency-key"] == execution.id
    assert json.loads(first["body"]) == {
        "service": service,
        "environment": "production",
        "intent": "deploy",
        "artifact": {"name": service, "digest": digest},
        "run": {"provider": "spinnaker", "id": execution.id},
    }
    (address,) = {(one["method"], one["path"]) for one in polls}
    assert address[0] == "GET"
    assert re.fullmatch(r"/api/v1/gate/decisions/[0-9a-f-]{36}/status", address[1])
    assert {one["headers"]["authorization"] for one in gmud.log} == {f"Bearer {token}"}
    assert {one["status"] for one in polls} == {200}
    assert execution.status == "SUCCEEDED", execution.stages[0].context
    (permit,) = Permit.objects.exclude(redeemed_at=None)
    run = {"provider": "spinnaker", "id": execution.id}
    assert permit.redeemed_by == f"spinnaker:{execution.id}"
    assert [(one["method"], one["path"], one["status"]) for one in (start, end)] == [
        ("POST", "/api/v1/deployments", status) for status in (201, 200)
    ]
    told = {"permit": str(permit.pk), "run": run, "artifact_digest": digest}
    assert json.loads(start["body"]) == {**told, "phase": "start"}
    assert json.loads(end["body"]) == {**told, "phase": "finish", "outcome": "succeeded"}
    (((_namespace, name), body),) = deployed
    assert name == f"{service}-canary"
    assert body["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f"@{digest}")


@pytest.mark.django_db(transaction=True)
def test_pulled_for_what_nobody_approved_it_ends_at_once_and_deploys_nothing(gmud, now, house):
    _row, token = a_token(Right.GATE_ASK, Right.PERMIT_REDEEM, now=now)
    cluster = Cluster()
    with running(cluster) as there, running(one := spinnaker(there, gmud.url, token, pulled())) as url:
        execution = begun(url, one, {**PARAMETERS, "SERVICE": house.service.name})
        _until(lambda: execution.is_complete)

    assert execution.status == "TERMINAL"
    assert execution.stages[0].context["webhook"]["monitor"]["body"]["status"] == "REJECTED"
    assert {stage.status for stage in execution.stages[1:]} == {"NOT_STARTED"}
    assert len(cluster.log) == 0


def _until(seen):
    deadline = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)
