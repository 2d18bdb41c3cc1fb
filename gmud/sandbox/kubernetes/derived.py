"""What controllers would make of deployments and services: pods, and slices of the endpoints behind a service."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Object = dict[str, Any]
Objects = Mapping[tuple[str, str, str], Object]


def pods(objects: Objects, namespace: str) -> Iterator[Object]:
    """Iterate a ready pod for every ready replica of every deployment."""
    for (plural, place, name), one in sorted(objects.items()):
        if plural != "deployments" or namespace not in ("", place):
            continue
        labels = one["spec"]["template"]["metadata"].get("labels", {})
        for number in range(one.get("status", {}).get("readyReplicas", 0)):
            yield _made("v1", "Pod", place, f"{name}-{number}", labels, status={"phase": "Running"})


def slices(objects: Objects, namespace: str) -> Iterator[Object]:
    """Iterate one slice for every service that selects pods, with them; of the others somebody else writes slices."""
    running = list(pods(objects, namespace))
    for (plural, place, name), one in sorted(objects.items()):
        if plural != "services" or namespace not in ("", place):
            continue
        chosen = one.get("spec", {}).get("selector", {}).items()
        if not chosen:
            continue
        behind = [
            pod["metadata"]["name"]
            for pod in running
            if pod["metadata"]["namespace"] == place and chosen <= pod["metadata"]["labels"].items()
        ]
        endpoints = [
            {"conditions": {"ready": True}, "targetRef": {"kind": "Pod", "namespace": place, "name": pod}}
            for pod in behind
        ]
        labels = {"kubernetes.io/service-name": name}
        yield _made("discovery.k8s.io/v1", "EndpointSlice", place, f"{name}-0", labels, endpoints=endpoints)


def _made(version: str, kind: str, namespace: str, name: str, labels: Mapping[str, str], **rest: Any) -> Object:
    meta = {"name": name, "namespace": namespace, "labels": dict(labels)}
    return {"apiVersion": version, "kind": kind, "metadata": meta, **rest}


DERIVED: Mapping[str, Callable[[Objects, str], Iterator[Object]]] = {"pods": pods, "endpointslices": slices}
