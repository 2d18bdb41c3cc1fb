"""What the first steps are computed from: read from the tables at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from releases.accounts.models import ApiClient, Grant, Team, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role, roles_with
from releases.catalog.kinds import ConnectionKind, Light, Purpose
from releases.catalog.models import Binding, Connection, Environment, Route, Service
from releases.changes.models import ChangeRequest
from releases.committee import queries as committee
from releases.core import clock
from releases.core.ownfile import BadFile
from releases.gate import keys

MACHINE_NEEDS = frozenset({Right.GATE_ASK.value, Right.PERMIT_REDEEM.value})


@dataclass(frozen=True, slots=True)
class Way:
    """A connection: where it leads, and how its last test ended."""

    id: UUID
    name: str
    kind: ConnectionKind
    light: str


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the first change goes, and what is wired there so far."""

    service_id: UUID
    service: str
    environment_id: UUID
    environment: str
    bound: frozenset[Purpose] = frozenset()
    route_id: UUID | None = None
    is_traffic_read: bool = False

    @property
    def names(self) -> Mapping[str, str]:
        """Return what a sentence calls it."""
        return {"service": self.service, "environment": self.environment}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the steps are computed from, at one moment."""

    has_provider: bool
    is_guarded: bool
    has_team: bool
    filers: frozenset[UUID]
    deciders: frozenset[UUID]
    returners: frozenset[UUID]
    has_environment: bool
    has_service: bool
    ways: tuple[Way, ...]
    spot: Spot | None
    has_key: bool
    has_machine: bool
    has_policy: bool
    has_change: bool

    def way(self, *kinds: ConnectionKind) -> Way | None:
        """Return a connection to one of these systems: one that works, else the first there is."""
        found = [one for one in self.ways if one.kind in kinds]
        return next((one for one in found if one.light == Light.GO), found[0] if found else None)


def is_over() -> bool:
    """Say whether the last step is done, in one query."""
    return ChangeRequest.objects.filter(revision_number__gt=0).exists()


def look() -> Facts:
    """Read what the steps are computed from."""
    return Facts(
        has_provider=bool(settings.GMUD_OIDC_ISSUER and settings.GMUD_OIDC_CLIENT_ID),
        is_guarded=_is_an_owner_guarded(),
        has_team=Team.objects.exists(),
        filers=_who_may(Right.CHANGE_FILE),
        deciders=_who_may(Right.CHANGE_VOTE),
        returners=_who_may(Right.ROLLBACK_BEGIN),
        has_environment=Environment.objects.exists(),
        has_service=Service.objects.filter(retired_at=None).exists(),
        ways=tuple(
            Way(row.pk, row.name, ConnectionKind(row.kind), row.check_light)
            for row in Connection.objects.only("name", "kind", "check_light")
        ),
        spot=_spot(),
        has_key=_has_key(),
        has_machine=_has_machine(),
        has_policy=committee.current_policy() is not None,
        has_change=is_over(),
    )


def _is_an_owner_guarded() -> bool:
    """Say whether an owner signs in with more than a password: a second factor, or at the provider."""
    factors = Authenticator.objects.exclude(type=Authenticator.Type.RECOVERY_CODES).filter(user=OuterRef("pk"))
    linked = SocialAccount.objects.filter(user=OuterRef("pk"))
    living = User.objects.filter(is_active=True, person__is_active=True, person__grants__role=Role.OWNER)
    return living.filter(Q(Exists(factors)) | Q(Exists(linked))).exists()


def _who_may(right: Right) -> frozenset[UUID]:
    """Return who holds a right and can sign in."""
    held = Grant.objects.filter(role__in=roles_with(right), person__is_active=True, person__accounts__is_active=True)
    return frozenset(held.values_list("person_id", flat=True))


def _has_key() -> bool:
    """Say whether the gate can sign: without a key it denies everything."""
    try:
        return keys.signing(Path(settings.GMUD_KEYS)) is not None
    except BadFile:
        return False


def _has_machine() -> bool:
    living = ApiClient.objects.filter(revoked_at=None, expires_at__gt=clock.now(), owner__is_active=True)
    return any(set(scopes) >= MACHINE_NEEDS for scopes in living.values_list("scopes", flat=True))


def _spot() -> Spot | None:
    """Return where the first change goes: where a job deploys already, else the first service and environment."""
    wired = Binding.objects.filter(purpose=Purpose.DEPLOY.value, service__retired_at=None)
    first = wired.select_related("service", "environment").order_by("environment__rank", "service__name").first()
    service = first.service if first else Service.objects.filter(retired_at=None).first()
    environment = first.environment if first else Environment.objects.first()
    if service is None or environment is None:
        return None
    place = {"service": service, "environment": environment}
    route = Route.objects.select_related("reading").filter(**place).first()
    return Spot(
        service_id=service.pk,
        service=service.name,
        environment_id=environment.pk,
        environment=environment.name,
        bound=frozenset(Purpose(one) for one in Binding.objects.filter(**place).values_list("purpose", flat=True)),
        route_id=route.pk if route else None,
        is_traffic_read=hasattr(route, "reading"),
    )
