"""The questions that builds of the sandbox's Jenkins ask, and how they are answered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gmud.sandbox.jenkins_answers import failed, page, value
from gmud.sandbox.jenkins_controller import Build, Controller, Input, Parameter
from gmud.sandbox.jenkins_words import DEFINITIONS, Json
from gmud.sandbox.server import Answer, Call


@dataclass(frozen=True)
class User:
    """Who answers, and what the account may do."""

    name: str
    rights: Sequence[str]


def pending(one: Input, build: Build) -> Json:
    """Return an input as the stage view tells of it."""
    at = f"{build.job.path}/{build.number}"
    return {
        "id": one.id,
        "proceedText": "Proceed",
        "message": one.message,
        "inputs": [_input(parameter) for parameter in one.parameters],
        "proceedUrl": f"{at}/wfapi/inputSubmit?inputId={one.id}",
        "abortUrl": f"{at}/input/{one.id}/abort",
        "redirectApprovalUrl": f"{at}/input/",
    }


def _input(parameter: Parameter) -> Json:
    choices = {"choices": list(parameter.choices)} if parameter.kind == "choice" else {}
    return {
        "type": DEFINITIONS[parameter.kind],
        "name": parameter.name,
        "description": "",
        "definition": {"defaultVal": parameter.default, **choices},
    }


def executions(build: Build) -> Json:
    """Return who may answer what a build asks."""
    asked = [build.input] if build.input else []
    rows = [{"id": one.id, "input": {"message": one.message, "submitter": one.submitter or None}} for one in asked]
    return {"_class": "org.jenkinsci.plugins.workflow.support.steps.input.InputAction", "executions": rows}


def settle(controller: Controller, call: Call, verb: str, build: Build, asked: Input, user: User) -> Answer:
    """Take an answer to an input, or say in ``X-Error`` why not, as pages about failures do."""
    if call.method != "POST":
        return page(405, "Form post required", {"Allow": "POST"})
    if asked.goes_on is not None:
        return failed("This input has been already given")
    if verb == "abort" or (verb == "submit" and "proceed" not in call.form()):
        if not asked.may_be_answered_by(user.name) and "cancel" not in user.rights:
            return failed(f"You need to be '{asked.submitter}' (or have Job/Cancel permissions) to cancel this.")
        controller.settle(build, goes_on=False, user=user.name, values={})
        return Answer(200)
    if verb not in ("proceed", "proceedEmpty", "submit"):
        return page(404, "Not Found")
    if not asked.may_be_answered_by(user.name):
        return failed(f"You need to be {asked.submitter} to submit this.")
    fields = call.form().get("json", ["{}"]) if verb != "proceedEmpty" else ["{}"]
    given = {one["name"]: one["value"] for one in json.loads(fields[0]).get("parameter", ())}
    takes = {one.name: one for one in asked.parameters}
    if not given.keys() <= takes.keys():
        return page(500, "No such parameter definition")
    controller.settle(
        build, goes_on=True, user=user.name, values={name: value(takes[name], [given[name]]) for name in given}
    )
    return Answer(200)
