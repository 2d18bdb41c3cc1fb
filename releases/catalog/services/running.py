"""What runs where, and what is wrong there."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.rules import one_line
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog.models import Artifact, Environment, Incident, Running, Service
from releases.catalog.services.rows import found, invalid
from releases.core.errors import Sentence
from releases.core.words import mark as _


def note_running(
    *,
    actor: Actor,
    service_id: UUID,
    environment_id: UUID,
    artifact_id: UUID,
    change_number: int | None = None,
    now: datetime,
) -> Running:
    """Write down what runs from now on; it ends what ran before. The same again changes nothing.

    May be called inside the caller's transaction; asks for no right, the room above did.

    :raises Invalid: the artifact belongs to another service
    :raises Missing: there is no such service, environment or artifact
    """
    with transaction.atomic():
        service = found(Service, service_id, lock=True)  # two notes at once wait for each other here
        environment, artifact = found(Environment, environment_id), found(Artifact, artifact_id)
        if artifact.service_id != service.pk:
            raise invalid("artifact", Sentence(_("This artifact belongs to another service.")))
        before = Running.objects.filter(service=service, environment=environment, ended_at=None).first()
        since = now
        if before is not None:
            if before.artifact_id == artifact.pk and change_number in {None, before.change_number}:
                return before
            since = max(now, before.since_at)  # a clock that went back must not end a run before it began
            before.ended_at = since
            before.save(update_fields=("ended_at",))
        row = Running.objects.create(
            service=service,
            environment=environment,
            artifact=artifact,
            change_number=change_number,
            since_at=since,
        )
        data = {
            "service": service.name,
            "environment": environment.name,
            "version": artifact.version,
            "digest": artifact.digest,
            "before": before.artifact.digest if before else None,
            "change_number": change_number,
        }
        audit.record(stream=service.stream, kind=Kind.RUNNING_NOTED, actor=actor, data=data)
        return row


def open_incident(*, actor: Actor, service_id: UUID, environment_id: UUID, title: str, now: datetime) -> Incident:
    """Say that something is wrong with a service somewhere.

    :raises NotPermitted: the actor may neither release, roll back nor edit the catalogue
    :raises Invalid: no title
    :raises Missing: there is no such service or environment
    """
    require(actor, Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN, Right.CATALOG_EDIT)
    title = one_line(title)
    if not title:
        raise invalid("title", Sentence(_("Say in a few words what is wrong.")))
    with transaction.atomic(durable=True):
        row = Incident.objects.create(
            service=found(Service, service_id),
            environment=found(Environment, environment_id),
            title=title[:200],
            opened_at=now,
        )
        _tell(row, Kind.INCIDENT_OPENED, actor)
        return row


def close_incident(*, actor: Actor, incident_id: UUID, now: datetime) -> Incident:
    """Say that it is over; twice changes nothing.

    :raises NotPermitted: the actor may neither release, roll back nor edit the catalogue
    :raises Missing: there is no such incident
    """
    require(actor, Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN, Right.CATALOG_EDIT)
    with transaction.atomic(durable=True):
        row = found(Incident, incident_id, lock=True)
        if row.closed_at is None:
            row.closed_at = max(now, row.opened_at)
            row.save(update_fields=("closed_at",))
            _tell(row, Kind.INCIDENT_CLOSED, actor)
        return row


def _tell(row: Incident, kind: Kind, actor: Actor) -> None:
    data = {
        "incident": str(row.pk),
        "service": row.service.name,
        "environment": row.environment.name,
        "title": row.title,
    }
    audit.record(stream=row.stream, kind=kind, actor=actor, data=data)
