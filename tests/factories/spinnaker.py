"""A gate, a cluster, a Spinnaker and doors to it, for tests of delivery."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import running
from gmud.sandbox.spinnaker.accounts import TOKEN
from gmud.sandbox.spinnaker.api import Gate as Spinnaker
from gmud.sandbox.spinnaker.clouds import Clouds
from gmud.sandbox.spinnaker.models import Execution
from gmud.sandbox.spinnaker.seed import webhooks
from gmud.sandbox.spinnaker.work import Works
from releases.core.http import Door
from releases.delivery.ports import Handle, Order, Sighting, Target
from releases.delivery.spinnaker.adapter import SpinnakerDelivery
from releases.delivery.states import ENDS
from tests.factories.delivery import LOOPBACK, PARAMETERS, Gate, control, permit

RECORDINGS = Path(__file__).parent.parent / "recordings" / "spinnaker"
JOB = "ledger/Deploy ledgerwriter"
GATE_TOKEN = "only-orca-knows-it"
TARGET = Target(JOB, PARAMETERS)
PLACE = {"account": "bank-k8s", "location": "bank-production", "manifestName": "deployment ledgerwriter-canary"}
REGION = {"account": "prod", "cluster": "shop-prod", "cloudProvider": "aws", "region": "us-east-1"}


def door_to(url: str, headers: Mapping[str, str] | None = None) -> Door:
    """Return a door to a server on the loopback address, with a breaker of its own."""
    return Door(f"test-{uuid4()}", url, {"X-Spinnaker-Token": TOKEN} if headers is None else headers, LOOPBACK)


def order(key: str = "", *, jti: str = "", target: Target = TARGET) -> Order:
    """Return an order with a key of its own."""
    return Order(key or f"gmud-{uuid4().hex}", target, permit(jti))


@dataclass
class World:
    """Spinnaker with the gate and the cluster it reaches, all on the loopback address."""

    url: str
    spinnaker: Spinnaker
    gate: Gate
    cluster: Cluster
    adapter: SpinnakerDelivery = field(init=False)

    def __post_init__(self) -> None:
        self.adapter = self.adapter_with()

    def adapter_with(self, headers: Mapping[str, str] | None = None) -> SpinnakerDelivery:
        """Return an adapter that signs in with these headers; its pauses are short."""
        return SpinnakerDelivery(door_to(self.url, headers), pause=lambda seconds: time.sleep(seconds / 50))

    def settings(self, **pipeline: Any) -> None:
        """Change the pipeline of :data:`JOB`."""
        control(self.url, "settings", {"pipelines": {JOB: pipeline}})

    def executions(self, kind: str = "PIPELINE") -> list[Execution]:
        """Return what was ever begun, the newest first."""
        return list(self.spinnaker.orca.of(kind))

    def until(self, handle: Handle, seen: Callable[[Sighting], bool]) -> Sighting:
        """Look until it is so."""
        deadline = time.monotonic() + 20
        while not seen(sighting := self.adapter.look(handle)):
            assert time.monotonic() < deadline, sighting
            handle = sighting.handle
            time.sleep(0.01)
        return sighting

    def ended(self, handle: Handle) -> Sighting:
        """Look until it ended."""
        return self.until(handle, lambda one: one.state in ENDS)

    def deployed(self, name: str = "ledgerwriter-canary") -> str:
        """Return the image that the cluster runs in production."""
        for one in self.cluster.store.objects.values():
            if (one["kind"], one["metadata"]["name"], one["metadata"]["namespace"]) == (
                "Deployment",
                name,
                "bank-production",
            ):
                return str(one["spec"]["template"]["spec"]["containers"][0]["image"])
        raise LookupError(name)


@contextlib.contextmanager
def a_world(*, speed: float = 50.0) -> Iterator[World]:
    """Run the three servers while the block lasts."""
    gate, cluster = Gate(), Cluster()
    with running(gate) as gate_url, running(cluster) as cluster_url:
        works = Works(Clouds(cluster_url, "sandbox-full"), lambda: webhooks(gate_url, GATE_TOKEN))
        spinnaker = Spinnaker(works, speed=speed)
        with running(spinnaker) as url:
            yield World(url, spinnaker, gate, cluster)


def via_echo(target: Target = TARGET) -> Target:
    """Return a target that is started through Echo."""
    return replace(target, options={"via": "v2"})


def going_back(task: str, *, job: str = "ledger", **options: Any) -> Target:
    """Return a target that goes back by a task; in the cluster unless the options name a region."""
    place = REGION if "region" in options or task.endswith(("Cluster", "ServerGroup")) else PLACE
    return Target(job, PARAMETERS, options={"task": task, **place, **options})
