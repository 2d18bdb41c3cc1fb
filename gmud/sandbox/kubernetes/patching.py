"""The patch types of an API server, with the oddities of the real one."""

import copy
from collections.abc import Callable
from typing import Any

from gmud.sandbox.kubernetes import failures

_ABSENT = object()


def json_patch(document: Any, operations: Any) -> Any:
    """Return the document after an RFC 6902 patch, read as the API server's library reads it.

    Its oddities, all recorded: ``replace`` sets an absent key instead of failing, ``test`` with ``null`` passes when
    the key is absent, and whatever fails is answered alike.
    """
    if not isinstance(operations, list):
        kind = "object" if isinstance(operations, dict) else "value"
        raise failures.bad_request(
            f"error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        )
    patched = copy.deepcopy(document)
    for operation in operations:
        act = _ACTS.get(operation.get("op"))
        if act is None:
            raise failures.patch_failed()
        act(patched, _pointer(operation["path"]), copy.deepcopy(operation.get("value")))
    return patched


def merge_patch(document: Any, patch: Any) -> Any:
    """Return the document after an RFC 7386 merge: ``null`` removes, lists are replaced whole."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge(document: Any, patch: Any) -> Any:
    """Return the document after a merge in which lists of named things are merged by name."""
    if isinstance(patch, list) and isinstance(document, list) and all("name" in one for one in patch):
        named = {one["name"]: one for one in document}
        for one in patch:
            named[one["name"]] = strategic_merge(named.get(one["name"], {}), one)
        return list(named.values())
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = strategic_merge(merged.get(key), value)
    return merged


def _pointer(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _parent(document: Any, parts: list[str]) -> tuple[Any, str]:
    for part in parts[:-1]:
        document = _value(document, part)
        if document is _ABSENT:
            raise failures.patch_failed()
    return document, parts[-1]


def _value(holder: Any, part: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(part, _ABSENT)
    if isinstance(holder, list) and part.isdigit() and int(part) < len(holder):
        return holder[int(part)]
    return _ABSENT


def _test(document: Any, parts: list[str], value: Any) -> None:
    holder, last = _parent(document, parts)
    there = _value(holder, last)
    if there is _ABSENT and value is None and isinstance(holder, dict):
        return
    if there is _ABSENT or there != value or isinstance(there, bool) != isinstance(value, bool):
        raise failures.patch_failed()


def _add(document: Any, parts: list[str], value: Any) -> None:
    holder, last = _parent(document, parts)
    if isinstance(holder, list) and (last == "-" or (last.isdigit() and int(last) <= len(holder))):
        holder.insert(len(holder) if last == "-" else int(last), value)
    elif isinstance(holder, dict):
        holder[last] = value
    else:
        raise failures.patch_failed()


def _replace(document: Any, parts: list[str], value: Any) -> None:
    holder, last = _parent(document, parts)
    if isinstance(holder, dict):
        holder[last] = value
    elif _value(holder, last) is not _ABSENT:
        holder[int(last)] = value
    else:
        raise failures.patch_failed()


def _remove(document: Any, parts: list[str], _value_given: Any) -> None:
    holder, last = _parent(document, parts)
    if _value(holder, last) is _ABSENT:
        raise failures.patch_failed()
    del holder[last if isinstance(holder, dict) else int(last)]


_ACTS: dict[Any, Callable[[Any, list[str], Any], None]] = {
    "test": _test,
    "add": _add,
    "replace": _replace,
    "remove": _remove,
}
