"""One request on one kind of object: read, list, create, replace, patch, delete."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import yaml

from gmud.sandbox.kubernetes import failures, patching
from gmud.sandbox.kubernetes.applying import applied
from gmud.sandbox.kubernetes.failures import Failure
from gmud.sandbox.kubernetes.resources import ISTIO, Resource
from gmud.sandbox.kubernetes.schemas import SCHEMAS, VIEWS
from gmud.sandbox.kubernetes.store import Object, Store, Write
from gmud.sandbox.server import Answer, Call, json_answer

SERVER_SECONDS = 60.0
APPLY = "application/apply-patch+yaml"
_PATCHES = {
    "application/json-patch+json": patching.json_patch,
    "application/merge-patch+json": patching.merge_patch,
    "application/strategic-merge-patch+json": patching.strategic_merge,
}


@dataclass(frozen=True)
class Request:
    """One authorized request on one resource, served under the lock.

    ``review`` asks the webhook (spec, seconds) for warnings; ``outrun`` lets a planted rival write first.
    """

    call: Call
    store: Store
    resource: Resource
    version: str
    namespace: str
    name: str
    sub: str
    review: Callable[[dict[str, Any], float], list[str]]
    outrun: Callable[[Resource, Object], Object]

    def read(self) -> Answer:
        """Answer one object."""
        return self._shown(self.store.get(self.resource, self.namespace, self.name))

    def every(self) -> Answer:
        """Answer the objects of a namespace, filtered by labels, as many as were asked for."""
        wanted = dict(part.split("=", 1) for part in self.call.first("labelSelector").split(",") if "=" in part)
        found = [self._versioned(one) for one in self.store.matching(self.resource, self.namespace, wanted)]
        begin, most = int(self.call.first("continue") or 0), int(self.call.first("limit") or len(found))
        items, left = found[begin : begin + most], len(found) - begin - most
        meta: Object = {"continue": str(begin + most) if left > 0 else "", "resourceVersion": str(self.store.counter)}
        meta |= {"remainingItemCount": left} if left > 0 and not wanted else {}
        kind = f"{self.resource.kind}List"
        return json_answer({"apiVersion": self._api_version, "items": items, "kind": kind, "metadata": meta})

    def create(self) -> Answer:
        """Answer a POST."""
        wanted = self._body()
        wanted.setdefault("metadata", {})["namespace"] = self.namespace
        warnings = self._validated(wanted)
        return self._shown(self.store.create(self.resource, wanted, self._write), 201, warnings)

    def replace(self) -> Answer:
        """Answer a PUT: it must carry a resourceVersion."""
        wanted = self._body()
        there = self.outrun(self.resource, self.store.get(self.resource, self.namespace, self.name))
        if not wanted.get("metadata", {}).get("resourceVersion"):
            cause = {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: 0: must be specified for an update",
                "field": "metadata.resourceVersion",
            }
            kind = self.resource
            raise failures.invalid(kind.plural, kind.plural, kind.group, self.name, [cause])
        return self._replaced(there, wanted)

    def patch(self) -> Answer:
        """Answer a PATCH of a known kind."""
        kind = self.call.headers.get("content-type", "").split(";")[0].strip()
        if kind == APPLY:
            return self._apply()
        apply = _PATCHES.get(kind)
        if apply is None or (self.resource.custom and kind.startswith("application/strategic")):
            raise failures.unknown_format(custom=self.resource.custom)
        patch = self._body()
        there = self.store.get(self.resource, self.namespace, self.name)
        if not self._write.dry:
            there = self.outrun(self.resource, there)
        return self._replaced(there, apply(self._versioned(there), patch))

    def _apply(self) -> Answer:
        """Answer a server-side apply, which makes what is not there."""
        if not self.call.first("fieldManager"):
            raise failures.no_field_manager()
        wanted, write = yaml.safe_load(self.call.body), replace(self._write, operation="Apply")
        try:
            there = self.store.get(self.resource, self.namespace, self.name)
        except Failure:
            wanted["metadata"]["namespace"] = self.namespace
            return self._shown(self.store.create(self.resource, wanted, write), 201, self._validated(wanted))
        after = applied(there, wanted, write.manager, force=self.call.first("force") == "true")
        return self._replaced(there, after, write)

    def delete(self) -> Answer:
        """Answer a DELETE; a finalizer only marks the object."""
        there = self.store.get(self.resource, self.namespace, self.name)
        asked = (self._body() if self.call.body else {}).get("preconditions", {}).get("uid")
        uid = there["metadata"]["uid"]
        if asked and asked != uid:
            raise failures.wrong_uid(self.resource.kind, self.resource.group, self.name, asked, uid)
        gone = self.store.delete(self.resource, there)
        if gone["metadata"].get("deletionTimestamp"):
            return self._shown(gone)
        details = {"name": self.name, "group": self.resource.group, "kind": self.resource.plural, "uid": uid}
        return json_answer(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    def _replaced(self, there: Object, wanted: Object, write: Write | None = None) -> Answer:
        """Validate and store; what is stale is answered with the conflict before anything else."""
        wanted = self._taken(wanted)
        fresh = there["metadata"]["resourceVersion"] == wanted["metadata"].get("resourceVersion")
        warnings = self._validated(wanted) if fresh else []
        return self._shown(self.store.update(self.resource, there, wanted, write or self._write), 200, warnings)

    def _validated(self, wanted: Object) -> list[str]:
        schema = SCHEMAS.get(self.resource.key)
        if schema is None or self.sub:
            return []
        spec = wanted.get("spec", {})
        unknown = schema.unknown_fields(spec)
        strictness = self.call.first("fieldValidation", "Warn")
        if unknown and strictness == "Strict":
            told = ", ".join(f'unknown field "{path}"' for path in unknown)
            raise failures.bad_request(
                f'{self.resource.kind} in version "{self.version}" cannot be handled as a {self.resource.kind}: '
                f"strict decoding error: {told}"
            )
        causes = schema.causes(spec)
        if causes:
            kind, name = self.resource.kind, wanted["metadata"].get("name", "")
            raise failures.invalid(kind, kind, self.resource.group, name, causes)
        limit = float(self.call.first("timeout", f"{SERVER_SECONDS:.0f}s").removesuffix("s"))
        warnings = [f'unknown field "{path}"' for path in unknown if strictness == "Warn"]
        return warnings + (self.review(schema.settled(spec), limit) if self.resource.group == ISTIO else [])

    def _body(self) -> Any:
        try:
            return self.call.json()
        except ValueError as error:
            raise failures.bad_request(f"the object provided is unrecognized: {error}") from error

    @property
    def _write(self) -> Write:
        agent = self.call.headers.get("user-agent", "unknown").split("/")[0]
        manager = self.call.first("fieldManager") or agent
        return Write(manager, dry=self.call.first("dryRun") == "All", subresource=self.sub)

    @property
    def _api_version(self) -> str:
        return f"{self.resource.group}/{self.version}" if self.resource.group else self.version

    def _versioned(self, found: Object) -> Object:
        shown = {**found, "apiVersion": self._api_version}
        view = VIEWS.get((self.resource.key, self.version))
        return {**shown, "spec": view.shown(found["spec"])} if view and "spec" in found else shown

    def _taken(self, wanted: Object) -> Object:
        """Return an object as the version of this request takes it."""
        view = VIEWS.get((self.resource.key, self.version))
        return {**wanted, "spec": view.taken(wanted["spec"])} if view and "spec" in wanted else wanted

    def _shown(self, found: Object, code: int = 200, warnings: Iterable[str] = ()) -> Answer:
        quoted = ['299 - "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in warnings]
        return json_answer(self._versioned(found), code, {"Warning": ", ".join(quoted)} if quoted else None)


VERBS: dict[str, Callable[[Request], Answer]] = {
    "get": Request.read,
    "list": Request.every,
    "create": Request.create,
    "update": Request.replace,
    "patch": Request.patch,
    "delete": Request.delete,
}
