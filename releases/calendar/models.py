"""Tables of when changes may go: windows and freezes (of a place, or for a customer), locks, and what is booked."""

from django.db import models
from django.db.models import F, Q

from releases.accounts.columns import one_of
from releases.calendar.kinds import WindowKind
from releases.catalog.models import Customer, Environment, Service
from releases.core.ids import uuid7


class Window(models.Model):
    """A span in which changes may go, or (a freeze) may not; in a whole environment or for one service there.

    A freeze may also be asked for by a customer, or for everybody of a segment: then it has no place of its own, and
    keeps out of production whatever hurts them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.PROTECT, null=True, blank=True, related_name="windows"
    )
    service = models.ForeignKey(Service, on_delete=models.PROTECT, null=True, blank=True, related_name="windows")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, null=True, blank=True, related_name="windows")
    segment = models.CharField(max_length=32, blank=True)
    kind = models.CharField(max_length=8)
    title = models.CharField(max_length=120)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_by = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ("starts_at", "id")
        constraints = (
            models.CheckConstraint(name="window_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))),
            one_of("kind", WindowKind, name="window_kind_is_known"),
            models.CheckConstraint(
                name="window_of_a_place_or_a_customer",
                condition=Q(environment__isnull=False, customer=None, segment="")
                | Q(environment=None, service=None, kind=WindowKind.FREEZE.value, customer__isnull=False, segment="")
                | (Q(environment=None, service=None, kind=WindowKind.FREEZE.value, customer=None) & ~Q(segment="")),
            ),
        )
        indexes = (models.Index(fields=("environment", "ends_at"), name="window_by_place"),)

    def __str__(self) -> str:
        return self.title

    @property
    def stream(self) -> str:
        """Return the audit stream of this window."""
        return f"window:{self.pk}"


class Lock(models.Model):
    """Stop the line, now: everywhere, in an environment, for a service, or for a service in an environment."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, null=True, blank=True, related_name="locks")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, null=True, blank=True, related_name="locks")
    reason = models.CharField(max_length=300)
    locked_by = models.CharField(max_length=120)
    locked_at = models.DateTimeField()
    until_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ("locked_at", "id")
        constraints = (
            models.CheckConstraint(name="lock_has_a_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="lock_ends_after_it_starts", condition=Q(until_at=None) | Q(until_at__gt=F("locked_at"))
            ),
        )

    def __str__(self) -> str:
        return self.reason

    @property
    def stream(self) -> str:
        """Return the audit stream of this lock."""
        return f"lock:{self.pk}"


class Booking(models.Model):
    """The span and the places that one change has taken; whoever booked first is ahead."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subject = models.UUIDField(unique=True)
    number = models.PositiveIntegerField()
    places = models.JSONField(default=list)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    booked_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("booked_at", "id")
        constraints = (
            models.CheckConstraint(name="booking_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))),
        )
        indexes = (models.Index(fields=("released_at", "ends_at"), name="booking_by_end"),)

    def __str__(self) -> str:
        return str(self.number)
