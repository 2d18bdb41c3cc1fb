"""Speak to one API server: what it serves, read, list, patch under guard, ask for one's rights.

It never creates, replaces or deletes an object: there is no method for it.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from releases.cluster.errors import NotInstalled, Throttled
from releases.cluster.replies import Found, failure, found
from releases.core.errors import Sentence
from releases.core.http import Door, Reply
from releases.core.words import mark as _

FIELD_MANAGER = "gmud"
THROTTLED_TRIES = 3
LONGEST_PAUSE = 3.0
PAGE = "500"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object: its group, its plural, and the versions we can read, best first."""

    group: str
    plural: str
    versions: tuple[str, ...]


VIRTUAL_SERVICES = Kind("networking.istio.io", "virtualservices", ("v1", "v1beta1", "v1alpha3"))
DESTINATION_RULES = Kind("networking.istio.io", "destinationrules", ("v1", "v1beta1", "v1alpha3"))
DEPLOYMENTS = Kind("apps", "deployments", ("v1",))
SERVICES = Kind("", "services", ("v1",))


@dataclass(slots=True)
class ClusterClient:
    """One API server behind a door whose headers carry the token; ``sleep`` waits when the server asks for it."""

    door: Door
    sleep: Callable[[float], None] = time.sleep
    _versions: dict[str, str] = field(default_factory=dict)

    def version(self) -> str:
        """Return the server's version, such as ``v1.36.2``.

        :raises Rejected: the token is refused
        :raises Unreachable: no answer
        """
        return str(found(self._call("GET", "/version")).body.get("gitVersion", ""))

    def served(self, kind: Kind) -> str:
        """Return the best version of a kind that this server serves; asked once per client.

        :raises NotInstalled: the group, or every version we know, is missing
        :raises Unreachable: no answer
        """
        if not kind.group:
            return kind.versions[0]
        if kind.group not in self._versions:
            body = found(self._call("GET", f"/apis/{quote(kind.group)}")).body
            listed = {str(one.get("version")) for one in body.get("versions", [])}
            best = next((version for version in kind.versions if version in listed), None)
            if best is None:
                parts = {"group": kind.group}
                raise NotInstalled(Sentence(_("The cluster serves no version of %(group)s that we know."), parts))
            self._versions[kind.group] = best
        return self._versions[kind.group]

    def get(self, kind: Kind, namespace: str, name: str) -> Found:
        """Read one object.

        :raises ObjectMissing: it is not there
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """
        return found(self._call("GET", self._path(kind, namespace, name)))

    def list(self, kind: Kind, namespace: str) -> tuple[Mapping[str, Any], ...]:
        """Read every object of a kind in a namespace, page by page.

        :raises Rejected: a clear no; a role limited to names may read but not list
        :raises Unreachable: no answer
        """
        items: list[Mapping[str, Any]] = []
        params = {"limit": PAGE}
        while True:
            body = found(self._call("GET", self._path(kind, namespace), params=params)).body
            items += body.get("items", [])
            more = body.get("metadata", {}).get("continue", "")
            if not more:
                return tuple(items)
            params = {"limit": PAGE, "continue": more}

    def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> Found:
        """Send a JSON Patch; ``dry_run`` runs everything, webhooks included, and stores nothing.

        :raises VersionConflict: the resourceVersion in the patch is no longer the live one
        :raises PatchFailed: a ``test`` or a path did not hold
        :raises Denied: a webhook refused the content
        :raises Rejected: another clear no
        :raises Unreachable: whether it was written is not known: read before doing anything else
        """
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            params["dryRun"] = "All"
        content = json.dumps(list(operations), separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json-patch+json"}
        path = self._path(kind, namespace, name)
        return found(self._call("PATCH", path, params=params, headers=headers, content=content))

    def may(self, verb: str, kind: Kind, namespace: str, name: str = "") -> bool:
        """Ask whether the token's role covers a verb on this object.

        :raises Rejected: the question itself was refused
        :raises Unreachable: no answer
        """
        attributes = {"namespace": namespace, "verb": verb, "group": kind.group, "resource": kind.plural, "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return found(self._call("POST", path, json=review)).body.get("status", {}).get("allowed") is True

    def _path(self, kind: Kind, namespace: str, name: str = "") -> str:
        version = self.served(kind)
        root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
        path = f"{root}/namespaces/{quote(namespace, safe='')}/{kind.plural}"
        return f"{path}/{quote(name, safe='')}" if name else path

    def _call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **rest: Any) -> Reply:
        """Call; come back when the server asks to, since it did nothing then; its last answer stands."""
        reply = self._once(method, path, headers, rest)
        for _again in range(THROTTLED_TRIES - 1):
            error = failure(reply) if reply.status == 429 else None
            if not isinstance(error, Throttled):
                return reply
            self.sleep(min(error.retry_after, LONGEST_PAUSE))
            reply = self._once(method, path, headers, rest)
        return reply

    def _once(self, method: str, path: str, headers: Mapping[str, str] | None, rest: Mapping[str, Any]) -> Reply:
        return self.door.call(method, path, headers={"Accept": "application/json", **(headers or {})}, **rest)
