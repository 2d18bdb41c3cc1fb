"""Steps that begin nothing while their workers die: a report is awaited, a run called off, a version verified.

Each play returns what is wrong with its end, and the places its worker passed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from django.db import transaction

from releases.core.ids import uuid7
from releases.delivery import services as delivery
from releases.delivery.models import Deployment
from releases.delivery.ports import Order
from releases.delivery.providers import target_of
from releases.delivery.services import reporting
from releases.delivery.services.reporting import Report
from releases.delivery.states import State
from releases.delivery.steps import CallOffStep, DeployStep, ReportStep, VersionStep
from releases.gate.rules import Run as Name
from releases.operations import services as operations
from releases.operations.models import Operation, OutboxMessage
from releases.operations.ports import StepHandler, StepPlan
from releases.worker.handlers import permit_for
from tests.factories.accounts import SETUP
from tests.factories.changes import inside
from tests.factories.operations import Clock
from tests.fault.operations.ci import SYSTEMS, WHOLE, Ci, Run
from tests.fault.operations.crashes import Deaths
from tests.fault.operations.schedules import LEASE, ROUNDS, Place, has_rested

ANOTHER = "sha256:" + "cd" * 32
DARK = timedelta(seconds=100)
Happens = Mapping[timedelta, Callable[[], object]]


@dataclass(frozen=True)
class End:
    """How a play ended; ``wrong`` is empty when it ended as it must, and was told once."""

    state: str
    wrong: str
    passed: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """What a run reports of its end, when, and how the step must end; ``does`` is what its system knows."""

    outcome: State | None
    after: timedelta
    ends: str
    does: State = State.SUCCEEDED
    is_dark: bool = False


REPORTS = {
    "said at once": Said(State.SUCCEEDED, timedelta(), "succeeded"),
    "said late": Said(State.SUCCEEDED, timedelta(seconds=100), "succeeded"),
    "said that it failed": Said(State.FAILED, timedelta(seconds=40), "failed"),
    "said to be well, and was not": Said(State.SUCCEEDED, timedelta(seconds=40), "failed", does=State.FAILED),
    "never said": Said(None, timedelta(), "needs_human"),
    "its system is silent for a while": Said(State.SUCCEEDED, timedelta(), "succeeded", is_dark=True),
}
CALLED_OFF = {
    "it runs": ("ok", timedelta()),
    "its answer was lost": ("lost", timedelta()),
    "it never arrived": ("down", timedelta()),
    "it had ended by then": ("ok", WHOLE),
    "its system is silent for a while": ("ok", timedelta()),
}
VERIFIED = {
    "it runs there": "succeeded",
    "another run is still under way": "succeeded",
    "another version came afterwards": "failed",
    "nobody knows the run any more": "failed",
    "its system is silent for a while": "succeeded",
}


def report(place: Place, way: str, deaths: Deaths, points: Iterable[int] = ()) -> End:
    """Await what a run of others reports, while workers die at these points."""
    said, clock = REPORTS[way], Clock(inside(place.change))
    deployment = place.deployment(is_reported=True)
    operation = _begun(place, delivery.step_for(deployment), clock)
    ci, told_at = Ci(SYSTEMS["Jenkins"], clock), clock()
    told = Report(uuid7(), Name("jenkins", "team/app/deploy#0"), deployment.artifact.digest)
    with transaction.atomic(durable=True):
        deployment = reporting.began(deployment, told, actor=SETUP, now=told_at)
    _run_of(ci, deployment, deploys=said.does is State.SUCCEEDED)
    ci.dark = told_at + DARK if said.is_dark else None

    def finish() -> None:
        with transaction.atomic(durable=True):
            row = Deployment.objects.select_for_update().get(pk=deployment.pk)
            reporting.ended(row, said=said.outcome or State.FAILED, why="", actor=SETUP, now=clock())

    happens = {said.after: finish} if said.outcome else {}
    handler = ReportStep(clock, lambda _deployment, _step: ci)
    passed = _worked(operation, {delivery.REPORT_STEP: handler}, clock, deaths, points, happens)
    wrong = _wrong(operation, said.ends) or ("" if len(ci.began) == 1 else "begun")
    deployment.refresh_from_db()
    is_open = deployment.ended_at is None
    return End(operation.state, wrong or ("" if is_open == (said.ends == "needs_human") else "silent"), passed)


def call_off(place: Place, way: str, deaths: Deaths, points: Iterable[int] = ()) -> End:
    """Stop a deployment's operation after its order, and call off what that left, while workers die at these points."""
    sends, later = CALLED_OFF[way]
    clock = Clock(inside(place.change))
    ci, deployment = Ci(SYSTEMS["Jenkins"], clock, [sends]), place.deployment()
    ordered = _begun(place, delivery.step_for(deployment), clock)
    has_rested(ordered, {delivery.STEP_KIND: _deploys(ci, clock)}, clock)
    clock.tick(later.total_seconds())
    with transaction.atomic(durable=True):
        operations.stop(operation_id=ordered.pk, actor=SETUP, now=clock())
    operation = delivery.call_off(operation_id=ordered.pk, now=clock())
    assert operation is not None
    ci.dark = clock() + DARK if "silent" in way else None
    handler = CallOffStep(clock, lambda _deployment, _step: ci)
    passed = _worked(operation, {delivery.CALL_OFF_STEP: handler}, clock, deaths, points)
    deployment.refresh_from_db()
    stands = [run.state(clock()) for run in ci.began]
    wrong = _wrong(operation, "succeeded") or ("left running" if {State.QUEUED, State.RUNNING} & {*stands} else "")
    return End(
        operation.state, wrong or ("" if [deployment.state] == (stands or [State.SUPERSEDED]) else "silent"), passed
    )


def verify(place: Place, way: str, deaths: Deaths, points: Iterable[int] = ()) -> End:
    """Deploy, and verify what runs then, while workers die at these points."""
    clock = Clock(inside(place.change))
    ci, deployment = Ci(SYSTEMS["Jenkins"], clock), place.deployment()
    ordered = _begun(place, delivery.step_for(deployment), clock)
    while not has_rested(ordered, {delivery.STEP_KIND: _deploys(ci, clock)}, clock):
        clock.tick(LEASE.total_seconds())
    deployment.refresh_from_db()
    if way == "another run is still under way":
        _run_of(ci, deployment, deploys=True)
    if way == "another version came afterwards":
        _run_of(ci, deployment, deploys=True, digest=ANOTHER)
    if way == "nobody knows the run any more":
        ci.began.clear()
    ci.dark = clock() + DARK if "silent" in way else None
    known, running = len(ci.began), [place.house.running.digest]
    operation = _begun(place, delivery.verification_of(deployment, leaving=running, live=""), clock)
    handler = VersionStep(clock, lambda _deployment, _step: ci)
    passed = _worked(operation, {delivery.VERIFY_STEP: handler}, clock, deaths, points)
    return End(operation.state, _wrong(operation, VERIFIED[way]) or ("" if len(ci.began) == known else "begun"), passed)


Play = Callable[..., End]
STEPS: Mapping[str, tuple[Play, Mapping[str, str]]] = {
    delivery.REPORT_STEP: (report, {way: said.ends for way, said in REPORTS.items()}),
    delivery.CALL_OFF_STEP: (call_off, dict.fromkeys(CALLED_OFF, "succeeded")),
    delivery.VERIFY_STEP: (verify, VERIFIED),
}


def _begun(place: Place, step: StepPlan, clock: Clock) -> Operation:
    with transaction.atomic(durable=True):
        return operations.begin(
            kind="test",
            target=f"{step.name}:{uuid7()}",
            subject=place.change.pk,
            steps=[step],
            actor=SETUP,
            deadline=clock() + timedelta(minutes=6),
            key=str(uuid7()),
            now=clock(),
        )


def _deploys(ci: Ci, clock: Clock) -> DeployStep:
    return DeployStep(partial(permit_for, now=clock), clock, lambda _deployment, _step: ci)


def _run_of(ci: Ci, deployment: Deployment, *, deploys: bool, digest: str = "") -> None:
    """Let somebody else begin a run for the place of a deployment; the gate has been asked."""
    target = target_of(deployment)
    given = {**target.parameters, **({"DIGEST": digest} if digest else {})}
    order = Order("", replace(target, parameters=given), "")
    ci.began.append(Run(len(ci.began), order, ci.now(), deploys=deploys, is_decided=True))


def _worked(
    operation: Operation,
    handlers: Mapping[str, StepHandler],
    clock: Clock,
    deaths: Deaths,
    points: Iterable[int],
    happens: Happens | None = None,
) -> tuple[str, ...]:
    """Let workers come by until there is nothing more to do; what ``happens`` does so after so long."""
    began, to_come = clock(), dict(happens or {})
    passed = deaths.arm(frozenset(points))
    for _round in range(ROUNDS):
        for after in [one for one in to_come if began + one <= clock()]:
            to_come.pop(after)()
        if has_rested(operation, handlers, clock):
            break
        clock.tick(LEASE.total_seconds())
    deaths.arm(frozenset())
    return tuple(passed)


def _wrong(operation: Operation, ends: str) -> str:
    """Return what is wrong with the end of an operation: another than it must have, or not told exactly once."""
    if operation.state != ends:
        return f"{operation.state}, not {ends}"
    said = OutboxMessage.objects.filter(ref=operation.pk, kind__startswith="operation.").count()
    return "" if said == 1 else "silent"
