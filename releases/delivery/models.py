"""The table of deployments: what was asked of a CI system, and what was last seen of it."""

from django.db import models
from django.db.models import Q

from releases.catalog.models import Artifact, Connection, Environment, Service
from releases.core.ids import uuid7
from releases.delivery.states import ANSWER, ENDS, Act, State


class Deployment(models.Model):
    """One artifact of one service, brought to one side (``slot``) of one environment by one job.

    ``op_key`` is the key the job carries; it is empty until the order is first sent. ``remote`` is the handle by which
    the run is found again. ``job``, ``parameters`` and ``options`` are kept by value: a later edit of the binding
    changes nothing. ``questions`` are those the run waits with, ``acts`` what may be asked of it, ``left`` how many
    seconds it probably still takes, by the last look.

    One that ``is_reported`` was begun by others: ``permit`` is what its ``run`` redeemed, ``said`` the end that it
    reported, and ``connection`` the system where that is read back, if one is known.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change_id = models.UUIDField()
    item_id = models.UUIDField(null=True)
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="deployments")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="deployments")
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="deployments")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, null=True, related_name="deployments")
    is_reported = models.BooleanField(default=False)
    permit = models.UUIDField(null=True, unique=True)
    run = models.CharField(max_length=300, blank=True)
    said = models.CharField(max_length=16, blank=True)
    said_at = models.DateTimeField(null=True)
    said_why = models.TextField(blank=True)
    intent = models.CharField(max_length=16, default="deploy")
    slot = models.CharField(max_length=63)
    job = models.CharField(max_length=250)
    parameters = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    op_key = models.CharField(max_length=64, unique=True, null=True)  # noqa: DJ001 - several rows have none yet
    state = models.CharField(max_length=32, default=State.REQUESTED)
    remote = models.JSONField(default=dict)
    url = models.CharField(max_length=500, blank=True)
    stages = models.JSONField(default=list)
    progress = models.FloatField(null=True)
    left = models.FloatField(null=True)
    why = models.JSONField(default=dict)
    is_stuck = models.BooleanField(default=False)
    questions = models.JSONField(default=list)
    acts = models.JSONField(default=list)
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
                name="deployment_is_ordered_somewhere_or_reported",
                condition=Q(connection__isnull=False) | Q(is_reported=True),
            ),
            models.CheckConstraint(
                name="deployment_reported_by_a_run_with_a_permit",
                condition=Q(permit=None, run="", said="") | Q(is_reported=True, permit__isnull=False) & ~Q(run=""),
            ),
            models.CheckConstraint(
                name="deployment_said_at_a_moment",
                condition=Q(said="", said_at=None) | ~Q(said="") & Q(said_at__isnull=False),
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


class Wish(models.Model):
    """What a person asks of the run of a deployment; the worker passes it on with its next look, an end first.

    ``act`` is one of :class:`~releases.delivery.states.Act`, or ``answer`` with the question that is answered and its
    ``text``, because the question is gone once it is answered.
    ``refusal`` is why the CI system would not.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="wishes")
    act = models.CharField(max_length=16)
    question = models.CharField(max_length=200, blank=True)
    text = models.TextField(blank=True)
    goes_on = models.BooleanField(default=False)
    values = models.JSONField(default=dict)
    note = models.TextField(blank=True)
    asked_by = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    passed_at = models.DateTimeField(null=True)
    refusal = models.JSONField(default=dict)

    class Meta:
        ordering = ("asked_at", "id")
        constraints = (
            models.CheckConstraint(
                name="wish_act_is_known", condition=Q(act__in=sorted([ANSWER, *(act.value for act in Act)]))
            ),
            models.CheckConstraint(name="wish_answers_a_question", condition=Q(act=ANSWER) ^ Q(question="")),
        )

    def __str__(self) -> str:
        return self.act
