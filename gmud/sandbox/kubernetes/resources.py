"""Which resources the stand-in serves, and the discovery documents about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ISTIO = "networking.istio.io"
ISTIO_VERSIONS = ("v1", "v1beta1", "v1alpha3")
GATEWAY = "gateway.networking.k8s.io"
LINKERD = "policy.linkerd.io"
BUILT_IN = ("", "apps", "discovery.k8s.io")
VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2-rig",
    "gitCommit": "$Format:%H$",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}


@dataclass(frozen=True)
class Resource:
    """One kind: where it is served, how it is called, whether a resource definition stands behind it."""

    group: str
    versions: tuple[str, ...]
    plural: str
    kind: str
    short: tuple[str, ...] = ()
    storage: str = ""
    categories: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return the name it is stored under: two groups may call their kinds alike."""
        return f"{self.plural}.{self.group}" if self.group == LINKERD else self.plural

    @property
    def custom(self) -> bool:
        """Say whether this is a custom resource."""
        return self.group not in BUILT_IN


def _istio(plural: str, kind: str, storage: str, *short: str) -> Resource:
    return Resource(ISTIO, ISTIO_VERSIONS, plural, kind, short, storage, ("istio-io", "networking-istio-io"))


RESOURCES = (
    _istio("gateways", "Gateway", "kGh5BEeT2e8=", "gw"),
    _istio("serviceentries", "ServiceEntry", "uwV2awIxHZ8=", "se"),
    _istio("sidecars", "Sidecar", "YzCqUsa8ZYQ="),
    _istio("destinationrules", "DestinationRule", "RzP0ejj0QFo=", "dr"),
    _istio("workloadentries", "WorkloadEntry", "TCCKGA06viw=", "we"),
    _istio("virtualservices", "VirtualService", "4myxAxwji4I=", "vs"),
    _istio("workloadgroups", "WorkloadGroup", "sLOzM3aAdoM=", "wg"),
    Resource(GATEWAY, ("v1", "v1beta1"), "httproutes", "HTTPRoute", categories=("gateway-api",)),
    Resource(GATEWAY, ("v1",), "grpcroutes", "GRPCRoute", categories=("gateway-api",)),
    Resource(LINKERD, ("v1beta3", "v1beta2", "v1beta1", "v1alpha1"), "httproutes", "HTTPRoute"),
    Resource("linkerd.io", ("v1alpha2",), "serviceprofiles", "ServiceProfile", ("sp",)),
    Resource("argoproj.io", ("v1alpha1",), "rollouts", "Rollout", ("ro",)),
    Resource("flagger.app", ("v1beta1",), "canaries", "Canary", ("cd",)),
    Resource("split.smi-spec.io", ("v1alpha4",), "trafficsplits", "TrafficSplit", ("ts",)),
    Resource("apps", ("v1",), "deployments", "Deployment", ("deploy",)),
    Resource("apps", ("v1",), "replicasets", "ReplicaSet", ("rs",)),
    Resource("", ("v1",), "namespaces", "Namespace", ("ns",)),
    Resource("", ("v1",), "services", "Service", ("svc",)),
    Resource("", ("v1",), "pods", "Pod", ("po",)),
    Resource("discovery.k8s.io", ("v1",), "endpointslices", "EndpointSlice"),
)


def find(group: str, version: str, plural: str) -> Resource | None:
    """Return the resource served at that place, or ``None``."""
    for resource in RESOURCES:
        if resource.group == group and version in resource.versions and resource.plural == plural:
            return resource
    return None


def by_plural(key: str) -> Resource:
    """Return a resource by the name it is stored under.

    :raises KeyError: it is not served
    """
    return {resource.key: resource for resource in RESOURCES}[key]


def of_manifest(manifest: Mapping[str, Any]) -> Resource | None:
    """Return the resource of an object, or ``None``."""
    group = manifest["apiVersion"].rpartition("/")[0]
    return next((one for one in RESOURCES if (one.kind, one.group) == (manifest["kind"], group)), None)


def group_document(group: str) -> dict[str, Any] | None:
    """Return what ``GET /apis/<group>`` answers, or ``None`` when the group is not installed."""
    every = [resource.versions for resource in RESOURCES if group and resource.group == group]
    versions = dict.fromkeys(version for versions in every for version in versions)
    named = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    if not named:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": named, "preferredVersion": named[0]}


def resource_list(group: str, version: str) -> dict[str, Any] | None:
    """Return what ``GET /apis/<group>/<version>`` answers, or ``None`` when it is not served."""
    served = [one for one in RESOURCES if one.group == group and version in one.versions]
    if not served:
        return None
    listed: list[dict[str, Any]] = []
    for one in served:
        entry: dict[str, Any] = {
            "name": one.plural,
            "singularName": one.kind.lower(),
            "namespaced": True,
            "kind": one.kind,
            "verbs": VERBS,
        }
        if one.short:
            entry["shortNames"] = list(one.short)
        if one.custom:
            entry |= {"categories": list(one.categories), "storageVersionHash": one.storage}
        status = {"name": f"{one.plural}/status", "singularName": "", "namespaced": True, "kind": one.kind}
        listed += [entry, {**status, "verbs": ["get", "patch", "update"]}]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}
