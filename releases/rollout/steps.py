"""The verdict of a rollout, which a person may cut short."""

from dataclasses import dataclass

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.health.steps import VerdictStep
from releases.operations.ports import Done, Outcome, Pending, StepView
from releases.rollout.models import Rollout


@dataclass(frozen=True, slots=True)
class AdvanceableVerdict(VerdictStep):
    """The StepHandler of ``health.verdict``: a measure that is bad still fails it, waiting for more can be ended."""

    def observe(self, step: StepView) -> Outcome:
        """Take a measure; when somebody advanced the rollout, what is not unhealthy is enough."""
        outcome = super(AdvanceableVerdict, self).observe(step)
        if not isinstance(outcome, Pending):
            return outcome
        by = Rollout.objects.filter(operation=step.op_id).values_list("advanced_by", flat=True).first()
        if not by:
            return outcome
        sentence = Sentence(_("%(name)s went on without waiting for the verdict."), {"name": by})
        return Done({**outcome.seen, "advanced": {"text": sentence.text, "parts": dict(sentence.parts)}})
