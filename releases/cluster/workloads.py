"""What runs behind a name: how many replicas are ready."""

from collections.abc import Mapping

from releases.cluster.client import DEPLOYMENTS, SERVICES, ClusterClient


def ready_replicas(cluster: ClusterClient, *, namespace: str, service: str, labels: Mapping[str, str]) -> int:
    """Return the ready replicas of every deployment whose pods the service selects and that carry these labels too.

    :raises ObjectMissing: there is no such service
    :raises Rejected: the token may not look
    :raises Unreachable: no answer
    """
    selector = cluster.get(SERVICES, namespace, service).body.get("spec", {}).get("selector", {})
    wanted = {**selector, **labels}
    ready = 0
    for deployment in cluster.list(DEPLOYMENTS, namespace):
        pods = deployment.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
        if wanted.items() <= pods.items():
            ready += deployment.get("status", {}).get("readyReplicas", 0)
    return ready
