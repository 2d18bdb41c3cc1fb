"""One deployment through the real engine, journal and gate while workers die: what came of it, schedule by schedule."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import transaction

from releases.changes.models import ChangeRequest
from releases.changes.states import State as ChangeState
from releases.core.ids import uuid7
from releases.delivery import services as delivery
from releases.delivery.models import Deployment
from releases.delivery.services.reporting import hinted
from releases.delivery.states import State
from releases.delivery.steps import DeployStep
from releases.gate.models import Permit
from releases.operations import services as operations
from releases.operations.models import Operation, OutboxMessage
from releases.operations.ports import StepHandler
from releases.worker.handlers import permit_for
from tests.factories.accounts import SETUP
from tests.factories.changes import House, a_change, inside
from tests.factories.gate import a_wired_house
from tests.factories.operations import Clock
from tests.fault.operations.ci import LATE, WHOLE, Ci, System
from tests.fault.operations.crashes import Crash, Deaths

LOST = ("ok", "lost", "down ok", "down lost", "down late", "late ok", "late lost", "late late", "late down")
SLOW = ("slow", "stalled", "stalled lost", "unheard")
WAYS = (*LOST, *SLOW)
NOWHERE = "nowhere"
NOTHING: Mapping[str, str] = {}
ROUNDS = 25  # claims until somebody must have come to an end
LEASE = timedelta(seconds=31)


@dataclass(frozen=True)
class Place:
    """A change whose window is open, and whose one item is to be deployed; every play deploys it anew."""

    house: House
    change: ChangeRequest

    @classmethod
    def found(cls) -> "Place":
        """Walk there through the services."""
        house = a_wired_house()
        return cls(house, a_change(house, at=ChangeState.SCHEDULED))

    def deployment(self, *, is_reported: bool = False, options: Mapping[str, str] = NOTHING) -> Deployment:
        """Request a deployment of the approved artifact, as if none had been before: an item is deployed by one run.

        With options it is done as they say, not as the binding does.
        """
        Permit.objects.filter(change=self.change).delete()
        with transaction.atomic(durable=True):
            deployment = delivery.request(
                change_id=self.change.pk,
                item_id=None,
                service_id=self.house.service.pk,
                environment_id=self.house.environment.pk,
                artifact_id=self.change.items.get().artifact_id,
                slot="canary",
                actor=SETUP,
                now=inside(self.change),
                is_reported=is_reported,
            )
            deployment.options = dict(options)
            deployment.save(update_fields=["options"])
        return deployment


@dataclass(frozen=True)
class End:
    """How a play ended: what the operation says, what the CI system did, and what is wrong with that."""

    state: str
    runs: int
    deployed: int
    passed: tuple[str, ...]
    told: int

    @property
    def wrong(self) -> str:
        """Return what must never be: doubled, lost or silent; empty when all is well.

        A human who is asked is no loss: the operation stays open, on-call is paged, and the run is shown.
        """
        if self.deployed > 1:
            return "doubled"
        if self.state == "succeeded":
            return "lost" if self.deployed == 0 else ("" if self.told == 1 else "silent")
        if self.state == "needs_human":
            return "" if self.told == 1 else "silent"
        return "silent" if self.deployed else "lost"


def play(
    place: Place, system: System, way: str, deaths: Deaths, points: Iterable[int] = (), hints: Iterable[int] = ()
) -> End:
    """Deploy once while a worker dies at these points, the next one coming by when its lease has run out.

    At others the CI system hints that something moved.
    """
    clock = Clock(inside(place.change))
    ci = Ci(system, clock, way.split())
    deployment = place.deployment(options=system.options)
    with transaction.atomic(durable=True):
        operation = operations.begin(
            kind="test",
            target=f"deployment:{deployment.pk}",
            subject=place.change.pk,
            steps=[delivery.step_for(deployment)],
            actor=SETUP,
            deadline=clock() + timedelta(hours=1),
            key=str(uuid7()),
            now=clock(),
        )
    handlers = {delivery.STEP_KIND: DeployStep(partial(permit_for, now=clock), clock, lambda _deployment, _step: ci)}
    worker = partial(has_rested, operation, handlers, clock)
    ci.meanwhile = lambda: (clock.tick(LEASE.total_seconds()), worker())
    hint = {"build": {"parameters": {"GMUD_CORRELATION": operation.steps.get().op_key}}}
    deaths.somebody = lambda: hinted(connection_id=UUID(str(deployment.connection_id)), payload=hint, now=clock())
    passed = deaths.arm(frozenset(points), frozenset(hints))
    for _round in range(ROUNDS):
        if worker():
            break
        clock.tick(LEASE.total_seconds())
    clock.tick((LATE + WHOLE).total_seconds())
    ci.catch_up()  # what was still on its way arrives, when everybody has long gone
    told = _told(operation.pk, deployment, operation.state)
    return End(operation.state, len(ci.began), ci.deployed, tuple(passed), told)


def has_rested(operation: Operation, handlers: Mapping[str, StepHandler], clock: Clock) -> bool:
    """Let a worker come by, who may die; say whether there is nothing more to do for one."""
    with suppress(Crash):
        operations.run(operation_id=operation.pk, worker="w", handlers=handlers, now=clock)
    operation.refresh_from_db()
    return operation.state not in {"pending", "running"}


def singles(undisturbed: End) -> Iterator[tuple[int, ...]]:
    """Give every point that an undisturbed deployment passes."""
    return ((point,) for point in range(1, len(undisturbed.passed) + 1))


def pairs(first: int, after_it: End) -> Iterator[tuple[int, ...]]:
    """Give every second point that is passed after a death at the first."""
    return ((first, second) for second in range(first + 1, len(after_it.passed) + 1))


def every(place: Place, system: System, way: str, deaths: Deaths) -> Iterator[tuple[str, End]]:
    """Play one way without a death, with every single one and with every pair; give the first place and the end.

    Where two workers send at once anyhow, no second one dies.
    """
    undisturbed = play(place, system, way, deaths)
    yield NOWHERE, undisturbed
    for (first,) in singles(undisturbed):
        alone = play(place, system, way, deaths, (first,))
        name = alone.passed[first - 1]
        yield name, alone
        for pair in pairs(first, alone) if way in LOST else ():
            yield name, play(place, system, way, deaths, pair)


def counted(ends: Iterable[tuple[str, End]]) -> dict[str, Counter[str]]:
    """Count by place what came of the schedules."""
    rows: dict[str, Counter[str]] = {}
    for name, end in ends:
        row = rows.setdefault(name, Counter())
        row.update({"schedules": 1, "twice begun": end.runs > 1, "deployed": end.deployed, end.wrong or end.state: 1})
    return rows


def _told(operation: object, deployment: Deployment, state: str) -> int:
    """Return how often the end was told: one message of the operation, and the deployment agrees with it."""
    deployment.refresh_from_db()
    agrees = deployment.state == State.SUCCEEDED if state == "succeeded" else deployment.ended_at is None
    said = OutboxMessage.objects.filter(ref=operation, kind__startswith="operation.").count()
    return said if agrees else 0
