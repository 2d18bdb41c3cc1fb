"""Deployments as pages show them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment
from releases.delivery.ports import StageView
from releases.delivery.states import ENDS, State


@dataclass(frozen=True, slots=True)
class DeploymentCard:
    """A deployment; ``progress`` is 0–0.99 or ``None`` when nobody can tell, ``age`` the time since the last look."""

    id: UUID
    change_id: UUID
    item_id: UUID | None
    service: str
    environment: str
    version: str
    digest: str
    intent: str
    slot: str
    job: str
    url: str
    state: State
    stages: tuple[StageView, ...]
    progress: float | None
    why: Sentence | None
    is_stuck: bool
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stop_asked_by: str
    seen_at: datetime | None
    age: timedelta | None

    @property
    def has_ended(self) -> bool:
        """Say whether nothing more will happen."""
        return self.state in ENDS


def deployment(deployment_id: UUID, *, now: datetime) -> DeploymentCard:
    """Return one deployment.

    :raises Missing: there is none
    """
    row = _rows().filter(pk=deployment_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such deployment.")))
    return _card(row, now)


def deployments_of(change_id: UUID, *, now: datetime) -> list[DeploymentCard]:
    """Return the deployments of a change, oldest first."""
    return [_card(row, now) for row in _rows().filter(change_id=change_id)]


def _rows() -> QuerySet[Deployment]:
    return Deployment.objects.select_related("service", "environment", "artifact")


def _card(row: Deployment, now: datetime) -> DeploymentCard:
    return DeploymentCard(
        id=row.pk,
        change_id=row.change_id,
        item_id=row.item_id,
        service=row.service.name,
        environment=row.environment.name,
        version=row.artifact.version,
        digest=row.artifact.digest,
        intent=row.intent,
        slot=row.slot,
        job=row.job,
        url=row.url,
        state=State(row.state),
        stages=tuple(StageView(one["name"], State(one["state"]), one["seconds"]) for one in row.stages),
        progress=row.progress,
        why=Sentence(row.why["text"], row.why["parts"]) if row.why else None,
        is_stuck=row.is_stuck,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        stop_asked_by=row.stop_asked_by,
        seen_at=row.seen_at,
        age=now - row.seen_at if row.seen_at else None,
    )
