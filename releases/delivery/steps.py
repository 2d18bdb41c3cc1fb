"""The step that brings a deployment about: asked for with a permit, found again by its key, followed to its end."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind
from releases.core import clock
from releases.core.errors import Sentence
from releases.core.http import Door
from releases.core.words import mark as _
from releases.delivery import services
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.models import Deployment
from releases.delivery.ports import DeliveryProvider, Handle, Order, Sighting, Target
from releases.delivery.states import ENDS, State
from releases.operations.models import Step
from releases.operations.ports import Done, Ending, Failed, NeedsHuman, Outcome, Pending, StepView

LOOK_SECONDS = 2.0
SLOW_LOOK_SECONDS = 5.0
SLOW_AFTER_SECONDS = 60.0
PROVIDERS: Mapping[str, Callable[[Door], DeliveryProvider]] = {ConnectionKind.JENKINS.value: JenkinsDelivery}


@dataclass(frozen=True, slots=True)
class DeployStep:
    """The StepHandler of ``delivery.deploy``; ``permit_for`` gets a compact permit for a deployment from the gate."""

    permit_for: Callable[[Deployment], str]
    now: Callable[[], datetime] = clock.now

    def probe(self, step: StepView) -> str | None:
        """Search the CI system for the step's key.

        :raises Unreachable: no answer that can be trusted
        """
        deployment = _deployment(step)
        found = _provider(deployment, step).find(_target(deployment), step.op_key)
        if found.state is State.NOT_FOUND:
            return None
        self._record(step, found)
        return _ref(found.handle)

    def snapshot(self, step: StepView) -> Mapping[str, object]:
        """Return nothing: the way back is the change's plan, kept by value."""
        return {}

    def send(self, step: StepView) -> str:
        """Get a permit and start the job.

        :raises Unreachable: whether it started is not known
        :raises Rejected: it did not start
        :raises Refused: the gate gives no permit
        """
        deployment = _deployment(step)
        permit = self.permit_for(deployment)
        seen = _provider(deployment, step).start(Order(step.op_key, _target(deployment), permit))
        self._record(step, seen)
        return _ref(seen.handle)

    def observe(self, step: StepView) -> Outcome:
        """Look at the run, or pass on that it shall stop.

        :raises Unreachable: no answer that can be trusted
        """
        deployment = _deployment(step)
        handle = Handle.from_json(step.data.get("handle") or json.loads(step.remote_ref))
        provider = _provider(deployment, step)
        stops = deployment.stop_asked_at is not None and not handle.stop_asked
        seen = provider.stop(handle) if stops else provider.look(handle)
        self._record(step, seen)
        return self._outcome(deployment, seen)

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write how the deployment ended; while a human is asked it stays open."""
        if isinstance(outcome, NeedsHuman):
            return
        why = outcome.sentence if isinstance(outcome, Failed) else None
        state = State(str(outcome.seen.get("state", State.FAILED if why else State.SUCCEEDED)))
        services.end(deployment_id=UUID(step.desired["deployment"]), state=state, why=why, now=now)

    def _outcome(self, deployment: Deployment, seen: Sighting) -> Outcome:
        kept = {"handle": seen.handle.as_json(), "state": seen.state.value, "url": seen.url}
        if seen.state is State.SUCCEEDED:
            return Done(kept)
        if seen.state is State.LOST:
            return NeedsHuman(seen.why or Sentence(_("The run was lost. Look whether it deployed.")), kept)
        if seen.state in ENDS:
            return Failed(seen.why or Sentence(_("The job failed.")), kept)
        age = (self.now() - deployment.requested_at).total_seconds()
        return Pending(LOOK_SECONDS if age < SLOW_AFTER_SECONDS else SLOW_LOOK_SECONDS, kept)

    def _record(self, step: StepView, seen: Sighting) -> None:
        services.record(
            deployment_id=UUID(step.desired["deployment"]), op_key=step.op_key, sighting=seen, now=self.now()
        )


def call_off(*, operation_id: UUID, now: datetime) -> int:
    """Stop what an operation's deployments still do, close them, and return how many; safe to repeat.

    For operations that were stopped or superseded: nobody follows their steps any more. Speaks to the CI system, so
    it runs outside any transaction, and passes an open breaker.

    :raises Unreachable: no answer that can be trusted; call again
    :raises Rejected: the account may not stop it
    """
    count = 0
    for step in Step.objects.filter(operation_id=operation_id, kind=services.STEP_KIND):
        deployment = _rows().get(pk=UUID(step.desired["deployment"]))
        if deployment.ended_at is not None:
            continue
        provider = PROVIDERS[deployment.connection.kind](door_for(deployment.connection, urgent=True))
        state = _called_off(provider, deployment, step) if step.sent_at else State.SUPERSEDED
        why = Sentence(_("Its operation was stopped, so nobody follows it any more."))
        with transaction.atomic(durable=True):
            services.end(deployment_id=deployment.pk, state=state, why=why, now=now)
        count += 1
    return count


def _called_off(provider: DeliveryProvider, deployment: Deployment, step: Step) -> State:
    """Return how the order ended; one that was told to stop and still runs is no longer followed."""
    found = provider.find(_target(deployment), step.op_key)
    seen = found if found.state in ENDS else provider.stop(found.handle)
    return seen.state if seen.state in ENDS - {State.NOT_FOUND} else State.SUPERSEDED


def _rows() -> QuerySet[Deployment]:
    return Deployment.objects.select_related("connection", "service", "environment", "artifact")


def _deployment(step: StepView) -> Deployment:
    return _rows().get(pk=UUID(step.desired["deployment"]))


def _provider(deployment: Deployment, step: StepView) -> DeliveryProvider:
    return PROVIDERS[deployment.connection.kind](door_for(deployment.connection, urgent=step.urgent))


def _target(deployment: Deployment) -> Target:
    config = deployment.connection.config
    return Target(
        job=deployment.job,
        parameters=deployment.parameters,
        key_parameter=str(config.get("key_parameter", "GMUD_CORRELATION")),
        permit_parameter=str(config.get("permit_parameter", "GMUD_PERMIT")),
    )


def _ref(handle: Handle) -> str:
    """Return the handle as the step's remote reference: enough to look again, whoever looks."""
    return json.dumps(handle.as_json(), separators=(",", ":"))
