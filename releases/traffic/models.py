"""The ledger of traffic: every set of weights that was asked for, what stood before, what was seen after."""

from django.db import models
from django.db.models import Q

from releases.catalog.models import Route
from releases.core.ids import uuid7
from releases.traffic.states import ShiftState


class Shift(models.Model):
    """One recorded change of a route's weights; ``before`` and ``observed`` may carry ``null`` for an absent weight."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    route = models.ForeignKey(Route, on_delete=models.PROTECT, related_name="shifts")
    change_id = models.UUIDField(null=True, blank=True)
    asked = models.JSONField(default=dict)
    before = models.JSONField(default=dict)
    observed = models.JSONField(default=dict)
    version = models.CharField(max_length=64, blank=True)
    verification = models.CharField(max_length=16, blank=True)
    audit_id = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, default=ShiftState.ASKED.value)
    op_key = models.CharField(max_length=64, unique=True)
    asked_by = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("asked_at", "id")
        indexes = (
            models.Index(fields=("route", "asked_at"), name="shift_by_route"),
            models.Index(fields=("change_id",), name="shift_by_change"),
        )
        constraints = (
            models.CheckConstraint(
                name="shift_state_is_known", condition=Q(state__in=sorted(state.value for state in ShiftState))
            ),
            models.CheckConstraint(
                name="shift_confirmed_with_a_moment",
                condition=Q(confirmed_at=None) ^ Q(state=ShiftState.CONFIRMED.value),
            ),
        )

    def __str__(self) -> str:
        return f"{self.route_id} {self.asked}"

    @property
    def stream(self) -> str:
        """Return the audit stream that tells of it: its change's, or its route's when no change asked."""
        return f"change:{self.change_id}" if self.change_id else f"route:{self.route_id}"
