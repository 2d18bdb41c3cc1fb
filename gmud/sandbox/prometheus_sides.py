"""Which version gets which share of the requests, as the control planes say it that split them.

Each is read over its own API: VirtualServices, HTTPRoutes of the Gateway API and of Linkerd, Kong's upstreams, APISIX's
routes. They lead to the same pods: a target is a Service, or a subset of one, and the pods it selects carry a version.
"""

import http.client
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Object = dict[str, Any]
Read = Callable[[str], Any]
CLUSTER = {
    "services": "/api/v1/services",
    "deployments": "/apis/apps/v1/deployments",
    "rules": "/apis/networking.istio.io/v1/destinationrules",
    "istio": "/apis/networking.istio.io/v1/virtualservices",
    "gateway": "/apis/gateway.networking.k8s.io/v1/httproutes",
    "linkerd": "/apis/policy.linkerd.io/v1beta3/httproutes",
}


@dataclass(frozen=True)
class Side:
    """What gets a share, 0 to 1, of the requests to a service: the version behind it."""

    namespace: str
    service: str
    share: float
    version: str


@dataclass(frozen=True)
class Target:
    """One entry of a split: a Service, the labels of a subset of its pods, its weight."""

    namespace: str
    host: str
    weight: int
    labels: Mapping[str, str]


class Cluster:
    """What the API server holds: who is behind a target, and the splits of three meshes."""

    def __init__(self, read: Read) -> None:
        """Read all that counts; what the cluster does not serve is none."""
        self.found: dict[str, list[Object]] = {name: read(path).get("items", []) for name, path in CLUSTER.items()}

    def splits(self) -> Iterator[list[Target]]:
        """Give the targets of every route."""
        for route in self.found["istio"]:
            for one in route["spec"].get("http", []):
                yield [self._subset(route["metadata"]["namespace"], entry) for entry in one.get("route", [])]
        for route in (*self.found["gateway"], *self.found["linkerd"]):
            own = route["metadata"]["namespace"]
            for rule in route["spec"].get("rules", []):
                yield [
                    Target(one.get("namespace", own), one["name"], one.get("weight", 1), {})
                    for one in rule.get("backendRefs", [])
                ]

    def side(self, target: Target, share: float) -> Side:
        """Return the service and the version of the pods behind a target."""
        place = (target.namespace, target.host)
        chosen = {"app": target.host}
        for one in self.found["services"]:
            if (one["metadata"]["namespace"], one["metadata"]["name"]) == place:
                chosen = one["spec"].get("selector", chosen)
        for deployment in self.found["deployments"]:
            pod = deployment["spec"]["template"]["metadata"]["labels"]
            if (
                deployment["metadata"]["namespace"] == target.namespace
                and {**chosen, **target.labels}.items() <= pod.items()
            ):
                return Side(target.namespace, pod.get("app", target.host), share, str(pod.get("version", "")))
        return Side(target.namespace, target.host, share, "")

    def _subset(self, namespace: str, entry: Object) -> Target:
        named = entry["destination"]
        rules = [one["spec"] for one in self.found["rules"] if one["metadata"]["namespace"] == namespace]
        subsets = [one for rule in rules if rule["host"] == named["host"] for one in rule.get("subsets", [])]
        labels: Mapping[str, str] = next(
            (one["labels"] for one in subsets if one["name"] == named.get("subset", "")), {}
        )
        return Target(namespace, named["host"], entry.get("weight", 0), labels)


def kong(read: Read) -> Iterator[list[Target]]:
    """Give the targets of every upstream of Kong."""
    for upstream in read("/upstreams").get("data", []):
        rows = read(f"/upstreams/{upstream['id']}/targets").get("data", [])
        yield [_addressed(one["target"], one["weight"]) for one in rows]


def apisix(read: Read) -> Iterator[list[Target]]:
    """Give what the first rule of traffic-split leads to, of every route of APISIX: the first node of each upstream."""
    listed = read("/apisix/admin/upstreams").get("list", [])
    nodes = {one["value"]["id"]: next(iter(one["value"]["nodes"]), "") for one in listed}
    for route in (one["value"] for one in read("/apisix/admin/routes").get("list", [])):
        for rule in route.get("plugins", {}).get("traffic-split", {}).get("rules", [])[:1]:
            yield [
                _addressed(nodes[one.get("upstream_id", route.get("upstream_id"))], one.get("weight", 1))
                for one in rule["weighted_upstreams"]
            ]


GATEWAYS: Mapping[str, Callable[[Read], Iterator[list[Target]]]] = {"kong": kong, "apisix": apisix}


def sides(cluster: Cluster, splits: Iterable[list[Target]]) -> Iterator[Side]:
    """Give every side of every split; a single target gets everything, whatever its weight."""
    for split in splits:
        weights = [target.weight for target in split] if len(split) > 1 else [1] * len(split)
        total = sum(weights)
        for target, weight in zip(split, weights, strict=True):
            yield cluster.side(target, weight / total if total else 0.0)


def reader(url: str, headers: Mapping[str, str]) -> Read:
    """Return what reads JSON from a server; what it does not know (404) is nothing."""

    def read(path: str) -> Any:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=5)
        try:
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 404):
            raise LookupError(f"{answer.status} at {path}")
        return json.loads(body) if answer.status == 200 else {}

    return read


def _addressed(address: str, weight: int) -> Target:
    """Return a target that is named as the cluster's DNS does: ``service.namespace.svc:port``."""
    host, _, rest = address.partition(".")
    return Target(rest.partition(".")[0], host, weight, {})
