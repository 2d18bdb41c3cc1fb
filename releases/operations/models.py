"""Tables of durable work. What they mean stands in ``design``: the database is the queue, the bell only calls."""

from datetime import datetime
from enum import StrEnum

from django.db import models
from django.db.models import F, Q

from releases.core import request_id
from releases.core.ids import uuid7
from releases.operations.states import ACTIVE, OPEN, AttemptOutcome, OperationState, StepState


def _values(states: type[StrEnum] | frozenset[OperationState] | frozenset[StepState]) -> list[str]:
    return sorted(state.value for state in states)


class OutboxQuerySet(models.QuerySet["OutboxMessage"]):
    """Messages by what can be done with them."""

    def undone(self) -> "OutboxQuerySet":
        """Return what is neither done nor quarantined."""
        return self.filter(done_at=None, dead_at=None)

    def due(self, now: datetime) -> "OutboxQuerySet":
        """Return what somebody should deliver now: undone, available, and claimed by nobody who still lives."""
        free = Q(claimed_until=None) | Q(claimed_until__lte=now)
        return self.undone().filter(free, available_at__lte=now)


class OutboxMessage(models.Model):
    """Something happened that others may react to; written in the transaction that did it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=100)
    ref = models.UUIDField()
    data = models.JSONField(default=dict)
    queue = models.CharField(max_length=32)
    request = models.CharField(max_length=request_id.LONGEST, blank=True)
    posted_at = models.DateTimeField()
    available_at = models.DateTimeField()
    rung_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_by = models.CharField(max_length=200, blank=True)
    claim = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    dead_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("available_at",), name="outbox_undone", condition=Q(done_at=None, dead_at=None)),
            models.Index(fields=("dead_at",), name="outbox_dead", condition=Q(dead_at__isnull=False)),
        )
        constraints = (
            models.CheckConstraint(name="outbox_done_or_dead_not_both", condition=Q(done_at=None) | Q(dead_at=None)),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}"


class Operation(models.Model):
    """A piece of work on the outside that ends well, ends badly or asks for a human: never in silence."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=63)
    target = models.CharField(max_length=200)
    subject = models.UUIDField()
    key = models.CharField(max_length=200, unique=True)
    state = models.CharField(max_length=16, default=OperationState.PENDING)
    stage = models.PositiveSmallIntegerField()
    urgent = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    request = models.CharField(max_length=request_id.LONGEST, blank=True)
    begun_by = models.CharField(max_length=200)
    begun_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(null=True)
    supersedes = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="superseded_by")

    class Meta:
        indexes = (
            models.Index(fields=("subject", "begun_at"), name="operation_of_subject"),
            models.Index(fields=("begun_at",), name="operation_active", condition=Q(state__in=_values(ACTIVE))),
        )
        constraints = (
            models.UniqueConstraint(
                name="one_active_operation_per_target", fields=("target",), condition=Q(state__in=_values(ACTIVE))
            ),
            models.CheckConstraint(name="operation_state_known", condition=Q(state__in=_values(OperationState))),
            models.CheckConstraint(
                name="operation_ended_when_not_active",
                condition=Q(state__in=_values(ACTIVE), ended_at=None)
                | (~Q(state__in=_values(ACTIVE)) & Q(ended_at__isnull=False)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} on {self.target}"

    @property
    def stream(self) -> str:
        """Return the audit stream of this operation."""
        return f"operation:{self.pk}"

    @property
    def queue(self) -> str:
        """Return the queue whose workers run it: a rollback has its own."""
        return "rollback" if self.urgent else "deploy"


class StepQuerySet(models.QuerySet["Step"]):
    """Steps by what can be done with them."""

    def claimable(self, now: datetime) -> "StepQuerySet":
        """Return the open steps of their operation's stage that nobody holds and that are due.

        A step past the deadline is due at once: a human must be asked. One that comes after another waits for its end.
        """
        free = Q(lease_until=None) | Q(lease_until__lte=now)
        due = Q(look_at=None) | Q(look_at__lte=now) | Q(operation__deadline_at__lte=now)
        ready = {"stage": F("operation__stage"), "operation__state__in": _values(ACTIVE), "waits": False}
        return self.filter(free, due, state__in=_values(OPEN), **ready)


class Step(models.Model):
    """One step of an operation with its journal; every write is guarded by the fence of the last claim.

    ``after`` are the positions of the steps it comes after, ``waits`` that one of them has not ended well yet.
    ``lane`` is what it shares ``at_once`` places with, and ``place`` the one it has while it is under way: two steps
    never have the same.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="steps")
    position = models.PositiveSmallIntegerField()
    stage = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=63)
    connection = models.CharField(max_length=120, blank=True)
    repeatable = models.BooleanField(default=False)
    after = models.JSONField(default=list)
    waits = models.BooleanField(default=False)
    goes_on = models.BooleanField(default=False)
    lane = models.CharField(max_length=160, blank=True)
    at_once = models.PositiveSmallIntegerField(default=0)
    place = models.PositiveSmallIntegerField(null=True)
    desired = models.JSONField(default=dict)
    prev = models.JSONField(null=True)
    state = models.CharField(max_length=16, default=StepState.TODO)
    op_key = models.CharField(max_length=64, unique=True)
    remote_ref = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    note = models.JSONField(null=True)
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    sends = models.PositiveSmallIntegerField(default=0)
    blind = models.PositiveSmallIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)
    look_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ("operation", "position")
        indexes = (models.Index(fields=("look_at",), name="step_open", condition=Q(state__in=_values(OPEN))),)
        constraints = (
            models.UniqueConstraint(name="one_step_per_position", fields=("operation", "position")),
            models.UniqueConstraint(
                name="one_step_per_place", fields=("lane", "place"), condition=Q(place__isnull=False)
            ),
            models.CheckConstraint(
                name="step_place_is_one_of_its_lane",
                condition=Q(place=None) | Q(place__gte=1, place__lte=F("at_once")) & ~Q(lane=""),
            ),
            models.CheckConstraint(name="step_state_known", condition=Q(state__in=_values(StepState))),
        )

    def __str__(self) -> str:
        return self.name


class Attempt(models.Model):
    """One send of a step: written before the call, so that a call nobody came back from is known."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="tries")
    seq = models.PositiveSmallIntegerField()
    fence = models.BigIntegerField()
    worker = models.CharField(max_length=200)
    sent_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, default=AttemptOutcome.OPEN)
    remote_ref = models.TextField(blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ("step", "seq")
        constraints = (
            models.UniqueConstraint(name="one_attempt_per_seq", fields=("step", "seq")),
            models.CheckConstraint(name="attempt_outcome_known", condition=Q(outcome__in=_values(AttemptOutcome))),
        )

    def __str__(self) -> str:
        return f"{self.step_id} #{self.seq}"


class Heartbeat(models.Model):
    """A worker process was alive at that moment and listened to these queues."""

    worker = models.CharField(max_length=200, primary_key=True)
    queues = models.JSONField(default=list)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.worker
