"""Operations on an outside that counts what was done to it, and a clock that only moves when told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from releases.audit.actor import Actor, system
from releases.core.errors import Rejected, Unreachable
from releases.core.ids import uuid7
from releases.operations import services
from releases.operations.models import Operation
from releases.operations.ports import Done, Ending, Outcome, Pending, StepPlan, StepView

OPERATOR: Actor = system("operator")
KIND = "test.effect"
_numbers = count(1)


@dataclass
class Clock:
    """A clock that only moves when told."""

    at: datetime = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


@dataclass
class Outside:
    """An outside system: what arrived by key, how often each was done, and how each next send will go.

    ``sends`` is read from the front: ``ok``, ``lost`` (done, but no answer), ``down`` (not done, no answer), or an
    exception to raise without doing anything. When it is empty, all is well.
    """

    sends: list[str | Exception] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    probes: list[Exception] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    settled: list[tuple[UUID, str]] = field(default_factory=list)
    before_send: Callable[[], None] = lambda: None

    def probe(self, step: StepView) -> str | None:
        """Say whether it arrived."""
        if self.probes:
            raise self.probes.pop(0)
        return f"job/{step.op_key}" if step.op_key in self.done else None

    def snapshot(self, step: StepView) -> dict[str, int]:
        """Say how much was done before."""
        return {"done": len(self.done)}

    def send(self, step: StepView) -> str:
        """Do it, or not."""
        self.before_send()
        how = self.sends.pop(0) if self.sends else "ok"
        if isinstance(how, Exception):
            raise how
        if how != "down":
            self.done.append(step.op_key)
        if how != "ok":
            raise Unreachable("No answer.")
        return f"job/{step.op_key}"

    def observe(self, step: StepView) -> Outcome:
        """Say how it is going."""
        if step.op_key not in self.done:
            raise Rejected("No such job.")
        return self.outcomes.pop(0) if self.outcomes else Done({"built": 1})

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write in the step's own transaction: a message, as a room would its rows."""
        services.post(kind="test.settled", ref=step.step_id, now=now, data={"as": type(outcome).__name__})


def a_plan(name: str = "deploy", *, stage: int = 1, repeatable: bool = False, kind: str = KIND) -> StepPlan:
    """Return one step."""
    return StepPlan(name=name, kind=kind, desired={"version": "2.0"}, stage=stage, repeatable=repeatable)


def an_operation(
    *,
    now: datetime,
    steps: Sequence[StepPlan] = (),
    kind: str = "test",
    target: str = "",
    key: str = "",
    minutes: float = 60,
    urgent: bool = False,
    supersede: bool = False,
    subject: UUID | None = None,
) -> Operation:
    """Begin an operation on a target of its own."""
    number = next(_numbers)
    return services.begin(
        kind=kind,
        target=target or f"target {number} {uuid7()}",
        subject=subject or uuid7(),
        steps=steps or [a_plan()],
        actor=OPERATOR,
        deadline=now + timedelta(minutes=minutes),
        key=key or f"key {number} {uuid7()}",
        now=now,
        urgent=urgent,
        supersede=supersede,
    )


def work(operation: Operation, outside: Outside, clock: Clock, *, worker: str = "one") -> Operation:
    """Let one worker do what is due now, and return the operation as it stands."""
    services.run(operation_id=operation.pk, worker=worker, handlers={KIND: outside}, now=clock)
    operation.refresh_from_db()
    return operation


def a_pending(seconds: float = 10) -> Pending:
    """Return "not there yet"."""
    return Pending(seconds, {"progress": 50})
