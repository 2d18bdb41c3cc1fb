"""The table of verdicts: what was found out about a version somewhere, and from which measures."""

from django.db import models
from django.db.models import Q

from releases.catalog.models import Environment, Service
from releases.core.ids import uuid7
from releases.health.states import Health


class Verdict(models.Model):
    """How a version was doing at the end of a step; ``measures`` are those it rests on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change_id = models.UUIDField()
    step_id = models.UUIDField(unique=True)
    name = models.CharField(max_length=120)
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="verdicts")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="verdicts")
    version = models.CharField(max_length=100)
    health = models.CharField(max_length=16)
    sentence = models.JSONField(default=dict)
    question = models.JSONField(default=dict)
    measures = models.JSONField(default=list)
    judged_at = models.DateTimeField()

    class Meta:
        ordering = ("judged_at", "id")
        indexes = (models.Index(fields=("change_id",), name="verdict_by_change"),)
        constraints = (
            models.CheckConstraint(
                name="verdict_health_is_known", condition=Q(health__in=sorted(health.value for health in Health))
            ),
        )

    def __str__(self) -> str:
        return f"{self.name}: {self.health}"

    @property
    def stream(self) -> str:
        """Return the audit stream that tells of it: its change's."""
        return f"change:{self.change_id}"
