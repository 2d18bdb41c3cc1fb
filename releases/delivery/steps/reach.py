"""How a step reaches what it is about: its deployment, and the CI system."""

from collections.abc import Callable
from uuid import UUID

from releases.delivery.models import Deployment
from releases.delivery.ports import DeliveryProvider
from releases.delivery.providers import connection_of, provider_for
from releases.operations.ports import StepView

LOOK_SECONDS = 2.0
Provide = Callable[[Deployment, StepView], DeliveryProvider]


def deployment_of(step: StepView) -> Deployment:
    """Return the deployment a step is about."""
    rows = Deployment.objects.select_related("connection", "service", "environment", "artifact")
    return rows.get(pk=UUID(step.desired["deployment"]))


def provider_of(deployment: Deployment, step: StepView) -> DeliveryProvider:
    """Return the CI system of a deployment; an urgent step passes an open breaker.

    :raises Rejected: it was only reported, from a system that is not connected
    """
    return provider_for(connection_of(deployment), urgent=step.urgent)
