"""The verdict of a rollout, which a person may cut short, and the pause where nothing can be judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.health.steps import VerdictStep
from releases.operations.ports import Done, Ending, Outcome, Pending, StepPlan, StepView
from releases.rollout.models import Rollout

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


def _rollout_of(step: StepView) -> Rollout | None:
    return Rollout.objects.select_related("change").filter(operation=step.op_id).first()


def _advanced(row: Rollout) -> dict[str, Any]:
    return _told(Sentence(_("%(name)s went on without waiting for the verdict."), {"name": row.advanced_by}))


def _held(row: Rollout) -> dict[str, Any]:
    return _told(Sentence(_("On hold: %(reason)s"), {"reason": row.change.hold_reason}))


def _told(sentence: Sentence) -> dict[str, Any]:
    return {"text": sentence.text, "parts": dict(sentence.parts)}
