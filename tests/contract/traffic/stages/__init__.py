"""One stage per control plane; a new one is one line. A kubeconfig in the environment puts them on a live server."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from releases.traffic.ports import System
from tests.contract.traffic.stages import real
from tests.contract.traffic.stages.apisix import apisix
from tests.contract.traffic.stages.gateway_api import gateway
from tests.contract.traffic.stages.istio import istio
from tests.contract.traffic.stages.kong import kong
from tests.contract.traffic.stages.linkerd import linkerd
from tests.contract.traffic.stages.stage import Stage

SANDBOXES: Mapping[System, Callable[[], AbstractContextManager[Stage]]] = {
    System.APISIX: apisix,
    System.GATEWAY: gateway,
    System.ISTIO: istio,
    System.KONG: kong,
    System.LINKERD: linkerd,
}
STAGES = real.stages() if os.environ.get(real.KUBECONFIG) else SANDBOXES
