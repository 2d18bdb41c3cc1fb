"""Which adapter serves which connection, and how a deployment's job is called there."""

from collections.abc import Callable, Mapping
from typing import Any

from releases.catalog.doors import door_for
from releases.catalog.filling import carriers, filled
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.core.errors import Rejected, Sentence
from releases.core.http import Door
from releases.core.words import mark as _
from releases.delivery.jenkins import hints as jenkins_hints
from releases.delivery.jenkins import reading as jenkins
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.models import Deployment
from releases.delivery.ports import DeliveryProvider, Handle, Hint, Target
from releases.delivery.spinnaker import executions as spinnaker
from releases.delivery.spinnaker import hints as spinnaker_hints
from releases.delivery.spinnaker.adapter import SpinnakerDelivery

CARRIERS = ("key_parameter", "permit_parameter")
PROVIDERS: Mapping[ConnectionKind, Callable[[Door], DeliveryProvider]] = {
    ConnectionKind.JENKINS: JenkinsDelivery,
    ConnectionKind.SPINNAKER: SpinnakerDelivery,
}


HANDLES: Mapping[ConnectionKind, Callable[[str, str], Handle | None]] = {
    ConnectionKind.JENKINS: jenkins.handle_of,
    ConnectionKind.SPINNAKER: spinnaker.handle_of,
}


HINTS: Mapping[ConnectionKind, Callable[[dict[str, Any]], Hint]] = {
    ConnectionKind.JENKINS: jenkins_hints.read,
    ConnectionKind.SPINNAKER: spinnaker_hints.read,
}


def handle_of(connection: Connection, *, provider: str, run: str, job: str) -> Handle | None:
    """Return where a run is found that others began, by what it calls itself; ``None`` when it did not run there."""
    return HANDLES[ConnectionKind(connection.kind)](run, job) if provider == connection.kind else None


def provider_for(connection: Connection, *, urgent: bool = False) -> DeliveryProvider:
    """Return the adapter of a connection; ``urgent`` is for rollbacks, which pass an open breaker.

    :raises Refused: the connection's secret does not open
    :raises Missing: the connection is gone
    """
    return PROVIDERS[ConnectionKind(connection.kind)](door_for(connection, urgent=urgent))


def target_of(deployment: Deployment) -> Target:
    """Return the job of a deployment with its parameters."""
    return target(
        connection_of(deployment),
        deployment.job,
        parameters=deployment.parameters,
        options=deployment.options,
        since=deployment.requested_at,
    )


def connection_of(deployment: Deployment) -> Connection:
    """Return where a deployment can be looked at.

    :raises Rejected: its run was reported by others, from a system that is not connected
    """
    if deployment.connection is None:
        raise Rejected(Sentence(_("This run was only reported: no connection leads to where it ran.")))
    return deployment.connection


def target(connection: Connection, job: str, *, parameters: Mapping[str, str] | None = None, **more: Any) -> Target:
    """Return a job of a connection; which parameters carry key and permit they say, else the connection's settings."""
    found = carriers(parameters or {})
    said = {name: getattr(found, name) or str(connection.config.get(name, "")) for name in CARRIERS}
    more |= {name: value for name, value in said.items() if value}
    return Target(job, found.parameters, **more)


def target_of_way(connection: Connection, way: Mapping[str, Any], item: Mapping[str, str]) -> Target:
    """Return the job of one way of a binding as it would be ordered for an item."""
    given = {**filled(way.get("parameters", {}), item), **{name.upper(): value for name, value in item.items()}}
    return target(connection, str(way.get("job", "")), parameters=given, options=way.get("options", {}))
