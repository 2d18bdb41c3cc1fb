"""The step that finds out which version runs, after going back: by the catalogue, and by what the CI system tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from releases.catalog import queries as catalog
from releases.core import clock
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment
from releases.delivery.providers import target_of
from releases.delivery.rules import Wanted, misfit, under_way
from releases.delivery.steps import reach
from releases.operations.ports import Done, Ending, Failed, Outcome, Pending, StepView


@dataclass(frozen=True, slots=True)
class VersionStep:
    """The StepHandler of ``delivery.verify``."""

    now: Callable[[], datetime] = clock.now
    provide: reach.Provide = reach.provider_of

    def probe(self, step: StepView) -> str | None:
        """Return nothing: looking changes nothing, so it can always begin anew."""
        return None

    def snapshot(self, step: StepView) -> Mapping[str, object]:
        """Return nothing: there is nothing to go back to."""
        return {}

    def send(self, step: StepView) -> str:
        """Ask nothing of the outside: this step only looks."""
        return f"version:{step.step_id}"

    def observe(self, step: StepView) -> Outcome:
        """Compare what runs with what should.

        :raises Unreachable: the CI system does not answer; looked at again until the deadline
        """
        deployment = reach.deployment_of(step)
        if wrong := _by_catalogue(deployment, step):
            return Failed(wrong)
        target = target_of(deployment)
        runs = self.provide(deployment, step).runs(target)
        wanted = Wanted(
            key=deployment.op_key or "",
            key_parameter=target.key_parameter,
            service=deployment.service.name,
            environment=deployment.environment.name,
            version=step.desired["version"],
            digest=step.desired["digest"],
            slot=deployment.slot,
            live=step.desired["live"],
        )
        if busy := under_way(runs, wanted):
            return Pending(reach.LOOK_SECONDS, {"sentence": {"text": busy.text, "parts": dict(busy.parts)}})
        if wrong := misfit(runs, wanted):
            return Failed(wrong)
        fine = Sentence(_("%(version)s runs, by the CI system."), {"version": wanted.version})
        return Done({"sentence": {"text": fine.text, "parts": dict(fine.parts)}})

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write nothing: what was seen stands in the step."""


def _by_catalogue(deployment: Deployment, step: StepView) -> Sentence | None:
    """Return who released something else there meanwhile, or ``None``."""
    there = catalog.running(deployment.service_id, deployment.environment_id)
    if there is None or there.artifact.digest in {step.desired["digest"], *step.desired["leaving"]}:
        return None
    parts = {"service": deployment.service.name, "found": there.artifact.version, "version": step.desired["version"]}
    text = _("Meanwhile somebody brought %(service)s %(found)s; %(version)s no longer runs there.")
    return Sentence(text, parts)
