"""The phases of a release or a rollback, with a line for every step in them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from releases.core.errors import Sentence
from releases.core.words import mark
from releases.delivery.queries import DeploymentCard
from releases.operations.queries import OperationView, StepLine
from releases.operations.states import StepState
from releases.rollback import services as rollback
from releases.rollout.states import Work
from releases.traffic.steps import STEP_KIND as SHIFT
from releases.web.looks import Line, Step, Words
from releases.web.pages.seen import DEPLOY, STEP_LOOKS, VERDICT, WATCH, Seen

# Of the steps of one phase, the state that says most about it comes first.
TELLING_FIRST = (
    StepState.NEEDS_HUMAN,
    StepState.FAILED,
    StepState.UNKNOWN,
    StepState.SENDING,
    StepState.APPLIED,
    StepState.ABANDONED,
    StepState.TODO,
    StepState.SKIPPED,
    StepState.CONFIRMED,
)
MOVING = frozenset({StepState.SENDING, StepState.UNKNOWN, StepState.APPLIED})
PHASES: Mapping[tuple[str, str], str] = {
    (Work.ROLLOUT, DEPLOY): mark("Deploy %(version)s"),
    (Work.ROLLOUT, SHIFT): mark("Shift traffic to %(version)s"),
    (Work.ROLLOUT, VERDICT): mark("Judge its health"),
    (Work.WATCH, WATCH): mark("Watch"),
    (rollback.KIND, SHIFT): mark("Traffic back to %(back)s"),
    (rollback.KIND, DEPLOY): mark("Redeploy %(back)s"),
    (rollback.KIND, VERDICT): mark("Verify"),
}


def phases_of(operation: OperationView, seen: Seen) -> Iterable[Step]:
    """Yield one phase per stage with a line per step in it."""
    stages: dict[int, list[StepLine]] = {}
    for step in operation.steps:
        stages.setdefault(step.stage, []).append(step)
    for stage, steps in sorted(stages.items()):
        states = {step.state for step in steps}
        state = next(one for one in TELLING_FIRST if one in states)
        kinds = {step.kind for step in steps}
        kind = VERDICT if len(kinds) > 1 else next(iter(kinds))
        if operation.kind == rollback.KIND and stage > rollback.TRAFFIC_STAGE and kind == SHIFT:
            kind = VERDICT
        title = Sentence(PHASES.get((operation.kind, kind), mark("Work")), seen.names)
        done = sum(step.state is StepState.CONFIRMED for step in steps)
        ended = [step.ended_at for step in steps if step.ended_at]
        is_over = state is StepState.CONFIRMED and bool(ended)
        yield Step(
            look=STEP_LOOKS[state],
            title=title,
            end="" if is_over else Sentence(mark("%(done)s of %(all)s done"), {"done": done, "all": len(steps)}),
            at=max(ended) if is_over else None,
            lines=tuple(_line(step, seen) for step in steps),
            is_live=bool(states & MOVING),
        )


def _line(step: StepLine, seen: Seen) -> Line:
    look = STEP_LOOKS[step.state]
    subject = step.name.split(" ")[-1]
    if step.kind == SHIFT and "%" in step.name:
        subject = step.name
    detail: Words = step.note or DETAILS.get(step.kind, _plain)(step, seen)
    return Line(look.tone, look.sign, subject, detail=detail, end=look.word, at=step.ended_at, href=_url(step, seen))


def _plain(step: StepLine, _seen: Seen) -> Words:
    return step.connection


def _shift_detail(step: StepLine, _seen: Seen) -> Words:
    weights: Mapping[str, Any] = step.desired.get("weights", {})
    told = ", ".join(f"{name} {weight} %" for name, weight in weights.items())
    return f"{step.connection}: {told}"


def _deployment_of(step: StepLine, seen: Seen) -> DeploymentCard | None:
    key = step.desired.get("deployment")
    return seen.deployments.get(UUID(str(key))) if key else None


def _deploy_detail(step: StepLine, seen: Seen) -> Words:
    deployment = _deployment_of(step, seen)
    if deployment is None:
        return step.connection
    stage = next((one.name for one in reversed(deployment.stages)), "")
    parts = {"where": step.connection, "job": deployment.job, "stage": stage}
    return Sentence(mark("%(where)s, %(job)s: %(stage)s") if stage else mark("%(where)s, %(job)s"), parts)


def _verdict_detail(step: StepLine, _seen: Seen) -> Words:
    kept = step.data.get("sentence")
    return Sentence(kept["text"], kept.get("parts", {})) if isinstance(kept, dict) else step.connection


DETAILS: Mapping[str, Callable[[StepLine, Seen], Words]] = {
    SHIFT: _shift_detail,
    DEPLOY: _deploy_detail,
    VERDICT: _verdict_detail,
    WATCH: _verdict_detail,
}


def _url(step: StepLine, seen: Seen) -> str:
    deployment = _deployment_of(step, seen) if step.kind == DEPLOY else None
    return deployment.url if deployment and deployment.url.startswith(("http://", "https://")) else ""
