"""The few expressions that the sandbox evaluates: paths into the execution, ``${parameters.version}``.

A real Orca evaluates SpEL; what is more than a path stays as it is written, as an expression that fails does there.
"""

import re
from typing import Any

from gmud.sandbox.spinnaker import words
from gmud.sandbox.spinnaker.models import Execution

EXPRESSION = re.compile(r"\$\{\s*([^}]*?)\s*\}")
STAGE = re.compile(r"#stage\('([^']*)'\)\.(.+)")
PART = re.compile(r"\[?'?([\w-]+)'?\]?")


def evaluated(value: Any, one: Execution) -> Any:
    """Return a value with the expressions inside it replaced; one that is the whole text keeps its type."""
    if isinstance(value, dict):
        return {name: evaluated(each, one) for name, each in value.items()}
    if isinstance(value, list):
        return [evaluated(each, one) for each in value]
    if not isinstance(value, str):
        return value
    if whole := EXPRESSION.fullmatch(value):
        found = _found(whole[1], one)
        return value if found is None else found
    return EXPRESSION.sub(lambda match: match[0] if (one_ := _found(match[1], one)) is None else str(one_), value)


def _found(expression: str, one: Execution) -> Any:
    if of_stage := STAGE.fullmatch(expression):
        stage = next((each for each in one.stages if each.name == of_stage[1]), None)
        return _at({"context": stage.context, "status": stage.status} if stage else {}, of_stage[2])
    roots = {"parameters": one.trigger.get("parameters", {}), "trigger": one.trigger}
    return _at({**roots, "execution": words.execution(one, expand=False)}, expression)


def _at(root: Any, path: str) -> Any:
    for part in PART.findall(path):
        root = root.get(part) if isinstance(root, dict) else None
    return root
