"""How a step reaches what it is about: its deployment, the CI system, the job."""

from collections.abc import Callable, Mapping
from uuid import UUID

from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind
from releases.core.http import Door
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.models import Deployment
from releases.delivery.ports import DeliveryProvider, Target
from releases.operations.ports import StepView

LOOK_SECONDS = 2.0
SLOW_LOOK_SECONDS = 5.0
SLOW_AFTER_SECONDS = 60.0
PROVIDERS: Mapping[str, Callable[[Door], DeliveryProvider]] = {ConnectionKind.JENKINS.value: JenkinsDelivery}
Provide = Callable[[Deployment, StepView], DeliveryProvider]


def deployment_of(step: StepView) -> Deployment:
    """Return the deployment a step is about."""
    rows = Deployment.objects.select_related("connection", "service", "environment", "artifact")
    return rows.get(pk=UUID(step.desired["deployment"]))


def provider_of(deployment: Deployment, step: StepView) -> DeliveryProvider:
    """Return the CI system of a deployment; an urgent step passes an open breaker."""
    return PROVIDERS[deployment.connection.kind](door_for(deployment.connection, urgent=step.urgent))


def target_of(deployment: Deployment) -> Target:
    """Return the job of a deployment with its parameters."""
    config = deployment.connection.config
    return Target(
        job=deployment.job,
        parameters=deployment.parameters,
        key_parameter=str(config.get("key_parameter", "GMUD_CORRELATION")),
        permit_parameter=str(config.get("permit_parameter", "GMUD_PERMIT")),
    )
