"""The outside as the story remembers it: what the mesh, Jenkins and Prometheus said back then, without any of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from gmud.sandbox.jenkins_pipeline import permit_id
from releases.audit.actor import Actor
from releases.catalog.cards import RouteCard
from releases.delivery.models import Deployment
from releases.delivery.ports import (
    Answer,
    Handle,
    Listed,
    LogPart,
    Order,
    Parameter,
    Readiness,
    Run,
    Sighting,
    StageView,
)
from releases.delivery.ports import Target as Job
from releases.delivery.ports import Version as Brought
from releases.delivery.rules import stood_there
from releases.delivery.services import VERIFY_STEP
from releases.delivery.states import Act, State
from releases.delivery.steps import DeployStep, VersionStep
from releases.gate import services as gate
from releases.gate.rules import Run as GateRun
from releases.health.ports import Measure, Probe, Question
from releases.operations.ports import StepHandler, StepView
from releases.rollout.steps import AdvanceableVerdict, GatedShift, HeldWatch
from releases.traffic.drivers.ports import Driver
from releases.traffic.istio.adapter import CAPABILITIES
from releases.traffic.ports import (
    CANARY,
    STABLE,
    Capabilities,
    Outcome,
    Preview,
    Reading,
    RouteRef,
    Split,
    System,
    Target,
    Version,
    Written,
)
from releases.traffic.providers import IN_A_CLUSTER, system_of
from releases.traffic.steps import STEP_KIND as SHIFT
from releases.worker.handlers import permit_for

STAGES = ("Redeem the permit", "Migrate", "Deploy")
HEALTHY, ILL = 0.002, 0.38


@dataclass(slots=True)
class Moment:
    """A clock of the story; it stands until somebody lets time pass."""

    at: datetime

    def __call__(self) -> datetime:
        """Return the moment that is told of."""
        return self.at

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


@dataclass(slots=True)
class Mesh:
    """The meshes and gateways that were: every route begins with all its traffic on the stable side."""

    weights: dict[tuple[str, str], dict[str, int | None]] = field(default_factory=dict)
    writes: int = 0

    def provide(self, route: RouteCard, *, urgent: bool = False) -> "Plane":
        """Return the control plane that splits this route."""
        return Plane(self, system_of(route))

    def drive(self, route: RouteCard, *, urgent: bool = False) -> Sequence[Driver]:
        """Return nobody: no other system set weights there."""
        return ()


@dataclass(frozen=True, slots=True)
class Plane:
    """One control plane of those that were."""

    mesh: Mesh
    system: System

    def capabilities(self) -> Capabilities:
        """Return what a mesh can do, or a gateway that knows no versions."""
        return CAPABILITIES if self.system in IN_A_CLUSTER else replace(CAPABILITIES, is_strict=False, tries_out=False)

    def read(self, route: RouteRef) -> Reading:
        """Return what stood there."""
        weights = self.mesh.weights.setdefault((route.namespace, route.name), {STABLE: 100, CANARY: 0})
        keys = {STABLE: route.stable, CANARY: route.canary}
        targets = tuple(Target(keys[name], name, weight) for name, weight in weights.items())
        version = Version(
            str(1000 + self.mesh.writes),
            f"{route.namespace}/{route.name}",
            1,
            route.route,
            dict(weights),
            is_strict=self.capabilities().is_strict,
        )
        return Reading(targets, version, (route.name,))

    def preview(self, route: RouteRef, split: Split) -> Preview:
        """Return that nothing stood in the way."""
        return Preview(self.read(route), (), ({"asked": dict(split.weights)},))

    def write(
        self, route: RouteRef, split: Split, *, seen: Version, still: Callable[[], None] = lambda: None
    ) -> Written:
        """Set the weights."""
        still()
        self.mesh.writes += 1
        self.mesh.weights[route.namespace, route.name] = {name: weight or 0 for name, weight in split.weights.items()}
        return Written(Outcome.APPLIED, self.read(route))


@dataclass(slots=True)
class Jenkins:
    """The Jenkins that was, and the Spinnaker: their jobs redeem their permits first.

    ``broken`` are the digests that they could not bring; ``system`` is which of the two a deployment went through.
    """

    moment: Moment
    machine: Callable[[], Actor]
    broken: set[str]
    builds: dict[str, list[tuple[Order, datetime]]] = field(default_factory=dict)
    system: str = "jenkins"

    def provide(self, deployment: Deployment, _step: StepView) -> "Jenkins":
        """Return itself, as the system that the deployment went through."""
        return replace(self, system=deployment.connection.kind if deployment.connection else self.system)

    def preflight(self, _target: Job) -> Readiness:
        """Return that every job was ready."""
        return Readiness()

    def chosen(self, target: Job) -> Mapping[str, Any]:
        """Return the options as they were."""
        return target.options

    def start(self, order: Order) -> Sighting:
        """Take the next number of the job and redeem the permit."""
        job = order.target.job
        builds = self.builds.setdefault(job, [])
        builds.append((order, self.moment()))
        run = GateRun(self.system, f"{job}#{len(builds)}")
        digest = order.target.parameters["DIGEST"]
        jti = UUID(permit_id(order.permit))
        gate.redeem(actor=self.machine(), jti=jti, run=run, artifact_digest=digest, now=self.moment())
        return self._seen(Handle(order.key, job, order.target.key_parameter, run=str(len(builds))))

    def find(self, target: Job, key: str) -> Sighting:
        """Return that an order which is looked for never arrived: none gets lost in a story."""
        return Sighting(State.NOT_FOUND, Handle(key, target.job))

    def look(self, handle: Handle) -> Sighting:
        """Return how the build stands."""
        return self._seen(handle)

    def runs(self, target: Job) -> Sequence[Run]:
        """Return the builds of a job, newest first."""
        told = [
            Run(
                str(number),
                self._state(order, begun),
                {**order.target.parameters, order.target.key_parameter: order.key},
                begun + timedelta(seconds=1),
            )
            for number, (order, begun) in enumerate(self.builds.get(target.job, ()), start=1)
        ]
        return told[::-1]

    def version(self) -> str:
        """Return which Jenkins it was."""
        return "2.568.2"

    def jobs(self, _folder: str = "") -> Sequence[Listed]:
        """Return the jobs that ran."""
        return [Listed(job) for job in self.builds]

    def parameters(self, _job: str) -> Sequence[Parameter]:
        """Return nothing: nobody asks in a story."""
        return ()

    def log(self, _handle: Handle, start: int = 0) -> LogPart:
        """Return nothing: nobody reads along in a story."""
        return LogPart(next=start)

    def versions(self, target: Job) -> Sequence[Brought]:
        """Return what the builds brought there."""
        return stood_there(self.runs(target), target.parameters)

    def act(self, handle: Handle, _act: Act) -> Sighting:
        """Return how the build stands; nobody stops one in a story."""
        return self._seen(handle)

    def answer(self, handle: Handle, _answer: Answer) -> Sighting:
        """Return how the build stands; none asks in a story."""
        return self._seen(handle)

    def _state(self, order: Order, begun: datetime) -> State:
        if self.moment() <= begun:
            return State.RUNNING
        return State.FAILED if order.target.parameters["DIGEST"] in self.broken else State.SUCCEEDED

    def _seen(self, handle: Handle) -> Sighting:
        order, begun = self.builds[handle.job][int(handle.run) - 1]
        state, failed = self._state(order, begun), order.target.parameters["DIGEST"] in self.broken
        passed = STAGES[: 1 if state is State.RUNNING or failed else len(STAGES)]
        stages = tuple(StageView(name, State.SUCCEEDED, 14.0) for name in passed)
        if state is State.FAILED:
            stages += (StageView(STAGES[1], State.FAILED, 31.0),)
        return Sighting(state, handle, stages=stages)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The Prometheus that was: ``ill`` are the questions' versions that failed too many requests."""

    ill: frozenset[str]

    def provide(self, _question: Question, _step: StepView) -> Probe:
        """Return itself, for every question."""
        return self

    def measure(self, question: Question, *, at: datetime) -> Measure:
        """Return the share of requests that failed."""
        is_ill = any(version in question.text for version in self.ill)
        return Measure(ILL if is_ill else HEALTHY, at, question.kind)


def handlers(*, mesh: Mesh, jenkins: Jenkins, prometheus: Prometheus, moment: Moment) -> Mapping[str, StepHandler]:
    """Return the handlers of the house, with the outside of the story behind them."""
    permit = partial(permit_for, now=moment, provide=mesh.provide, drive=mesh.drive)
    return {
        "delivery.deploy": DeployStep(permit, moment, jenkins.provide),
        VERIFY_STEP: VersionStep(moment, jenkins.provide),
        SHIFT: GatedShift(mesh.provide, drive=mesh.drive, hold_seconds=0, now=moment),
        "health.verdict": AdvanceableVerdict(moment, prometheus.provide),
        "health.watch": HeldWatch(moment, prometheus.provide, mesh.provide),
    }
