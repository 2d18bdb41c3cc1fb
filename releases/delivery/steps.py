"""The step that brings a deployment about: asked for with a permit, found again by its key, followed to its end."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

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


@dataclass(frozen=True, slots=True)
class CallOffStep:
    """The StepHandler of ``delivery.call_off``: what a stopped or superseded operation ordered is stopped and followed.

    A CI system that does not answer is asked again, less and less often, until the deadline.
    """

    now: Callable[[], datetime] = clock.now

    def probe(self, step: StepView) -> str | None:
        """Return nothing: asking a second time changes nothing."""
        return None

    def snapshot(self, step: StepView) -> Mapping[str, object]:
        """Return nothing: there is nothing to go back to."""
        return {}

    def send(self, step: StepView) -> str:
        """Ask nothing yet: what is to be stopped is looked for first, each time."""
        return f"call off {step.desired['op_key']}"

    def observe(self, step: StepView) -> Outcome:
        """Find the run and stop it, or see whether it has ended since.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: the account may not stop it
        """
        deployment = _deployment(step)
        if deployment.ended_at is not None:
            return Done()
        provider = _provider(deployment, step)
        if asked := step.data.get("handle"):
            seen = provider.look(Handle.from_json(asked))
        else:
            seen = provider.find(_target(deployment), step.desired["op_key"])
            if seen.state is State.NOT_FOUND and self.now() < datetime.fromisoformat(step.desired["certain_at"]):
                return Pending(LOOK_SECONDS)  # the call that orders it may still be under way
            seen = seen if seen.state in ENDS else provider.stop(seen.handle)
        self._record(deployment, step, seen)
        kept = {"handle": seen.handle.as_json(), "state": seen.state.value}
        return Done(kept) if seen.state in ENDS else Pending(LOOK_SECONDS, kept)

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Close the deployment; while a human is asked it stays open."""
        if not isinstance(outcome, Done):
            return
        seen = State(str(outcome.seen.get("state", State.SUPERSEDED)))
        state = State.SUPERSEDED if seen is State.NOT_FOUND else seen
        services.end(deployment_id=UUID(step.desired["deployment"]), state=state, why=services.CALLED_OFF, now=now)

    def _record(self, deployment: Deployment, step: StepView, seen: Sighting) -> None:
        services.record(deployment_id=deployment.pk, op_key=step.desired["op_key"], sighting=seen, now=self.now())


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
