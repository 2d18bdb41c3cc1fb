"""What Jenkins' Notification plugin posts with every phase of a build.

Shape (jenkinsci/notification-plugin @ 720ea44: Format.java, model/JobState.java, model/BuildState.java): an object with
``url`` of the job and ``build`` with ``number``, ``queue_id``, ``url``, ``phase``, ``status`` and ``parameters``, those
that are not secret. Who writes the post by hand sends as much of it as there is.
"""

import re
from typing import Any
from urllib.parse import unquote

from releases.delivery.ports import Hint

_STEP = re.compile(r"(?:^|/)job/([^/]+)")


def read(payload: dict[str, Any]) -> Hint:
    """Return which build is meant; what is missing or no text is left out."""
    build = payload.get("build")
    build = build if isinstance(build, dict) else {}
    parameters = build.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    job = "/".join(unquote(step) for step in _STEP.findall(str(payload.get("url") or build.get("url") or "")))
    ticket, run = (_number(build.get(name)) for name in ("queue_id", "number"))
    return Hint(frozenset(map(str, parameters.values())) - {""}, ticket, job, run)


def _number(said: Any) -> str:
    return str(said) if isinstance(said, int) and not isinstance(said, bool) and said > 0 else ""
