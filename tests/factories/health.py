"""A Prometheus that looks at a cluster, measures, and what binds them to a service."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.prometheus import Prometheus, Rates
from gmud.sandbox.server import running
from releases.core.errors import Sentence
from releases.health.ports import Measure
from tests.factories.delivery import ask

LABELS = 'destination_service_name="$service",destination_service_namespace="bank-$environment"'
QUERY = (
    f'sum(rate(istio_requests_total{{{LABELS},response_code=~"5.."}}[1m]))'
    f" / sum(rate(istio_requests_total{{{LABELS}}}[1m]))"
)
FILLED = QUERY.replace("$service", "ledgerwriter").replace("$environment", "production")


def measures(values: list[float | None], *, since: datetime, every: float = 10) -> list[Measure]:
    """Return measures at an even pace."""
    return [
        Measure(value, since + timedelta(seconds=number * every), "test", None if value is not None else Sentence("?"))
        for number, value in enumerate(values)
    ]


@dataclass
class Mesh:
    """A cluster and the figures that follow it."""

    url: str
    cluster: Cluster
    cluster_url: str
    sandbox: Prometheus

    def set(self, canary: int, version: str = "v0.6.11-bad") -> None:
        """Give the canary of ledgerwriter in production so many percent, and let it run this version."""
        token = {"Authorization": "Bearer sandbox-full"}
        name = "virtualservices/ledgerwriter"
        patch = [
            {"op": "add", "path": "/spec/http/0/route/0/weight", "value": 100 - canary},
            {"op": "add", "path": "/spec/http/0/route/1/weight", "value": canary},
        ]
        path = "/apis/networking.istio.io/v1/namespaces/bank-production/"
        kind = {"Content-Type": "application/json-patch+json"}
        assert ask(self.cluster_url, "PATCH", path + name, body=patch, headers={**token, **kind}).status == 200
        labels = {"spec": {"template": {"metadata": {"labels": {"version": version}}}}}
        path = "/apis/apps/v1/namespaces/bank-production/deployments/ledgerwriter-canary"
        kind = {"Content-Type": "application/merge-patch+json"}
        assert ask(self.cluster_url, "PATCH", path, body=labels, headers={**token, **kind}).status == 200


@contextlib.contextmanager
def a_mesh(rates: Rates | None = None) -> Iterator[Mesh]:
    """Run both servers while the block lasts."""
    cluster = Cluster()
    with running(cluster) as cluster_url:
        sandbox = Prometheus(cluster_url=cluster_url, cluster_token="sandbox-full", rates=rates)
        with running(sandbox) as url:
            yield Mesh(url, cluster, cluster_url, sandbox)
