"""The objects themselves: versions, generations, who wrote what."""

import copy
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gmud.sandbox.kubernetes import failures
from gmud.sandbox.kubernetes.derived import DERIVED
from gmud.sandbox.kubernetes.ownership import now, owned
from gmud.sandbox.kubernetes.resources import Resource, of_manifest
from gmud.sandbox.kubernetes.schemas import SCHEMAS

Object = dict[str, Any]
Key = tuple[str, str, str]
_SERVER_OWNED = ("uid", "creationTimestamp", "generation", "resourceVersion", "managedFields", "deletionTimestamp")


@dataclass(frozen=True)
class Write:
    """How a write is meant: by whom, for real or not, on the object or on its status."""

    manager: str
    dry: bool = False
    subresource: str = ""
    operation: str = "Update"


@dataclass
class Store:
    """Every object by (key of its kind, namespace, name), and the counter behind every resourceVersion."""

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
            resource = of_manifest(manifest)
            if resource is None:
                raise ValueError(f"The stand-in does not serve {manifest['kind']}.")
            loaded = copy.deepcopy(manifest)
            given = loaded["metadata"]
            given.setdefault("namespace", "default")
            given.setdefault("uid", str(uuid.uuid4()))
            given.setdefault("creationTimestamp", now())
            given.setdefault("generation", 1)
            if "resourceVersion" not in given:
                given["resourceVersion"] = self.next_version()
            self.counter = max(self.counter, int(given["resourceVersion"]))
            if "managedFields" not in given:
                given["managedFields"] = _owned({}, loaded, [], Write("seed"))
            self._settle(resource, loaded)
            self.objects[resource.key, given["namespace"], given["name"]] = loaded
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
        found = self.objects.get((resource.key, namespace, name))
        if found is None:
            raise failures.not_found(resource.plural, resource.group, name)
        return found

    def matching(self, resource: Resource, namespace: str, labels: dict[str, str]) -> Iterator[Object]:
        """Iterate the objects of a namespace (or of all, when empty) that carry all these labels, by name."""
        for found in self._every(resource, namespace):
            if labels.items() <= found["metadata"].get("labels", {}).items():
                yield found

    def _every(self, resource: Resource, namespace: str) -> Iterable[Object]:
        kept = sorted(self.objects.items())
        mine = [found for (plural, place, _), found in kept if plural == resource.key and namespace in ("", place)]
        return [*DERIVED[resource.plural](self.objects, namespace), *mine] if resource.plural in DERIVED else mine

    def create(self, resource: Resource, wanted: Object, write: Write) -> Object:
        """Store a new object.

        :raises Failure: 409 when the name is taken
        """
        key = (resource.key, wanted["metadata"]["namespace"], wanted["metadata"]["name"])
        if key in self.objects:
            raise failures.already_exists(resource.plural, resource.group, key[2])
        made = copy.deepcopy(wanted)
        for name in _SERVER_OWNED:
            made["metadata"].pop(name, None)
        made["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
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
            self.objects[resource.key, there["namespace"], name] = after
            if "deletionTimestamp" in after["metadata"] and not after["metadata"].get("finalizers"):
                del self.objects[resource.key, there["namespace"], name]
        return after

    def delete(self, resource: Resource, there: Object) -> Object:
        """Remove an object, or mark it when a finalizer holds it."""
        meta = there["metadata"]
        if meta.get("finalizers"):
            if "deletionTimestamp" not in meta:
                meta |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
                meta["generation"] += 1
                meta["resourceVersion"] = self.next_version()
            return there
        self.next_version()
        return self.objects.pop((resource.key, meta["namespace"], meta["name"]))

    def _settle(self, resource: Resource, found: Object) -> None:
        """Do at once what a controller would do: prune the spec, or bring the replicas up."""
        if resource.key in SCHEMAS:
            found["spec"] = SCHEMAS[resource.key].settled(found.get("spec", {}))
        if resource.kind == "Deployment":
            replicas = found["spec"].get("replicas", 1)
            counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), replicas)
            found["status"] = {"observedGeneration": found["metadata"]["generation"], **(counts if replicas else {})}


def _bare(found: Object) -> Object:
    """Return an object without what the server itself counts."""
    counted = ("generation", "resourceVersion", "managedFields")
    meta = {key: value for key, value in found["metadata"].items() if key not in counted}
    return {**found, "apiVersion": "", "metadata": meta}


def _owned(before: Object, after: Object, entries: list[Object], write: Write) -> list[Object]:
    return owned(before, after, entries, write.manager, operation=write.operation, subresource=write.subresource)
