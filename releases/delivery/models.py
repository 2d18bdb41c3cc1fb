"""The table of deployments: what was asked of a CI system, and what was last seen of it."""

from django.db import models
from django.db.models import Q

from releases.catalog.models import Artifact, Connection, Environment, Service
from releases.core.ids import uuid7
from releases.delivery.states import ENDS, State


class Deployment(models.Model):
    """One artifact of one service, brought to one side (``slot``) of one environment by one job.

    ``op_key`` is the key the job carries; it is empty until the order is first sent. ``remote`` is the handle by which
    the run is found again. ``job`` and ``parameters`` are kept by value: a later edit of the binding changes nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change_id = models.UUIDField()
    item_id = models.UUIDField(null=True)
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="deployments")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="deployments")
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="deployments")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="deployments")
    intent = models.CharField(max_length=16, default="deploy")
    slot = models.CharField(max_length=63)
    job = models.CharField(max_length=250)
    parameters = models.JSONField(default=dict)
    op_key = models.CharField(max_length=64, unique=True, null=True)  # noqa: DJ001 - several rows have none yet
    state = models.CharField(max_length=32, default=State.REQUESTED)
    remote = models.JSONField(default=dict)
    url = models.CharField(max_length=500, blank=True)
    stages = models.JSONField(default=list)
    progress = models.FloatField(null=True)
    why = models.JSONField(default=dict)
    is_stuck = models.BooleanField(default=False)
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    stop_asked_by = models.CharField(max_length=200, blank=True)
    stop_asked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("requested_at", "id")
        indexes = (models.Index(fields=("change_id",), name="deployment_by_change"),)
        constraints = (
            models.CheckConstraint(
                name="deployment_state_is_known", condition=Q(state__in=sorted(state.value for state in State))
            ),
            models.CheckConstraint(
                name="deployment_ended_with_its_state",
                condition=Q(ended_at=None) ^ Q(state__in=sorted(state.value for state in ENDS)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.job} {self.state}"

    @property
    def stream(self) -> str:
        """Return the audit stream that tells of it: its change's."""
        return f"change:{self.change_id}"
