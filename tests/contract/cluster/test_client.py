"""The client against the sandbox: discovery, rights, readiness, patience."""

import pytest

from gmud.sandbox.kubernetes import resources
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import Fault, running
from releases.cluster.client import VIRTUAL_SERVICES, ClusterClient, Kind
from releases.cluster.errors import NotInstalled, ObjectMissing, Throttled
from releases.cluster.workloads import ready_endpoints
from releases.core.errors import Unreachable
from tests.factories.traffic import door_to

PLACE = ("bank-production", "frontend")


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def client(cluster):
    with running(cluster) as url:
        yield ClusterClient(door_to(url), sleep=lambda seconds: None)


def test_the_best_served_version_is_taken_and_asked_for_once(cluster, client):
    client.get(VIRTUAL_SERVICES, *PLACE)
    client.get(VIRTUAL_SERVICES, *PLACE)
    assert [one["path"] for one in cluster.log].count("/apis/networking.istio.io") == 1
    assert client.served(VIRTUAL_SERVICES) == "v1"


def test_an_older_cluster_is_spoken_to_in_its_own_version(client, monkeypatch):
    older = [
        resources.Resource(one.group, ("v1alpha3",) if one.custom else one.versions, one.plural, one.kind)
        for one in resources.RESOURCES
    ]
    monkeypatch.setattr(resources, "RESOURCES", tuple(older))
    assert client.served(VIRTUAL_SERVICES) == "v1alpha3"
    assert client.get(VIRTUAL_SERVICES, *PLACE).body["apiVersion"] == "networking.istio.io/v1alpha3"


def test_a_group_without_a_version_we_know_is_not_installed(client):
    with pytest.raises(NotInstalled):
        client.served(Kind("networking.istio.io", "virtualservices", ("v9",)))
    with pytest.raises(NotInstalled):
        client.served(Kind("split.example.io", "trafficsplits", ("v1",)))


@pytest.mark.parametrize(("token", "may"), [("sandbox-full", True), ("sandbox-read", False)])
def test_rights_are_asked_of_the_server(cluster, token, may):
    with running(cluster) as url:
        client = ClusterClient(door_to(url, token=token))
        assert client.may("patch", VIRTUAL_SERVICES, *PLACE) is may
        assert client.may("get", VIRTUAL_SERVICES, *PLACE)


def test_ready_endpoints_are_counted_by_the_labels_of_a_side(client):
    wanted = {"namespace": "bank-production", "service": "frontend"}
    assert ready_endpoints(client, **wanted, labels={"track": "canary"}) == 2
    assert ready_endpoints(client, **wanted, labels={}) == 4
    assert ready_endpoints(client, **wanted, labels={"track": "none"}) == 0
    with pytest.raises(ObjectMissing):
        ready_endpoints(client, namespace="bank-production", service="nobody", labels={})


def test_a_list_larger_than_one_answer_may_be_is_read_page_by_page():
    objects = [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": f"vs-{number:03}", "namespace": "shop", "annotations": {"long": "x" * 20_000}},
            "spec": {"hosts": [f"vs-{number:03}"]},
        }
        for number in range(90)
    ]
    cluster = Cluster(objects)
    with running(cluster) as url:
        listed = ClusterClient(door_to(url)).list(VIRTUAL_SERVICES, "shop")
    assert [one["metadata"]["name"] for one in listed] == [one["metadata"]["name"] for one in objects]
    assert len(cluster.log) == 1 + 3


def test_a_deployment_patched_with_a_new_version_is_ready_at_once_and_counts_a_generation(client):
    patch = [{"op": "replace", "path": "/spec/template/metadata/labels/version", "value": "v2"}]
    body = client.patch(Kind("apps", "deployments", ("v1",)), "bank-production", "frontend-canary", patch).body
    assert body["metadata"]["generation"] == 2
    assert body["status"]["observedGeneration"] == 2
    assert body["status"]["readyReplicas"] == 2


def test_a_server_that_asks_for_patience_for_ever_is_left_alone(cluster, client):
    cluster.faults.append(
        Fault("status:429", times=99, headers={"Content-Type": "text/plain", "Retry-After": "1"}, body="Too many")
    )
    with pytest.raises(Throttled):
        client.version()
    assert len(cluster.log) == 3


@pytest.mark.parametrize("do", ["html", "500", "close_before", "status:302"])
def test_a_strange_answer_leaves_the_outcome_unknown(cluster, client, do):
    cluster.faults.append(Fault(do))
    with pytest.raises(Unreachable):
        client.version()
