"""What Prometheus' stand-in answers follows the weights at whichever control plane splits a service's traffic."""

import json
from collections import defaultdict
from functools import partial

import pytest

from gmud.demo import story
from gmud.sandbox import apisix_store, kong_store
from gmud.sandbox.apisix import ADMIN_KEY, Apisix
from gmud.sandbox.kong import Kong
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import VERSION, bank_of_anthos
from gmud.sandbox.prometheus import REQUESTS_PER_SECOND, Prometheus
from gmud.sandbox.prometheus_sides import reader
from gmud.sandbox.server import Call, running
from releases.core.http import Door
from releases.traffic.ports import RouteRef, Split, System
from releases.traffic.providers import PROVIDERS
from tests.factories.traffic import FULL, LOOPBACK

HEADERS = {"kubernetes": {"Authorization": f"Bearer {FULL}"}, "kong": {}, "apisix": {"X-API-KEY": ADMIN_KEY}}
NEW = "v0.7.0"


@pytest.fixture(scope="module")
def cluster():
    return Cluster(bank_of_anthos({name: about.plane for name, about in story.SERVICES.items()}))


@pytest.fixture(scope="module")
def urls(cluster):
    kong = Kong(partial(kong_store.bank_of_anthos, story.served_by(System.KONG)))
    apisix = Apisix(partial(apisix_store.bank_of_anthos, story.served_by(System.APISIX)))
    with running(cluster) as at_cluster, running(kong) as at_kong, running(apisix) as at_apisix:
        yield {"kubernetes": at_cluster, "kong": at_kong, "apisix": at_apisix}


@pytest.fixture(scope="module")
def prometheus(urls):
    gateways = {name: reader(urls[name], HEADERS[name]) for name in ("kong", "apisix")}
    return Prometheus(cluster_url=urls["kubernetes"], cluster_token=FULL, gateways=gateways)


def shares(prometheus, service):
    """Return which share of a service's requests in production each version gets."""
    found = defaultdict(float)
    for labels, rate in prometheus.series():
        if (labels["destination_service_name"], labels["destination_service_namespace"]) == (
            service,
            "bank-production",
        ):
            found[labels["destination_version"]] += rate / REQUESTS_PER_SECOND
    return {version: round(share, 3) for version, share in found.items()}


def bring(cluster, service, version):
    """Put a version on the canary side of a service, as a deployment does."""
    patch = [{"op": "replace", "path": "/spec/template/metadata/labels/version", "value": version}]
    edit = {"kind": "deployments", "namespace": "bank-production", "name": f"{service}-canary", "patch": patch}
    assert cluster.control(Call("POST", "/_sandbox/edit", {}, {}, json.dumps(edit).encode())).status == 200


@pytest.mark.parametrize("system", System)
def test_shares_and_versions_are_those_that_stand_there(cluster, urls, prometheus, system):
    (service, *_others) = story.served_by(system)
    split = story.SPLITS[system].of(service, "production")
    where = {"namespace": "", **{name: value for name, value in split.locator.items() if name != "system"}}
    route = RouteRef(stable=split.stable, canary=split.canary, **where)
    provider = PROVIDERS[system](Door(system, urls[split.connection], HEADERS[split.connection], LOOPBACK))

    bring(cluster, service, NEW)
    assert shares(prometheus, service) == {VERSION: 1.0}
    provider.write(route, Split({"stable": 90, "canary": 10}), seen=provider.read(route).version)
    assert shares(prometheus, service) == {VERSION: 0.9, NEW: 0.1}
    provider.write(route, Split({"stable": 0, "canary": 1}), seen=provider.read(route).version)
    assert shares(prometheus, service) == {NEW: 1.0}


def test_a_service_that_nothing_splits_has_no_figures(prometheus):
    assert shares(prometheus, "nobody") == {}
