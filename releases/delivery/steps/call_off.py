"""The step that stops what an ended operation left running, and follows it to its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from releases.core import clock
from releases.delivery import services
from releases.delivery.models import Deployment
from releases.delivery.ports import Handle, Sighting
from releases.delivery.providers import target_of
from releases.delivery.states import ENDS, Act, State
from releases.delivery.steps import reach
from releases.operations.ports import Done, Ending, Outcome, Pending, StepView


@dataclass(frozen=True, slots=True)
class CallOffStep:
    """The StepHandler of ``delivery.call_off``: what a stopped or superseded operation ordered is stopped and followed.

    A CI system that does not answer is asked again, less and less often, until the deadline.
    """

    now: Callable[[], datetime] = clock.now
    provide: reach.Provide = reach.provider_of

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
        deployment = reach.deployment_of(step)
        if deployment.ended_at is not None:
            return Done()
        provider = self.provide(deployment, step)
        if asked := step.data.get("handle"):
            seen = provider.look(Handle.from_json(asked))
        else:
            seen = provider.find(target_of(deployment), step.desired["op_key"])
            if seen.state is State.NOT_FOUND and self.now() < datetime.fromisoformat(step.desired["certain_at"]):
                return Pending(reach.LOOK_SECONDS)  # the call that orders it may still be under way
            seen = seen if seen.state in ENDS else provider.act(seen.handle, Act.STOP)
        self._record(deployment, step, seen)
        kept = {"handle": seen.handle.as_json(), "state": seen.state.value}
        return Done(kept) if seen.state in ENDS else Pending(reach.LOOK_SECONDS, kept)

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Close the deployment; while a human is asked it stays open."""
        if not isinstance(outcome, Done):
            return
        seen = State(str(outcome.seen.get("state", State.SUPERSEDED)))
        state = State.SUPERSEDED if seen is State.NOT_FOUND else seen
        services.end(deployment_id=UUID(step.desired["deployment"]), state=state, why=services.CALLED_OFF, now=now)

    def _record(self, deployment: Deployment, step: StepView, seen: Sighting) -> None:
        services.record(deployment_id=deployment.pk, op_key=step.desired["op_key"], sighting=seen, now=self.now())
