"""Pages, JSON and refusals as the sandbox's Jenkins gives them, and how it reads what it is given."""

import re
from collections.abc import Mapping

from gmud.sandbox import jenkins_words as words
from gmud.sandbox.jenkins_controller import Parameter
from gmud.sandbox.server import Answer, Call, json_answer, text_answer

UNITS = {"": 0.001, "sec": 1.0, "secs": 1.0}


class Refusal(Exception):
    """An answer other than the wanted one."""

    def __init__(self, answer: Answer) -> None:
        """Keep the answer."""
        self.answer = answer
        super().__init__(answer.status)


def page(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an HTML page, as Jenkins shows people."""
    return text_answer(f"<html><body><h2>{sentence}</h2></body></html>", status, headers, "text/html;charset=utf-8")


def failed(sentence: str) -> Answer:
    """Return a page about a failure, whose sentence stands in a header, too."""
    return page(400, sentence, {"X-Error": sentence})


def api(value: words.Json, call: Call, kind: str) -> Answer:
    """Return what ``tree`` asks for, as JSON or as Python writes it."""
    if kind not in ("json", "python"):
        return page(404, "Not Found")
    tree = call.first("tree")
    shown = words.prune(value, tree) if tree else words.shallow(value)
    if kind == "python":
        return text_answer(repr(shown), kind="text/x-python")
    return json_answer(shown, kind="application/json;charset=utf-8")


def value(parameter: Parameter, given: list[str] | None) -> str:
    """Return what a parameter is worth; what was not given has its default.

    :raises Refusal: it was given twice, or is no choice
    """
    if given is None:
        return parameter.default
    if len(given) > 1:
        raise Refusal(page(500, f"{parameter.name} was given twice"))
    if parameter.choices and given[0] not in parameter.choices:
        raise Refusal(page(500, f"Illegal choice for parameter {parameter.name}: {given[0]}"))
    if parameter.kind == "boolean":
        return str(given[0].lower() == "true").lower()
    return given[0]


def delay(given: list[str] | None) -> float | None:
    """Return the quiet period asked for; without a unit the number counts milliseconds.

    :raises Refusal: it cannot be read
    """
    if given is None:
        return None
    found = re.fullmatch(r"(\d+)\s*(sec|secs|)", given[0])
    if not found:
        raise Refusal(page(500, f"Invalid delay {given[0]}"))
    return int(found[1]) * UNITS[found[2]]
