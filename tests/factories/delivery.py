"""A gate, a cluster, a Jenkins and doors to it, for tests of delivery."""

import base64
import contextlib
import http.client
import ipaddress
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from django.db import transaction

from gmud.sandbox.jenkins import ACCOUNTS, TOKEN, Jenkins
from gmud.sandbox.jenkins_controller import Job
from gmud.sandbox.jenkins_pipeline import Pipeline
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import Answer, Call, Sandbox, json_answer, running
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.catalog.models import Service
from releases.core.http import Allowance, Door
from releases.delivery import services
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.models import Deployment
from releases.delivery.ports import Handle, Order, Sighting, Target
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.ports import StepHandler, StepPlan
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_connection, a_service, an_artifact, an_environment

RECORDINGS = Path(__file__).parent.parent / "recordings" / "jenkins"
LOOPBACK = Allowance(networks=(ipaddress.ip_network("127.0.0.0/8"),))
JOB = "ledger/deploy-ledgerwriter"
DIGEST = "sha256:" + "ab" * 32
PARAMETERS = {
    "SERVICE": "ledgerwriter",
    "ENVIRONMENT": "production",
    "VERSION": "v0.6.11",
    "DIGEST": DIGEST,
    "SLOT": "canary",
}
TARGET = Target(JOB, PARAMETERS)


class Gate(Sandbox):
    """Redeems a permit once per run, as the contract of the gate says; ``status`` refuses everything."""

    title = "gate"

    def __init__(self) -> None:
        super().__init__()
        self.redeemed: dict[str, str] = {}
        self.status = 200

    def answer(self, call: Call) -> Answer:
        run = call.json()["run"]["id"]
        jti = call.path.split("/")[-2]
        with self.lock:
            if self.status != 200 or self.redeemed.setdefault(jti, run) != run:
                return json_answer({"code": "permit_replayed"}, 409 if self.status == 200 else self.status)
        return json_answer({"redeemed": jti})


def permit(jti: str = "") -> str:
    """Return something with the shape of a permit; this gate reads only its id."""
    payload = base64.urlsafe_b64encode(json.dumps({"jti": jti or str(uuid4())}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJFZERTQSJ9.{payload}.c2ln"


def order(key: str = "", *, jti: str = "", target: Target = TARGET) -> Order:
    """Return an order with a key of its own."""
    return Order(key or f"gmud-{uuid4().hex}", target, permit(jti))


def basic(user: str = "gmud", secret: str = "") -> str:
    """Return the value of an Authorization header."""
    word = secret or ACCOUNTS[user].get("token") or ACCOUNTS[user]["password"]
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()


def door_to(url: str, authorization: str | None = None) -> Door:
    """Return a door to a server on the loopback address, with a breaker of its own."""
    header = basic() if authorization is None else authorization
    return Door(f"test-{uuid4()}", url, {"Authorization": header} if header else {}, LOOPBACK)


def ask(
    url: str, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    """Send one request as any client would and return the answer, read."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    data = body if isinstance(body, str | None) else json.dumps(body)
    connection.request(method, path, data, headers or {})
    answer = connection.getresponse()
    answer.text = answer.read().decode()  # type: ignore[attr-defined]  # kept beside the answer for the test
    connection.close()
    return answer


def control(url: str, path: str, body: Any) -> None:
    """Tell a sandbox something about itself."""
    assert ask(url, "POST", f"/_sandbox/{path}", body=body).status < 300


def fault(url: str, do: str, *, method: str = "", path: str = "", times: int = 1, **more: Any) -> None:
    """Plant a failure."""
    control(url, "faults", {"match": {"method": method, "path": path}, "times": times, "do": do, **more})


def requests_of(url: str) -> list[dict[str, Any]]:
    """Return what a sandbox was asked."""
    return list(json.loads(ask(url, "GET", "/_sandbox/requests").text))  # type: ignore[attr-defined]  # see ask


@dataclass
class World:
    """Jenkins with its gate and its cluster, all on the loopback address."""

    url: str
    jenkins: Jenkins
    gate: Gate
    cluster: Cluster
    adapter: JenkinsDelivery = field(init=False)

    def __post_init__(self) -> None:
        self.adapter = JenkinsDelivery(door_to(self.url), pause=lambda _seconds: None)

    @property
    def job(self) -> Job:
        return self.jenkins.controller.jobs[JOB]

    def until(self, handle: Handle, seen: Callable[[Sighting], bool]) -> Sighting:
        """Look until it is so."""
        deadline = time.monotonic() + 20
        while not seen(sighting := self.adapter.look(handle)):
            assert time.monotonic() < deadline, sighting
            time.sleep(0.01)
        return sighting

    def ended(self, handle: Handle) -> Sighting:
        """Look until it ended."""
        return self.until(handle, lambda one: one.state not in {"queued", "running", "waiting_input"})

    def deployed(self, service: str = "ledgerwriter", track: str = "canary") -> str:
        """Return the version that the cluster runs on one side in production."""
        found = self.cluster.store.objects.values()
        wanted = (f"{service}-{track}", "bank-production")
        for one in (each for each in found if each["kind"] == "Deployment"):
            if (one["metadata"]["name"], one["metadata"]["namespace"]) == wanted:
                return str(one["spec"]["template"]["metadata"]["labels"]["version"])
        raise LookupError(service)


@contextlib.contextmanager
def a_world(*, speed: float = 20.0) -> Iterator[World]:
    """Run the three servers while the block lasts."""
    gate, cluster = Gate(), Cluster()
    with running(gate) as gate_url, running(cluster) as cluster_url:
        pipeline = Pipeline(gate_url=gate_url, cluster_url=cluster_url, cluster_token="sandbox-full")
        jenkins = Jenkins(pipeline=pipeline, speed=speed)
        with running(jenkins) as url:
            yield World(url, jenkins, gate, cluster)


def a_deployment(
    world: World,
    *,
    slot: str = "canary",
    version: str = "v0.6.11",
    intent: str = "deploy",
    change_id: UUID | None = None,
) -> Deployment:
    """Bind ledgerwriter's deploy job to the world's Jenkins and request one deployment."""
    there = Service.objects.filter(name="ledgerwriter").first()
    service = there or a_service("ledgerwriter")
    environment = an_environment()
    if there is None:
        connection = a_connection("", ConnectionKind.JENKINS, origin=world.url, secret=str(TOKEN))
        catalog.bind(
            actor=SETUP,
            service_id=service.pk,
            environment_id=environment.pk,
            purpose=Purpose.DEPLOY,
            connection_id=connection.pk,
            settings={"job": JOB, "parameters": {"DIGEST": "sha256:planted"}},
            now=NOW,
        )
    artifact = an_artifact(service, version)
    with transaction.atomic(durable=True):
        return services.request(
            change_id=change_id or uuid4(),
            item_id=None,
            service_id=service.pk,
            environment_id=environment.pk,
            artifact_id=artifact.pk,
            slot=slot,
            actor=SETUP,
            now=NOW,
            intent=intent,
        )


def begin(steps: Sequence[StepPlan], subject: UUID, now: datetime) -> Operation:
    """Begin an operation of these steps, as a release would."""
    with transaction.atomic(durable=True):
        return operations.begin(
            kind="test",
            target=f"change:{subject}",
            subject=subject,
            steps=steps,
            actor=SETUP,
            deadline=now + timedelta(minutes=30),
            key=str(uuid4()),
            now=now,
        )


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def run(operation: Operation, handlers: Mapping[str, StepHandler], clock: Clock, *, looks: int = 200) -> Operation:
    """Run until the operation rests, ten seconds of its clock and a moment of ours between the looks."""
    for _look in range(looks):
        operations.run(operation_id=operation.pk, worker="w", handlers=handlers, now=clock)
        operation.refresh_from_db()
        if operation.state not in {"pending", "running"}:
            break
        clock.now += timedelta(seconds=10)
        time.sleep(0.02)
    return operation
