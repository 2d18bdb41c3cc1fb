"""Tables of the change request, its revisions, items, rollback plans and review."""

from uuid import UUID

from django.db import models
from django.db.models import F, Q

from releases.accounts.columns import digest_check
from releases.accounts.models import Person
from releases.catalog.kinds import Place
from releases.catalog.models import Artifact, Customer, Environment, Service
from releases.changes.states import EDITABLE, RUNNING, ChangeType, MigrationClass, Outcome, State
from releases.committee.models import Policy, Round
from releases.core.ids import uuid7
from releases.impact.models import Assessment

FIRST_NUMBER = 1001


def _choices(names: type[State] | type[ChangeType] | type[Outcome] | type[MigrationClass]) -> list[tuple[str, str]]:
    return [(name.value, name.value) for name in names]


class ChangeRequests(models.QuerySet["ChangeRequest"]):
    """Chainable questions about change requests."""

    def open(self) -> "ChangeRequests":
        """Keep those that may still be decided, released or watched."""
        return self.filter(state__in=[*EDITABLE, *RUNNING])

    def touching(self, *, service_id: UUID, environment_id: UUID) -> "ChangeRequests":
        """Keep those with an item in that place."""
        return self.filter(items__service_id=service_id, items__environment_id=environment_id).distinct()


class ChangeRequest(models.Model):
    """What an engineer files. Only this room's services write ``state``."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.PositiveIntegerField(unique=True)
    type = models.CharField(max_length=16, choices=_choices(ChangeType), default=ChangeType.NORMAL)
    state = models.CharField(max_length=16, choices=_choices(State), default=State.DRAFT)
    title = models.CharField(max_length=150, blank=True)
    why = models.TextField(blank=True)
    plan = models.TextField(blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    steps = models.JSONField(default=list, blank=True)
    test_evidence = models.JSONField(default=dict, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    requester = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="requested_changes")
    authors = models.ManyToManyField(Person, related_name="authored_changes")
    implementers = models.ManyToManyField(Person, related_name="implemented_changes", blank=True)
    committers = models.ManyToManyField(Person, related_name="committed_changes", blank=True)
    content_digest = models.CharField(max_length=71)
    revision_number = models.PositiveIntegerField(default=0)
    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    round = models.ForeignKey(Round, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    outcome = models.CharField(max_length=24, choices=_choices(Outcome), blank=True)
    is_on_hold = models.BooleanField(default=False)
    hold_reason = models.CharField(max_length=200, blank=True)
    watch_until_at = models.DateTimeField(null=True, blank=True)
    superseded_by = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    # Since when items and window are what they are; none in rows from before this was kept.
    told_from_at = models.DateTimeField(null=True, blank=True)

    objects = ChangeRequests.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(State)), name="change_state_is_known"),
            models.CheckConstraint(condition=Q(type__in=list(ChangeType)), name="change_type_is_known"),
            models.CheckConstraint(
                condition=Q(starts_at__isnull=True)
                | Q(ends_at__isnull=True)
                | Q(starts_at__lt=F("ends_at"))
                | Q(state=State.DRAFT),
                name="change_window_is_ordered",
            ),
        ]
        indexes = [models.Index(fields=["state", "number"], name="change_by_state")]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """Return what people call it: ``CHG-1042``."""
        return f"CHG-{self.number}"

    @property
    def stream(self) -> str:
        """Return the name of its audit stream."""
        return f"change:{self.pk}"


class Revision(models.Model):
    """The exact content that was submitted at one moment; votes and permits name its digest."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change = models.ForeignKey(ChangeRequest, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    content_digest = models.CharField(max_length=71)
    document = models.TextField()
    author = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["change", "number"], name="revision_number_is_unique")]
        indexes = [models.Index(fields=["change", "content_digest"], name="revision_by_digest")]

    def __str__(self) -> str:
        return f"{self.change} revision {self.number}"


class Item(models.Model):
    """One service in one environment gets one artifact."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveSmallIntegerField()
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="+")
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["change", "service", "environment"], name="item_place_is_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.artifact} in {self.environment}"

    @property
    def place(self) -> Place:
        """Return where it goes."""
        return self.service_id, self.environment_id


class RollbackPlan(models.Model):
    """The way back of one item, by value: what the committee approved is what will be done."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True, related_name="way_back")
    target_artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    traffic_snapshot = models.JSONField(default=dict, blank=True)
    job = models.JSONField(default=dict, blank=True)
    migration_class = models.CharField(max_length=16, choices=_choices(MigrationClass), default=MigrationClass.NONE)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(migration_class__in=list(MigrationClass)), name="migration_class_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item} back to {self.target_artifact}"


class CustomerNotice(models.Model):
    """That a customer was told of a change: by whom, when, and where that can be looked up. Only ever added.

    ``told_digest`` names what they were told: what goes where, and when (see :mod:`releases.changes.promises`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change = models.ForeignKey(ChangeRequest, on_delete=models.PROTECT, related_name="customer_notices")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="notices")
    told_digest = models.CharField(max_length=71)
    told_at = models.DateTimeField()
    told_by = models.CharField(max_length=120)
    evidence = models.CharField(max_length=300)
    recorded_by = models.CharField(max_length=120)
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ["told_at", "id"]
        constraints = [
            digest_check("told_digest", name="customer_notice_digest_is_sha256"),
            models.CheckConstraint(name="customer_notice_has_evidence", condition=~Q(evidence="")),
            models.CheckConstraint(
                name="customer_notice_told_before_recorded", condition=Q(told_at__lte=F("recorded_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.change} told to {self.customer}"


class Review(models.Model):
    """The post-implementation review: due from the moment it opens, written by a person."""

    change = models.OneToOneField(ChangeRequest, on_delete=models.CASCADE, primary_key=True, related_name="review")
    due_at = models.DateTimeField()
    outcome = models.CharField(max_length=24, choices=_choices(Outcome), blank=True)
    summary = models.TextField(blank=True)
    written_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    written_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"review of {self.change}"
