"""How Jenkins' JSON reads in our words. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.jenkins.client import Json, parameters_of, rows
from releases.delivery.ports import Handle, Parameter, Question, Run, StageView, Target
from releases.delivery.states import Act, State

STAGES = {
    "NOT_EXECUTED": State.UNCHANGED,
    "ABORTED": State.CANCELED,
    "SUCCESS": State.SUCCEEDED,
    "IN_PROGRESS": State.RUNNING,
    "PAUSED_PENDING_INPUT": State.WAITING_INPUT,
    "FAILED": State.FAILED,
    "UNSTABLE": State.FAILED,
}
FAILURES = {
    "UNSTABLE": _("The job ended with warnings (unstable). That does not count as a success."),
    "FAILURE": _("The job failed."),
    "NOT_BUILT": _("The job ended before it built anything."),
}
ENDING = {Act.STOP: "stop", Act.TERMINATE: "term", Act.KILL: "kill"}
PASSWORD = "PasswordParameterDefinition"  # noqa: S105 - a kind of parameter, no password
PIPELINE = "workflow"
SKEW = timedelta(minutes=10)  # by which their clock may differ from ours
FOLDERS = ("Folder", "MultiBranchProject")
NO_JOB = _("%(job)s is a folder or has a job for each branch. Name one of the jobs in it.")


def hindrances(job: Json, target: Target) -> list[Sentence]:
    """Return every reason why the job cannot take our orders; undeclared parameters would be dropped in silence."""
    found = [_said(_("Jenkins knows no option %(name)s."), target, name=name) for name in target.options]
    if is_folder(job):
        return [*found, _said(NO_JOB, target)]
    if not job.get("buildable"):
        found.append(_said(_("The job %(job)s is disabled in Jenkins, or is no job that can be built."), target))
    declared = {one.name: one for one in parameters(job)}
    for name in (target.key_parameter, target.permit_parameter, *target.parameters):
        takes = declared.get(name)
        value = target.parameters.get(name, "")
        if takes is None:
            text = _("The job %(job)s does not declare the parameter %(name)s. Add it, then run the job once.")
            found.append(_said(text, target, name=name))
        elif name == target.key_parameter and takes.is_secret:
            text = _("The parameter %(name)s of the job %(job)s is a password, so it cannot be searched for.")
            found.append(_said(text, target, name=name))
        elif takes.choices and value not in takes.choices:
            text = _("The job %(job)s does not allow %(value)s for its parameter %(name)s.")
            found.append(_said(text, target, name=name, value=value))
    return found


def is_folder(job: Json) -> bool:
    """Say whether it only holds jobs: an organization and a project with branches do, too."""
    return str(job.get("_class", "")).endswith(FOLDERS)


def parameters(job: Json) -> tuple[Parameter, ...]:
    """Return what a job declares; each has a default, so none is required."""
    declared = [one for part in rows(job, "property") for one in part.get("parameterDefinitions") or []]
    return tuple(_parameter(one, (one.get("defaultParameterValue") or {}).get("value"), one) for one in declared)


def question(asked: Json, submitters: Mapping[str, str]) -> Question:
    """Return an input that waits."""
    defined = [(one, one.get("definition") or {}) for one in asked.get("inputs") or []]
    takes = tuple(_parameter(one, more.get("defaultVal"), more) for one, more in defined)
    may = submitters.get(str(asked["id"]), "")
    names = tuple(name.strip() for name in may.split(",") if name.strip())
    return Question(str(asked["id"]), str(asked.get("message", "")), names, takes)


def stage(one: Json) -> StageView:
    """Return a stage; a status of a later plugin counts as running, because nothing is known to have gone wrong."""
    state = STAGES.get(str(one.get("status")), State.RUNNING)
    return StageView(str(one.get("name", "")), state, round(float(one.get("durationMillis") or 0) / 1000, 3))


def acts(build: Json) -> frozenset[Act]:
    """Return how a build that runs can be ended: only pipelines know the harder ways."""
    return frozenset(ENDING) if PIPELINE in str(build.get("_class", "")) else frozenset({Act.STOP})


def is_final(build: Json) -> bool:
    """Say whether post-build steps are over too; servers before 2.369 do not tell and count when decided."""
    if "inProgress" in build:
        return build["inProgress"] is False and build.get("result") is not None
    return build.get("building") is False and build.get("result") is not None


def older_than(moment: datetime | None) -> Callable[[Json], bool]:
    """Return whether a build began before a moment by the clock of either side; without one, every build did."""
    begin = (moment - SKEW).timestamp() * 1000 if moment else math.inf
    return lambda build: int(build["timestamp"]) < begin


def as_old_as(ticket: str) -> Callable[[Json], bool]:
    """Return whether a build came of the queue item of that number or of an earlier one: they are counted upwards."""
    number = int(ticket) if ticket else math.inf
    return lambda build: int(build.get("queueId") or 0) <= number


def hope(build: Json) -> int:
    """Return what can be hoped of a build: 2 when it succeeded, 1 while it is under way, 0 when it ended otherwise."""
    if not is_final(build):
        return 1
    return 2 if build["result"] == "SUCCESS" else 0


def ended(result: object, stages: Sequence[StageView], *, stop_asked: bool) -> tuple[State, Sentence | None]:
    """Return how a build ended, and why it was no success."""
    if result == "SUCCESS":
        return State.SUCCEEDED, None
    if result == "ABORTED":
        if stop_asked:
            return State.CANCELED, Sentence(_("It was stopped from here."))
        return State.ABORTED_EXTERNALLY, Sentence(_("Somebody stopped it in Jenkins."))
    at = next((one.name for one in stages if one.state is State.FAILED), "")
    if at and result == "FAILURE":
        return State.FAILED, Sentence(_("The job failed in its stage %(stage)s."), {"stage": at})
    return State.FAILED, Sentence(FAILURES.get(str(result), FAILURES["FAILURE"]))


def handle_of(run: str, _job: str) -> Handle | None:
    """Return where a build is found by what it calls itself, ``$JOB_NAME#$BUILD_NUMBER``; it carries no key of ours."""
    job, _hash, number = run.rpartition("#")
    return Handle(key="", job=job, run=number) if job and number.isdecimal() else None


def run(build: Json) -> Run:
    """Return a build as a run of anybody's."""
    name, given = str(build["number"]), parameters_of(build)
    if not is_final(build):
        return Run(name, State.RUNNING, given)
    state, _why = ended(build["result"], (), stop_asked=False)
    return Run(name, state, given, _moment(int(build["timestamp"]) + int(build["duration"])))


def course(build: Json, at: datetime | None) -> tuple[float | None, float | None]:
    """Return which share of the estimate passed and how many seconds are left, by the server's clock.

    Both are ``None`` without an estimate or a clock.
    """
    estimate, since = build.get("estimatedDuration") or -1, build.get("timestamp")
    if estimate <= 0 or since is None or at is None:
        return None, None
    passed = at.timestamp() * 1000 - since
    return float(min(0.99, max(0.0, passed / estimate))), round(max(0.0, estimate - passed) / 1000, 1)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _parameter(one: Json, default: object, more: Json) -> Parameter:
    """Return a parameter; the default of a password is nobody's to see."""
    is_secret = one.get("type") == PASSWORD
    choices = tuple(map(str, more.get("choices") or ()))
    return Parameter(str(one.get("name")), "" if is_secret else _text(default), choices, is_secret=is_secret)


def _text(value: object) -> str:
    """Return a default as a form would show it."""
    return str(value).lower() if isinstance(value, bool) else str(value or "")


def _said(text: str, target: Target, **parts: object) -> Sentence:
    return Sentence(text, {"job": target.job, **parts})
