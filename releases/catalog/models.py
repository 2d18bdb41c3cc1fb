"""Tables of what exists and what is known of it; nothing here decides."""

from typing import Any

from django.db import models
from django.db.models import F, Q

from releases.accounts.columns import digest_check, one_of, slug_check
from releases.accounts.models import Person, Team
from releases.catalog import rules
from releases.catalog.kinds import ConnectionKind, DependencySource, EnvironmentKind, Light, Purpose
from releases.core import canonical
from releases.core.ids import uuid7


class Named(models.Model):
    """A row with an id of its own and an audit stream of its own."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        abstract = True

    @property
    def stream(self) -> str:
        """Return the audit stream of this row."""
        return f"catalog:{self.pk}"


class Service(Named):
    """Something that gets released; its id is what approvals bind to, its name is what people say."""

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=120)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="services")
    tier = models.CharField(max_length=32, blank=True)
    criticality = models.PositiveSmallIntegerField(default=2)
    data_classes = models.JSONField(default=list, blank=True)
    description = models.TextField(blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            slug_check("name", name="service_name_is_a_slug"),
            models.CheckConstraint(
                name="service_criticality_1_to_4", condition=Q(criticality__gte=1, criticality__lte=4)
            ),
        )

    def __str__(self) -> str:
        return self.name


class Environment(Named):
    """Where services run; a lower rank comes first on the way to production."""

    name = models.CharField(max_length=63, unique=True)
    kind = models.CharField(max_length=16)
    rank = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("rank", "name")
        constraints = (
            slug_check("name", name="environment_name_is_a_slug"),
            one_of("kind", EnvironmentKind, name="environment_kind_is_known"),
        )

    def __str__(self) -> str:
        return self.name


class Dependency(Named):
    """One service calls another, as one source says; a person may confirm it or deny it."""

    caller = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="calls")
    callee = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="called_by")
    source = models.CharField(max_length=16)
    detail = models.CharField(max_length=250, blank=True)
    confirmed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    denied_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    denied_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("caller__name", "callee__name", "source")
        verbose_name_plural = "dependencies"
        constraints = (
            models.UniqueConstraint(fields=("caller", "callee", "source"), name="dependency_once_per_source"),
            models.CheckConstraint(name="dependency_not_on_itself", condition=~Q(caller=F("callee"))),
            models.CheckConstraint(name="dependency_not_both", condition=Q(confirmed_at=None) | Q(denied_at=None)),
            one_of("source", DependencySource, name="dependency_source_is_known"),
        )

    def __str__(self) -> str:
        return f"{self.caller_id} → {self.callee_id} ({self.source})"


class Customer(Named):
    """Who is served by what, and how long before a change they must hear of it."""

    name = models.CharField(max_length=120)
    folded_name = models.CharField(max_length=120, unique=True, editable=False)
    segment = models.CharField(max_length=32)
    size = models.PositiveIntegerField(default=1)
    notice_hours = models.PositiveIntegerField(default=0)
    services = models.ManyToManyField(Service, related_name="customers", blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (slug_check("segment", name="customer_segment_is_a_slug"),)

    def __str__(self) -> str:
        return self.name


class Artifact(Named):
    """What is deployed, by its digest; the version is only what people call it."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="artifacts")
    version = models.CharField(max_length=100)
    image = models.CharField(max_length=250, blank=True)
    digest = models.CharField(max_length=71)
    registered_at = models.DateTimeField()
    quarantined_at = models.DateTimeField(null=True, blank=True)
    quarantined_by = models.CharField(max_length=120, blank=True)
    quarantine_reason = models.CharField(max_length=500, blank=True)
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.CharField(max_length=120, blank=True)
    cleared_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("service__name", "-registered_at")
        constraints = (
            models.UniqueConstraint(fields=("service", "digest"), name="artifact_once_per_service"),
            digest_check("digest", name="artifact_digest_is_sha256"),
            models.CheckConstraint(
                name="artifact_cleared_after_quarantine",
                condition=Q(cleared_at=None) | Q(quarantined_at__isnull=False),
            ),
        )
        indexes = (models.Index(fields=("digest",), name="artifact_by_digest"),)

    def __str__(self) -> str:
        return f"{self.version} {self.digest[:19]}"

    @property
    def stream(self) -> str:
        """Return the audit stream of this artifact."""
        return f"artifact:{self.pk}"

    @property
    def is_quarantined(self) -> bool:
        """Say whether the gate refuses it until a person clears it."""
        return self.quarantined_at is not None and self.cleared_at is None


class Connection(Named):
    """A way to an outside system; its secret is sealed together with the origin it may be sent to."""

    name = models.CharField(max_length=63, unique=True)
    kind = models.CharField(max_length=16)
    origin = models.CharField(max_length=250)
    config = models.JSONField(default=dict, blank=True)
    account = models.CharField(max_length=120, blank=True)
    secret_box = models.BinaryField(null=True, blank=True, editable=False)
    secret_version = models.PositiveIntegerField(default=0, editable=False)
    secret_last4 = models.CharField(max_length=4, blank=True, editable=False)
    hint_box = models.BinaryField(null=True, blank=True, editable=False)
    hint_version = models.PositiveIntegerField(default=0, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    check_light = models.CharField(max_length=4, blank=True, editable=False)
    check_version = models.CharField(max_length=64, blank=True, editable=False)
    check_lines = models.JSONField(default=list, blank=True, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (
            slug_check("name", name="connection_name_is_a_slug"),
            one_of("kind", ConnectionKind, name="connection_kind_is_known"),
            models.CheckConstraint(
                name="connection_checked_with_a_light",
                condition=Q(checked_at=None, check_light="")
                | Q(checked_at__isnull=False, check_light__in=[one.value for one in Light]),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def at_once(self) -> int:
        """Return how many deployments may be under way there at once, by its setting of that name."""
        return rules.at_once(self.config)

    @property
    def config_digest(self) -> str:
        """Return the digest of where it leads and as whom; not of the secret, its last day, or how much at once."""
        config = {name: said for name, said in self.config.items() if name not in {rules.EXPIRES_ON, rules.AT_ONCE}}
        meaning = {"account": self.account, "config": config, "kind": self.kind, "origin": self.origin}
        return canonical.digest({"id": str(self.pk), **meaning})


class Binding(Named):
    """What a service in an environment uses a connection for, and how."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="bindings")
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="bindings")
    purpose = models.CharField(max_length=16)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="bindings")
    settings = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("service__name", "environment__rank", "purpose")
        constraints = (
            models.UniqueConstraint(fields=("service", "environment", "purpose"), name="binding_once_per_purpose"),
            one_of("purpose", Purpose, name="binding_purpose_is_known"),
        )

    def __str__(self) -> str:
        return f"{self.service_id}/{self.environment_id} {self.purpose}"

    @property
    def config_digest(self) -> str:
        """Return the digest of the binding together with its connection's."""
        meaning: dict[str, Any] = {"purpose": self.purpose, "settings": self.settings}
        return canonical.digest({"id": str(self.pk), "connection": self.connection.config_digest, **meaning})


class Route(Named):
    """Where the traffic of a service is split: the object at the mesh, and its two targets.

    ``label`` tells several routes of one place apart; the only one needs none.
    """

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="routes")
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="routes")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="routes")
    locator = models.JSONField(default=dict)
    stable = models.CharField(max_length=63)
    canary = models.CharField(max_length=63)
    label = models.CharField(max_length=63, blank=True)

    class Meta:
        ordering = ("service__name", "environment__rank", "label")
        constraints = (
            models.UniqueConstraint(fields=("service", "environment", "label"), name="route_once_per_label"),
            models.CheckConstraint(name="route_two_targets", condition=~Q(stable=F("canary"))),
        )

    def __str__(self) -> str:
        return f"{self.service_id}/{self.environment_id} {self.stable}|{self.canary}"

    @property
    def config_digest(self) -> str:
        """Return the digest of the route together with its connection's."""
        meaning = {"locator": self.locator, "stable": self.stable, "canary": self.canary}
        return canonical.digest({"id": str(self.pk), "connection": self.connection.config_digest, **meaning})


class Reading(Named):
    """The last look at a route: weights by target, the object's version, its health when known."""

    route = models.OneToOneField(Route, on_delete=models.CASCADE, related_name="reading")
    weights = models.JSONField(default=dict)
    version = models.CharField(max_length=64, blank=True)
    healthy = models.BooleanField(null=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("route",)

    def __str__(self) -> str:
        return f"{self.route_id} {self.weights}"


class BudgetReading(Named):
    """The last look at an error budget: which share of it is left, 1 for all of it; at zero or below it is spent."""

    binding = models.OneToOneField(Binding, on_delete=models.CASCADE, related_name="budget")
    left = models.FloatField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("binding",)

    def __str__(self) -> str:
        return f"{self.binding_id} {self.left}"


class Running(Named):
    """What runs where, since when and by which change; one open row per service and environment."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="runs")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="runs")
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="runs")
    change_number = models.PositiveIntegerField(null=True, blank=True)
    since_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("service__name", "environment__rank", "-since_at")
        constraints = (
            models.UniqueConstraint(
                fields=("service", "environment"), condition=Q(ended_at=None), name="running_one_open"
            ),
            models.CheckConstraint(
                name="running_ends_after_it_begins", condition=Q(ended_at=None) | Q(ended_at__gte=F("since_at"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.service_id}/{self.environment_id} {self.artifact_id}"


class Incident(Named):
    """Something is wrong with a service somewhere, from when to when."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="incidents")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="incidents")
    title = models.CharField(max_length=200)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-opened_at",)
        constraints = (
            models.CheckConstraint(
                name="incident_ends_after_it_begins", condition=Q(closed_at=None) | Q(closed_at__gte=F("opened_at"))
            ),
        )

    def __str__(self) -> str:
        return self.title
