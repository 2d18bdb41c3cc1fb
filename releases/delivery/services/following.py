"""Keep what one look at a run saw, and how it ended; have it looked at soon."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.core.errors import Sentence
from releases.delivery.models import Deployment
from releases.delivery.ports import Sighting
from releases.delivery.services.planning import REPORT_STEP, STEP_KIND
from releases.delivery.services.telling import locked, tell
from releases.delivery.states import ENDS, State
from releases.operations import services as operations
from releases.operations.models import Step
from releases.operations.states import OPEN


@transaction.atomic(durable=True)
def record(*, deployment_id: UUID, op_key: str, sighting: Sighting, now: datetime) -> Deployment:
    """Keep what one look saw, for the pages; an end is written by :func:`end` alone, and stays.

    :raises Missing: there is no such deployment
    """
    deployment = locked(deployment_id)
    if deployment.ended_at is not None:
        return deployment
    deployment.op_key = op_key if sighting.handle.key else None  # a run that others began carries none
    _keep(deployment, sighting, now)
    ran = sighting.handle.run != ""
    if sighting.state not in ENDS:
        deployment.state = sighting.state
    elif ran:
        deployment.state = State.RUNNING
    if ran and deployment.started_at is None:
        deployment.started_at = now
        tell(Kind.DEPLOYMENT_STARTED, deployment, system("worker"))
    deployment.save()
    return deployment


def end(*, deployment_id: UUID, state: State, why: Sentence | None, now: datetime) -> Deployment:
    """Write the end of a deployment and tell its change's story. Runs inside the caller's transaction.

    :raises Missing: there is no such deployment
    """
    deployment = locked(deployment_id)
    if deployment.ended_at is not None:
        return deployment
    deployment.state, deployment.ended_at, deployment.progress, deployment.left = state, now, None, None
    deployment.questions, deployment.acts = [], []
    deployment.why = {"text": why.text, "parts": dict(why.parts)} if why else {}
    deployment.save()
    tell(Kind.DEPLOYMENT_ENDED, deployment, system("worker"))
    return deployment


def look_soon(deployment_id: UUID, *, now: datetime, is_insisted: bool = False) -> None:
    """Have the run of a deployment looked at as soon as may be, inside the caller's transaction.

    A system that did not answer is left alone for as long as it asked for, unless a person insists.
    """
    steps = Step.objects.filter(
        kind__in=(STEP_KIND, REPORT_STEP), desired__deployment=str(deployment_id), state__in=OPEN
    )
    for step in steps.values_list("pk", flat=True):
        operations.look_soon(step_id=step, now=now, is_insisted=is_insisted)


def _keep(deployment: Deployment, sighting: Sighting, now: datetime) -> None:
    deployment.remote = sighting.handle.as_json()
    deployment.url = sighting.url or deployment.url
    deployment.stages = [stage.as_json() for stage in sighting.stages]
    deployment.progress, deployment.left = sighting.progress, sighting.left
    deployment.is_stuck = sighting.is_stuck
    if not deployment.is_reported:  # those are for others to steer
        deployment.questions = [question.as_json() for question in sighting.questions]
        deployment.acts = sorted(sighting.acts)
    deployment.why = {"text": sighting.why.text, "parts": dict(sighting.why.parts)} if sighting.why else {}
    deployment.seen_at = now
