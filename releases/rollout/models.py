"""The release of a change going forward: one row per start; its steps are the operation's."""

from django.db import models

from releases.changes.models import ChangeRequest
from releases.core.ids import uuid7


class Rollout(models.Model):
    """Which operation carries a change forward, and which one watches it; started by whom.

    ``advanced_move`` is the step of its pace whose pause somebody ended, ``put_back``
    the operation that put the routes of a step back that did not move whole.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change = models.OneToOneField(ChangeRequest, on_delete=models.PROTECT, related_name="rollout")
    operation = models.UUIDField()
    watch_operation = models.UUIDField(null=True)
    put_back = models.UUIDField(null=True)
    put_back_state = models.CharField(max_length=16, blank=True)
    started_by = models.CharField(max_length=120)
    started_at = models.DateTimeField()
    advanced_by = models.CharField(max_length=120, blank=True)
    advanced_at = models.DateTimeField(null=True)
    advanced_move = models.PositiveSmallIntegerField(null=True)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, blank=True)

    def __str__(self) -> str:
        return f"rollout of {self.change}"
