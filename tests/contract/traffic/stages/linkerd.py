"""Linkerd's stage: the recorded HTTPRoute before a Service, whose only rule has no name, and the backends behind it."""

import contextlib
from collections.abc import Iterator

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import running
from releases.traffic import rules
from releases.traffic.linkerd.adapter import Linkerd
from releases.traffic.ports import RouteRef
from tests.contract.traffic.stages.cluster import ClusterStage, backends
from tests.factories.traffic import recording


@contextlib.contextmanager
def linkerd() -> Iterator[ClusterStage]:
    recorded = recording("linkerd-httproute-create-201")["response"]["body"]
    shape = rules.shape(recorded["spec"]["rules"][0], rules.GATEWAY)
    cluster = Cluster([recorded, *backends("shop", "bb", "bb-v1", "bb-v2")])
    with running(cluster) as url:
        yield ClusterStage(
            url,
            cluster,
            plane=Linkerd,
            route=RouteRef("shop", "backend-router", "bb-v1", "bb-v2", index=0, shape=shape),
            key="httproutes.policy.linkerd.io",
            section="rules",
            index=0,
            sides={"stable": "bb-v1", "canary": "bb-v2"},
            other={"timeouts": {"request": "7s"}},
        )
