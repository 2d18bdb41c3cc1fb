"""The Kubernetes sandbox as people start it: a process of its own, seeded from a folder, steered from outside."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import NAMESPACES, SERVICES, bank_of_anthos
from gmud.sandbox.server import running
from tests.contract.cluster.test_sandbox_answers_as_recorded import ask
from tests.factories.traffic import FULL, checkout

HEADERS = {"Authorization": f"Bearer {FULL}"}
FRONTEND = "/apis/networking.istio.io/v1/namespaces/bank-production/virtualservices/frontend"
CANARY = "/apis/apps/v1/namespaces/bank-production/deployments/frontend-canary"


def started(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "gmud.sandbox.kubernetes", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_it_starts_from_a_folder_says_where_it_listens_and_ends_when_told(tmp_path):
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(checkout()))
    (tmp_path / "two.json").write_text(json.dumps({"items": [checkout(name="second", uid="other")]}))
    with started("--seed", str(tmp_path)) as process:
        url = process.stdout.readline().removeprefix("ready ").strip()
        path = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices"
        status, _headers, text = ask(url, "GET", path, HEADERS, None)
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert status == 200
    assert [one["metadata"]["name"] for one in json.loads(text)["items"]] == ["checkout", "second"]


def test_it_does_not_start_in_production():
    with started(GMUD_STRICT="1") as process:
        assert process.wait(timeout=10) != 0


def test_a_fresh_one_holds_every_service_of_the_bank_twice():
    kinds = [one["kind"] for one in bank_of_anthos()]
    assert kinds.count("VirtualService") == len(NAMESPACES) * len(SERVICES)
    assert kinds.count("Deployment") == 2 * len(NAMESPACES) * len(SERVICES)


def test_state_tells_weights_versions_and_ready_replicas_of_each_side():
    with running(Cluster()) as url:
        patch = {"spec": {"template": {"metadata": {"labels": {"version": "v2"}}}}}
        kind = {"Content-Type": "application/merge-patch+json"}
        status, _headers, text = ask(url, "PATCH", CANARY, {**HEADERS, **kind}, patch)
        assert (status, json.loads(text)["status"]["readyReplicas"]) == (200, 2)
        _status, _headers, text = ask(url, "GET", "/_sandbox/state", {}, None)
    found = [one for one in json.loads(text)["traffic"] if one["service"] == "frontend"]
    assert found[0] == {
        "namespace": "bank-production",
        "service": "frontend",
        "weights": {"stable": 100, "canary": 0},
        "versions": {"stable": "v0.6.10", "canary": "v2"},
        "ready": {"stable": 2, "canary": 2},
    }


@pytest.mark.parametrize(("token", "status"), [(FULL, 200), ("sandbox-read", 403), ("sandbox-nobody", 403), ("x", 401)])
def test_each_token_may_what_its_role_says(token, status):
    with running(Cluster()) as url:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json-patch+json"}
        patch = [{"op": "add", "path": "/metadata/labels/x", "value": "1"}]
        assert ask(url, "PATCH", FRONTEND, headers, patch)[0] == status


@pytest.mark.parametrize("what", ["touch", "weights"])
def test_a_planted_rival_makes_every_guarded_write_stale_until_it_stops(what):
    with running(Cluster()) as url:
        ask(url, "POST", "/_sandbox/conflict", {}, {"times": 2, "what": what})
        kind = {"Content-Type": "application/json-patch+json"}
        answers = []
        for _try in range(3):
            seen = json.loads(ask(url, "GET", FRONTEND, HEADERS, None)[2])["metadata"]["resourceVersion"]
            guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": seen}
            touch = {"op": "add", "path": "/metadata/labels/x", "value": "1"}
            answers.append(ask(url, "PATCH", FRONTEND, {**HEADERS, **kind}, [guard, touch])[0])
    assert answers == [409, 409, 200]


def test_a_reset_brings_everything_back():
    with running(Cluster()) as url:
        where = {"kind": "virtualservices", "namespace": "bank-production", "name": "frontend"}
        assert ask(url, "POST", "/_sandbox/edit", {}, {**where, "delete": True})[0] == 200
        assert ask(url, "GET", FRONTEND, HEADERS, None)[0] == 404
        assert ask(url, "POST", "/_sandbox/edit", {}, {**where, "patch": []})[0] == 404
        ask(url, "POST", "/_sandbox/reset", {}, None)
        assert ask(url, "GET", FRONTEND, HEADERS, None)[0] == 200


def test_removing_the_last_finalizer_of_a_deleted_object_removes_it():
    dying = checkout(finalizers=["gmud.example/hold"])
    path = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/checkout"
    with running(Cluster([dying])) as url:
        assert "deletionTimestamp" in ask(url, "DELETE", path, HEADERS, None)[2]
        kind = {"Content-Type": "application/json-patch+json"}
        patch = [{"op": "replace", "path": "/metadata/finalizers", "value": []}]
        assert ask(url, "PATCH", path, {**HEADERS, **kind}, patch)[0] == 200
        assert ask(url, "GET", path, HEADERS, None)[0] == 404
