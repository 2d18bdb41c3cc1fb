"""What can be done with deployments: request, record what was seen, end, ask to stop."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from releases.audit import services as audit
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.catalog.kinds import Purpose
from releases.catalog.models import Artifact, Environment, Service
from releases.core.errors import Missing, Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment
from releases.delivery.ports import Sighting
from releases.delivery.states import ENDS, State
from releases.operations import services as operations
from releases.operations.models import Operation, Step
from releases.operations.ports import StepPlan

STEP_KIND = "delivery.deploy"
VERIFY_STEP = "delivery.verify"
CALL_OFF = "call_off"
CALL_OFF_STEP = "delivery.call_off"
CALL_OFF_LASTS = timedelta(hours=1)
CALLED_OFF = Sentence(_("Its operation was stopped, so nobody follows it any more."))


def request(
    *,
    change_id: UUID,
    item_id: UUID | None,
    service_id: UUID,
    environment_id: UUID,
    artifact_id: UUID,
    slot: str,
    actor: Actor,
    now: datetime,
    intent: str = "deploy",
    approved_job: Mapping[str, Any] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Deployment:
    """Write down that an artifact is wanted on one side of an environment; :func:`step_for` makes the step of it.

    Runs inside the caller's transaction. ``slot`` is the side as the job knows it ("stable", "canary"); ``intent`` is
    what the gate is asked for ("deploy", "rollback"). ``approved_job`` (connection, job, parameters) is run as it was
    approved, whatever the catalogue says now. ``parameters`` of the change go before those the job is bound with, and
    after those that say what to deploy where.

    :raises Refused: the service has no deploy job bound in this environment, or the artifact is another service's
    """
    service = Service.objects.get(pk=service_id)
    environment = Environment.objects.get(pk=environment_id)
    artifact = Artifact.objects.get(pk=artifact_id)
    wanted = approved_job if approved_job is not None else job_of(service_id, environment_id)
    job = str(wanted.get("job", ""))
    if not job:
        raise _refused(
            "no_deploy_job",
            Sentence(
                _("%(service)s has no deploy job in %(environment)s. Bind one in the catalogue."),
                {"service": service.name, "environment": environment.name},
            ),
        )
    if artifact.service_id != service.pk:
        raise _refused(
            "artifact_mismatch",
            Sentence(_("The artifact belongs to another service than %(service)s."), {"service": service.name}),
        )
    fixed = wanted.get("parameters")
    deployment = Deployment.objects.create(
        change_id=change_id,
        item_id=item_id,
        service=service,
        environment=environment,
        artifact=artifact,
        connection_id=UUID(str(wanted["connection"])),
        intent=intent,
        slot=slot,
        job=job,
        parameters={
            **{str(name): str(value) for name, value in (fixed.items() if isinstance(fixed, Mapping) else ())},
            **(parameters or {}),
            "SERVICE": service.name,
            "ENVIRONMENT": environment.name,
            "VERSION": artifact.version,
            "DIGEST": artifact.digest,
            "SLOT": slot,
        },
        requested_by=actor.name,
        requested_at=now,
    )
    _tell(Kind.DEPLOYMENT_REQUESTED, deployment, actor)
    return deployment


def job_of(service_id: UUID, environment_id: UUID) -> dict[str, Any]:
    """Return what deploys a service there by the catalogue: connection, job, parameters; empty when nothing does."""
    binding = catalog.binding_for(service_id, environment_id, Purpose.DEPLOY)
    return {"connection": str(binding.connection.id), **binding.settings} if binding else {}


def step_for(deployment: Deployment, *, name: str = "deploy", stage: int = 1) -> StepPlan:
    """Return the step that brings a deployment about."""
    desired = {"deployment": str(deployment.pk), "digest": deployment.artifact.digest, "slot": deployment.slot}
    return StepPlan(name, STEP_KIND, desired, stage=stage, connection=deployment.connection.name)


def verification_of(
    deployment: Deployment, *, leaving: Sequence[str], live: str, name: str = "verify version", stage: int = 1
) -> StepPlan:
    """Return the step that verifies that a deployment's artifact runs, once the deployment has ended.

    ``leaving`` are digests that the catalogue may still name: it is written when everything is verified. ``live`` is
    the side customers are on, empty where there is one side only.
    """
    desired = {
        "deployment": str(deployment.pk),
        "version": deployment.artifact.version,
        "digest": deployment.artifact.digest,
        "leaving": list(leaving),
        "live": live,
    }
    return StepPlan(name, VERIFY_STEP, desired, stage=stage, connection=deployment.connection.name, repeatable=True)


@transaction.atomic(durable=True)
def record(*, deployment_id: UUID, op_key: str, sighting: Sighting, now: datetime) -> Deployment:
    """Keep what one look saw, for the pages; an end is written by :func:`end` alone, and stays.

    :raises Missing: there is no such deployment
    """
    deployment = _locked(deployment_id)
    if deployment.ended_at is not None:
        return deployment
    deployment.op_key = op_key
    _keep(deployment, sighting, now)
    ran = sighting.handle.build_number is not None
    if sighting.state not in ENDS:
        deployment.state = sighting.state
    elif ran:
        deployment.state = State.RUNNING
    if ran and deployment.started_at is None:
        deployment.started_at = now
        _tell(Kind.DEPLOYMENT_STARTED, deployment, system("worker"))
    deployment.save()
    return deployment


def end(*, deployment_id: UUID, state: State, why: Sentence | None, now: datetime) -> Deployment:
    """Write the end of a deployment and tell its change's story. Runs inside the caller's transaction.

    :raises Missing: there is no such deployment
    """
    deployment = _locked(deployment_id)
    if deployment.ended_at is not None:
        return deployment
    deployment.state, deployment.ended_at, deployment.progress = state, now, None
    deployment.why = {"text": why.text, "parts": dict(why.parts)} if why else {}
    deployment.save()
    _tell(Kind.DEPLOYMENT_ENDED, deployment, system("worker"))
    return deployment


@transaction.atomic(durable=True)
def stop(*, deployment_id: UUID, actor: Actor, now: datetime) -> Deployment:
    """Ask that a deployment be stopped; the worker passes that on with its next look.

    :raises Missing: there is no such deployment
    :raises Refused: it has ended
    """
    deployment = _locked(deployment_id)
    if deployment.ended_at is not None:
        raise _refused("already_ended", Sentence(_("This deployment has ended; there is nothing left to stop.")))
    if deployment.stop_asked_at is None:
        deployment.stop_asked_at, deployment.stop_asked_by = now, actor.name
        deployment.save(update_fields=("stop_asked_at", "stop_asked_by"))
        _tell(Kind.DEPLOYMENT_STOP_ASKED, deployment, actor)
    return deployment


@transaction.atomic(durable=True)
def call_off(*, operation_id: UUID, now: datetime) -> Operation | None:
    """Begin to stop what an operation's deployments still do at the CI system; safe to repeat.

    For operations that ended before their steps did: nobody follows those any more. What was never sent is closed at
    once. The work lasts as long as the ended operation could have, an hour at least; then a human is asked.
    """
    steps = Step.objects.select_related("operation").filter(operation_id=operation_id, kind=STEP_KIND)
    left = [step for step in steps if not _is_closed(step)]
    sent = [step for step in left if step.sent_at is not None]
    for step in left:
        if step.sent_at is None:
            end(deployment_id=UUID(step.desired["deployment"]), state=State.SUPERSEDED, why=CALLED_OFF, now=now)
    if not sent:
        return None
    return operations.begin(
        kind=CALL_OFF,
        target=f"operation:{operation_id}",
        subject=sent[0].operation.subject,
        steps=[_stop_of(step) for step in sent],
        actor=system("delivery"),
        deadline=max(sent[0].operation.deadline_at, now + CALL_OFF_LASTS),
        key=f"{CALL_OFF}:{operation_id}",
        now=now,
    )


def _is_closed(step: Step) -> bool:
    return Deployment.objects.filter(pk=UUID(step.desired["deployment"]), ended_at__isnull=False).exists()


def _stop_of(step: Step) -> StepPlan:
    """Return the step that stops what this one ordered, once its call has certainly arrived or died."""
    certain_at = (step.sent_at or step.operation.begun_at) + timedelta(seconds=settings.GMUD_LEASE_SECONDS)
    desired = {
        "deployment": step.desired["deployment"],
        "op_key": step.op_key,
        "certain_at": certain_at.isoformat(),
    }
    name = step.name.replace("deploy ", "call off ", 1)
    return StepPlan(name, CALL_OFF_STEP, desired, connection=step.connection, repeatable=True)


def _locked(deployment_id: UUID) -> Deployment:
    """Return the row, held against a second worker whose lease ran out and who still records."""
    row = Deployment.objects.select_for_update().filter(pk=deployment_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such deployment.")))
    return row


def _keep(deployment: Deployment, sighting: Sighting, now: datetime) -> None:
    deployment.remote = sighting.handle.as_json()
    deployment.url = sighting.url or deployment.url
    deployment.stages = [stage.as_json() for stage in sighting.stages]
    deployment.progress = sighting.progress
    deployment.is_stuck = sighting.is_stuck
    deployment.why = {"text": sighting.why.text, "parts": dict(sighting.why.parts)} if sighting.why else {}
    deployment.seen_at = now


def _tell(kind: Kind, deployment: Deployment, actor: Actor) -> None:
    """Record an event in the change's story; ``deployment_state`` is not the change's own state."""
    data = {
        "deployment": str(deployment.pk),
        "deployment_state": str(deployment.state),
        "service": deployment.service.name,
        "environment": deployment.environment.name,
        "version": deployment.artifact.version,
        "digest": deployment.artifact.digest,
        "slot": deployment.slot,
        "intent": deployment.intent,
        "job": deployment.job,
        "url": deployment.url,
    }
    audit.record(stream=deployment.stream, kind=kind, actor=actor, data=data)


def _refused(code: str, sentence: Sentence) -> Refused:
    return Refused(sentence, reasons=[Reason(code, sentence)])
