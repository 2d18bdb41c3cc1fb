"""Executions, tasks and pipelines as Gate's JSON tells them."""

import re
from typing import Any

from gmud.sandbox.spinnaker.models import Execution, Json, Pipeline, Stage


def millis(seconds: float | None) -> int | None:
    """Return milliseconds, as every time is told."""
    return None if seconds is None else int(seconds * 1000)


def error(status: int, name: str, message: str, path: str = "") -> Json:
    """Return an error as Spring writes it."""
    return {"timestamp": 0, "status": status, "error": name, "message": message, "path": path}


def config(one: Pipeline) -> Json:
    """Return a pipeline configuration."""
    return {
        "id": one.id,
        "name": one.name,
        "application": one.application,
        "disabled": one.disabled,
        "parameterConfig": one.parameters,
        "triggers": [],
        "stages": one.stages,
        "limitConcurrent": one.limit_concurrent,
        "keepWaitingPipelines": one.keep_waiting,
        "expectedArtifacts": [],
        "roles": [],
    }


def execution(one: Execution, *, expand: bool = True) -> Json:
    """Return an execution; unexpanded, its stages have no context, outputs and tasks."""
    told: Json = {
        "type": one.kind,
        "id": one.id,
        "application": one.application,
        "name": one.name,
        "buildTime": millis(one.built),
        "canceled": one.canceled,
        "canceledBy": one.canceled_by,
        "cancellationReason": one.reason,
        "limitConcurrent": one.limit_concurrent,
        "keepWaitingPipelines": one.keep_waiting,
        "stages": [stage(each, expand=expand) for each in one.stages],
        "startTime": millis(one.started),
        "endTime": millis(one.ended),
        "status": one.status,
        "authentication": {"user": one.user, "allowedAccounts": []},
        "paused": one.paused,
        "origin": "api",
        "trigger": one.trigger,
        "pipelineConfigId": one.config_id,
        "notifications": [],
        "initialConfig": {},
        "systemNotifications": [],
        "spelEvaluator": "v4",
    }
    if one.kind == "ORCHESTRATION":
        told["description"] = told.pop("name")
    return told


def stage(one: Stage, *, expand: bool = True) -> Json:
    """Return one stage."""
    return {
        "id": one.id,
        "refId": one.ref_id,
        "type": one.type,
        "name": one.name,
        "startTime": millis(one.started),
        "endTime": millis(one.ended),
        "startTimeExpiry": None,
        "status": one.status,
        "context": dict(one.context) if expand else {},
        "outputs": dict(one.outputs) if expand else {},
        "tasks": _tasks(one) if expand else [],
        "syntheticStageOwner": None,
        "parentStageId": None,
        "requisiteStageRefIds": [],
        "scheduledTime": None,
        "lastModified": one.last_modified,
    }


def _tasks(one: Stage) -> list[Json]:
    if one.started is None:
        return []
    return [
        {
            "id": "1",
            "implementingClass": f"sandbox.{one.type}",
            "name": one.type,
            "startTime": millis(one.started),
            "endTime": millis(one.ended),
            "status": one.status,
            "stageStart": True,
            "stageEnd": True,
            "loopStart": False,
            "loopEnd": False,
        }
    ]


def task(one: Execution) -> Json:
    """Return an orchestration as the task view tells it: contexts become variables, outputs stand in the execution."""
    variables: Json = {}
    for each in one.stages:
        variables |= {name: value for name, value in dict(each.context).items() if value or name not in variables}
    return {
        "id": one.id,
        "name": one.name,
        "application": one.application,
        "status": one.status,
        "variables": [{"key": name, "value": value} for name, value in variables.items()],
        "steps": [step for each in one.stages for step in _tasks(each)],
        "buildTime": millis(one.built),
        "startTime": millis(one.started),
        "endTime": millis(one.ended),
        "execution": execution(one),
    }


def matches(there: Any, wanted: Any) -> bool:
    """Say whether a trigger has what a search wants: text equal whatever its case, or matching as a pattern."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(matches(there.get(name), one) for name, one in wanted.items())
    if isinstance(wanted, str) and isinstance(there, str):
        return there.lower() == wanted.lower() or re.fullmatch(wanted, there) is not None
    return bool(there == wanted)
