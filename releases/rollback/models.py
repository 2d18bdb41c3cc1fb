"""The rollback plan of a change carried out: one row per change, whatever it takes."""

from django.db import models

from releases.accounts.models import Person
from releases.changes.models import ChangeRequest
from releases.core.ids import uuid7


class Rollback(models.Model):
    """Which operation brings a change back now; begun by whom, and why."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change = models.OneToOneField(ChangeRequest, on_delete=models.PROTECT, related_name="rollback")
    operation = models.UUIDField()
    reason = models.CharField(max_length=500, blank=True)
    begun_by = models.CharField(max_length=120)
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, blank=True)

    def __str__(self) -> str:
        return f"rollback of {self.change}"


class Asked(models.Model):
    """Who asked last to go back while the record contradicts its witness: that takes a second person."""

    change = models.OneToOneField(ChangeRequest, on_delete=models.PROTECT, primary_key=True, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()

    class Meta:
        db_table = "releases_rollback_asked"

    def __str__(self) -> str:
        return f"{self.person} asks to go back with {self.change}"
