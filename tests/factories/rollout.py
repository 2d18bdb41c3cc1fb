"""A bank with its CI system, its cluster and its figures: releases that really go out, and back."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from gmud.demo.telling import ERROR_LIMIT, ERROR_RATE
from gmud.sandbox.jenkins import TOKEN, Jenkins
from gmud.sandbox.jenkins_controller import BANK_OF_ANTHOS
from gmud.sandbox.jenkins_pipeline import Pipeline
from gmud.sandbox.prometheus import Prometheus
from gmud.sandbox.server import running
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, DependencySource, Purpose
from releases.catalog.models import Route, Service
from releases.changes.models import ChangeRequest
from releases.changes.services import ItemDraft
from releases.changes.states import State
from releases.core import breaker, clock
from releases.delivery.services import STEP_KIND as DEPLOYS
from releases.gate import keys
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.models import Operation, OutboxMessage, Step
from releases.operations.states import StepState
from releases.rollout import services as rollout
from releases.rollout.models import Rollout
from releases.rollout.steps import GatedShift
from releases.traffic import services as traffic
from releases.traffic.leading import DRIVEN
from releases.traffic.steps import STEP_KIND
from releases.worker.handlers import HANDLERS
from releases.worker.reactions import REACTIONS
from tests.factories.accounts import SETUP, a_person, a_token, actor_of
from tests.factories.catalog import a_connection, a_digest, a_service, an_artifact
from tests.factories.changes import House, a_change, a_house
from tests.factories.shifts import RunningCluster, running_cluster

STANDS = "v0.6.10"  # what the stand-in of the cluster runs everywhere
EARLIER = timedelta(hours=2)  # filed two hours ago, so that its window is open now
PATIENCE = 60.0
LOOK_SECONDS = 0.1
FAST = {**HANDLERS, STEP_KIND: GatedShift(hold_seconds=0.02, contention_seconds=0.5)}
ENDED = {"succeeded", "failed", "stopped", "superseded"}


def job_of(service: str) -> str:
    """Return the deploy job of a service in the stand-in of Jenkins."""
    team = next(team for team, services in BANK_OF_ANTHOS.items() if service in services)
    return f"{team}/deploy-{service}"


@dataclass
class Wires:
    """The connections of a house to its outside."""

    jenkins: Any
    kubernetes: Any
    prometheus: Any


def connect(addresses: Mapping[str, str], now: datetime) -> Wires:
    """Open one connection to each outside system."""
    return Wires(
        a_connection("jenkins", ConnectionKind.JENKINS, origin=addresses["jenkins"], secret=TOKEN, now=now),
        a_connection(
            "kubernetes",
            ConnectionKind.KUBERNETES,
            origin=addresses["kubernetes"],
            account="",
            secret="sandbox-full",
            now=now,
        ),
        a_connection(
            "prometheus",
            ConnectionKind.PROMETHEUS,
            origin=addresses["prometheus"],
            account="",
            secret=None,
            now=now,
        ),
    )


def wire(house: House, wires: Wires, service: Service, *, health: bool = True, route: bool = True) -> None:
    """Bind a service's job, route and health question, and look at its traffic once."""
    place = {"service_id": service.pk, "environment_id": house.environment.pk}
    job = {"job": job_of(service.name), "parameters": {}}
    catalog.bind(
        actor=SETUP, **place, purpose=Purpose.DEPLOY, connection_id=wires.jenkins.pk, settings=job, now=house.now
    )
    if health:
        question = {"query": ERROR_RATE, "limit": ERROR_LIMIT}
        catalog.bind(
            actor=SETUP,
            **place,
            purpose=Purpose.HEALTH,
            connection_id=wires.prometheus.pk,
            settings=question,
            now=house.now,
        )
    if route:
        traffic.look(route_id=a_route(house, wires, service).pk, now=house.now)


def a_route(house: House, wires: Wires, service: Service) -> Route:
    """Register where a service's traffic is split; nobody looks at it yet."""
    return catalog.register_route(
        actor=SETUP,
        service_id=service.pk,
        environment_id=house.environment.pk,
        connection_id=wires.kubernetes.pk,
        locator={"namespace": "bank-production", "name": service.name, "route": "primary"},
        stable="stable",
        canary="canary",
        now=house.now,
    )


def another_service(house: House, wires: Wires, name: str, **how: bool) -> Service:
    """Register one more service that runs what the cluster says, and wire it."""
    service = a_service(name, criticality=2)
    runs(house, service, STANDS)
    wire(house, wires, service, **how)
    return service


def runs(house: House, service: Service, version: str) -> None:
    """Write down what runs."""
    catalog.note_running(
        actor=SETUP,
        service_id=service.pk,
        environment_id=house.environment.pk,
        artifact_id=an_artifact(service, version).pk,
        now=house.now,
    )


def calls(caller: Service, callee: Service, now: datetime) -> None:
    """Say that one service calls the other."""
    catalog.link(actor=SETUP, caller_id=caller.pk, callee_id=callee.pk, source=DependencySource.ENVIRONMENT, now=now)


def scheduled(house: House, *versions: tuple[str, str], migration_class: str = "none", **fields: Any) -> ChangeRequest:
    """Return an authorized change, its window open now; ``versions`` are pairs of service and version."""
    items = tuple(
        ItemDraft(service, house.environment.name, version, a_digest(), migration_class=migration_class)
        for service, version in versions or (("ledgerwriter", "v1.5.0"),)
    )
    return a_change(house, at=State.SCHEDULED, items=items, **fields)


@dataclass
class Bank:
    """The bank, its outside, and the worker who does what is due."""

    house: House
    wires: Wires
    jenkins: Jenkins
    jenkins_url: str
    cluster: RunningCluster
    prometheus: Prometheus
    prometheus_url: str
    token: str
    releaser: Any = None
    on_call: Any = None
    handlers: Mapping[str, Any] = field(default_factory=lambda: dict(FAST))

    def start(self, change: ChangeRequest) -> Rollout:
        """Begin its release."""
        return rollout.start(change_id=change.pk, actor=self.releaser, now=clock.now())

    def work_until(self, condition: Callable[[], Any], *, what: str = "") -> Any:
        """Do what is due, as a worker would, until it is so; the limit is there so that a broken test ends."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, f"in vain: {what}\n{report()}"
            if not self.work():
                self.hurry()
                time.sleep(0.02)
        return found

    def work(self) -> int:
        """Do what is due now, and return how much that was."""
        due = operations.sweep(now=clock.now())
        for call in due:
            if call.kind == "operation":
                operations.run(operation_id=call.id, worker="w", handlers=self.handlers, now=clock.now)
            else:
                operations.deliver(message_id=call.id, worker="w", reactions=REACTIONS, now=clock.now)
        return len(due)

    def hurry(self) -> None:
        """Look at what others do as often as suits them here: the seconds of Jenkins are forty times as short."""
        soon = clock.now() + timedelta(seconds=LOOK_SECONDS)
        asked = Step.objects.filter(state=StepState.APPLIED, error="")
        others = asked.filter(kind=DEPLOYS) | asked.filter(remote_ref__startswith=DRIVEN)
        others.filter(look_at__gt=soon).update(look_at=soon)

    def rest(self) -> None:
        """Work until nothing is under way and every message has been heard."""
        self.work_until(
            lambda: (
                not OutboxMessage.objects.undone().exists()
                and not Operation.objects.filter(state__in=("pending", "running")).exists()
            ),
            what="rest",
        )

    def until_state(self, change: ChangeRequest, *states: str) -> None:
        """Work until the change stands there."""

        def there() -> bool:
            change.refresh_from_db()
            return change.state in states

        self.work_until(there, what=f"{change} {states}")

    def until_operation(self, change: ChangeRequest, *states: str) -> operations_queries.OperationView:
        """Work until the latest operation of the change is in one of these states, and everybody heard of it."""
        self.work_until(
            lambda: operations_queries.operations_of(change.pk)[0].state in states, what=f"{change} {states}"
        )
        self.work_until(lambda: not OutboxMessage.objects.undone().exists(), what="the messages")
        return operations_queries.operations_of(change.pk)[0]

    def released(self, *versions: tuple[str, str]) -> ChangeRequest:
        """Return a change that went all the way into its watch."""
        change = scheduled(self.house, *versions)
        self.start(change)
        self.until_state(change, State.WATCHING)
        return change

    def weights(self, service: str = "ledgerwriter") -> dict[str, int]:
        """Return the weights that stand in the cluster."""
        return self.cluster.weights(service)

    def versions(self, service: str = "ledgerwriter") -> dict[str, str]:
        """Return which version stands on which side."""
        for one in self.cluster.cluster.state()["traffic"]:
            if (one["service"], one["namespace"]) == (service, "bank-production"):
                return dict(one["versions"])
        raise LookupError(service)

    def builds(self, service: str = "ledgerwriter") -> list[dict[str, str]]:
        """Return the parameters of every build of a service, oldest first."""
        return [dict(one.item.parameters) for one in self.jenkins.controller.jobs[job_of(service)].builds.values()]

    def writes(self) -> list[dict[str, Any]]:
        """Return every request that changed a route."""
        return [one for one in self.cluster.patches() if "virtualservices" in one["path"]]

    def orders(self) -> list[dict[str, Any]]:
        """Return every request that asked Jenkins for a build."""
        return [one for one in self.jenkins.log if one["path"].endswith("/buildWithParameters")]

    def running(self, service: Service | None = None) -> str:
        """Return the version the catalogue says runs."""
        found = catalog_queries.running((service or self.house.service).pk, self.house.environment.pk)
        assert found is not None
        return found.artifact.version


def told(change: ChangeRequest) -> list[str]:
    """Return the kinds of the events in a change's story."""
    return [str(entry.kind) for entry in audit.story(change.stream)]


def unsound() -> list[Any]:
    """Return what the record's own check finds, except that nobody seals it here."""
    return [one for one in audit.verify().findings if one.table != "audit_unsealed"]


def report() -> str:
    """Return what has not ended."""
    lines = []
    for operation in Operation.objects.order_by("begun_at"):
        lines.append(f"{operation.kind} {operation.state} stage {operation.stage}")
        lines += [
            f"   {step.name} {step.state} {step.note or ''} {step.error[:300]} {json.dumps(step.data)[:300]}"
            for step in operation.steps.all()
        ]
    lines += [f"{one.kind} {one.attempts} {one.last_error[:500]}" for one in OutboxMessage.objects.undone()]
    return "\n".join(lines)


@contextlib.contextmanager
def a_bank(gate_url: str, folder: Path, *, services: Sequence[str] = ("ledgerwriter",)) -> Iterator[Bank]:
    """Run the outside of the bank in threads, over HTTP, and wire the house to it."""
    breaker._breakers.clear()
    if keys.signing(Path(settings.GMUD_KEYS)) is None:
        keys.make(Path(settings.GMUD_KEYS))
    now = clock.now()
    house = a_house(now - EARLIER)
    _client, token = a_token(Right.GATE_ASK, Right.PERMIT_REDEEM, name="jenkins", now=now)
    place = folder / "jenkins.token"
    place.write_text(token)
    with running_cluster() as cluster:
        prometheus = Prometheus(cluster_url=cluster.url, cluster_token="sandbox-full")
        pipeline = Pipeline(
            gate_url=gate_url, gate_token_file=str(place), cluster_url=cluster.url, cluster_token="sandbox-full"
        )
        jenkins = Jenkins(pipeline=pipeline, speed=40)
        with running(jenkins) as jenkins_url, running(prometheus) as prometheus_url:
            addresses = {"jenkins": jenkins_url, "kubernetes": cluster.url, "prometheus": prometheus_url}
            wires = connect(addresses, house.now)
            bank = Bank(house, wires, jenkins, jenkins_url, cluster, prometheus, prometheus_url, token)
            bank.releaser = house.actor("manager", signed_in_at=now)
            bank.on_call = house.actor("on_call", signed_in_at=now)
            runs(house, house.service, STANDS)
            wire(house, wires, house.service)
            for name in services:
                if name != house.service.name:
                    another_service(house, wires, name)
            yield bank


def an_engineer_on_call(name: str = "Iara Melo") -> Any:
    """Return one more person who may go back."""
    return actor_of(a_person(name, Role.ON_CALL), signed_in_at=clock.now())
