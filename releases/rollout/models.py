"""The release of a change going forward: one row per start; its steps are the operation's."""

from django.db import models

from releases.changes.models import ChangeRequest
from releases.core.ids import uuid7


class Rollout(models.Model):
    """Which operation carries a change forward, and which one watches it; started by whom."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change = models.OneToOneField(ChangeRequest, on_delete=models.PROTECT, related_name="rollout")
    operation = models.UUIDField()
    watch_operation = models.UUIDField(null=True)
    started_by = models.CharField(max_length=120)
    started_at = models.DateTimeField()
    advanced_by = models.CharField(max_length=120, blank=True)
    advanced_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, blank=True)

    def __str__(self) -> str:
        return f"rollout of {self.change}"
