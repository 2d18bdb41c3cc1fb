"""Read, shift, restore: any route of the Gateway API or of Linkerd is as it was but for what the server counts."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import running
from releases.cluster.client import ClusterClient
from releases.traffic import rules
from releases.traffic.gateway.adapter import Gateway
from releases.traffic.gateway.parsing import key_of
from releases.traffic.guarded import Guarded
from releases.traffic.linkerd.adapter import Linkerd
from releases.traffic.ports import RouteRef, Split
from tests.examples import examples
from tests.factories.traffic import door_to

BOOKINFO = Path(__file__).parents[2] / "recordings" / "bookinfo"
GATEWAY, OWN = "gateway.networking.k8s.io/v1", "policy.linkerd.io/v1beta3"


@dataclass(frozen=True)
class Served:
    """Who serves which kind: the version and the kind of the object, its key in the store, what a route calls it."""

    plane: type[Gateway | Linkerd]
    version: str
    kind: str
    key: str
    called: str = ""


SERVED = (
    Served(Gateway, GATEWAY, "HTTPRoute", "httproutes"),
    Served(Gateway, GATEWAY, "GRPCRoute", "grpcroutes", "GRPCRoute"),
    Served(Linkerd, OWN, "HTTPRoute", "httproutes.policy.linkerd.io"),
    Served(Linkerd, GATEWAY, "HTTPRoute", "httproutes", "gateway.networking.k8s.io"),
)
BY_EACH = pytest.mark.parametrize("served", SERVED, ids=lambda one: f"{one.plane.__name__} {one.kind} {one.version}")
COUNTED = ("resourceVersion", "generation", "managedFields")
NAMES = st.text("abcdefghij-", min_size=1, max_size=8)
FILTER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-ü/~1", "value": "weight"}]}}
BACKENDS = st.fixed_dictionaries(
    {"name": NAMES, "port": st.integers(1, 65535)},
    optional={
        "weight": st.integers(0, 1000),
        "namespace": NAMES,
        "group": st.just(""),
        "filters": st.just([FILTER]),
    },
)
HEADERS = st.lists(st.fixed_dictionaries({"name": NAMES, "value": NAMES}), max_size=2)
MATCHES = {
    "HTTPRoute": st.fixed_dictionaries(
        {},
        optional={
            "path": st.fixed_dictionaries({"type": st.just("Exact"), "value": NAMES.map("/{}".format)}),
            "headers": HEADERS,
            "method": st.sampled_from(["GET", "POST"]),
        },
    ),
    "GRPCRoute": st.fixed_dictionaries(
        {}, optional={"method": st.fixed_dictionaries({"service": NAMES, "method": NAMES}), "headers": HEADERS}
    ),
}
OTHERS = {"HTTPRoute": {"timeouts": st.just({"request": "5s"})}, "GRPCRoute": {}}


@st.composite
def routes(draw, kind):
    """Return an object, and the place of the rule to move."""
    filters = {"filters": st.just([FILTER])}
    rest = st.fixed_dictionaries(
        {}, optional={"matches": st.lists(MATCHES[kind], max_size=3), **filters, **OTHERS[kind]}
    )

    def rule(least):
        unique = st.lists(BACKENDS, min_size=least, max_size=4, unique_by=lambda one: key_of(one, "shop"))
        return {**draw(rest), "backendRefs": draw(unique)}

    found = [rule(1) for _place in range(draw(st.integers(0, 3)))]
    index = draw(st.integers(0, len(found)))
    chosen = rule(2)
    if not any(one.get("weight", 1) for one in chosen["backendRefs"]):
        chosen["backendRefs"][0]["weight"] = 1
    found.insert(index, chosen)
    for number, one in enumerate(found):
        one.update(draw(st.sampled_from([{}, {"name": f"rule-{number}"}])))
    spec = {"parentRefs": [{"group": "", "kind": "Service", "name": "apex", "port": 80}], "rules": found}
    spec |= draw(st.sampled_from([{}, {"hostnames": ["a.example", "b.example"]}]))
    meta = {"name": "any", "namespace": "shop", "annotations": {"a/b": "~1"}, "labels": {"weight": "7"}}
    return {"kind": kind, "metadata": meta, "spec": spec}, index


@pytest.fixture(scope="module")
def cluster():
    served = Cluster([])
    with running(served) as url:
        yield served, url


def there_and_back(cluster, served, body, index, shares):
    """Shift to these shares and restore; check what must not change on either way."""
    sandbox, url = cluster
    place = (served.key, body["metadata"]["namespace"], body["metadata"]["name"])

    def stored(*, weights):
        found = copy.deepcopy(sandbox.store.objects[place])
        for counted in COUNTED:
            found["metadata"].pop(counted, None)
        for backend in [] if weights else [one for rule in found["spec"]["rules"] for one in rule["backendRefs"]]:
            backend.pop("weight")
        return json.dumps(found, sort_keys=True)

    sandbox.store.objects.clear()
    sandbox.store.load([{**body, "apiVersion": served.version}])
    provider = Guarded(served.plane(ClusterClient(door_to(url))), sleep=lambda _seconds: None)
    rule = sandbox.store.objects[place]["spec"]["rules"][index]
    stable, canary = (key_of(one, place[1]) for one in rule["backendRefs"][:2])
    named = {"route": rule["name"]} if "name" in rule else {"index": index, "shape": rules.shape(rule, rules.GATEWAY)}
    route = RouteRef(*place[1:], stable, canary, kind=served.called, **named)
    whole, rest = stored(weights=True), stored(weights=False)

    old = provider.read(route).version
    names = list(old.weights)
    asked = {name: shares[at % len(shares)] for at, name in enumerate(names)}
    there = provider.write(route, Split(asked), seen=old)
    assert rules.as_asked(list(there.reading.weights.values()), list(asked.values()))
    assert there.reading.version.fingerprint == old.fingerprint
    assert stored(weights=False) == rest
    back = provider.write(route, Split.back_to(old), seen=there.reading.version)
    assert back.reading.version.weights == old.weights
    assert stored(weights=True) == whole


@BY_EACH
@examples(20)
@given(data=st.data(), shares=st.lists(st.integers(0, 100), min_size=2, max_size=4).filter(lambda one: sum(one[:2])))
def test_any_object_is_as_it_was(cluster, served, data, shares):
    body, index = data.draw(routes(served.kind))
    there_and_back(cluster, served, body, index, shares)


@pytest.mark.parametrize("served", [one for one in SERVED if one.version == GATEWAY and one.kind == "HTTPRoute"])
def test_the_route_of_bookinfo_is_as_it_was(cluster, served):
    body = yaml.safe_load((BOOKINFO / "route-reviews-90-10.yaml").read_text())
    body["metadata"]["namespace"] = "bookinfo"
    there_and_back(cluster, served, body, 0, (0, 100))
