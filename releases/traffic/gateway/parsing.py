"""Read a route of the Gateway API: its backends, what it answers for, what its controllers say of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.plane import Entry

Object = Mapping[str, Any]
SECTION = "rules"
# A condition, and the status it has when all is well.
SOUND = {"Accepted": "True", "ResolvedRefs": "True", "PartiallyInvalid": "False"}
NEEDED = ("Accepted", "ResolvedRefs")


def key_of(backend: Object, namespace: str) -> str:
    """Return a backend's identity: group, kind, namespace, name and port."""
    home = backend.get("namespace") or namespace
    kind = f"{backend.get('group', '')}/{backend.get('kind', 'Service')}"
    return f"{kind}/{home}/{backend['name']}:{backend.get('port', '')}"


def entries_of(backends: Sequence[Object], namespace: str) -> Iterator[Entry]:
    """Iterate backends as every control plane calls them; one that stands there again is told apart by its number."""
    seen: Counter[str] = Counter()
    for backend in backends:
        key = key_of(backend, namespace)
        seen[key] += 1
        numbered = f"{key}#{seen[key]}" if seen[key] > 1 else key
        yield Entry(numbered, (backend["name"],), backend.get("weight"))


def hosts_of(body: Object) -> tuple[str, ...]:
    """Return the names a route answers for: its own, else those of the Services it stands before, else any."""
    namespace = body["metadata"]["namespace"]
    services = [
        f"{parent['name']}.{parent.get('namespace') or namespace}"
        for parent in body["spec"].get("parentRefs", ())
        if parent.get("kind") == "Service"
    ]
    return tuple(body["spec"].get("hostnames") or services or ["*"])


def troubles(body: Object) -> Iterator[Sentence]:
    """Iterate what the controllers of a route say is wrong with it."""
    for parent in (body.get("status") or {}).get("parents", ()):
        for condition in parent.get("conditions", ()):
            wanted = SOUND.get(condition.get("type", ""))
            if wanted is None or condition.get("status") in (wanted, "Unknown"):
                continue
            parts = {
                "controller": parent.get("controllerName", ""),
                "condition": condition["type"],
                "reason": condition.get("reason", ""),
                "message": condition.get("message", ""),
            }
            yield Sentence(_("%(controller)s says %(condition)s: %(reason)s. %(message)s"), parts)


def is_taken_up(body: Object) -> bool | None:
    """Say whether the controllers of every parent took up this generation; ``None`` when they do not say.

    It means that they read it, not that every proxy has it.
    """
    parents = (body.get("status") or {}).get("parents", ())
    generation = body["metadata"].get("generation", 0)
    conditions = [
        {condition.get("type"): condition for condition in parent.get("conditions", ())} for parent in parents
    ]
    needed = [found.get(name, {}) for found in conditions for name in NEEDED]
    if not needed or not all("observedGeneration" in condition for condition in needed):
        return None
    partial = [found.get("PartiallyInvalid", {}) for found in conditions]
    return all(
        condition["observedGeneration"] >= generation and condition.get("status") == "True" for condition in needed
    ) and not any(condition.get("status") == "True" for condition in partial)
