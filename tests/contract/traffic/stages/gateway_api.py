"""The stage of the Gateway API: the recorded HTTPRoute with its header-match rule, and the backends behind it."""

import contextlib
from collections.abc import Iterator

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import running
from releases.traffic.gateway.adapter import Gateway
from releases.traffic.ports import RouteRef
from tests.contract.traffic.stages.cluster import ClusterStage, backends
from tests.factories.traffic import recording

ROUTE = RouteRef("shop", "checkout", "checkout-stable", "checkout-canary", route="primary")


@contextlib.contextmanager
def gateway() -> Iterator[ClusterStage]:
    recorded = recording("gw-httproute-get-200")["response"]["body"]
    cluster = Cluster([recorded, *backends("shop", "checkout-stable", "checkout-canary")])
    with running(cluster) as url:
        yield ClusterStage(
            url,
            cluster,
            plane=Gateway,
            route=ROUTE,
            key="httproutes",
            section="rules",
            index=1,
            sides={"stable": "checkout-stable", "canary": "checkout-canary"},
            other={"timeouts": {"request": "7s"}},
        )
