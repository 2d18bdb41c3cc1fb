"""What a release asks at each step: the gate before traffic moves, the verdict or else a person, then the watch.

The watch looks at the weights, too, at each of its measures: what sets them back is seen within ten seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from releases.audit.actor import system
from releases.catalog import queries as catalog
from releases.changes import queries as changes
from releases.changes.document import items_of
from releases.core import clock
from releases.core.errors import External, Refused, Sentence
from releases.core.words import mark as _
from releases.gate import queries as gate_queries
from releases.gate import services as gate
from releases.gate.rules import Request, Run
from releases.gate.states import Intent
from releases.health.steps import VerdictStep, WatchStep
from releases.operations.ports import Done, Ending, Failed, NeedsHuman, Outcome, Pending, StepPlan, StepView
from releases.rollout.models import Rollout
from releases.rollout.rules import split
from releases.rollout.states import ALL_PERCENT, Work
from releases.traffic import services as traffic
from releases.traffic.providers import provider_for
from releases.traffic.services import Provide
from releases.traffic.steps import ShiftStep, moved

_log = structlog.get_logger(__name__)
PAUSE_KIND = "rollout.pause"
LOOK_SECONDS = 5.0


def pause(*, name: str, stage: int) -> StepPlan:
    """Return the step that waits until a person advances: no health question is bound, so nothing can judge."""
    return StepPlan(name, PAUSE_KIND, stage=stage, repeatable=True)


@dataclass(frozen=True, slots=True)
class AdvanceableVerdict(VerdictStep):
    """The StepHandler of ``health.verdict``: a measure that is bad still fails it, waiting for more can be ended.

    A change on hold goes no further than its verdict.
    """

    def observe(self, step: StepView) -> Outcome:
        """Take a measure; when somebody advanced the rollout, what is not unhealthy is enough."""
        outcome = super(AdvanceableVerdict, self).observe(step)
        if not isinstance(outcome, Pending | Done):
            return outcome
        row = _rollout_of(step)
        if row is None:
            return outcome
        if row.change.is_on_hold:
            return Pending(float(step.desired["every"]), {**outcome.seen, "held": _held(row)})
        if isinstance(outcome, Done) or not row.advanced_by:
            return outcome
        return Done({**outcome.seen, "advanced": _advanced(row)})


@dataclass(frozen=True, slots=True)
class GatedShift(ShiftStep):
    """The StepHandler of ``traffic.shift``: going forward, the gate decides once more before the weights are written.

    Whatever closed it since the deployment (a lock, a freeze, a hold, a quarantine) leaves the traffic where it is and
    asks a person, who tries again once it opens. A rollback does not ask here: nothing that closes holds it up.
    """

    now: Callable[[], datetime] = clock.now

    def send(self, step: StepView) -> str:
        """Pass the gate, then write the weights.

        :raises Unreachable: whether they were written is not known
        :raises Rejected: a clear no
        :raises Refused: the gate does not open, or somebody changed the route meanwhile; nothing was written
        """
        if step.operation_kind == Work.ROLLOUT:
            _pass_the_gate(step, now=self.now)
        return super(GatedShift, self).send(step)


@dataclass(frozen=True, slots=True)
class HeldWatch(WatchStep):
    """The StepHandler of ``health.watch``: it looks at the weights with each measure, and keeps what it saw.

    Weights that somebody set back ask a person; nothing is written. A mesh that does not answer ends no watch.
    """

    mesh: Provide = provider_for

    def observe(self, step: StepView) -> Outcome:
        """Take a measure, then look whether all traffic is still where the release put it."""
        outcome = super(HeldWatch, self).observe(step)
        if isinstance(outcome, Failed):
            return outcome
        undone = self._undone(step)
        return NeedsHuman(undone, outcome.seen) if undone else outcome

    def _undone(self, step: StepView) -> Sentence | None:
        row = Rollout.objects.select_related("change").filter(watch_operation=step.op_id).first()
        place = (step.desired["service"], step.desired["environment"])
        items = items_of(row.change) if row else []
        item = next((one for one in items if (one.service.name, one.environment.name) == place), None)
        weights = item.way_back.traffic_snapshot.get("weights") if item else None
        route = catalog.route_for(item.service_id, item.environment_id) if item and weights else None
        if route is None or not weights:
            return None
        try:
            reading = traffic.look(route_id=route.id, now=self.now(), provide=self.mesh)
        except External as error:
            _log.warning("weights_unseen", step=str(step.step_id), why=str(error))
            return None
        return moved(reading, split(weights, ALL_PERCENT))


@dataclass(frozen=True, slots=True)
class PauseStep:
    """The StepHandler of ``rollout.pause``: it ends when a person advances the rollout."""

    def probe(self, step: StepView) -> str | None:
        """Return nothing: waiting can always begin anew."""
        return None

    def snapshot(self, step: StepView) -> Mapping[str, Any]:
        """Return nothing: there is nothing to go back to."""
        return {}

    def send(self, step: StepView) -> str:
        """Ask nothing of the outside."""
        return f"pause:{step.step_id}"

    def observe(self, step: StepView) -> Outcome:
        """Look whether somebody advanced the rollout, and nobody holds the change."""
        row = _rollout_of(step)
        if row is None or not row.advanced_by:
            return Pending(LOOK_SECONDS)
        return (
            Pending(LOOK_SECONDS, {"held": _held(row)}) if row.change.is_on_hold else Done({"advanced": _advanced(row)})
        )

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write nothing: who advanced stands in the change's story already."""


def _pass_the_gate(step: StepView, *, now: Callable[[], datetime]) -> None:
    """Ask the gate for this shift on the present facts, and take the permit at once: the decision stands in its log.

    :raises Refused: the gate does not open, with every reason
    """
    change, route = changes.by_id(step.subject), catalog.route(UUID(step.desired["route"]))
    place = (route.service_id, route.environment_id)
    item = next(one for one in items_of(change) if (one.service_id, one.environment_id) == place)
    worker, run = system("worker"), Run("gmud", step.op_key)
    request = Request(
        service=item.service.name,
        environment=item.environment.name,
        artifact_name=item.service.name,
        digest=item.artifact.digest,
        intent=Intent.TRAFFIC_SHIFT,
        run=run,
        change_number=change.number,
    )
    decision = gate.ask(actor=worker, request=request, now=now()).decision
    permit = gate_queries.permit_of(decision)
    if permit is None:
        reasons = gate_queries.card(decision).reasons
        text = _("The gate did not open for %(service)s, so its traffic stays where it is: %(why)s")
        why = Sentence.of_all([reason.message for reason in reasons])
        raise Refused(Sentence(text, {"service": item.service.name, "why": why}), reasons=reasons)
    gate.redeem(actor=worker, jti=permit, run=run, artifact_digest=decision.digest, now=now())


def _rollout_of(step: StepView) -> Rollout | None:
    return Rollout.objects.select_related("change").filter(operation=step.op_id).first()


def _advanced(row: Rollout) -> dict[str, Any]:
    return _told(Sentence(_("%(name)s went on without waiting for the verdict."), {"name": row.advanced_by}))


def _held(row: Rollout) -> dict[str, Any]:
    return _told(Sentence(_("On hold: %(reason)s"), {"reason": row.change.hold_reason}))


def _told(sentence: Sentence) -> dict[str, Any]:
    return {"text": sentence.text, "parts": dict(sentence.parts)}
