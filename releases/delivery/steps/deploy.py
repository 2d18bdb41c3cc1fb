"""The step that brings a deployment about: asked for with a permit, found again by its key, followed to its end."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from releases.core import clock
from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.delivery import services
from releases.delivery.models import Deployment
from releases.delivery.ports import Answer, DeliveryProvider, Handle, Order, Sighting
from releases.delivery.providers import target_of
from releases.delivery.rules import LATER, look_after
from releases.delivery.states import ANSWER, ENDS, Act, State
from releases.delivery.steps import reach
from releases.operations.ports import Done, Ending, Failed, NeedsHuman, Outcome, Pending, StepView
from releases.operations.services.journal import lease

SHOWN_WITHIN = timedelta(seconds=60)  # spinnaker/spinnaker#6409, #6990: 404 for what was begun just now
FIRST = (Act.KILL, Act.TERMINATE, Act.STOP)
_log = structlog.get_logger(__name__)


class Following:
    """What the handlers of steps share that follow a run to its end, and pass on what people ask of it."""

    __slots__ = ()
    now: Callable[[], datetime]
    provide: reach.Provide

    def observe(self, step: StepView) -> Outcome:
        """Look at the run, after passing on what a person asks of it.

        :raises Unreachable: no answer that can be trusted
        """
        deployment = reach.deployment_of(step)
        handle = Handle.from_json(step.data.get("handle") or json.loads(step.remote_ref))
        provider = self.provide(deployment, step)
        seen = self._pass_on(provider, deployment, _steered(handle, deployment))
        if seen is None:
            deployment.refresh_from_db(fields=["stop_asked_at"])  # a stop that was refused is none
            seen = provider.look(_steered(handle, deployment))
        if seen.state is State.LOST and self._is_new(step):
            return Pending(LATER)
        self._record(step, seen)
        return self._outcome(deployment, seen)

    def _pass_on(self, provider: DeliveryProvider, deployment: Deployment, handle: Handle) -> Sighting | None:
        """Pass on a wish, and return what came of it; ``None`` without one, or when it did not get through.

        To end a run goes before all else, the hardest way first; then the oldest. What did not arrive stays, and the
        run is looked at all the same.
        """
        waiting = deployment.wishes.filter(passed_at=None)
        wish = min(waiting, key=lambda one: FIRST.index(one.act) if one.act in FIRST else len(FIRST), default=None)
        if wish is None:
            return None
        said = Answer(wish.question, goes_on=wish.goes_on, values=wish.values, note=f"{wish.asked_by}: {wish.note}")
        try:
            seen = provider.answer(handle, said) if wish.act == ANSWER else provider.act(handle, Act(wish.act))
        except Rejected as no:
            services.passed_on(wish_id=wish.pk, refusal=no.detail, now=self.now())
            return None
        except Unreachable as error:
            _log.warning("wish_not_passed_on", deployment=str(deployment.pk), act=wish.act, why=str(error))
            return None
        services.passed_on(wish_id=wish.pk, refusal=None, now=self.now())
        return seen

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write how the deployment ended; while a human is asked it stays open."""
        if isinstance(outcome, NeedsHuman):
            return
        why = outcome.sentence if isinstance(outcome, Failed) else None
        state = State(str(outcome.seen.get("state", State.FAILED if why else State.SUCCEEDED)))
        services.end(deployment_id=UUID(step.desired["deployment"]), state=state, why=why, now=now)

    def _is_new(self, step: StepView) -> bool:
        """Say whether a run was only just ordered, and never seen yet: its system may not show it for a moment."""
        return not step.data and step.sent_at is not None and self.now() - step.sent_at < SHOWN_WITHIN

    def _outcome(self, deployment: Deployment, seen: Sighting) -> Outcome:
        kept = {"handle": seen.handle.as_json(), "state": seen.state.value, "url": seen.url}
        if seen.state is State.SUCCEEDED:
            return Done(kept)
        if seen.state is State.LOST:
            return NeedsHuman(seen.why or Sentence(_("The run was lost. Look whether it deployed.")), kept)
        if seen.state in ENDS:
            return Failed(seen.why or Sentence(_("The job failed.")), kept)
        age = (self.now() - deployment.requested_at).total_seconds()
        return Pending(look_after(seen.state, age=age, left=seen.left), kept)

    def _record(self, step: StepView, seen: Sighting) -> None:
        services.record(
            deployment_id=UUID(step.desired["deployment"]), op_key=step.op_key, sighting=seen, now=self.now()
        )


@dataclass(frozen=True, slots=True)
class DeployStep(Following):
    """The StepHandler of ``delivery.deploy``; ``permit_for`` gets a compact permit for a deployment from the gate."""

    permit_for: Callable[[Deployment], str]
    now: Callable[[], datetime] = clock.now
    provide: reach.Provide = reach.provider_of

    def probe(self, step: StepView) -> str | None:
        """Search the CI system for the step's key.

        :raises Unreachable: no answer that can be trusted
        """
        deployment = reach.deployment_of(step)
        found = self.provide(deployment, step).find(target_of(deployment), step.op_key)
        if found.state is State.NOT_FOUND:
            return None
        self._record(step, found)
        return _ref(found.handle)

    def snapshot(self, step: StepView) -> Mapping[str, object]:
        """Return what the options leave open, chosen before the first sending: a later one must not choose anew.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: there is nothing to choose
        """
        deployment = reach.deployment_of(step)
        if not deployment.options:
            return {}
        return {"options": dict(self.provide(deployment, step).chosen(target_of(deployment)))}

    def send(self, step: StepView) -> str:
        """Get a permit and start the job.

        :raises Unreachable: whether it started is not known
        :raises Rejected: it did not start, or a person asked to stop it before
        :raises Refused: the gate gives no permit
        """
        deployment = reach.deployment_of(step)
        if deployment.stop_asked_at is not None:
            raise Rejected(Sentence(_("It was stopped before it began.")))
        permit = self.permit_for(deployment)
        asked = target_of(deployment)
        target = replace(asked, options=(step.prev or {}).get("options", asked.options))
        order = Order(step.op_key, target, permit, partial(self._in_time, step))
        seen = self.provide(deployment, step).start(order)
        self._record(step, seen)
        return _ref(seen.handle)

    def _in_time(self, step: StepView) -> None:
        """Send nothing once a lease has passed since this was written down: by then another worker may send it.

        :raises Unreachable: so late it is
        """
        if step.sent_at is not None and self.now() >= step.sent_at + lease():
            raise Unreachable(Sentence(_("Getting to the order took too long. Nothing was sent; it is tried again.")))


def _steered(handle: Handle, deployment: Deployment) -> Handle:
    """Return the handle with what is known of our own wish that the run ends."""
    return handle.moved(stop_asked=handle.stop_asked or deployment.stop_asked_at is not None)


def _ref(handle: Handle) -> str:
    """Return the handle as the step's remote reference: enough to look again, whoever looks."""
    return json.dumps(handle.as_json(), separators=(",", ":"))
