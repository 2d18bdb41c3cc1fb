"""What each guide says to type is typed here, against the stand-in of its system; then its route is shifted."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gmud.sandbox.apisix import ADMIN_KEY, Apisix
from gmud.sandbox.apisix_store import Store
from gmud.sandbox.kong import Kong
from gmud.sandbox.kong_store import Workspace
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import service_objects
from gmud.sandbox.server import running
from releases.traffic.ports import Outcome, RouteRef, Split, System
from releases.traffic.providers import PROVIDERS
from tests.contract.traffic.stages.cluster import backends
from tests.contract.traffic.stages.gateway import keyed_door
from tests.factories.traffic import door_to

DOCS = Path(__file__).parents[3] / "docs"
ROUTES = {
    System.ISTIO: RouteRef("bank", "cart", "stable", "canary", route="primary"),
    System.GATEWAY: RouteRef("bank", "cart", "cart-stable", "cart-canary", route="primary"),
    System.LINKERD: RouteRef("bank", "cart", "cart-stable", "cart-canary", kind="gateway.networking.k8s.io"),
}
GUIDES = {System.ISTIO: "istio", System.GATEWAY: "gateway-api", System.LINKERD: "linkerd"}


def blocks(guide, kind):
    """Return what stands in the blocks of a kind in a guide."""
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / f"connect-{guide}.md").read_text(), re.DOTALL)


def shifted(provider, route):
    """Read a route as the guide leaves it, and shift a tenth of it."""
    seen = provider.read(route)
    assert seen.weights == {"stable": 100, "canary": 0}
    assert not seen.obstacles
    written = provider.write(route, Split({"stable": 90, "canary": 10}), seen=seen.version)
    assert written.outcome is Outcome.APPLIED
    assert written.reading.weights == {"stable": 90, "canary": 10}


@pytest.mark.parametrize("system", sorted(GUIDES), ids=str)
def test_the_objects_of_a_mesh_are_applied_and_their_route_is_shifted(system):
    written = [one for text in blocks(GUIDES[system], "yaml") for one in yaml.safe_load_all(text) if "kind" in one]
    around = [one for one in service_objects("cart", "bank") if one["kind"] in ("Service", "Deployment")]
    around = around if system is System.ISTIO else backends("bank", "cart", "cart-stable", "cart-canary")
    with running(Cluster([*around, *written])) as url:
        shifted(PROVIDERS[system](door_to(url)), ROUTES[system])


def typed(guide, **environment):
    """Type the commands of a guide into a shell."""
    if shutil.which("curl") is None:
        pytest.skip("no curl here: the guide's commands need it")
    (script,) = blocks(guide, "sh")
    done = subprocess.run(
        ("sh", "-eu", "-c", script),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_for_kong_are_typed_and_their_upstream_is_shifted():
    with running(Kong(lambda: {"default": Workspace()})) as url:
        told = typed("kong", KONG=url)
        assert "checkout-canary:8080" in told
        route = RouteRef("", "checkout", "checkout-stable:8080", "checkout-canary:8080")
        shifted(PROVIDERS[System.KONG](keyed_door(url, "Kong-Admin-Token")), route)


def test_the_commands_for_apisix_are_typed_and_their_route_is_shifted():
    with running(Apisix(Store)) as url:
        told = typed("apisix", APISIX=url, KEY=ADMIN_KEY)
        assert "checkout-canary" in told
        shifted(
            PROVIDERS[System.APISIX](keyed_door(url, "X-API-KEY")),
            RouteRef("", "checkout", "checkout-stable", "checkout-canary"),
        )
