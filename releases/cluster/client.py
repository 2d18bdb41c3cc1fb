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
PAGE = "40"  # an answer has 1 MiB, and an object with its managed fields up to some 20 KiB


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object: its group, its plural, and the versions we can read, best first."""

    group: str
    plural: str
    versions: tuple[str, ...]


VIRTUAL_SERVICES = Kind("networking.istio.io", "virtualservices", ("v1", "v1beta1", "v1alpha3"))
DESTINATION_RULES = Kind("networking.istio.io", "destinationrules", ("v1", "v1beta1", "v1alpha3"))
HTTP_ROUTES = Kind("gateway.networking.k8s.io", "httproutes", ("v1", "v1beta1"))
GRPC_ROUTES = Kind("gateway.networking.k8s.io", "grpcroutes", ("v1",))
LINKERD_ROUTES = Kind("policy.linkerd.io", "httproutes", ("v1beta3", "v1beta2", "v1beta1", "v1alpha1"))
SERVICE_PROFILES = Kind("linkerd.io", "serviceprofiles", ("v1alpha2",))
TRAFFIC_SPLITS = Kind("split.smi-spec.io", "trafficsplits", ("v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"))
ROLLOUTS = Kind("argoproj.io", "rollouts", ("v1alpha1",))
CANARIES = Kind("flagger.app", "canaries", ("v1beta1",))
DEPLOYMENTS = Kind("apps", "deployments", ("v1",))
REPLICA_SETS = Kind("apps", "replicasets", ("v1",))
ENDPOINT_SLICES = Kind("discovery.k8s.io", "endpointslices", ("v1",))
SERVICES = Kind("", "services", ("v1",))
PODS = Kind("", "pods", ("v1",))


@dataclass(slots=True)
class ClusterClient:
    """One API server behind a door whose headers carry the token; ``sleep`` waits when the server asks for it."""

    door: Door
    sleep: Callable[[float], None] = time.sleep
    _versions: dict[str, frozenset[str]] = field(default_factory=dict)

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
            self._versions[kind.group] = frozenset(self.offered(kind.group))
        best = next((version for version in kind.versions if version in self._versions[kind.group]), None)
        if best is None:
            parts = {"group": kind.group}
            raise NotInstalled(Sentence(_("The cluster serves no version of %(group)s that we know."), parts))
        return best

    def offered(self, group: str) -> tuple[str, ...]:
        """Return the versions of a group that this server serves, the server's favourite first; none: not installed.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """
        try:
            body = found(self._call("GET", f"/apis/{quote(group)}")).body
        except NotInstalled:
            return ()
        return tuple(str(one.get("version")) for one in body.get("versions", ()))

    def kinds(self, group: str, version: str) -> tuple[str, ...]:
        """Return the kinds that a version of a group has, without their parts.

        :raises NotInstalled: it is not served
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """
        body = found(self._call("GET", f"/apis/{quote(group)}/{quote(version)}")).body
        return tuple(str(one["kind"]) for one in body.get("resources", ()) if "/" not in one["name"])

    def get(self, kind: Kind, namespace: str, name: str) -> Found:
        """Read one object.

        :raises ObjectMissing: it is not there
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """
        return found(self._call("GET", self._path(kind, namespace, name)))

    def list(
        self, kind: Kind, namespace: str = "", *, labels: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, Any], ...]:
        """Read every object of a kind that carries these labels in a namespace (in all of them), page by page.

        :raises Rejected: a clear no; a role limited to names may read but not list
        :raises Unreachable: no answer
        """
        items: list[Mapping[str, Any]] = []
        first = {"limit": PAGE}
        if labels:
            first["labelSelector"] = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        params = first
        while True:
            body = found(self._call("GET", self._path(kind, namespace), params=params)).body
            items += body.get("items", [])
            more = body.get("metadata", {}).get("continue", "")
            if not more:
                return tuple(items)
            params = {**first, "continue": more}

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
        path = self._path(kind, namespace, name)
        return self._patch(path, "application/json-patch+json", list(operations), {"dryRun": "All"} if dry_run else {})

    def merge(self, kind: Kind, namespace: str, name: str, change: Mapping[str, Any], *, sub: str = "") -> Found:
        """Send a merge patch, to a subresource such as ``status``; lists in it are replaced whole.

        :raises VersionConflict: a resourceVersion in it is no longer the live one
        :raises Rejected: another clear no
        :raises Unreachable: whether it was written is not known: read before doing anything else
        """
        path = self._path(kind, namespace, name)
        return self._patch(f"{path}/{sub}" if sub else path, "application/merge-patch+json", change, {})

    def _patch(self, path: str, kind: str, body: Any, params: Mapping[str, str]) -> Found:
        content = json.dumps(body, separators=(",", ":")).encode()
        asked = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", **params}
        return found(self._call("PATCH", path, params=asked, headers={"Content-Type": kind}, content=content))

    def may(self, verb: str, kind: Kind, namespace: str, name: str = "", *, sub: str = "") -> bool:
        """Ask whether the token's role covers a verb on this object, or on a subresource of it.

        :raises Rejected: the question itself was refused
        :raises Unreachable: no answer
        """
        attributes = {"namespace": namespace, "verb": verb, "group": kind.group, "resource": kind.plural, "name": name}
        attributes |= {"subresource": sub} if sub else {}
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
        place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        path = f"{root}{place}/{kind.plural}"
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
