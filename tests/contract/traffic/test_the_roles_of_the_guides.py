"""The role that a guide applies covers every request its adapter makes, and no right in it is for nothing."""

import contextlib
import re
from pathlib import Path

import pytest
import yaml

from releases.cluster.client import GRPC_ROUTES, HTTP_ROUTES, LINKERD_ROUTES, VIRTUAL_SERVICES
from releases.cluster.errors import Rejected
from releases.traffic import rights
from releases.traffic.drivers import rollouts
from releases.traffic.drivers.asking import Asking
from releases.traffic.drivers.ports import Wish
from releases.traffic.ports import NotEditable, RouteRef, Split, System
from releases.traffic.rights import Bound
from tests.contract.traffic.stages import STAGES
from tests.factories.traffic import recording

ROOT = Path(__file__).parents[3]
NAMES = {System.ISTIO: "istio", System.GATEWAY: "gateway-api", System.LINKERD: "linkerd"}
KINDS = {
    System.ISTIO: (VIRTUAL_SERVICES,),
    System.GATEWAY: (HTTP_ROUTES, GRPC_ROUTES),
    System.LINKERD: (HTTP_ROUTES, LINKERD_ROUTES),
}
PATH = re.compile(r"^/(?:api|apis/([^/]+))/v[^/]+/(?:namespaces/[^/]+/)?([^/]+)(?:/([^/]+)(?:/([^/]+))?)?$")
# A Service is read only where no endpoint of it is known; ReplicaSets only when a Rollout is undone.
ELSEWHERE = {("", "services", "get"), ("apps", "replicasets", "list")}


def role_of(system):
    """Return the file with the role, and its objects."""
    text = (ROOT / f"deploy/rbac/{NAMES[system]}.yaml").read_text()
    return text, list(yaml.safe_load_all(text))


def granted(system):
    """Return every (group, resource, verb) of the role in a file."""
    (role,) = [one for one in role_of(system)[1] if one["kind"] == "Role"]
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(log):
    """Return every (group, resource, verb) that was asked for."""
    found = set()
    for one in log:
        if match := PATH.match(one["path"]):
            group, plural, name, sub = match.groups(default="")
            verb = {"GET": "get" if name else "list", "PATCH": "patch"}[one["method"]]
            found.add((group, f"{plural}/{sub}" if sub else plural, verb))
    return found


@pytest.mark.parametrize("system", sorted(NAMES), ids=str)
def test_the_file_is_what_the_page_prints_and_the_guide_applies_it(system):
    text, objects = role_of(system)
    bound = [Bound("bank", "cart", kind, system) for kind in KINDS[system]]
    assert objects == list(yaml.safe_load_all(rights.manifest(bound)))
    narrowed = [Bound("bank-staging", "cart", kind, system) for kind in KINDS[system]]
    assert list(yaml.safe_load_all(rights.manifest(narrowed))) == list(
        yaml.safe_load_all(text.replace("namespace: bank", "namespace: bank-staging"))
    )
    assert f"deploy/rbac/{NAMES[system]}.yaml" in (ROOT / f"docs/connect-{NAMES[system]}.md").read_text()


@pytest.mark.parametrize("system", sorted(NAMES), ids=str)
def test_the_role_covers_what_is_done_and_no_more(system):
    with STAGES[system]() as stage:
        seen = stage.provider.read(stage.route).version
        stage.provider.preview(stage.route, Split({"stable": 0, "canary": 100}))
        stage.provider.write(stage.route, Split({"stable": 0, "canary": 100}), seen=seen)
        for kind, name in (("HTTPRoute", "other"), ("GRPCRoute", "other"), ("gateway.networking.k8s.io", "other")):
            with contextlib.suppress(NotEditable):
                stage.provider.read(RouteRef("shop", name, "a", "b", kind=kind))
        stage.cluster.store.load([recording("rollout-get-paused-200")["response"]["body"]])
        with contextlib.suppress(Rejected):
            Asking(stage.provider.plane.cluster, rollouts.BOOK, "shop", "checkout").ask(Wish.ABORT)
        asked = used(stage.sandbox.log)
    role = granted(system)
    assert asked - role == set()
    twins = {(group, resource) for group, resource, _verb in asked}
    assert {(group, resource) for group, resource, _verb in role - ELSEWHERE} - twins <= {
        ("argoproj.io", "canaries"),
        ("flagger.app", "rollouts"),
        ("policy.linkerd.io", "httproutes"),
    }
