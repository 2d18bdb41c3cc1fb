"""The step that brings a deployment about: asked for with a permit, found again by its key, followed to its end."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from releases.core import clock
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery import services
from releases.delivery.models import Deployment
from releases.delivery.ports import Handle, Order, Sighting
from releases.delivery.states import ENDS, State
from releases.delivery.steps import reach
from releases.operations.ports import Done, Ending, Failed, NeedsHuman, Outcome, Pending, StepView


@dataclass(frozen=True, slots=True)
class DeployStep:
    """The StepHandler of ``delivery.deploy``; ``permit_for`` gets a compact permit for a deployment from the gate."""

    permit_for: Callable[[Deployment], str]
    now: Callable[[], datetime] = clock.now
    provide: reach.Provide = reach.provider_of

    def probe(self, step: StepView) -> str | None:
        """Search the CI system for the step's key.

        :raises Unreachable: no answer that can be trusted
        """
        deployment = reach.deployment_of(step)
        found = self.provide(deployment, step).find(reach.target_of(deployment), step.op_key)
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
        deployment = reach.deployment_of(step)
        permit = self.permit_for(deployment)
        seen = self.provide(deployment, step).start(Order(step.op_key, reach.target_of(deployment), permit))
        self._record(step, seen)
        return _ref(seen.handle)

    def observe(self, step: StepView) -> Outcome:
        """Look at the run, or pass on that it shall stop.

        :raises Unreachable: no answer that can be trusted
        """
        deployment = reach.deployment_of(step)
        handle = Handle.from_json(step.data.get("handle") or json.loads(step.remote_ref))
        provider = self.provide(deployment, step)
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
        return Pending(reach.LOOK_SECONDS if age < reach.SLOW_AFTER_SECONDS else reach.SLOW_LOOK_SECONDS, kept)

    def _record(self, step: StepView, seen: Sighting) -> None:
        services.record(
            deployment_id=UUID(step.desired["deployment"]), op_key=step.op_key, sighting=seen, now=self.now()
        )


def _ref(handle: Handle) -> str:
    """Return the handle as the step's remote reference: enough to look again, whoever looks."""
    return json.dumps(handle.as_json(), separators=(",", ":"))
