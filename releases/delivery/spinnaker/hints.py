"""What Spinnaker's Echo posts of every event to its REST endpoints.

Shape (spinnaker/spinnaker @ 8f1801d, echo/echo-rest): ``details`` with ``type`` and ``application``, ``content`` with
``executionId``, and in events of executions the whole ``execution`` with its ``trigger``; with ``wrap`` all of it
stands in ``payload``.
"""

from typing import Any

from releases.delivery.ports import Hint


def read(payload: dict[str, Any]) -> Hint:
    """Return which execution or task is meant; what is missing or no text is left out."""
    event = payload if "content" in payload else _inside(payload, "payload")
    content, details = _inside(event, "content"), _inside(event, "details")
    trigger = _inside(_inside(content, "execution"), "trigger")
    kind = "tasks" if str(details.get("type", "")).startswith("orca:orchestration") else "pipelines"
    run = content.get("executionId")
    keys = {str(one) for one in (trigger.get("correlationId"), *_inside(trigger, "parameters").values()) if one}
    return Hint(frozenset(keys), run=f"{kind}/{run}" if isinstance(run, str) and run else "")


def _inside(outer: dict[str, Any], name: str) -> dict[str, Any]:
    found = outer.get(name)
    return found if isinstance(found, dict) else {}
