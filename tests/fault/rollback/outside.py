"""Jenkins, a cluster, Prometheus and our own servers, two of each, all processes of their own."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from gmud.sandbox.jenkins_controller import BANK_OF_ANTHOS
from releases.accounts.rights import Right
from releases.catalog.models import Service
from releases.changes.models import ChangeRequest
from releases.changes.services import ItemDraft
from releases.changes.states import State
from releases.core import clock
from releases.gate import keys
from tests.factories.accounts import a_token
from tests.factories.catalog import a_digest
from tests.factories.changes import House, a_change, a_house
from tests.factories.delivery import ask, basic, control, fault, requests_of
from tests.factories.rollout import STANDS, another_service, connect, runs, wire
from tests.fault.harness import ROOT
from tests.fault.harness import House as Place
from tests.fault.twins import Twins, twins

APP = "tests.fault.rollback.app"
BAD = "v9.9.9"
SERVICES = ("ledgerwriter", "frontend", "contacts", "balancereader", "transactionhistory")
WITHOUT_ROUTE = "userservice"
AGO = timedelta(minutes=61)  # a factory's window opens after an hour: one minute ago, that is
JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
FULL = {"Authorization": "Bearer sandbox-full"}
HOME = {"stable": 100, "canary": 0}
BUILT = "/buildWithParameters"


def side_of(service: str) -> str:
    """Return where the next version is deployed; without a route there is one side only."""
    return "stable" if service == WITHOUT_ROUTE else "canary"


@dataclass
class Outside:
    """What stands outside, and the house that was wired to it."""

    place: Place
    twins: Twins
    house: House
    jenkins: str
    kubernetes: str
    prometheus: str
    web: str
    token: str
    on_call: Any
    services: dict[str, Service] = field(default_factory=dict)
    turn: int = 0

    def next_service(self) -> str:
        """Return the next service, so that nobody waits for another case's watch."""
        self.turn += 1
        return SERVICES[self.turn % len(SERVICES)]

    def watched(self, service: str) -> ChangeRequest:
        """Return a change that somebody released by their own means: it is watched, all traffic is on it."""
        item = ItemDraft(service, "production", BAD, a_digest())
        self.house.now = clock.now() - AGO
        change = a_change(self.house, at=State.WATCHING, items=(item,))
        labels = {"spec": {"template": {"metadata": {"labels": {"version": BAD}}}}}
        side = side_of(service)
        self._patch(f"apps/v1/namespaces/bank-production/deployments/{service}-{side}", labels, MERGE_PATCH)
        if side == "canary":
            self.move(service, 0, 100)
        return change

    def move(self, service: str, stable: int, canary: int) -> None:
        """Have somebody else set the weights."""
        weights = [
            {"op": "add", "path": f"/spec/http/0/route/{place}/weight", "value": weight}
            for place, weight in enumerate((stable, canary))
        ]
        control(
            self.kubernetes,
            "edit",
            {
                "kind": "virtualservices",
                "namespace": "bank-production",
                "name": service,
                "manager": "kubectl-edit",
                "patch": weights,
            },
        )

    def writes(self, service: str) -> int:
        """Return how often a route was really written, by us."""
        path = f"/namespaces/bank-production/virtualservices/{service}"
        return sum(
            one["method"] == "PATCH"
            and one["path"].endswith(path)
            and "dryRun" not in one["query"]
            and one["status"] == 200
            for one in requests_of(self.kubernetes)
        )

    def stands(self, service: str) -> tuple[dict[str, int], dict[str, str]]:
        """Return weights and versions of a service."""
        state = json.loads(ask(self.kubernetes, "GET", "/_sandbox/state").text)  # type: ignore[attr-defined]  # see ask
        for one in state["traffic"]:
            if (one["service"], one["namespace"]) == (service, "bank-production"):
                return dict(one["weights"]), dict(one["versions"])
        raise LookupError(service)

    def builds(self, service: str) -> list[str]:
        """Return the correlation key of every build of a service, oldest first."""
        team = next(team for team, services in BANK_OF_ANTHOS.items() if service in services)
        path = f"/job/{team}/job/deploy-{service}/api/json?tree=builds[number,actions[parameters[name,value]]]"

        answer = ask(self.jenkins, "GET", path, headers={"Authorization": basic()})
        found = json.loads(answer.text)["builds"]  # type: ignore[attr-defined]  # see ask
        return [
            parameter["value"]
            for build in sorted(found, key=lambda one: one["number"])
            for action in build["actions"]
            for parameter in action.get("parameters", ())
            if parameter["name"] == "GMUD_CORRELATION"
        ]

    def mend(self) -> None:
        """Take every planted failure away."""
        for url in (self.jenkins, self.kubernetes, self.prometheus):
            fault(url, "status:500", times=0)
        control(self.kubernetes, "conflict", {"times": 0})

    def _patch(self, path: str, body: Any, kind: str) -> None:
        answer = ask(self.kubernetes, "PATCH", f"/apis/{path}", body=body, headers={**FULL, "Content-Type": kind})
        assert answer.status == 200, answer.text  # type: ignore[attr-defined]  # see ask


@contextlib.contextmanager
def process(name: str, *options: str) -> Iterator[str]:
    """Run a stand-in as a process of its own while the block lasts, and yield its address."""
    command = (sys.executable, "-m", f"gmud.sandbox.{name}", "--port", "0", *options)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stdout is not None
            yield running.stdout.readline().removeprefix("ready ").strip()
        finally:
            running.kill()


@contextlib.contextmanager
def outside_of(place: Place) -> Iterator[Outside]:
    """Start everything outside, and wire a house of the place's database to it."""
    if keys.signing(Path(settings.GMUD_KEYS)) is None:
        keys.make(Path(settings.GMUD_KEYS))
    now: datetime = clock.now()
    _client, token = a_token(Right.GATE_ASK, Right.PERMIT_REDEEM, name="jenkins", now=now)
    secret = place.folder / "jenkins.token"
    secret.write_text(token)
    with ExitStack() as stack:
        pairs = stack.enter_context(twins(place.crew.environment, place.folder))
        web = pairs.address
        kubernetes = stack.enter_context(process("kubernetes"))
        gate = ("--gate-url", web, "--gate-token-file", str(secret))
        jenkins = stack.enter_context(process("jenkins", *gate, "--kubernetes", kubernetes, "--speed", "40"))
        prometheus = stack.enter_context(process("prometheus", "--kubernetes", kubernetes))
        house = a_house(now - AGO)
        wires = connect({"jenkins": jenkins, "kubernetes": kubernetes, "prometheus": prometheus}, house.now)
        on_call = house.actor("on_call", signed_in_at=now)
        outside = Outside(place, pairs, house, jenkins, kubernetes, prometheus, web, token, on_call)
        runs(house, house.service, STANDS)
        wire(house, wires, house.service)
        outside.services[house.service.name] = house.service
        for name in SERVICES[1:]:
            outside.services[name] = another_service(house, wires, name)
        outside.services[WITHOUT_ROUTE] = another_service(house, wires, WITHOUT_ROUTE, route=False)
        yield outside


def staff(place: Place, people: int) -> None:
    """See to it that so many workers live."""

    def hire() -> None:
        try:
            place.crew.hire()
        finally:
            connection.close()

    hires = [threading.Thread(target=hire) for _ in range(people - len(place.crew.alive()))]
    for one in hires:
        one.start()
    for one in hires:
        one.join()
