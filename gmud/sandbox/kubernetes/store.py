"""The objects themselves: versions, generations, who wrote what."""

import copy
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gmud.sandbox.kubernetes import failures, schema
from gmud.sandbox.kubernetes.resources import Resource, by_kind

Object = dict[str, Any]
Key = tuple[str, str, str]
_SERVER_OWNED = ("uid", "creationTimestamp", "generation", "resourceVersion", "managedFields", "deletionTimestamp")


@dataclass(frozen=True)
class Write:
    """How a write is meant: by whom, for real or not, on the object or on its status."""

    manager: str
    dry: bool = False
    subresource: str = ""


@dataclass
class Store:
    """Every object by (plural, namespace, name), and the counter behind every resourceVersion."""

    objects: dict[Key, Object] = field(default_factory=dict)
    counter: int = 100
    is_changed: bool = False

    @classmethod
    def recalled(cls, kept: Mapping[str, Any]) -> "Store":
        """Return the store that :meth:`told` described."""
        return cls({(one[0], one[1], one[2]): found for *one, found in kept["objects"]}, kept["counter"])

    def told(self) -> Object:
        """Return everything as JSON can say it."""
        return {"counter": self.counter, "objects": [[*key, found] for key, found in self.objects.items()]}

    def load(self, manifests: Iterable[Object]) -> None:
        """Put objects in as they are; what the server owns is filled in where it is missing."""
        for manifest in manifests:
            resource = by_kind(manifest["kind"])
            if resource is None:
                raise ValueError(f"The stand-in does not serve {manifest['kind']}.")
            loaded = copy.deepcopy(manifest)
            given = loaded["metadata"]
            given.setdefault("namespace", "default")
            given.setdefault("uid", str(uuid.uuid4()))
            given.setdefault("creationTimestamp", _now())
            given.setdefault("generation", 1)
            if "resourceVersion" not in given:
                given["resourceVersion"] = self.next_version()
            self.counter = max(self.counter, int(given["resourceVersion"]))
            if "managedFields" not in given:
                given["managedFields"] = _owned({}, loaded, [], Write("seed"))
            self._settle(resource, loaded)
            self.objects[resource.plural, given["namespace"], given["name"]] = loaded
            self.is_changed = True

    def next_version(self) -> str:
        """Move the counter and return it."""
        self.counter += 1
        self.is_changed = True
        return str(self.counter)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Return the stored object.

        :raises Failure: 404
        """
        found = self.objects.get((resource.plural, namespace, name))
        if found is None:
            raise failures.not_found(resource.plural, resource.group, name)
        return found

    def matching(self, resource: Resource, namespace: str, labels: dict[str, str]) -> Iterator[Object]:
        """Iterate the objects of a namespace (or of all, when empty) that carry all these labels, by name."""
        for (plural, place, _name), found in sorted(self.objects.items()):
            carried = found["metadata"].get("labels", {})
            if plural == resource.plural and namespace in ("", place) and labels.items() <= carried.items():
                yield found

    def create(self, resource: Resource, wanted: Object, write: Write) -> Object:
        """Store a new object.

        :raises Failure: 409 when the name is taken
        """
        key = (resource.plural, wanted["metadata"]["namespace"], wanted["metadata"]["name"])
        if key in self.objects:
            raise failures.already_exists(resource.plural, resource.group, key[2])
        made = copy.deepcopy(wanted)
        for name in _SERVER_OWNED:
            made["metadata"].pop(name, None)
        made["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now(), "generation": 1}
        made["metadata"]["managedFields"] = _owned({}, made, [], write)
        self._settle(resource, made)
        if not write.dry:
            made["metadata"]["resourceVersion"] = self.next_version()
            self.objects[key] = made
        return made

    def update(self, resource: Resource, before: Object, wanted: Object, write: Write) -> Object:
        """Replace an object: a stale version is refused, an equal one changes nothing, only a new spec counts up.

        :raises Failure: 409 stale, 422 another uid
        """
        meta, there = wanted["metadata"], before["metadata"]
        name = there["name"]
        if meta.get("resourceVersion", there["resourceVersion"]) != there["resourceVersion"]:
            raise failures.conflict(resource.plural, resource.group, name)
        if meta.get("uid", there["uid"]) != there["uid"]:
            cause = {
                "reason": "FieldValueInvalid",
                "message": f'Invalid value: "{meta["uid"]}": field is immutable',
                "field": "metadata.uid",
            }
            raise failures.invalid(resource.kind, resource.kind, resource.group, name, [cause, cause])
        after = copy.deepcopy(wanted)
        after["metadata"] |= {owned: there[owned] for owned in _SERVER_OWNED if owned in there}
        if write.subresource == "status":
            after = {**copy.deepcopy(before), "status": after.get("status")}
        elif resource.custom:
            after.pop("status", None)
            after |= {"status": before["status"]} if "status" in before else {}
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = there["generation"] + 1
            self._settle(resource, after)
        if _bare(after) == _bare(before):
            return before
        after["metadata"]["managedFields"] = _owned(before, after, there.get("managedFields", []), write)
        if not write.dry:
            after["metadata"]["resourceVersion"] = self.next_version()
            self.objects[resource.plural, there["namespace"], name] = after
            if "deletionTimestamp" in after["metadata"] and not after["metadata"].get("finalizers"):
                del self.objects[resource.plural, there["namespace"], name]
        return after

    def delete(self, resource: Resource, there: Object) -> Object:
        """Remove an object, or mark it when a finalizer holds it."""
        meta = there["metadata"]
        if meta.get("finalizers"):
            if "deletionTimestamp" not in meta:
                meta |= {"deletionTimestamp": _now(), "deletionGracePeriodSeconds": 0}
                meta["generation"] += 1
                meta["resourceVersion"] = self.next_version()
            return there
        self.next_version()
        return self.objects.pop((resource.plural, meta["namespace"], meta["name"]))

    def _settle(self, resource: Resource, found: Object) -> None:
        """Do at once what a controller would do: prune the spec, or bring the replicas up."""
        if resource.kind == "VirtualService":
            found["spec"] = schema.prune(found.get("spec", {}))
        if resource.kind == "Deployment":
            replicas = found["spec"].get("replicas", 1)
            counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), replicas)
            found["status"] = {"observedGeneration": found["metadata"]["generation"], **(counts if replicas else {})}


def _bare(found: Object) -> Object:
    """Return an object without what the server itself counts."""
    counted = ("generation", "resourceVersion", "managedFields")
    meta = {key: value for key, value in found["metadata"].items() if key not in counted}
    return {**found, "metadata": meta}


def _fields(found: Object) -> dict[tuple[str, ...], Any]:
    """Return what can be owned: single labels and annotations, whole fields of the spec (lists are one piece)."""
    owned: dict[tuple[str, ...], Any] = {}
    for group in ("annotations", "labels"):
        for key, value in found.get("metadata", {}).get(group, {}).items():
            owned["f:metadata", f"f:{group}", f"f:{key}"] = value
    for part in ("spec", "status"):
        for key, value in (found.get(part) or {}).items():
            owned[f"f:{part}", f"f:{key}"] = value
    return owned


def _owned(before: Object, after: Object, entries: list[Object], write: Write) -> list[Object]:
    """Return managedFields after a write: what changed belongs to the writer, other entries lose it."""
    had, has = _fields(before), _fields(after)
    changed = {path for path in has if path not in had or had[path] != has[path]}
    gone = changed | (had.keys() - has.keys())
    if write.subresource:
        changed = {path for path in changed if path[0] == f"f:{write.subresource}"}
    elif before or "status" in after:
        changed = {path for path in changed if path[0] != "f:status"}
    kept: list[Object] = []
    mine: set[tuple[str, ...]] = set(changed)
    for entry in entries:
        paths = set(_paths(entry["fieldsV1"])) - gone
        if entry["manager"] == write.manager and entry.get("subresource", "") == write.subresource:
            mine |= paths
        elif paths:
            kept.append({**entry, "fieldsV1": _tree(paths, roots=entry["fieldsV1"])})
    if mine:
        made: Object = {
            "apiVersion": after.get("apiVersion", ""),
            "fieldsType": "FieldsV1",
            "fieldsV1": _tree(mine, roots={} if before else {path[0]: {".": {}} for path in mine}),
            "manager": write.manager,
            "operation": "Update",
            "time": _now(),
        }
        if write.subresource:
            made["subresource"] = write.subresource
        kept.append(made)
    return kept


def _paths(tree: Object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, below in tree.items():
        if key == ".":
            continue
        if below and set(below) - {"."}:
            yield from _paths(below, (*above, key))
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


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
