"""The step of going back that no program can do: nothing is known here by which the service could be brought back."""

from collections.abc import Mapping
from datetime import datetime

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.operations.ports import Ending, Json, NeedsHuman, Outcome, StepPlan, StepView

BY_HAND_KIND = "rollback.by_hand"


def by_hand(*, service: str, stage: int) -> StepPlan:
    """Return the step that asks a person: a rollback with it ends on a person's word, and never says all is back."""
    desired = {"service": service}
    return StepPlan(f"bring back {service}", BY_HAND_KIND, desired, stage=stage, repeatable=True, goes_on=True)


def no_way_back(service: str) -> Sentence:
    """Return what a person is asked to do."""
    text = _("No job and no route of %(service)s is known here: bring it back yourself, then end the rollback by hand.")
    return Sentence(text, {"service": service})


class ByHandStep:
    """The StepHandler of ``rollback.by_hand``."""

    def probe(self, step: StepView) -> str | None:
        """Return nothing: asking can always begin anew."""
        return None

    def snapshot(self, step: StepView) -> Mapping[str, Json]:
        """Return nothing: what runs there is not known here."""
        return {}

    def send(self, step: StepView) -> str:
        """Ask nothing of the outside."""
        return f"by hand:{step.step_id}"

    def observe(self, step: StepView) -> Outcome:
        """Ask a person."""
        return NeedsHuman(no_way_back(step.desired["service"]))

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write nothing: who ends the rollback by hand says what came of it."""
