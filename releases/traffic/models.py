"""The ledger of traffic: every set of weights that was asked for, how it ended, what was seen since, what drifted.

Shifts and their ends are only ever added to: triggers refuse anything else (:mod:`releases.traffic.ledger`). What was
seen is a memory that thins out.
"""

from django.db import models
from django.db.models import F, Q

from releases.catalog.models import Route
from releases.core import request_id
from releases.core.ids import uuid7
from releases.traffic.states import Choice, ShiftState


class Shift(models.Model):
    """What was asked of a route, written down before anything is sent.

    ``object`` is the vendor's: control plane, kind, name and uid. ``before`` are its raw weights then, ``null`` where
    one is absent, ``revision`` its version. ``reason`` is why somebody went on although a preview had doubts.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    route = models.ForeignKey(Route, on_delete=models.PROTECT, related_name="shifts")
    change_id = models.UUIDField(null=True, blank=True)
    operation_id = models.UUIDField(null=True, blank=True)
    request = models.CharField(max_length=request_id.LONGEST, blank=True)
    object = models.JSONField(default=dict)
    asked = models.JSONField(default=dict)
    before = models.JSONField(default=dict)
    revision = models.CharField(max_length=80, blank=True)
    op_key = models.CharField(max_length=64, unique=True)
    asked_by = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("asked_at", "id")
        indexes = (
            models.Index(fields=("route", "asked_at"), name="shift_by_route"),
            models.Index(fields=("change_id",), name="shift_by_change"),
        )

    def __str__(self) -> str:
        return f"{self.route_id} {self.asked}"

    @property
    def stream(self) -> str:
        """Return the audit stream that tells of it: its change's, or its route's when no change asked."""
        return f"change:{self.change_id}" if self.change_id else f"route:{self.route_id}"


class OwnerChoice(models.Model):
    """What somebody chose for one route of a change that ``owner`` holds: shift it anyway, or change Git instead.

    The last choice counts; the end of a shift keeps the one it was written on.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    route = models.ForeignKey(Route, on_delete=models.PROTECT, related_name="choices")
    change_id = models.UUIDField()
    owner = models.CharField(max_length=64)
    choice = models.CharField(max_length=16)
    reason = models.CharField(max_length=500, blank=True)
    chosen_by = models.CharField(max_length=200)
    chosen_at = models.DateTimeField()

    class Meta:
        ordering = ("chosen_at", "id")
        indexes = (models.Index(fields=("change_id", "route"), name="choice_by_change_and_route"),)
        constraints = (
            models.CheckConstraint(
                name="owner_choice_is_known", condition=Q(choice__in=sorted(choice.value for choice in Choice))
            ),
        )

    def __str__(self) -> str:
        return f"{self.route_id} {self.choice}"


class ShiftEnd(models.Model):
    """How a shift ended, in turns: a person is asked for, then it is confirmed; the last one counts.

    ``after`` are the raw weights that stood then; with ``uid`` and ``fingerprint`` they are all a restore needs.
    ``counted`` are the same as they count, whatever an absent one counts as there. ``choice`` is who let it be written
    although Git or a chart holds the route, or had Git changed instead.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shift = models.ForeignKey(Shift, on_delete=models.PROTECT, related_name="ends")
    turn = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=16)
    after = models.JSONField(default=dict)
    counted = models.JSONField(default=dict)
    revision = models.CharField(max_length=80, blank=True)
    uid = models.CharField(max_length=400, blank=True)
    fingerprint = models.CharField(max_length=80, blank=True)
    verification = models.CharField(max_length=16, blank=True)
    audit_id = models.CharField(max_length=64, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    choice = models.JSONField(null=True, blank=True)
    ended_at = models.DateTimeField()

    class Meta:
        ordering = ("shift", "turn")
        constraints = (
            models.UniqueConstraint(fields=("shift", "turn"), name="shift_ends_in_turns"),
            models.UniqueConstraint(
                fields=("shift",), condition=Q(state=ShiftState.CONFIRMED.value), name="shift_confirmed_once"
            ),
            models.CheckConstraint(
                name="shift_end_is_known",
                condition=Q(state__in=sorted(state.value for state in ShiftState if state is not ShiftState.ASKED)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.shift_id} {self.state}"


class Observation(models.Model):
    """What stood on a route from the first look at it to the last: weights as they count, or ``why`` nobody could see.

    ``owner`` also writes them, ``writer`` wrote them last. ``seen_by`` is who caused the look. The same thing seen
    again makes the span longer; a long silence, or another pair of eyes, begins a new one.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="observations")
    weights = models.JSONField(default=dict)
    revision = models.CharField(max_length=80, blank=True)
    uid = models.CharField(max_length=400, blank=True)
    owner = models.CharField(max_length=64, blank=True)
    writer = models.CharField(max_length=200, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)
    why = models.JSONField(default=dict, blank=True)
    seen_by = models.CharField(max_length=200)
    seen_at = models.DateTimeField()
    last_at = models.DateTimeField()
    looks = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ("route", "last_at", "id")
        indexes = (models.Index(fields=("route", "last_at"), name="observation_by_route"),)
        constraints = (
            models.CheckConstraint(name="observation_ends_after_it_begins", condition=Q(last_at__gte=F("seen_at"))),
        )

    def __str__(self) -> str:
        return f"{self.route_id} {self.weights}"


class Drift(models.Model):
    """Weights that are not those asked for last, from when somebody saw it until they agree again.

    ``writer`` is who wrote them and when, by the object's own record; ``consequence`` what the owner of the object
    does with a restore.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="drifts")
    shift = models.ForeignKey(Shift, on_delete=models.PROTECT, related_name="drifts")
    observed = models.JSONField(default=dict)
    owner = models.CharField(max_length=64, blank=True)
    consequence = models.JSONField(default=dict, blank=True)
    writer = models.CharField(max_length=200, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)
    raised_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("raised_at", "id")
        constraints = (
            models.UniqueConstraint(fields=("route",), condition=Q(ended_at=None), name="drift_one_open"),
            models.CheckConstraint(
                name="drift_ends_after_it_begins", condition=Q(ended_at=None) | Q(ended_at__gte=F("raised_at"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.route_id} {self.observed}"

    @property
    def stream(self) -> str:
        """Return the audit stream that tells of it: its route's."""
        return f"route:{self.route_id}"
