"""Read, shift, restore: any VirtualService is then as it was, but for what the server itself counts."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import from_folder
from gmud.sandbox.server import running
from releases.cluster.client import ClusterClient
from releases.traffic import rules
from releases.traffic.guarded import Guarded
from releases.traffic.istio.adapter import Istio
from releases.traffic.istio.parsing import key_of
from releases.traffic.ports import NotEditable, Outcome, RouteRef, Split
from tests.examples import examples
from tests.factories.traffic import door_to

BOOKINFO = Path(__file__).parents[2] / "recordings" / "bookinfo"
COUNTED = ("resourceVersion", "generation", "managedFields")
WEIGHTS = st.fixed_dictionaries({}, optional={"weight": st.integers(0, 200)})
NAMES = st.text("abcdefghij-", min_size=1, max_size=8)
MATCHES = {
    "http": st.none() | NAMES.map(lambda name: [{"uri": {"prefix": f"/{name}"}}, {"headers": {"x": {"exact": name}}}]),
    "tls": NAMES.map(lambda name: [{"port": 443, "sniHosts": [name]}]),
    "tcp": st.none() | st.integers(1, 65535).map(lambda port: [{"port": port}]),
}
EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.just("5s"),
        "retries": st.just({"attempts": 3, "perTryTimeout": "2s"}),
        "mirror": st.just({"host": "shadow", "subset": "canary"}),
        "mirrorPercentage": st.just({"value": 0.5}),
        "fault": st.just({"delay": {"fixedDelay": "1s", "percentage": {"value": 12.5}}}),
        "headers": st.just({"request": {"set": {"x-ü/~1": "weight"}}}),
        "corsPolicy": st.just({"allowOrigins": [{"exact": "*"}]}),
    },
)
DESTINATIONS = st.fixed_dictionaries(
    {"host": NAMES},
    optional={"subset": NAMES, "port": st.integers(1, 65535).map(lambda number: {"number": number})},
)


@st.composite
def routes(draw, section, least):
    """Return one route with some destinations, told apart by their keys."""
    found = draw(st.lists(DESTINATIONS, min_size=least, max_size=5, unique_by=key_of))
    own = [{}, {"headers": {"response": {"add": {"weight": "9"}}}}] if section == "http" else [{}]
    entries = [{"destination": one, **draw(st.sampled_from(own)), **draw(WEIGHTS)} for one in found]
    if len(entries) > 1 and not any(entry.get("weight") for entry in entries):
        entries[draw(st.integers(0, len(entries) - 1))]["weight"] = 1
    match = draw(MATCHES[section])
    route = {"route": entries, **({} if match is None else {"match": match})}
    return route | (draw(EXTRAS) if section == "http" else {})


@st.composite
def virtual_services(draw):
    """Return an object, and where in it the route to move stands."""
    section = draw(st.sampled_from(["http", "tls", "tcp"]))
    spec = {"hosts": draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))}
    for name in ("http", "tls", "tcp"):
        spec[name] = draw(st.lists(routes(name, 1), max_size=3))
    index = draw(st.integers(0, len(spec[section])))
    spec[section].insert(index, draw(routes(section, 2)))
    names = [draw(st.sampled_from([{}, {"name": f"route-{number}"}])) for number in range(len(spec["http"]))]
    spec["http"] = [{**route, **name} for route, name in zip(spec["http"], names, strict=True)]
    spec = {key: value for key, value in spec.items() if value}
    meta = {"name": "any", "namespace": "shop", "annotations": {"a/b": "~1"}, "labels": {"weight": "7"}}
    body = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": spec}
    return body, section, index


def reference(body, section, index):
    """Return the route's reference, its first two targets as the sides."""
    route = body["spec"][section][index]
    stable, canary = (key_of(entry["destination"]) for entry in route["route"][:2])
    meta = body["metadata"]
    found = {"route": route["name"]} if route.get("name") else {"index": index, "shape": rules.shape(route)}
    return RouteRef(meta["namespace"], meta["name"], stable, canary, kind=section, **found)


@pytest.fixture(scope="module")
def mesh():
    cluster = Cluster([])
    with running(cluster) as url:
        yield cluster, Guarded(Istio(ClusterClient(door_to(url))), sleep=lambda _seconds: None)


def stored(cluster, body, *, weights=True):
    """Return the stored object without what the server counts, as text."""
    meta = body["metadata"]
    found = copy.deepcopy(cluster.store.objects["virtualservices", meta["namespace"], meta["name"]])
    for counted in COUNTED:
        found["metadata"].pop(counted, None)
    if not weights:
        for routed in (route for section in ("http", "tls", "tcp") for route in found["spec"].get(section, ())):
            for entry in routed.get("route", ()):
                entry.pop("weight", None)
    return json.dumps(found, sort_keys=True)


def there_and_back(cluster, provider, body, ref, shares):
    """Shift to these shares and restore; check what must not change on either way."""
    cluster.store.objects.clear()
    cluster.store.load([body])
    whole, rest = stored(cluster, body), stored(cluster, body, weights=False)
    old = provider.read(ref).version
    names = list(old.weights)
    asked = dict(zip(names, [shares[at % len(shares)] for at in range(len(names))], strict=True))
    there = provider.write(ref, Split(asked), seen=old)
    assert stored(cluster, body, weights=False) == rest
    assert there.outcome in (Outcome.APPLIED, Outcome.ALREADY)
    assert rules.as_asked(list(there.reading.weights.values()), list(asked.values()))
    back = provider.write(ref, Split.back_to(old), seen=there.reading.version)
    assert back.reading.version.weights == old.weights
    assert stored(cluster, body) == whole


@examples(25)
@given(virtual_services(), st.lists(st.integers(0, 100), min_size=2, max_size=5).filter(lambda shares: sum(shares[:2])))
def test_any_object_is_as_it_was(mesh, chosen, shares):
    body, section, index = chosen
    there_and_back(*mesh, body, reference(body, section, index), shares)


def bookinfo():
    """Iterate every VirtualService of the sample application, by file."""
    for path in sorted(BOOKINFO.glob("virtual-service-*.yaml")):
        for number, body in enumerate(yaml.safe_load_all(path.read_text())):
            if body:
                body["metadata"]["namespace"] = "bookinfo"
                yield pytest.param(body, id=f"{path.stem}-{number}")


@pytest.mark.parametrize("body", list(bookinfo()))
def test_bookinfo_is_as_it_was_and_its_unsplit_routes_are_refused(mesh, body):
    for index, route in enumerate(body["spec"]["http"]):
        if len(route["route"]) > 1:
            there_and_back(*mesh, body, reference(body, "http", index), (0, 100))
            continue
        cluster, provider = mesh
        cluster.store.objects.clear()
        cluster.store.load([body])
        before = stored(cluster, body)
        ref = RouteRef("bookinfo", body["metadata"]["name"], "v1", "v2", index=index, shape=rules.shape(route))
        with pytest.raises(NotEditable, match="single destination"):
            provider.read(ref)
        assert stored(cluster, body) == before


def test_the_subsets_of_bookinfo_are_checked_against_its_destination_rules(mesh):
    cluster, provider = mesh
    objects = [one for one in from_folder(BOOKINFO) if one["kind"] in ("DestinationRule", "VirtualService")]
    chosen = next(one for one in objects if len(one["spec"].get("http", [{}])[0].get("route", ())) > 1)
    for one in objects:
        one["metadata"]["namespace"] = "bookinfo"
    cluster.store.objects.clear()
    cluster.store.load([one for one in objects if one["kind"] == "DestinationRule"])
    cluster.store.load([chosen])
    ref = reference(chosen, "http", 0)
    asked = Split({"stable": 50, "canary": 50})
    assert provider.preview(ref, asked).is_possible
    rule = cluster.store.objects["destinationrules", "bookinfo", "reviews"]
    rule["spec"]["subsets"] = [one for one in rule["spec"]["subsets"] if one["name"] != "v2"]
    assert "no subset v2" in str(provider.preview(ref, asked).obstacles[0])
