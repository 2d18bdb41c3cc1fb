"""What a fresh cluster holds: Bank of Anthos twice, or a folder of manifests."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

NAMESPACES = ("bank-production", "bank-staging")
SERVICES = (
    "frontend",
    "userservice",
    "contacts",
    "ledgerwriter",
    "balancereader",
    "transactionhistory",
    "loadgenerator",
)
VERSION = "v0.6.10"
TRACKS = {"stable": 100, "canary": 0}
PORT = 8080
ISTIO = "istio"


def from_folder(folder: Path) -> list[dict[str, Any]]:
    """Return every object of the YAML and JSON files in a folder, in name order."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.iterdir()):
        if path.suffix in (".yaml", ".yml"):
            found += [one for one in yaml.safe_load_all(path.read_text()) if one]
        elif path.suffix == ".json":
            loaded = json.loads(path.read_text())
            found += loaded.get("items", [loaded])
    return found


def bank_of_anthos(planes: Mapping[str, str] = MappingProxyType({})) -> list[dict[str, Any]]:
    """Return services, deployments and routes, everything on the stable side.

    ``planes`` says what splits the traffic of a service, where that is not Istio: ``linkerd``, ``gateway``, or a
    gateway that stands before the cluster and has no route in it.
    """
    return [
        one
        for namespace in NAMESPACES
        for service in SERVICES
        for one in service_objects(service, namespace, plane=planes.get(service, ISTIO))
    ]


def service_objects(
    service: str, namespace: str, version: str = VERSION, *, plane: str = ISTIO
) -> list[dict[str, Any]]:
    """Return the objects of one service with a stable and a canary side, and the route that splits over them."""
    sides = [_deployment(service, namespace, track, version) for track in TRACKS]
    return [_service(service, namespace), *sides, *_ROUTES.get(plane, _two_services)(service, namespace)]


def _meta(service: str, namespace: str, name: str = "", **labels: str) -> dict[str, Any]:
    told = {"app": service, "application": "bank-of-anthos", **labels}
    return {"name": name or service, "namespace": namespace, "labels": told}


def _service(service: str, namespace: str, **track: str) -> dict[str, Any]:
    """Return the Service before all pods, or before those of one track."""
    name = "-".join((service, *track.values()))
    ports = [{"name": "http", "port": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(service, namespace, name, **track),
        "spec": {"selector": {"app": service, **track}, "ports": ports, "type": "ClusterIP"},
    }


def _deployment(service: str, namespace: str, track: str, version: str) -> dict[str, Any]:
    pod = {"app": service, "track": track, "version": version}
    image = f"registry.example/bank-of-anthos/{service}:{version}"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(service, namespace, f"{service}-{track}", track=track),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": service, "track": track}},
            "template": {"metadata": {"labels": pod}, "spec": {"containers": [{"name": service, "image": image}]}},
        },
    }


def _subsets(service: str, namespace: str) -> list[dict[str, Any]]:
    """Return Istio's route, and the rule that says which pods its subsets are."""
    sides = [
        {"destination": {"host": service, "subset": track, "port": {"number": PORT}}, "weight": weight}
        for track, weight in TRACKS.items()
    ]
    subsets = [{"name": track, "labels": {"track": track}} for track in TRACKS]
    return [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": _meta(service, namespace),
            "spec": {"host": service, "subsets": subsets},
        },
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": _meta(service, namespace),
            "spec": {"hosts": [service], "http": [{"name": "primary", "route": sides}]},
        },
    ]


def _two_services(service: str, namespace: str) -> list[dict[str, Any]]:
    """Return a Service for each side, as everything but Istio tells the sides apart."""
    return [_service(service, namespace, track=track) for track in TRACKS]


def _before_a_service(version: str, **named: str) -> Callable[[str, str], list[dict[str, Any]]]:
    """Return what makes an HTTPRoute before a Service; Linkerd's own kind knows no names of rules."""

    def objects(service: str, namespace: str) -> list[dict[str, Any]]:
        sides = [{"name": f"{service}-{track}", "port": PORT, "weight": weight} for track, weight in TRACKS.items()]
        parent = {"kind": "Service", "group": "", "name": service, "port": PORT}
        route = {
            "apiVersion": version,
            "kind": "HTTPRoute",
            "metadata": _meta(service, namespace),
            "spec": {"parentRefs": [parent], "rules": [{**named, "backendRefs": sides}]},
        }
        return [*_two_services(service, namespace), route]

    return objects


_ROUTES: Mapping[str, Callable[[str, str], list[dict[str, Any]]]] = {
    ISTIO: _subsets,
    "linkerd": _before_a_service("policy.linkerd.io/v1beta3"),
    "gateway": _before_a_service("gateway.networking.k8s.io/v1", name="primary"),
}
