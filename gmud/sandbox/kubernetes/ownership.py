"""Who owns which field: managedFields, as far as whole fields of the spec go (lists are one piece)."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


def now() -> str:
    """Return this moment as the server writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fields(found: Object) -> dict[tuple[str, ...], Any]:
    """Return what can be owned: single labels and annotations, whole fields of the spec (lists are one piece)."""
    owned: dict[tuple[str, ...], Any] = {}
    for group in ("annotations", "labels"):
        for key, value in found.get("metadata", {}).get(group, {}).items():
            owned["f:metadata", f"f:{group}", f"f:{key}"] = value
    for part in ("spec", "status"):
        for key, value in (found.get(part) or {}).items():
            owned[f"f:{part}", f"f:{key}"] = value
    return owned


def owned(
    before: Object, after: Object, entries: list[Object], manager: str, *, operation: str, subresource: str
) -> list[Object]:
    """Return managedFields after a write: what changed belongs to the writer, other entries lose it."""
    had, has = fields(before), fields(after)
    changed = {path for path in has if path not in had or had[path] != has[path]}
    gone = changed | (had.keys() - has.keys())
    if subresource:
        changed = {path for path in changed if path[0] == f"f:{subresource}"}
    elif before or "status" in after:
        changed = {path for path in changed if path[0] != "f:status"}
    kept: list[Object] = []
    mine: set[tuple[str, ...]] = set(changed)
    for entry in entries:
        theirs = set(paths(entry["fieldsV1"])) - gone
        if (entry["manager"], entry.get("operation"), entry.get("subresource", "")) == (
            manager,
            operation,
            subresource,
        ):
            mine |= theirs
        elif theirs:
            kept.append({**entry, "fieldsV1": _tree(theirs, roots=entry["fieldsV1"])})
    if mine:
        made: Object = {
            "apiVersion": after.get("apiVersion", ""),
            "fieldsType": "FieldsV1",
            "fieldsV1": _tree(mine, roots={} if before else {path[0]: {".": {}} for path in mine}),
            "manager": manager,
            "operation": operation,
            "time": now(),
        }
        if subresource:
            made["subresource"] = subresource
        kept.append(made)
    return kept


def paths(tree: Object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Iterate what an entry of managedFields owns."""
    for key, below in tree.items():
        if key == ".":
            continue
        if below and set(below) - {"."}:
            yield from paths(below, (*above, key))
        else:
            yield (*above, key)


def _tree(paths: Iterable[tuple[str, ...]], roots: Object) -> Object:
    tree: Object = {}
    for path in sorted(paths):
        place = tree
        for key in path:
            place = place.setdefault(key, {})
    for root, below in roots.items():
        if root in tree and root != "f:metadata" and "." in below:
            tree[root] = {".": {}, **tree[root]}
    for group in tree.get("f:metadata", {}).values():
        if roots:
            group["."] = {}
    return tree
