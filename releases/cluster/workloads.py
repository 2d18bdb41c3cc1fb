"""What runs behind a name: how many endpoints are ready."""

from collections.abc import Mapping

from releases.cluster.client import ENDPOINT_SLICES, PODS, SERVICES, ClusterClient

SERVICE_NAME = "kubernetes.io/service-name"


def ready_endpoints(cluster: ClusterClient, *, namespace: str, service: str, labels: Mapping[str, str]) -> int:
    """Return how many endpoints of a service are ready, whatever runs them; with labels only those of such pods.

    :raises ObjectMissing: there is no such service
    :raises Rejected: the token may not look
    :raises Unreachable: no answer
    """
    slices = cluster.list(ENDPOINT_SLICES, namespace, labels={SERVICE_NAME: service})
    if not slices:
        cluster.get(SERVICES, namespace, service)
    ready = [
        endpoint.get("targetRef", {})
        for part in slices
        for endpoint in part.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready") is not False
    ]
    if not labels or not ready:
        return len(ready)
    pods = {pod["metadata"]["name"] for pod in cluster.list(PODS, namespace, labels=labels)}
    return sum(1 for target in ready if target.get("kind") == "Pod" and target.get("name") in pods)
