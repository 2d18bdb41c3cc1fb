"""The phases of a release or a rollback, with a line for every step in them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from releases.core.errors import Sentence
from releases.core.words import mark, plural
from releases.delivery.queries import DeploymentCard
from releases.delivery.services import CALL_OFF_STEP, REPORT_STEP, VERIFY_STEP
from releases.operations.queries import OperationView, StepLine
from releases.operations.states import StepState
from releases.rollback import services as rollback
from releases.rollback.steps import BY_HAND_KIND, no_way_back
from releases.rollout.states import ALL_PERCENT, Work
from releases.rollout.steps import JUDGED_PAUSE_KIND, PAUSE_KIND
from releases.traffic.finishing import FINISH_KIND
from releases.traffic.steps import STEP_KIND as SHIFT
from releases.web.looks import Line, Step, Words
from releases.web.pages.seen import DEPLOY, JUDGES, STEP_LOOKS, VERDICT, WATCH, Seen
from releases.web.tags import percent

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
# What is done, by kind of step: the phase it makes, and the step itself. Going back has words of its own.
STEPS: Mapping[str, tuple[str, str]] = {
    CALL_OFF_STEP: (mark("Call off what still runs"), mark("Call off the deployment of %(service)s")),
    DEPLOY: (mark("Deploy %(version)s"), mark("Deploy %(service)s")),
    REPORT_STEP: (mark("Deploy %(version)s"), mark("Deploy %(service)s")),
    SHIFT: (mark("Shift traffic to %(version)s"), mark("Shift the traffic of %(service)s")),
    VERIFY_STEP: (mark("Verify"), mark("Verify the version of %(service)s")),
    VERDICT: (mark("Judge its health"), mark("Judge the health of %(service)s")),
    WATCH: (mark("Watch"), mark("Watch %(service)s")),
    JUDGED_PAUSE_KIND: (mark("Pause and judge its health"), mark("Judge the health of %(service)s")),
    PAUSE_KIND: (mark("Wait until somebody goes on"), mark("Wait until somebody goes on with %(service)s")),
    BY_HAND_KIND: (mark("Bring back by hand"), mark("Bring %(service)s back by hand")),
    FINISH_KIND: (mark("Promote %(back)s"), mark("Promote %(service)s")),
}
STEPS_BACK: Mapping[str, tuple[str, str]] = {
    SHIFT: (mark("Traffic back to %(back)s"), mark("Take the traffic of %(service)s back")),
    DEPLOY: (mark("Redeploy %(back)s"), mark("Redeploy %(service)s")),
    VERDICT: (mark("Verify"), mark("Verify the health of %(service)s")),
}
PUT_BACK = (mark("Put the routes back"), mark("Put the route of %(service)s back"))
TIMED = (mark("Pause"), mark("Pause with %(service)s"))
COMPARED = (mark("Verify"), mark("Verify the traffic of %(service)s"))


def words_of(operation: OperationView, step: StepLine, seen: Seen) -> tuple[Sentence, Sentence]:
    """Return what people call the phase of a step, and the step itself."""
    words = STEPS[step.kind]
    if operation.kind == rollback.KIND:
        is_read_back = step.kind == SHIFT and step.stage > rollback.TRAFFIC_STAGE
        words = COMPARED if is_read_back else STEPS_BACK.get(step.kind, words)
    elif operation.kind == Work.PUT_BACK:
        words = PUT_BACK
    elif step.kind == PAUSE_KIND and step.desired.get("lasts"):
        words = TIMED
    names = {**seen.names, "service": service_of(step)}
    return Sentence(words[0], names), Sentence(words[1], names)


def service_of(step: StepLine) -> str:
    """Return the service a step is about: the last word of its name."""
    return step.name.split(" ")[-1]


def phases_of(operation: OperationView, seen: Seen) -> Iterable[Step]:
    """Yield one phase per stage with a line per step in it."""
    stages: dict[int, list[StepLine]] = {}
    for step in operation.steps:
        stages.setdefault(step.stage, []).append(step)
    for _stage, steps in sorted(stages.items()):
        states = {step.state for step in steps}
        state = next(one for one in TELLING_FIRST if one in states)
        told = min(steps, key=lambda step: step.kind not in JUDGES)  # what judges names the phase
        title, _step = words_of(operation, told, seen)
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
    subject = service_of(step)
    if step.kind == SHIFT and "%" in step.name:
        subject = step.name
    detail: Words = step.note or DETAILS[step.kind](step, seen)
    return Line(look.tone, look.sign, subject, detail=detail, end=look.word, at=step.ended_at, href=_url(step, seen))


def _shift_detail(step: StepLine, _seen: Seen) -> Words:
    if step.data.get("awaited") and step.state is StepState.APPLIED:
        return Sentence.from_json(step.data["awaited"])
    driver = (step.prev or {}).get("driver")
    if driver and step.desired["proof"]["percent"] == ALL_PERCENT:
        return Sentence(mark("%(system)s %(name)s promotes it"), driver)
    weights: Mapping[str, Any] = step.desired.get("weights", {})
    told = ", ".join(f"{name} {percent(weight or 0)}" for name, weight in weights.items())
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


def _report_detail(_step: StepLine, _seen: Seen) -> Words:
    return Sentence(mark("Deployed from outside GMUD: its report is what counts."))


def _verdict_detail(step: StepLine, _seen: Seen) -> Words:
    """Return who cut it short or holds it, who moved the traffic, else what the measures say so far."""
    told = (step.data.get(name) for name in ("held", "advanced", "undone", "sentence"))
    kept = next((one for one in told if isinstance(one, dict)), None)
    return Sentence.from_json(kept) if kept else step.connection


def _pause_detail(step: StepLine, seen: Seen) -> Words:
    unmeasured = Sentence(mark("Nothing measures its health: look for yourself, then advance."))
    timed = Sentence(mark("Nothing measures its health: look for yourself."))
    return _verdict_detail(step, seen) or (timed if step.desired.get("lasts") else unmeasured)


def _by_hand_detail(step: StepLine, _seen: Seen) -> Words:
    return no_way_back(service_of(step))


def _finish_detail(step: StepLine, _seen: Seen) -> Words:
    return ", ".join(one for one in (step.connection, step.desired["driver"], step.data.get("phase", "")) if one)


def time_left(operation: OperationView, seen: Seen) -> Sentence | None:
    """Return how long a rollout still pauses where it stands, if its pace says so."""
    ends = [
        step.sent_at + timedelta(seconds=step.desired["lasts"])
        for step in operation.steps
        if step.kind in {JUDGED_PAUSE_KIND, PAUSE_KIND}
        and step.stage == operation.stage
        and step.sent_at
        and step.desired.get("lasts")
    ]
    if not ends or max(ends) <= seen.now:
        return None
    minutes = -(-(max(ends) - seen.now) // timedelta(minutes=1))
    return Sentence(PAUSES_ON, {"n": minutes, "at": max(ends)})


PAUSES_ON = plural("Pauses %(n)s minute more, until %(at)s.", "Pauses %(n)s minutes more, until %(at)s.", by="n")
DETAILS: Mapping[str, Callable[[StepLine, Seen], Words]] = {
    CALL_OFF_STEP: _deploy_detail,
    SHIFT: _shift_detail,
    DEPLOY: _deploy_detail,
    REPORT_STEP: _report_detail,
    VERDICT: _verdict_detail,
    VERIFY_STEP: _verdict_detail,
    WATCH: _verdict_detail,
    JUDGED_PAUSE_KIND: _verdict_detail,
    PAUSE_KIND: _pause_detail,
    BY_HAND_KIND: _by_hand_detail,
    FINISH_KIND: _finish_detail,
}


def _url(step: StepLine, seen: Seen) -> str:
    deployment = _deployment_of(step, seen) if step.kind == DEPLOY else None
    return deployment.url if deployment and deployment.url.startswith(("http://", "https://")) else ""
