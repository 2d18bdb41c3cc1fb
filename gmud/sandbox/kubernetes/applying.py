"""Server-side apply: whole fields of the spec change hands, and a difference with their owner is a conflict."""

import copy
from typing import Any

from gmud.sandbox.kubernetes import failures
from gmud.sandbox.kubernetes.ownership import fields, paths

Object = dict[str, Any]


def applied(there: Object, wanted: Object, manager: str, *, force: bool) -> Object:
    """Return the object after an apply: lists are one piece, and what this manager applied before and left out is gone.

    :raises Failure: 409, another manager owns what would change
    """
    live, asked = fields(there), fields(wanted)
    entries = there["metadata"].get("managedFields", [])
    changed = [path for path in asked if path not in live or live[path] != asked[path]]
    if not force:
        rivals = [
            (entry["manager"], entry.get("apiVersion", ""), path)
            for entry in entries
            if (entry["manager"], entry.get("operation")) != (manager, "Apply")
            for path in paths(entry["fieldsV1"])
            if path in changed
        ]
        if rivals:
            raise failures.apply_conflict(rivals)
    after = copy.deepcopy(there)
    for entry in entries:
        if (entry["manager"], entry.get("operation")) == (manager, "Apply"):
            for path in set(paths(entry["fieldsV1"])) - asked.keys():
                _forget(after, path)
    for part in ("annotations", "labels"):
        if part in wanted.get("metadata", {}):
            after["metadata"].setdefault(part, {}).update(wanted["metadata"][part])
    after.setdefault("spec", {}).update(copy.deepcopy(wanted.get("spec", {})))
    given = wanted.get("metadata", {}).get("resourceVersion")
    if given:
        after["metadata"]["resourceVersion"] = given
    return after


def _forget(found: Object, path: tuple[str, ...]) -> None:
    place: Any = found
    *above, last = (part.removeprefix("f:") for part in path)
    for part in above:
        place = place.get(part, {})
    place.pop(last, None)
