"""docs/connect-jenkins.md, followed as it is written: its Jenkinsfile, every command and every request of it.

What Jenkins does with a declarative pipeline is played here: stages in order until one fails, then what fits of
``post``. The shell, the command line and the server are real.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction

from gmud.sandbox.jenkins_controller import Parameter
from gmud.sandbox.server import Answer, Sandbox, running
from gmud.sandbox.spinnaker.calls import speak
from releases.accounts.rights import Right
from releases.audit.actor import system
from releases.changes.states import State
from releases.core import clock
from releases.delivery import services as delivery
from releases.delivery.models import Deployment
from releases.delivery.ports import Target
from releases.gate import services as gate
from releases.gate.models import Permit
from releases.gate.rules import Run
from tests.factories.accounts import SETUP, a_token
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change
from tests.factories.delivery import PARAMETERS, a_world
from tests.factories.gate import a_question

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(__file__).parents[3]
JENKINSFILE = re.search(r"```groovy\n(.*?)```", (ROOT / "docs" / "connect-jenkins.md").read_text(), re.DOTALL)[1]
SHELL = r"\{\s*(?:steps \{\s*)?sh (?:'''(.*?)'''|'(.*?)')"
STAGES = {name: long or short for name, long, short in re.findall(rf"stage\('(\w+)'\) {SHELL}", JENKINSFILE, re.DOTALL)}
POST = {
    name: long or short
    for name, long, short in re.findall(rf"(success|failure|aborted|cleanup) {SHELL}", JENKINSFILE, re.DOTALL)
}
DECLARED = re.findall(r"(string|text|choice)\(name: '(\w+)'", JENKINSFILE)
URL, TOKEN_NAME = re.search(r"GMUD_URL = '(.*?)'", JENKINSFILE)[1], "GMUD_TOKEN = credentials('gmud-token')"
RUN = re.search(r'RUN = "(.*?)"', JENKINSFILE)[1]
PASSED_ON = ("authorization", "content-type")


class Between(Sandbox):
    """Hands every request on to the real server, and keeps it."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def answer(self, call):
        wanted = {name: call.headers[name] for name in PASSED_ON if name in call.headers}
        heard = speak(call.method, self.server + call.path, call.body.decode() or None, wanted)
        return Answer(heard.status, heard.text.encode(), {"Content-Type": heard.headers["content-type"]})


class Agent:
    """A node that runs the Jenkinsfile; its ``kubectl`` only writes down what it is told."""

    def __init__(self, folder, url, token):
        self.workspace, self.told = folder / "workspace", folder / "kubectl.txt"
        self.workspace.mkdir()
        self.told.touch()
        programs = folder / "bin"
        programs.mkdir()
        a_program(programs / "gmud", f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m gmud.cli "$@"')
        a_program(programs / "kubectl", f'echo "$@" >> "{self.told}"; exit "${{KUBECTL:-0}}"')
        path = f"{programs}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "GMUD_URL": url, "GMUD_TOKEN": token, "JOB_NAME": "ledger/deploy"}

    def build(self, number, **parameters):
        """Run the stages as Jenkins does; return how it ended."""
        run = RUN.replace("${env.JOB_NAME}", "ledger/deploy").replace("${env.BUILD_NUMBER}", str(number))
        own = {"BUILD_NUMBER": str(number), "BUILD_URL": f"https://ci.example.com/{number}/", "RUN": run}
        given = {**dict.fromkeys((name for _kind, name in DECLARED), ""), **parameters}
        environment = {**self.environment, **own, **given}
        result = "success" if all(self._sh(script, environment) for script in STAGES.values()) else "failure"
        said = self._sh(POST[result], environment)
        self._sh(POST["cleanup"], environment)
        return result if said else f"{result}, and its report failed"

    def _sh(self, script, environment):
        done = subprocess.run(
            ("sh", "-xe", "-c", script),
            cwd=self.workspace,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert environment["GMUD_TOKEN"] not in done.stdout + done.stderr
        assert "eyJ" not in done.stdout + done.stderr  # the permit is in no console
        return done.returncode == 0


def a_program(place, words):
    place.write_text(f"#!/bin/sh\n{words}\n")
    place.chmod(0o755)


@pytest.fixture
def change(house, now):
    starts, ends = now + timedelta(milliseconds=1), now + timedelta(hours=2)
    return a_change(house, at=State.SCHEDULED, starts_at=starts, ends_at=ends)


@pytest.fixture
def between(live_server):
    """Return who stands between; the server's first answer, for which it loads everything, is waited for here."""
    urllib.request.urlopen(f"{live_server.url}/api/v1/gate/jwks.json", timeout=60).close()  # noqa: S310  # the test's own server
    with running(one := Between(live_server.url)) as url:
        one.url = url
        yield one


@pytest.fixture
def agent(tmp_path, between, now):
    _row, token = a_token(Right.GATE_ASK, Right.PERMIT_REDEEM, now=now)
    return Agent(tmp_path, between.url, token)


@pytest.fixture
def parameters(house, change):
    return {
        "SERVICE": house.service.name,
        "ENVIRONMENT": "production",
        "VERSION": "v1.5.0",
        "DIGEST": change.items.get().artifact.digest,
        "SLOT": "stable",
    }


def pushed(house, change):
    """Return a permit as GMUD gives one to a job that it starts."""
    item, ci = change.items.get(), a_connection(origin="http://127.0.0.1:9", now=house.now)
    with transaction.atomic(durable=True):
        deployment = delivery.request(
            change_id=change.pk,
            item_id=item.pk,
            service_id=house.service.pk,
            environment_id=house.environment.pk,
            artifact_id=item.artifact_id,
            slot="stable",
            actor=SETUP,
            now=house.now,
            approved_job={"connection": str(ci.pk), "job": "ledger/deploy"},
        )
    question = a_question(house, change, run=Run(), change_number=change.number)
    fuse = f"deployment:{deployment.pk}"
    return gate.ask(actor=system("worker"), request=question, fuse=fuse, now=clock.now()).permit


def asked(between):
    return [(one["method"], re.sub(r"[0-9a-f-]{36}", "…", one["path"]), one["status"]) for one in between.log]


REPORTED = ("POST", "/api/v1/deployments", 200)
BEGAN = (*REPORTED[:2], 201)
VERIFIED = ("GET", "/api/v1/gate/jwks.json", 200)
REDEEMED = ("POST", "/api/v1/gate/permits/…/redeem", 200)


def test_pushed_it_redeems_its_permit_deploys_by_digest_and_reports(between, agent, house, change, parameters):
    permit = pushed(house, change)

    assert agent.build(7, GMUD_CORRELATION="gmud-1", GMUD_PERMIT=permit, **parameters) == "success"

    assert asked(between) == [VERIFIED, REDEEMED, REPORTED, REPORTED]
    taken, start, finish = [json.loads(one["body"]) for one in between.log if one["method"] == "POST"]
    run = {"provider": "jenkins", "id": "ledger/deploy#7", "url": "https://ci.example.com/7/"}
    said = {"permit": str(Permit.objects.get().pk), "artifact_digest": parameters["DIGEST"]}
    assert taken == {"run": run, "artifact_digest": parameters["DIGEST"]}
    assert start == {**said, "run": run, "phase": "start"}
    assert finish == {**said, "run": {**run, "url": ""}, "phase": "finish", "outcome": "succeeded", "message": ""}
    assert {one["headers"]["authorization"] for one in between.log} == {f"Bearer {agent.environment['GMUD_TOKEN']}"}
    assert [line.split()[3] for line in agent.told.read_text().splitlines()] == ["image", "status"]
    assert f"@{parameters['DIGEST']}" in agent.told.read_text()
    assert Permit.objects.get().redeemed_by == "jenkins:ledger/deploy#7"
    assert not Deployment.objects.get().is_reported  # GMUD follows what it began itself
    assert list(agent.workspace.iterdir()) == []


def test_a_second_build_with_the_same_permit_deploys_and_reports_nothing(between, agent, house, change, parameters):
    permit = pushed(house, change)
    assert agent.build(7, GMUD_PERMIT=permit, **parameters) == "success"
    agent.told.write_text("")
    between.log.clear()

    assert agent.build(8, GMUD_PERMIT=permit, **parameters) == "failure"

    assert asked(between) == [VERIFIED, (*REDEEMED[:2], 409)]
    assert agent.told.read_text() == ""


def test_pulled_it_asks_the_gate_takes_a_permit_of_its_own_and_reports_a_failure(between, agent, change, parameters):
    agent.environment["KUBECTL"] = "1"

    assert agent.build(9, **parameters) == "failure"

    assert asked(between) == [("POST", "/api/v1/gate/decisions", 200), VERIFIED, REDEEMED, BEGAN, REPORTED]
    question = json.loads(between.log[0]["body"])
    assert (question["intent"], question["artifact"]["digest"]) == ("deploy", parameters["DIGEST"])
    assert json.loads(between.log[-1]["body"])["outcome"] == "failed"
    assert Deployment.objects.get().run == "jenkins:ledger/deploy#9"


@pytest.mark.parametrize("slot", ["", "stable"])
def test_pulled_it_deploys_to_the_side_that_the_gate_names(agent, house, parameters, slot):
    assert agent.build(9, **{**parameters, "SLOT": slot}) == "success"

    assert f"deployment/{house.service.name}-stable" in agent.told.read_text()
    assert list(agent.workspace.iterdir()) == []


def test_pulled_for_another_side_than_the_gate_names_it_deploys_nothing_and_says_that_it_failed(
    agent, between, parameters
):
    assert agent.build(9, **{**parameters, "SLOT": "canary"}) == "failure"

    assert agent.told.read_text() == ""
    assert json.loads(between.log[-1]["body"])["outcome"] == "failed"


def test_pulled_for_what_nobody_approved_it_deploys_nothing(between, agent, house, parameters):
    assert agent.build(9, **{**parameters, "DIGEST": house.running.digest}) == "failure"

    assert asked(between) == [("POST", "/api/v1/gate/decisions", 200)]
    assert agent.told.read_text() == ""


def test_a_job_with_the_parameters_of_the_guide_takes_our_orders():
    with a_world() as world:
        declared = [Parameter(name, kind, ("", "stable", "canary") * (kind == "choice")) for kind, name in DECLARED]
        world.job.parameters = declared

        assert world.adapter.preflight(Target("ledger/deploy-ledgerwriter", PARAMETERS)).reasons == ()
    assert TOKEN_NAME in JENKINSFILE
    assert URL.startswith("https://")
