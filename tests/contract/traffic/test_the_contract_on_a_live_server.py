"""``make test-real`` says by name what it skips, and its stages stand on a server that a kubeconfig leads to."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gmud.sandbox.kubernetes.api import Cluster
from releases.core.errors import Rejected
from releases.traffic.ports import Outcome, Split, System
from tests.contract.traffic.stages import real
from tests.factories.tls import a_certificate, over_tls

ROOT = Path(__file__).parents[3]
GATEWAYS = {System.KONG, System.APISIX}


@pytest.fixture
def server(tmp_path):
    """Give an API server over TLS, and what names a kubeconfig for it."""
    cluster, pem = Cluster([]), a_certificate(tmp_path)
    with over_tls(cluster, pem) as url:
        authority = base64.b64encode(Path(pem).read_text().split("-----BEGIN PRIVATE")[0].encode()).decode()
        body = {
            "contexts": [{"name": "rig", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": {"token": "sandbox-full"}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(body))
        yield cluster, {real.KUBECONFIG: str(tmp_path / "kubeconfig")}


def command(**environment):
    kept = {name: value for name, value in os.environ.items() if name not in (real.KUBECONFIG, "KUBECONFIG")}
    return subprocess.run(
        (sys.executable, "-m", "tests.real"),
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_cluster_everything_is_skipped_by_name_and_that_is_no_failure():
    done = command()
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:-1]] == [f"Skipped {one}" for one in System]
    assert done.stdout.splitlines()[-1].startswith("0 passed, 0 failed")


def test_a_kubeconfig_that_runs_a_program_is_no_way_in(tmp_path):
    body = {
        "contexts": [{"name": "rig", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {"command": "aws"}}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(body))
    done = command(KUBECONFIG=str(tmp_path / "kubeconfig"))
    assert done.returncode == 2
    assert "running a program (aws)" in done.stdout


def test_a_missing_definition_is_skipped_by_its_name(server):
    cluster, environment = server
    cluster.absent = {"policy.linkerd.io", "networking.istio.io"}
    left = real.skipped(real.door_of(environment))
    assert left.keys() == GATEWAYS | {System.LINKERD, System.ISTIO}
    assert left[System.LINKERD] == "the CRD httproutes.policy.linkerd.io is not installed there"
    assert list(real.stages(environment)) == [System.GATEWAY]


@pytest.mark.parametrize("system", sorted(set(System) - GATEWAYS), ids=str)
def test_a_stage_stands_is_played_upon_and_is_taken_down(server, system):
    cluster, environment = server
    with real.stages(environment)[system]() as stage:
        seen = stage.provider.read(stage.route).version
        assert seen.weights == {"stable": 90, "canary": 10}
        assert stage.provider.preview(stage.route, Split({"stable": 0, "canary": 1})).is_possible
        stage.before_write(stage.touch)
        assert (
            stage.provider.write(stage.route, Split({"stable": 0, "canary": 1}), seen=seen).outcome is Outcome.APPLIED
        )
        stage.stand(1, 1)
        stage.kill("canary")
        assert stage.provider.preview(stage.route, Split({"stable": 0, "canary": 1})).doubts
        for status in (401, 403):
            stage.deny(status)
            with pytest.raises(Rejected) as raised:
                stage.provider.read(stage.route)
            assert raised.value.http_status == status
    assert not [key for key in cluster.store.objects if key[0] == "namespaces"]
