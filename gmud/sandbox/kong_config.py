"""``/config`` of a Kong without a database: the whole of its configuration as one file, read and replaced at once.

From Kong's source (kong/api/routes/config.lua, kong/db/errors.lua), read, not recorded; of the file's format only what
the stand-in holds. Whoever posts a file takes away all that is not in it.
"""

import hashlib
import json
from typing import Any

import yaml

from gmud.sandbox.kong_store import Json, Refusal, Workspace
from gmud.sandbox.server import Answer, Call, json_answer

NEEDS_NO_DATABASE = "this endpoint is only available when Kong is configured to not use a database"
INVALID = (14, "invalid declarative configuration")
LOADING = "Currently loading previous configuration"


def answer(call: Call, space: Workspace, *, database: str, is_loading: bool) -> tuple[Answer, Workspace]:
    """Answer one request, and return what the node holds after it.

    :raises Refusal: there is a database, a file is being loaded, or the file is wrong
    """
    if database != "off":
        raise Refusal(400, {"message": NEEDS_NO_DATABASE})
    if call.method == "GET":
        return json_answer({"config": yaml.safe_dump(_written(space), sort_keys=False)}), space
    if call.method != "POST":
        raise Refusal(405, {"message": "Method not allowed"})
    if is_loading:
        return json_answer({"message": LOADING}, 429, {"Retry-After": "1"}), space
    said = _given(call)
    if call.first("check_hash") and _digest(said) == _digest(_written(space)):
        return Answer(304), space
    after = _read(said)
    return json_answer(_written(after), 201), after


def _written(space: Workspace) -> Json:
    upstreams = [
        {
            "name": one["name"],
            "targets": [{"target": row["target"], "weight": row["weight"]} for row in space.targets_of(one)],
        }
        for one in space.upstreams.values()
    ]
    services = [{"name": one["name"], "host": one["host"]} for one in space.services.values()]
    return {"_format_version": "3.0", "upstreams": upstreams, "services": services}


def _given(call: Call) -> Any:
    """Return what a file says: as the field ``config``, or as the body itself; JSON is YAML, too."""
    try:
        body = yaml.safe_load(call.body)
        return yaml.safe_load(body["config"]) if isinstance(body, dict) and "config" in body else body
    except (yaml.YAMLError, AttributeError) as error:
        raise _invalid({"error": "failed parsing declarative configuration"}) from error


def _read(said: Any) -> Workspace:
    if not isinstance(said, dict) or "_format_version" not in said:
        raise _invalid({"_format_version": "required field missing"})
    space = Workspace()
    for one in said.get("upstreams") or ():
        made = space.add_upstream(one["name"])
        for number, row in enumerate(one.get("targets") or ()):
            try:
                space.add_target(made, row)
            except Refusal as refusal:
                raise _invalid({"upstreams": [{"targets": {str(number): refusal.body.get("fields")}}]}) from refusal
    for one in said.get("services") or ():
        space.add_service(one["name"], str(one.get("host", "")))
    return space


def _digest(said: Any) -> str:
    return hashlib.md5(json.dumps(said, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def _invalid(fields: Json) -> Refusal:
    message = f"declarative config is invalid: {json.dumps(fields)}"
    return Refusal(400, {"code": INVALID[0], "name": INVALID[1], "message": message, "fields": fields})
