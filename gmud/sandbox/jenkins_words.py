"""The words of the sandbox's Jenkins: JSON shapes of jobs, queue items, builds and stages, and the ``tree`` query."""

import re
from collections.abc import Iterable
from typing import Any

from gmud.sandbox.jenkins_controller import Build, Item, Job, Parameter, Stage

WORKFLOW_JOB = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
WORKFLOW_RUN = "org.jenkinsci.plugins.workflow.job.WorkflowRun"
FREESTYLE_JOB = "hudson.model.FreeStyleProject"
FREESTYLE_RUN = "hudson.model.FreeStyleBuild"
FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"
MULTIBRANCH = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"
NOTES = re.compile(rb"\x1b\[8m.*?\x1b\[0m")
DEFINITIONS = {
    "string": "StringParameterDefinition",
    "text": "TextParameterDefinition",
    "boolean": "BooleanParameterDefinition",
    "choice": "ChoiceParameterDefinition",
    "password": "PasswordParameterDefinition",
}
VALUES = {kind: name.replace("Definition", "Value") for kind, name in DEFINITIONS.items()} | {
    "choice": "StringParameterValue"
}
LAST = {
    "lastCompletedBuild": ("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"),
    "lastFailedBuild": ("FAILURE",),
    "lastStableBuild": ("SUCCESS",),
    "lastSuccessfulBuild": ("SUCCESS", "UNSTABLE"),
    "lastUnstableBuild": ("UNSTABLE",),
    "lastUnsuccessfulBuild": ("UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"),
}
Json = dict[str, Any]


def millis(moment: float | None) -> int:
    """Return a moment as Jenkins counts it."""
    return int((moment or 0) * 1000)


def job(one: Job, base: str, items: list[Item]) -> Json:
    """Return a job; builds are whole, a reply without ``tree`` shortens them."""
    builds = [build(one.builds[number], base) for number in sorted(one.builds, reverse=True)[:100]]
    properties = []
    if one.parameters:
        properties.append(
            {
                "_class": "hudson.model.ParametersDefinitionProperty",
                "parameterDefinitions": [definition(parameter) for parameter in one.parameters],
            }
        )
    return {
        "_class": job_class(one),
        "actions": [],
        "buildable": not one.disabled,
        "builds": builds,
        "color": color(one),
        "concurrentBuild": one.concurrent,
        "displayName": one.name,
        "fullName": one.full_name,
        "inQueue": bool(items),
        "lastBuild": builds[0] if builds else None,
        **{name: next((one for one in builds if one["result"] in results), None) for name, results in LAST.items()},
        "name": one.name,
        "nextBuildNumber": one.next_number,
        "property": properties,
        "queueItem": item(items[0], base) if items else None,
        "url": f"{base}{one.path}/",
    }


def job_class(one: Job) -> str:
    """Return what kind of job it is."""
    return FREESTYLE_JOB if one.freestyle else WORKFLOW_JOB


def run_class(one: Job) -> str:
    """Return what kind of builds a job has."""
    return FREESTYLE_RUN if one.freestyle else WORKFLOW_RUN


def shown(log: bytes) -> bytes:
    """Return a part of the console as it is sent: without notes, with other line ends, so of another length."""
    return NOTES.sub(b"", log).replace(b"\n", b"\r\n")


def color(one: Job) -> str:
    """Return the ball's colour of the newest build."""
    if one.disabled:
        return "disabled"
    if not one.builds:
        return "notbuilt"
    newest = one.builds[max(one.builds)]
    shade = {"SUCCESS": "blue", "UNSTABLE": "yellow", "FAILURE": "red", "ABORTED": "aborted"}.get(
        newest.result or "", "blue"
    )
    return f"{shade}_anime" if newest.building else shade


def definition(parameter: Parameter) -> Json:
    """Return a declared parameter."""
    name = DEFINITIONS[parameter.kind]
    value = VALUES[parameter.kind]
    shape: Json = {
        "_class": f"hudson.model.{name}",
        "defaultParameterValue": {"_class": f"hudson.model.{value}", "value": parameter.default},
        "description": "",
        "name": parameter.name,
        "type": name,
    }
    if parameter.kind == "choice":
        shape["choices"] = list(parameter.choices)
    return shape


def actions(one: Item) -> list[Json]:
    """Return the parameters (never the value of a password) and who started it."""
    kinds = {parameter.name: parameter.kind for parameter in one.job.parameters}
    parameters = [
        {
            "_class": f"hudson.model.{VALUES[kinds[name]]}",
            "name": name,
            **({} if kinds[name] == "password" else {"value": value}),
        }
        for name, value in one.parameters.items()
    ]
    cause = {
        "_class": "hudson.model.Cause$UserIdCause",
        "shortDescription": f"Started by user {one.user}",
        "userId": one.user,
        "userName": one.user,
    }
    return [
        {"_class": "hudson.model.ParametersAction", "parameters": parameters},
        {"_class": "hudson.model.CauseAction", "causes": [cause]},
    ]


def item(one: Item, base: str) -> Json:
    """Return a queue item; its ``_class`` says where it is."""
    shape: Json = {
        "_class": f"hudson.model.Queue${one.state}Item",
        "actions": actions(one),
        "blocked": one.state == "Blocked",
        "buildable": one.state == "Buildable",
        "id": one.id,
        "inQueueSince": millis(one.since),
        "params": "".join(f"\n{name}={value}" for name, value in one.parameters.items()),
        "stuck": one.state == "Buildable" and bool(one.job.label),
        "task": {
            "_class": job_class(one.job),
            "name": one.job.name,
            "url": f"{base}{one.job.path}/",
            "color": color(one.job),
        },
        "url": f"queue/item/{one.id}/",
        "why": one.why,
    }
    match one.state:
        case "Waiting":
            shape["timestamp"] = millis(one.due)
        case "Blocked" | "Buildable":
            shape["buildableStartMilliseconds"] = millis(one.due)
            if one.state == "Buildable":
                shape["pending"] = False
        case "Left":
            made = one.build
            shape["cancelled"] = one.cancelled
            shape["executable"] = made and {
                "_class": run_class(one.job),
                "number": made.number,
                "url": f"{base}{one.job.path}/{made.number}/",
            }
    return shape


def estimate(one: Job) -> int:
    """Return the mean of the last three finished builds in milliseconds, -1 when there is none."""
    spans = [made.ended - made.started for made in list(one.builds.values())[-4:] if made.ended and made.result]
    return int(sum(spans[-3:]) / len(spans[-3:]) * 1000) if spans else -1


def build(one: Build, base: str) -> Json:
    """Return a build."""
    return {
        "_class": run_class(one.job),
        "actions": actions(one.item),
        "artifacts": [],
        "building": one.building,
        "inProgress": one.in_progress,
        "description": None,
        "displayName": f"#{one.number}",
        "duration": millis(one.ended - one.started) if one.ended else 0,
        "estimatedDuration": estimate(one.job),
        "executor": {} if one.building else None,
        "fullDisplayName": f"{one.job.full_name.replace('/', ' » ')} #{one.number}",
        "id": str(one.number),
        "keepLog": False,
        "number": one.number,
        "queueId": one.item.id,
        "result": one.result,
        "timestamp": millis(one.started),
        "url": f"{base}{one.job.path}/{one.number}/",
        "changeSets": [],
        "culprits": [],
        "nextBuild": _beside(one, base, 1),
        "previousBuild": _beside(one, base, -1),
    }


def _beside(one: Build, base: str, step: int) -> Json | None:
    """Return the build that came before or after, by number and address only."""
    other = one.job.builds.get(one.number + step)
    return {"number": other.number, "url": f"{base}{one.job.path}/{other.number}/"} if other else None


def computers(builds: Iterable[Build], executors: int, base: str) -> Json:
    """Return the one node and what it runs; pipelines have executors of their own, as their flow needs no workspace."""
    runs = [{"_class": run_class(one.job), "url": f"{base}{one.job.path}/{one.number}/"} for one in builds]
    pipelines = [{"currentExecutable": one} for one in runs if one["_class"] == WORKFLOW_RUN]
    others = [{"currentExecutable": one} for one in runs if one["_class"] != WORKFLOW_RUN]
    idle = [{"currentExecutable": None}] * (executors - len(others))
    node = {"_class": "hudson.model.Hudson$MasterComputer", "displayName": "Built-In Node", "offline": False}
    rows = [{**node, "numExecutors": executors, "executors": [*others, *idle], "oneOffExecutors": pipelines}]
    return {"_class": "hudson.model.ComputerSet", "busyExecutors": len(others), "computer": rows}


def describe(one: Build) -> Json:
    """Return the stage view of a build; only stages that started are in it."""
    status = {None: "IN_PROGRESS", "FAILURE": "FAILED"}.get(one.result, one.result)
    if one.input:
        status = "PAUSED_PENDING_INPUT"
    at = f"{one.job.path}/{one.number}/wfapi"
    links = {"self": {"href": f"{at}/describe"}}
    if one.input:
        links["pendingInputActions"] = {"href": f"{at}/pendingInputActions"}
    return {
        "_links": links,
        "id": str(one.number),
        "name": f"#{one.number}",
        "status": status,
        "startTimeMillis": millis(one.started),
        "endTimeMillis": millis(one.ended or one.started),
        "durationMillis": millis(one.ended - one.started) if one.ended else 0,
        "queueDurationMillis": 0,
        "pauseDurationMillis": 0,
        "stages": [_stage(number, stage) for number, stage in enumerate(list(one.stages), start=1)],
    }


def _stage(number: int, stage: Stage) -> Json:
    shape: Json = {
        "id": str(number * 5),
        "name": stage.name,
        "execNode": "",
        "status": stage.status,
        "startTimeMillis": millis(stage.started),
        "durationMillis": millis(stage.ended - stage.started) if stage.ended else 0,
        "pauseDurationMillis": 0,
    }
    if stage.error and stage.status == "FAILED":
        shape["error"] = {"message": stage.error, "type": "hudson.AbortException"}
    return shape


def shallow(value: Any, depth: int = 0) -> Any:
    """Shorten nested builds and jobs as a reply without ``tree`` does: class, number, name, url."""
    if isinstance(value, list):
        return [shallow(one, depth) for one in value]
    if not isinstance(value, dict):
        return value
    if depth and "url" in value and ({"builds", "inProgress"} & value.keys()):
        return {name: value[name] for name in ("_class", "number", "name", "url", "color") if name in value}
    return {name: shallow(one, depth + 1) for name, one in value.items()}


TOKEN = re.compile(r"[\[\],]|\{[^}]*\}|[^\[\],{}]+")


def prune(value: Any, tree: str) -> Any:
    """Keep what ``tree`` asks for, ``_class`` always: ``a,b[c,d]{0,20}``.

    :raises ValueError: the tree cannot be read
    """
    tokens = TOKEN.findall(tree.replace(" ", ""))
    wanted, rest = _branch(tokens)
    if rest:
        raise ValueError(f"tree: cannot read {''.join(rest)}")
    return _keep(value, wanted)


Branch = dict[str, tuple[Any, str]]


def _branch(tokens: list[str]) -> tuple[Branch, list[str]]:
    wanted: Branch = {}
    while tokens:
        name, tokens = tokens[0], tokens[1:]
        if name in "[],":
            raise ValueError(f"tree: a name was expected, not {name}")
        below: Branch = {}
        span = ""
        if tokens and tokens[0] == "[":
            below, tokens = _branch(tokens[1:])
            if not tokens or tokens[0] != "]":
                raise ValueError("tree: ] is missing")
            tokens = tokens[1:]
        if tokens and tokens[0].startswith("{"):
            span, tokens = tokens[0], tokens[1:]
        wanted[name] = (below, span)
        if not tokens or tokens[0] != ",":
            break
        tokens = tokens[1:]
    return wanted, tokens


def _keep(value: Any, wanted: Branch) -> Any:
    if isinstance(value, list):
        return [_keep(one, wanted) for one in value]
    if not isinstance(value, dict):
        return value
    if not wanted:
        return {name: one for name, one in value.items() if not isinstance(one, dict | list)}
    kept = {"_class": value["_class"]} if "_class" in value else {}
    for name, (below, span) in wanted.items():
        if name in value:
            one = value[name]
            kept[name] = _keep(_cut(one, span) if isinstance(one, list) else one, below)
    return kept


def _cut(values: list[Any], span: str) -> list[Any]:
    if not span:
        return values
    begin, comma, end = span.strip("{}").partition(",")
    first = int(begin or 0)
    if not comma:
        return values[first : first + 1]
    return values[first : int(end) if end else None]
