"""Istio's stage: the recorded VirtualService with http, tcp and other routes, and what stands around it."""

import contextlib
from collections.abc import Iterator

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import service_objects
from gmud.sandbox.server import running
from releases.traffic.istio.adapter import Istio
from releases.traffic.ports import RouteRef
from tests.contract.traffic.stages.cluster import ClusterStage
from tests.factories.traffic import checkout

ROUTE = RouteRef("shop", "checkout", "stable", "canary", route="primary")


@contextlib.contextmanager
def istio() -> Iterator[ClusterStage]:
    others = [one for one in service_objects("checkout", "shop") if one["kind"] != "VirtualService"]
    cluster = Cluster([checkout(), *others])
    with running(cluster) as url:
        yield ClusterStage(
            url,
            cluster,
            plane=Istio,
            route=ROUTE,
            key="virtualservices",
            section="http",
            index=1,
            sides={"stable": "checkout-stable", "canary": "checkout-canary"},
            other={"timeout": "7s"},
        )
