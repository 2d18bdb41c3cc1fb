"""What a fresh cluster holds: Bank of Anthos twice, or a folder of manifests."""

import json
from pathlib import Path
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


def bank_of_anthos() -> list[dict[str, Any]]:
    """Return services, deployments, subsets and routes, everything on the stable side."""
    return [one for namespace in NAMESPACES for service in SERVICES for one in service_objects(service, namespace)]


def service_objects(service: str, namespace: str, version: str = VERSION) -> list[dict[str, Any]]:
    """Return the five objects of one service with a stable and a canary side."""
    labels = {"app": service, "application": "bank-of-anthos"}

    def meta(name: str, **more: str) -> dict[str, Any]:
        return {"name": name, "namespace": namespace, "labels": {**labels, **more}}

    def deployment(track: str) -> dict[str, Any]:
        pod = {"app": service, "track": track, "version": version}
        image = f"registry.example/bank-of-anthos/{service}:{version}"
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta(f"{service}-{track}", track=track),
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": service, "track": track}},
                "template": {
                    "metadata": {"labels": pod},
                    "spec": {"containers": [{"name": service, "image": image}]},
                },
            },
        }

    def side(track: str, weight: int) -> dict[str, Any]:
        return {"destination": {"host": service, "subset": track, "port": {"number": 8080}}, "weight": weight}

    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta(service),
            "spec": {"selector": {"app": service}, "ports": [{"name": "http", "port": 8080}], "type": "ClusterIP"},
        },
        deployment("stable"),
        deployment("canary"),
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": meta(service),
            "spec": {
                "host": service,
                "subsets": [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")],
            },
        },
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": meta(service),
            "spec": {
                "hosts": [service],
                "http": [{"name": "primary", "route": [side("stable", 100), side("canary", 0)]}],
            },
        },
    ]
