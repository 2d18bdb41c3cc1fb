"""What pages, health checks and the audit's replay read of durable work."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min

from releases.core import clock
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.operations.models import Attempt, Heartbeat, Operation, OutboxMessage, Step
from releases.operations.ports import Json, StepView
from releases.operations.states import ACTIVE, AttemptOutcome, OperationState, StepState

LONGEST_SILENCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Try:
    """One send of a step."""

    seq: int
    worker: str
    sent_at: datetime
    answered_at: datetime | None
    outcome: AttemptOutcome
    remote_ref: str
    error: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step, ready to show. ``note`` says why it failed or what a human is to look at."""

    id: UUID
    position: int
    stage: int
    name: str
    kind: str
    connection: str
    state: StepState
    desired: Mapping[str, Json]
    prev: Mapping[str, Json] | None
    data: Mapping[str, Json]
    op_key: str
    remote_ref: str
    note: Sentence | None
    error: str
    worker: str
    sent_at: datetime | None
    look_at: datetime | None
    ended_at: datetime | None
    tries: tuple[Try, ...]


@dataclass(frozen=True, slots=True)
class OperationView:
    """An operation with its steps, ready to show."""

    id: UUID
    kind: str
    target: str
    subject: UUID
    state: OperationState
    stage: int
    urgent: bool
    reason: str
    begun_by: str
    begun_at: datetime
    deadline_at: datetime
    ended_at: datetime | None
    supersedes: UUID | None
    steps: tuple[StepLine, ...]

    @property
    def is_active(self) -> bool:
        """Tell whether it holds its target."""
        return self.state in ACTIVE

    @property
    def stream(self) -> str:
        """Return its audit stream."""
        return f"operation:{self.id}"


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A message that was tried often enough, ready to show; ``error`` is what it last failed of."""

    id: UUID
    kind: str
    ref: UUID
    data: Mapping[str, Json]
    dead_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class WorkerCard:
    """A worker process that was alive a moment ago."""

    name: str
    queues: tuple[str, ...]
    beat_at: datetime


def is_held(step: StepView) -> bool:
    """Say whether nobody has claimed the step or ended its work since it was handed out as it is here."""
    return Step.objects.filter(pk=step.step_id, fence=step.fence).exists()


def database_now() -> datetime:
    """Return the database's time, by which leases are compared; SQLite's machine is our own."""
    if connection.vendor != "postgresql":
        return clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        at: datetime = cursor.fetchone()[0]
    return at


def operation(operation_id: UUID) -> OperationView:
    """Return one operation.

    :raises Missing: there is no such operation
    """
    if found := Operation.objects.prefetch_related("steps__tries").filter(pk=operation_id).first():
        return _view(found)
    raise Missing(Sentence(_("There is no such operation.")))


def operations_of(subject: UUID) -> list[OperationView]:
    """Return the operations about a subject, the latest first."""
    rows = Operation.objects.prefetch_related("steps__tries").filter(subject=subject).order_by("-begun_at", "-pk")
    return [_view(row) for row in rows]


def active_on(target: str) -> OperationView | None:
    """Return the operation that holds the target, if any."""
    row = Operation.objects.prefetch_related("steps__tries").filter(target=target, state__in=ACTIVE).first()
    return _view(row) if row else None


def state_on(target: str) -> OperationState | None:
    """Return the state of the operation that holds the target, ``None`` when none does."""
    state = Operation.objects.filter(target=target, state__in=ACTIVE).values_list("state", flat=True).first()
    return OperationState(state) if state else None


def active() -> list[OperationView]:
    """Return every operation that has not ended, the oldest first."""
    rows = Operation.objects.prefetch_related("steps__tries").filter(state__in=ACTIVE).order_by("begun_at")
    return [_view(row) for row in rows]


def workers_alive(now: datetime) -> list[WorkerCard]:
    """Return the worker processes that gave a sign of life within three sweeps (ten seconds at least)."""
    silence = max(3 * timedelta(seconds=settings.GMUD_SWEEP_SECONDS), LONGEST_SILENCE)
    rows = Heartbeat.objects.filter(beat_at__gt=now - silence).order_by("worker")
    return [WorkerCard(row.worker, tuple(row.queues), row.beat_at) for row in rows]


def last_swept() -> dict[str, datetime]:
    """Return, by queue, when a worker of it swept last; a queue that nobody ever worked on is left out."""
    seen: dict[str, datetime] = {}
    for queues, at in Heartbeat.objects.order_by("beat_at").values_list("queues", "beat_at"):
        seen.update(dict.fromkeys(queues, at))
    return seen


def backlog(now: datetime) -> dict[str, tuple[int, datetime]]:
    """Return, by queue, how many messages should have been delivered by now, and since when the oldest."""
    due = OutboxMessage.objects.undone().filter(available_at__lte=now)
    rows = due.values_list("queue").annotate(number=Count("pk"), since=Min("available_at")).order_by()
    return {queue: (number, since) for queue, number, since in rows}


def by_state() -> dict[tuple[str, str], int]:
    """Return how many operations there are of each kind in each state."""
    rows = Operation.objects.values_list("kind", "state").annotate(number=Count("pk")).order_by("kind", "state")
    return {(kind, state): number for kind, state, number in rows}


def quarantined_messages() -> int:
    """Return how many messages were given up and wait for a human."""
    return OutboxMessage.objects.exclude(dead_at=None).count()


def given_up(*, most: int) -> list[GivenUp]:
    """Return the messages that were given up and wait for a human, the oldest first."""
    return [
        GivenUp(row.pk, row.kind, row.ref, row.data, row.dead_at or row.posted_at, row.last_error)
        for row in OutboxMessage.objects.exclude(dead_at=None).order_by("dead_at", "pk")[:most]
    ]


def states() -> Iterator[tuple[str, str]]:
    """Yield every operation's audit stream and state, for the comparison with the replayed events."""
    for row in Operation.objects.order_by("pk").iterator():
        yield row.stream, row.state


def _view(row: Operation) -> OperationView:
    return OperationView(
        id=row.pk,
        kind=row.kind,
        target=row.target,
        subject=row.subject,
        state=OperationState(row.state),
        stage=row.stage,
        urgent=row.urgent,
        reason=row.reason,
        begun_by=row.begun_by,
        begun_at=row.begun_at,
        deadline_at=row.deadline_at,
        ended_at=row.ended_at,
        supersedes=row.supersedes_id,
        steps=tuple(_line(step) for step in row.steps.all()),
    )


def _line(step: Step) -> StepLine:
    return StepLine(
        id=step.pk,
        position=step.position,
        stage=step.stage,
        name=step.name,
        kind=step.kind,
        connection=step.connection,
        state=StepState(step.state),
        desired=step.desired,
        prev=step.prev,
        data=step.data,
        op_key=step.op_key,
        remote_ref=step.remote_ref,
        note=Sentence.from_json(step.note) if step.note else None,
        error=step.error,
        worker=step.lease_owner,
        sent_at=step.sent_at,
        look_at=step.look_at,
        ended_at=step.ended_at,
        tries=tuple(_try(one) for one in step.tries.all()),
    )


def _try(row: Attempt) -> Try:
    return Try(
        seq=row.seq,
        worker=row.worker,
        sent_at=row.sent_at,
        answered_at=row.answered_at,
        outcome=AttemptOutcome(row.outcome),
        remote_ref=row.remote_ref,
        error=row.error,
    )
