"""In few words: which side of which route gets how much, and what runs there; for people and tests that look."""

from collections.abc import Iterator, Mapping
from typing import Any

Object = dict[str, Any]
Objects = Mapping[tuple[str, str, str], Object]
Side = tuple[str, int, Mapping[str, str]]
ROUTES = ("virtualservices", "httproutes", "httproutes.policy.linkerd.io")


def splits(objects: Objects) -> list[Object]:
    """Return namespace, service, weights, versions and ready replicas of every route that splits, by side."""
    return [_split(objects, route) for (kind, _namespace, _name), route in sorted(objects.items()) if kind in ROUTES]


def _split(objects: Objects, route: Object) -> Object:
    namespace = route["metadata"]["namespace"]
    found: Object = {"namespace": namespace, "service": route["metadata"]["name"]}
    found |= {"weights": {}, "versions": {}, "ready": {}}
    for side, weight, labels in _sides(objects, namespace, route["spec"]):
        found["weights"][side] = weight
        for (kind, place, _name), one in objects.items():
            pod = one["spec"]["template"]["metadata"]["labels"] if kind == "deployments" else {}
            if place == namespace and pod and labels and labels.items() <= pod.items():
                found["versions"][side] = pod.get("version", "")
                found["ready"][side] = one.get("status", {}).get("readyReplicas", 0)
    return found


def _sides(objects: Objects, namespace: str, spec: Object) -> Iterator[Side]:
    """Give name, weight and the labels of the pods of each side: a subset is a track, so is a Service of its own."""
    for entry in _split_over(spec.get("http", ()), "route"):
        target = entry["destination"]
        subset = target.get("subset", target["host"])
        yield subset, entry.get("weight", 0), {"app": target["host"], "track": subset}
    for backend in _split_over(spec.get("rules", ()), "backendRefs"):
        service = objects.get(("services", backend.get("namespace", namespace), backend["name"]), {"spec": {}})
        labels = service["spec"].get("selector", {})
        yield labels.get("track", backend["name"]), backend.get("weight", 1), labels


def _split_over(routes: Any, entries: str) -> Iterator[Object]:
    for route in routes:
        found = route.get(entries, ())
        yield from found if len(found) > 1 else ()
