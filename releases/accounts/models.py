"""Tables of people, their accounts, teams and machines; who may do what follows from grants and scopes."""

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models

from releases.accounts.columns import one_of, slug_check
from releases.accounts.limits import Proof
from releases.accounts.roles import Role
from releases.accounts.rules import folded
from releases.core.ids import uuid7


class Person(models.Model):
    """One human being, whatever accounts they have; every rule about people speaks of this row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    email = models.EmailField(blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ("name", "id")
        constraints = (models.CheckConstraint(name="person_has_a_name", condition=~models.Q(name="")),)

    def __str__(self) -> str:
        return self.name

    @property
    def stream(self) -> str:
        """Return the audit stream of this person."""
        return f"person:{self.pk}"


class Accounts(BaseUserManager["User"]):
    """Finds accounts by user name, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the account with that user name."""
        return self.select_related("person").get(username=folded(username or ""))


class User(AbstractBaseUser):
    """One way for a person to sign in."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    username = models.CharField(max_length=64, unique=True)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="accounts")
    is_active = models.BooleanField(default=True)
    language = models.CharField(max_length=10, blank=True)

    objects = Accounts()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS = ["person"]

    class Meta:
        ordering = ("username",)
        constraints = (slug_check("username", name="user_username_is_plain", extra="-._@"),)

    def __str__(self) -> str:
        return self.username


class Team(models.Model):
    """People who own services together."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=120)
    members = models.ManyToManyField(Person, related_name="teams", blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (slug_check("name", name="team_name_is_a_slug"),)

    def __str__(self) -> str:
        return self.name

    @property
    def stream(self) -> str:
        """Return the audit stream of this team."""
        return f"team:{self.pk}"


class Grant(models.Model):
    """A role that a person holds now; the past of it is in the audit record."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=32)
    granted_by = models.CharField(max_length=120)
    granted_at = models.DateTimeField()
    # The issuer whose groups gave it and may take it again; empty when somebody here gave it.
    source = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("person", "role")
        constraints = (
            models.UniqueConstraint(fields=("person", "role"), name="grant_once"),
            one_of("role", Role, name="grant_role_is_known"),
        )

    def __str__(self) -> str:
        return f"{self.person_id} {self.role}"


class ApiClient(models.Model):
    """A machine that speaks to the API with a token, kept as a hash; ``owner`` answers for what it files."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="api_clients")
    issuer = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, blank=True, related_name="api_clients")
    prefix = models.CharField(max_length=12, unique=True)
    secret_hash = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name", "id")
        constraints = (
            models.CheckConstraint(
                name="api_client_ends_after_it_begins", condition=models.Q(expires_at__gt=models.F("issued_at"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    @property
    def stream(self) -> str:
        """Return the audit stream of this machine."""
        return f"machine:{self.pk}"


class Session(models.Model):
    """A browser in which somebody signed in and has not signed out: what the owner of the account sees and can end.

    ``key`` is a digest of what the browser holds, as in the table of Django: who reads a backup opens no session.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    key = models.CharField(max_length=40, unique=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    device = models.CharField(max_length=200, blank=True)
    methods = models.JSONField(default=list)
    began_at = models.DateTimeField()
    proved_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ("-seen_at", "id")

    def __str__(self) -> str:
        return f"{self.user_id} {self.device}"


class SignInAttempt(models.Model):
    """One try to prove who one is that did not succeed; who tried is kept as keyed digests, and forgotten soon."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    proof = models.CharField(max_length=16)
    # One digest for each counter this try counts in.
    address = models.CharField(max_length=32)
    pair = models.CharField(max_length=32)
    account = models.CharField(max_length=32)
    browser = models.CharField(max_length=32)
    at = models.DateTimeField()

    class Meta:
        ordering = ("at", "id")
        indexes = (
            models.Index(fields=("address", "at"), name="attempt_by_address"),
            models.Index(fields=("pair", "at"), name="attempt_by_pair"),
            models.Index(fields=("account", "at"), name="attempt_by_account"),
            models.Index(fields=("browser", "at"), name="attempt_by_browser"),
            models.Index(fields=("at",), name="attempt_by_age"),
        )
        constraints = (one_of("proof", Proof, name="attempt_proof_is_known"),)

    def __str__(self) -> str:
        return f"{self.proof} {self.at:%Y-%m-%d %H:%M:%S}"
