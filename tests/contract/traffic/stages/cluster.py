"""The stage of every control plane whose routes are objects of an API server."""

import copy
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from gmud.sandbox.kubernetes import resources
from gmud.sandbox.kubernetes.api import Cluster, Identity
from gmud.sandbox.kubernetes.store import Object, Write
from releases.cluster.client import ClusterClient
from releases.traffic.guarded import Guarded
from releases.traffic.plane import ControlPlane
from releases.traffic.ports import RouteRef
from tests.factories.traffic import door_to

ENTRIES = {"VirtualService": "route", "HTTPRoute": "backendRefs", "GRPCRoute": "backendRefs"}


class ClusterStage:
    """One object in a cluster; its route stands at ``section[index]`` of the spec.

    ``sides`` are the deployments behind stable and canary; ``other`` is what a change of the route itself puts there.
    """

    def __init__(
        self,
        url: str,
        cluster: Cluster,
        *,
        plane: Callable[[ClusterClient], ControlPlane[Any]],
        route: RouteRef,
        key: str,
        section: str,
        index: int,
        sides: Mapping[str, str],
        other: Mapping[str, Any],
    ) -> None:
        self.naps: list[float] = []
        self.sandbox = self.cluster = cluster
        self.provider = Guarded(plane(ClusterClient(door_to(url), sleep=self.naps.append)), sleep=self.naps.append)
        self.route = route
        self.resource = resources.by_plural(key)
        self.section, self.index, self.sides, self.other = section, index, sides, other
        self.can_be_absent = self.resource.kind == "VirtualService"  # the Gateway API fills in a weight of 1
        where = f"/{self.resource.plural}/{re.escape(route.name)}$"
        self.reading = {"method": "GET", "path": where}
        self.writing = {"method": "PATCH", "path": where, "query": "^(?!.*dryRun)"}

    @property
    def stored(self) -> Object:
        return self.cluster.store.get(self.resource, self.route.namespace, self.route.name)

    def entries(self, found: Object) -> list[Any]:
        entries: list[Any] = found["spec"][self.section][self.index][ENTRIES[self.resource.kind]]
        return entries[:2]

    def edit(self, change: Callable[[Object], None], manager: str = "kubectl-edit") -> None:
        wanted = copy.deepcopy(self.stored)
        change(wanted)
        self.cluster.store.update(self.resource, self.stored, wanted, Write(manager))

    def stand(self, stable: int | None, canary: int | None) -> None:
        def change(found: Object) -> None:
            for entry, weight in zip(self.entries(found), (stable, canary), strict=True):
                entry.pop("weight", None)
                if weight is not None:
                    entry["weight"] = weight

        self.edit(change)

    def touch(self) -> None:
        self.edit(lambda found: found["metadata"].setdefault("labels", {}).update(touched=str(uuid4())))

    def restructure(self) -> None:
        def change(found: Object) -> None:
            routes = found["spec"][self.section]
            routes[self.index] = {**routes[self.index], **self.other}

        self.edit(change)

    def renew(self) -> None:
        self.stored["metadata"]["uid"] = str(uuid4())

    def remove(self) -> None:
        self.cluster.store.delete(self.resource, self.stored)

    def kill(self, side: str) -> None:
        deployments = resources.by_plural("deployments")
        there = self.cluster.store.get(deployments, self.route.namespace, self.sides[side])
        wanted = copy.deepcopy(there)
        wanted["spec"]["replicas"] = 0
        self.cluster.store.update(deployments, there, wanted, Write("kubectl-scale"))

    def deny(self, status: int) -> None:
        nobody = Identity("system:serviceaccount:gmud:nobody", frozenset())
        self.cluster.identities = {} if status == 401 else {"sandbox-full": nobody}

    def before_write(self, act: Callable[[], None]) -> None:
        def outrun(resource: Any, there: Object) -> Object:
            del self.cluster.outrun  # type: ignore[method-assign]  # back to the class's own
            act()
            return self.cluster.store.get(resource, self.route.namespace, self.route.name)

        self.cluster.outrun = outrun  # type: ignore[method-assign]  # the rival of this one write

    def raw(self) -> dict[str, int | None]:
        stable, canary = (entry.get("weight") for entry in self.entries(self.stored))
        return {"stable": stable, "canary": canary}

    def rest(self) -> Any:
        found = copy.deepcopy(self.stored)
        for counted in ("resourceVersion", "generation", "managedFields"):
            found["metadata"].pop(counted, None)
        for entry in self.entries(found):
            entry.pop("weight", None)
        return json.dumps(found, sort_keys=True)

    def writes(self) -> int:
        return sum(
            1
            for one in self.cluster.log
            if one["method"] not in ("GET", "HEAD")
            and "dryRun" not in one["query"]
            and "accessreviews" not in one["path"]
        )


def backends(namespace: str, *names: str) -> list[Object]:
    """Return a Service and a Deployment of each of these names."""
    found: list[Object] = []
    for name in names:
        labels = {"app": name}
        meta = {"name": name, "namespace": namespace, "labels": labels}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": name, "image": f"example/{name}:1"}]},
        }
        spec = {"selector": labels, "ports": [{"port": 8080}]}
        found.append({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        found.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    return found
