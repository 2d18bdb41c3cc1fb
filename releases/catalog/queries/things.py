"""Services, environments, artifacts and connections."""

from collections.abc import Iterable
from uuid import UUID

from releases.catalog.cards import ArtifactCard, ConnectionCard, EnvironmentCard, ServiceCard
from releases.catalog.kinds import ConnectionKind, EnvironmentKind
from releases.catalog.models import Artifact, Connection, Environment, Service
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _


def service_named(name: str) -> ServiceCard:
    """Return the service with that name.

    :raises Missing: there is none
    """
    row = Service.objects.select_related("team").filter(name=name).first()
    if row is None:
        raise no_service(name)
    return service_card(row)


def no_service(name: str) -> Missing:
    """Return the error of a name that no service has."""
    return Missing(Sentence(_("There is no service %(name)s in the catalogue."), {"name": name[:80]}))


def services_named(names: Iterable[str]) -> dict[str, ServiceCard]:
    """Return the services of these names that there are, by name."""
    rows = Service.objects.select_related("team").filter(name__in=set(names))
    return {row.name: service_card(row) for row in rows}


def services() -> list[ServiceCard]:
    """Return the services that were not retired, by name."""
    return [service_card(row) for row in Service.objects.select_related("team").filter(retired_at=None)]


def environment_named(name: str) -> EnvironmentCard:
    """Return the environment with that name.

    :raises Missing: there is none
    """
    row = Environment.objects.filter(name=name).first()
    if row is None:
        raise no_environment(name)
    return environment_card(row)


def no_environment(name: str) -> Missing:
    """Return the error of a name that no environment has."""
    return Missing(Sentence(_("There is no environment %(name)s in the catalogue."), {"name": name[:80]}))


def environments_named(names: Iterable[str]) -> dict[str, EnvironmentCard]:
    """Return the environments of these names that there are, by name."""
    return {row.name: environment_card(row) for row in Environment.objects.filter(name__in=set(names))}


def environments() -> list[EnvironmentCard]:
    """Return the environments on the way to production."""
    return [environment_card(row) for row in Environment.objects.all()]


def artifacts_by_digest(digests: Iterable[str]) -> dict[str, ArtifactCard]:
    """Return the artifact of each digest; of several services with the same one, the first that was registered."""
    rows = Artifact.objects.filter(digest__in=set(digests)).order_by("-registered_at", "-pk")
    return {row.digest: artifact_card(row) for row in rows}


def artifacts_of(service_id: UUID) -> list[ArtifactCard]:
    """Return the artifacts of a service, newest first."""
    return [artifact_card(row) for row in Artifact.objects.filter(service_id=service_id)]


def quarantined(digests: Iterable[str]) -> frozenset[str]:
    """Return those digests of which anything is in quarantine, whichever service it was registered for."""
    held = Artifact.objects.filter(digest__in=set(digests), quarantined_at__isnull=False, cleared_at=None)
    return frozenset(held.values_list("digest", flat=True))


def service_card(row: Service) -> ServiceCard:
    """Return the card of a row."""
    return ServiceCard(
        id=row.pk,
        name=row.name,
        title=row.title,
        team=row.team.name,
        tier=row.tier,
        criticality=row.criticality,
        data_classes=tuple(row.data_classes),
        description=row.description,
        retired_at=row.retired_at,
    )


def environment_card(row: Environment) -> EnvironmentCard:
    """Return the card of a row."""
    return EnvironmentCard(row.pk, row.name, EnvironmentKind(row.kind), row.rank)


def artifact_card(row: Artifact) -> ArtifactCard:
    """Return the card of a row."""
    return ArtifactCard(
        id=row.pk,
        service_id=row.service_id,
        version=row.version,
        image=row.image,
        digest=row.digest,
        is_quarantined=row.is_quarantined,
        quarantine_reason=row.quarantine_reason if row.is_quarantined else "",
        quarantined_at=row.quarantined_at if row.is_quarantined else None,
        quarantined_by=row.quarantined_by if row.is_quarantined else "",
    )


def connection_card(row: Connection) -> ConnectionCard:
    """Return the card of a row: nothing of the secret but its last four characters."""
    return ConnectionCard(
        id=row.pk,
        name=row.name,
        kind=ConnectionKind(row.kind),
        origin=row.origin,
        account=row.account,
        config=row.config,
        has_secret=row.secret_box is not None,
        secret_last4=row.secret_last4,
        config_digest=row.config_digest,
    )
