"""Read, shift, restore: any upstream of Kong and any object of APISIX is then as it was, but for its stamps."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmud.sandbox import apisix_store, kong_store
from gmud.sandbox.apisix import Apisix as ApisixSandbox
from gmud.sandbox.kong import Kong as KongSandbox
from gmud.sandbox.server import running
from releases.traffic import rules
from releases.traffic.apisix.adapter import Apisix
from releases.traffic.apisix.client import ApisixClient
from releases.traffic.apisix.parsing import LAYOUT
from releases.traffic.guarded import Guarded
from releases.traffic.kong.adapter import Kong
from releases.traffic.kong.client import KongClient
from releases.traffic.ports import Outcome, RouteRef, Split
from tests.contract.traffic.stages.gateway import keyed_door
from tests.examples import examples

NAMES = st.text("abcdefghij-", min_size=1, max_size=8)
NODES = st.builds("{}:{}".format, NAMES, st.integers(1, 65535))
SHARES = st.lists(st.integers(0, 100), min_size=2, max_size=5).filter(lambda shares: sum(shares[:2]))
STAMPS = ("update_time", "updated_at")


def there_and_back(provider, route, shares, stored):
    """Shift to these shares and restore; check what must not change on either way."""
    whole, rest = stored(True), stored(False)
    old = provider.read(route).version
    names = list(old.weights)
    asked = dict(zip(names, [shares[at % len(shares)] for at in range(len(names))], strict=True))
    there = provider.write(route, Split(asked, reason="tried"), seen=old)
    assert stored(False) == rest
    assert there.outcome in (Outcome.APPLIED, Outcome.ALREADY)
    assert rules.as_asked(list(there.reading.weights.values()), list(asked.values()))
    back = provider.write(route, Split.back_to(old, reason="tried"), seen=there.reading.version)
    assert back.reading.version.weights == old.weights
    assert stored(True) == whole


def without(value, *fields):
    """Return a value as text, without these fields wherever they stand."""
    if isinstance(value, dict):
        return {name: without(one, *fields) for name, one in sorted(value.items()) if name not in fields}
    return [without(one, *fields) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def kong():
    sandbox = KongSandbox()
    with running(sandbox) as url:
        yield sandbox, Guarded(Kong(KongClient(keyed_door(url, "Kong-Admin-Token"))), sleep=lambda _seconds: None)


@examples(25)
@given(
    targets=st.dictionaries(NODES, st.integers(0, 65535), min_size=2, max_size=6).filter(lambda one: any(one.values())),
    extras=st.fixed_dictionaries({}, optional={"hash_on": st.just("ip"), "tags": st.lists(NAMES, max_size=2)}),
    shares=SHARES,
)
def test_any_upstream_of_kong_is_as_it_was(kong, targets, extras, shares):
    sandbox, provider = kong
    space = kong_store.Workspace()
    upstream = space.add_upstream("any", **extras)
    for target, weight in targets.items():
        space.add_target(upstream, {"target": target, "weight": weight, "tags": extras.get("tags")})
    space.add_target(space.add_upstream("other"), {"target": "other:1", "weight": 7})
    sandbox.workspaces = {"default": space}

    def stored(weights):
        told = copy.deepcopy(kong_store.told(sandbox.workspaces))
        return json.dumps(without(told, *STAMPS, *(() if weights else ("weight",))))

    stable, canary = list(targets)[:2]
    there_and_back(provider, RouteRef("", "any", stable, canary), shares, stored)


@pytest.fixture(scope="module")
def apisix():
    sandbox = ApisixSandbox()
    with running(sandbox) as url:
        yield sandbox, Guarded(Apisix(ApisixClient(keyed_door(url, "X-API-KEY"))), sleep=lambda _seconds: None)


WEIGHTS = st.fixed_dictionaries({}, optional={"weight": st.integers(0, 200)})
MAP_NODES = st.dictionaries(NODES, st.integers(0, 200), min_size=2, max_size=5).filter(lambda one: any(one.values()))
PLUGINS = st.fixed_dictionaries(
    {},
    optional={
        "limit-count": st.just({"count": 2, "time_window": 60, "weight": 5}),
        "key-auth": st.just({}),
        "response-rewrite": st.just({"headers": {"set": {"x-weight": "90/10"}}}),
    },
)


@st.composite
def weighted(draw, least):
    """Return the upstreams of a rule, each another: by id, inline, or the route's own."""
    ids = draw(st.lists(st.sampled_from(["u1", "u2", "u3", "own"]), min_size=least, max_size=4, unique=True))
    inline = {"type": "roundrobin", "name": "inline", "nodes": {"inline:1": 1}}
    entries = {
        "u1": {"upstream_id": "u1"},
        "u2": {"upstream_id": "u2"},
        "u3": {"upstream": inline},
        "own": {},
    }
    found = [{**copy.deepcopy(entries[name]), **draw(WEIGHTS)} for name in ids]
    if not any(entry.get("weight", 1) for entry in found):
        found[0]["weight"] = 1
    return {"weighted_upstreams": found}


@st.composite
def splits(draw):
    """Return an object with the plugin, and where in it the rule to move stands."""
    matched = st.tuples(weighted(1), NAMES).map(
        lambda pair: {"match": [{"vars": [["http_x", "==", pair[1]]]}], **pair[0]}
    )
    others = draw(st.lists(matched, max_size=3))
    index = draw(st.integers(0, len(others)))
    chosen = draw(weighted(2))
    found = [*others[:index], chosen, *others[index:]]
    plugins = {**draw(PLUGINS), "traffic-split": {"rules": found}}
    names = [
        "inline" if "upstream" in one else one.get("upstream_id", "default") for one in chosen["weighted_upstreams"]
    ]
    value = {"desc": "ü/~1", "labels": {"weight": "7"}, "plugins": plugins, "upstream_id": "u0"}
    ref = {"stable": names[0], "canary": names[1], "index": index, "shape": rules.shape(chosen, LAYOUT)}
    return value, ref


@st.composite
def node_upstreams(draw):
    """Return an object whose upstream has nodes, as a map or a list, inside it or itself."""
    nodes = draw(MAP_NODES)
    ref = dict(zip(("stable", "canary"), list(nodes)[:2], strict=True))
    if draw(st.booleans()):
        listed = [
            {"host": key.split(":")[0], "port": int(key.split(":")[1]), "weight": weight, "metadata": {"weight": "x"}}
            for key, weight in nodes.items()
        ]
        return {"type": "roundrobin", "nodes": listed}, ref
    return {"type": draw(st.sampled_from(["roundrobin", "chash"])), "nodes": nodes, "retries": 2}, ref


def place(sandbox, kind, value):
    store = apisix_store.Store()
    for number in range(3):
        store.put("upstreams", f"u{number}", {"type": "roundrobin", "nodes": {f"n{number}:1": 1}})
    store.put(kind, "any", copy.deepcopy(value))
    store.put("routes", "other", {"uri": "/other", "upstream": {"nodes": {"a:1": 1, "b:1": 2}}})
    sandbox.store = store

    def stored(weights):
        told = copy.deepcopy(sandbox.state())
        if not weights and "nodes" in (upstream := told[kind]["any"].get("upstream", told[kind]["any"])):
            nodes = upstream["nodes"]
            upstream["nodes"] = sorted(nodes) if isinstance(nodes, dict) else without(nodes, "weight")
        if not weights and (plugin := told[kind]["any"].get("plugins", {}).get("traffic-split")):
            for rule in plugin["rules"]:
                rule["weighted_upstreams"] = [without(one, "weight") for one in rule["weighted_upstreams"]]
        return json.dumps(without(told, *STAMPS))

    return stored


@examples(25)
@given(kind=st.sampled_from(["routes", "services", "plugin_configs"]), chosen=splits(), shares=SHARES)
def test_any_split_of_apisix_is_as_it_was(apisix, kind, chosen, shares):
    sandbox, provider = apisix
    value, ref = chosen
    stored = place(sandbox, kind, value)
    there_and_back(provider, RouteRef("", "any", kind=kind, **ref), shares, stored)


@examples(25)
@given(kind=st.sampled_from(["routes", "services", "upstreams"]), chosen=node_upstreams(), shares=SHARES)
def test_any_nodes_of_apisix_are_as_they_were(apisix, kind, chosen, shares):
    sandbox, provider = apisix
    value, ref = chosen
    stored = place(sandbox, kind, value if kind == "upstreams" else {"uri": "/x", "upstream": value})
    there_and_back(provider, RouteRef("", "any", kind=kind, **ref), shares, stored)
