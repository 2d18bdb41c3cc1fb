"""The step that waits for a deployment that others begin and report; where it ran is looked at, too."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from releases.core import clock
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment
from releases.delivery.providers import target_of
from releases.delivery.rules import misreported
from releases.delivery.states import State
from releases.delivery.steps import reach
from releases.delivery.steps.deploy import Following
from releases.operations.ports import Done, Failed, Outcome, Pending, StepView

REPORT_SECONDS = 15.0  # a report calls for a look at once; this is for one that got lost on its way


@dataclass(frozen=True, slots=True)
class ReportStep(Following):
    """The StepHandler of ``delivery.report``: it ends well only when the run said so, and its system says so, too."""

    now: Callable[[], datetime] = clock.now
    provide: reach.Provide = reach.provider_of

    def probe(self, step: StepView) -> str | None:
        """Return nothing: we send nothing."""
        return None

    def snapshot(self, step: StepView) -> Mapping[str, object]:
        """Return nothing: the way back is the change's plan, kept by value."""
        return {}

    def send(self, step: StepView) -> str:
        """Ask nothing of the outside: others begin it."""
        return f"report:{step.desired['deployment']}"

    def observe(self, step: StepView) -> Outcome:
        """Look for the report, and at the run itself where a connection leads there.

        :raises Unreachable: no answer that can be trusted
        """
        deployment = reach.deployment_of(step)
        if not deployment.run:
            return Pending(REPORT_SECONDS)
        if deployment.connection is None:
            return _as_said(deployment, Done({"state": deployment.said or State.RUNNING.value}))
        remote = json.dumps(deployment.remote)
        seen = super(ReportStep, self).observe(replace(step, remote_ref=remote))
        if not isinstance(seen, Done):
            return seen
        runs = self.provide(deployment, step).runs(target_of(deployment))
        ours = next((one for one in runs if one.name == deployment.remote["run"]), None)
        since = deployment.started_at or deployment.requested_at
        wrong = misreported(ours, deployment.run, deployment.parameters, since=since)
        return Failed(wrong, {**seen.seen, "state": State.FAILED.value}) if wrong else _as_said(deployment, seen)


def _as_said(deployment: Deployment, seen: Done) -> Outcome:
    """Return what is to be believed of a run that by its system ended well, or that nobody can look at."""
    if not deployment.said:
        return Pending(REPORT_SECONDS, seen.seen)
    if deployment.said == State.SUCCEEDED:
        return seen
    parts = {"run": deployment.run, "why": deployment.said_why or "–"}
    why = Sentence(_("%(run)s reported that it did not deploy: %(why)s"), parts)
    return Failed(why, {**seen.seen, "state": deployment.said})
