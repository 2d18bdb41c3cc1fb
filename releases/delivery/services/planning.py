"""Request a deployment, and make the steps that bring it about and verify it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.catalog.filling import filled, forward
from releases.catalog.kinds import Purpose
from releases.catalog.models import Artifact, Environment, Service
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment
from releases.delivery.services.telling import refused, tell
from releases.operations.models import Step
from releases.operations.ports import StepPlan

STEP_KIND = "delivery.deploy"
REPORT_STEP = "delivery.report"
VERIFY_STEP = "delivery.verify"


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
    is_reported: bool = False,
) -> Deployment:
    """Write down that an artifact is wanted on one side of an environment; :func:`step_for` makes the step of it.

    One that ``is_reported`` is begun by others and needs no job: :mod:`~releases.delivery.services.reporting`.

    Runs inside the caller's transaction. ``slot`` is the side as the job knows it ("stable", "canary"); ``intent`` is
    what the gate is asked for ("deploy", "rollback"). ``approved_job`` (connection, job, parameters, options) is run
    as it was approved, whatever the catalogue says now. ``parameters`` of the change go before those the job is bound
    with, and after those that say what to deploy where; only those of the binding have places that are filled in.

    :raises Refused: the service has no deploy job bound in this environment, the artifact is another service's, or a
        parameter of the change has a place in it
    """
    service = Service.objects.get(pk=service_id)
    environment = Environment.objects.get(pk=environment_id)
    artifact = Artifact.objects.get(pk=artifact_id)
    wanted = {} if is_reported else approved_job if approved_job is not None else job_of(service_id, environment_id)
    job = str(wanted.get("job", ""))
    if not job and not is_reported:
        raise refused(
            "no_deploy_job",
            Sentence(
                _("%(service)s has no deploy job in %(environment)s. Bind one in the catalogue."),
                {"service": service.name, "environment": environment.name},
            ),
        )
    if artifact.service_id != service.pk:
        raise refused(
            "artifact_mismatch",
            Sentence(_("The artifact belongs to another service than %(service)s."), {"service": service.name}),
        )
    if name := next((name for name, value in (parameters or {}).items() if "{{" in value), ""):
        text = _("The parameter %(name)s of the change has a place like {{ … }} in it: only a binding may have one.")
        raise refused("parameter_place", Sentence(text, {"name": name}))
    item = {
        "service": service.name,
        "environment": environment.name,
        "version": artifact.version,
        "digest": artifact.digest,
        "slot": slot,
    }
    deployment = Deployment.objects.create(
        change_id=change_id,
        item_id=item_id,
        service=service,
        environment=environment,
        artifact=artifact,
        connection_id=UUID(str(wanted["connection"])) if wanted else None,
        is_reported=is_reported,
        intent=intent,
        slot=slot,
        job=job,
        options=wanted.get("options", {}),
        parameters={
            **filled(wanted.get("parameters", {}), item),
            **(parameters or {}),
            **{name.upper(): value for name, value in item.items()},
        },
        requested_by=actor.name,
        requested_at=now,
    )
    tell(Kind.DEPLOYMENT_REQUESTED, deployment, actor)
    return deployment


def job_of(service_id: UUID, environment_id: UUID) -> dict[str, Any]:
    """Return what deploys a service there by the catalogue: connection, job, parameters; empty when nothing does."""
    binding = catalog.binding_for(service_id, environment_id, Purpose.DEPLOY)
    return {"connection": str(binding.connection.id), **forward(binding.settings)} if binding else {}


def step_for(deployment: Deployment, *, name: str = "deploy", stage: int = 1, **when: Any) -> StepPlan:
    """Return the step that brings a deployment about; ``when`` says whom it comes after, and what a failure stops.

    At one connection only so many are under way as its setting ``at_once`` says: one that does not answer keeps
    nobody busy who waits for another.
    """
    desired = {"deployment": str(deployment.pk), "digest": deployment.artifact.digest, "slot": deployment.slot}
    if (there := deployment.connection) is None:
        return StepPlan(name, REPORT_STEP, desired, stage=stage, repeatable=True, **when)
    return StepPlan(name, STEP_KIND, desired, stage=stage, connection=there.name, at_once=there.at_once, **when)


def followed_until(deployment: Deployment) -> datetime | None:
    """Return when the operation that brings a deployment about is over at the latest; ``None`` before it has one."""
    steps = Step.objects.filter(kind=STEP_KIND, desired__deployment=str(deployment.pk))
    return steps.values_list("operation__deadline_at", flat=True).first()


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
    there = deployment.connection.name if deployment.connection else ""
    return StepPlan(name, VERIFY_STEP, desired, stage=stage, connection=there, repeatable=True)
