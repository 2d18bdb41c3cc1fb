"""Before weight is received, the Control APIs of APISIX' nodes say whether anybody is left to answer."""

import contextlib
import json

import pytest

from gmud.sandbox.apisix import Apisix
from gmud.sandbox.apisix_control import Control
from gmud.sandbox.server import Fault, running
from releases.core.http import Door
from releases.traffic.apisix.adapter import Apisix as Plane
from releases.traffic.apisix.client import ApisixClient
from releases.traffic.apisix.control import ControlApi
from releases.traffic.guarded import Guarded
from releases.traffic.ports import NotEditable, Outcome, RouteRef, Split
from tests.contract.traffic.stages.apisix import ROUTE, objects
from tests.contract.traffic.stages.gateway import keyed_door
from tests.factories.traffic import LOOPBACK

ALL = Split({"stable": 0, "canary": 100})
CANARY = "checkout-canary:8080"
CHECKS = {"active": {"type": "http", "http_path": "/ready"}}


@pytest.fixture
def world():
    """Give an APISIX whose two upstreams are checked, the Control APIs of two of its nodes, and our adapter."""
    apisix = Apisix(objects)
    for side in ("stable", "canary"):
        apisix.store.patch("upstreams", f"checkout-{side}", lambda value: {**value, "checks": CHECKS}, lambda: None)
    nodes = Control(apisix), Control(apisix)
    with contextlib.ExitStack() as stack:
        url, *controls = (stack.enter_context(running(one)) for one in (apisix, *nodes))
        doors = [Door(f"control-{one}", one, {}, LOOPBACK) for one in controls]
        provider = Guarded(Plane(ApisixClient(keyed_door(url, "X-API-KEY")), ControlApi(doors)), sleep=lambda _s: None)
        yield provider, apisix, nodes


def write(provider, split=ALL, route=ROUTE):
    return provider.write(route, split, seen=provider.read(route).version)


def test_whoever_lives_gets_traffic_without_a_word(world):
    provider, _apisix, nodes = world
    preview = provider.preview(ROUTE, ALL)
    assert preview.doubts == ()
    assert not [one for one in preview.warnings if "live" in str(one) or "check" in str(one)]
    assert write(provider).outcome is Outcome.APPLIED
    assert {(one["method"], one["path"]) for node in nodes for one in node.log} == {("GET", "/v1/healthcheck")}
    assert not [one for node in nodes for one in node.log if "x-api-key" in one["headers"]], "the key stays at home"


@pytest.mark.parametrize("status", ["unhealthy", "mostly_unhealthy"])
def test_one_node_that_sees_nobody_alive_is_enough_unless_somebody_says_why(world, status):
    provider, apisix, (_first, second) = world
    second.health[CANARY] = status
    preview = provider.preview(ROUTE, ALL)
    assert "fails APISIX' health checks" in str(preview.doubts[0])
    with pytest.raises(NotEditable):
        write(provider)
    assert not [one for one in apisix.log if one["method"] == "PATCH"]
    meant = Split(ALL.weights, reason="it wakes up with the first request")
    assert write(provider, meant).outcome is Outcome.APPLIED


def test_whoever_lives_mostly_gets_traffic_and_whoever_gets_less_need_not_live(world):
    provider, _apisix, (first, _second) = world
    first.health = {CANARY: "mostly_healthy", "checkout-stable:8080": "unhealthy"}
    assert provider.preview(ROUTE, ALL).is_possible


def test_one_of_several_behind_an_upstream_is_enough(world):
    provider, apisix, (first, _second) = world
    more = {CANARY: 1, "checkout-more:8080": 1}
    apisix.store.patch("upstreams", "checkout-canary", lambda value: {**value, "nodes": more}, lambda: None)
    first.health[CANARY] = "unhealthy"
    assert provider.preview(ROUTE, ALL).is_possible
    first.health["checkout-more:8080"] = "unhealthy"
    assert not provider.preview(ROUTE, ALL).is_possible


def test_between_the_nodes_of_one_upstream_the_node_that_gets_more_must_live(world):
    provider, apisix, (first, _second) = world
    nodes = {"checkout-stable:8080": 90, CANARY: 10}
    apisix.store.patch("upstreams", "checkout-stable", lambda value: {**value, "nodes": nodes}, lambda: None)
    route = RouteRef("", "checkout-stable", "checkout-stable:8080", CANARY, kind="upstreams")
    assert provider.preview(route, ALL).is_possible
    first.health[CANARY] = "unhealthy"
    assert not provider.preview(route, ALL).is_possible
    assert provider.preview(route, Split({"stable": 100, "canary": 0})).is_possible


def test_whom_nobody_checks_is_told(world):
    provider, _apisix, nodes = world
    for node in nodes:
        node.idle.add("upstreams/checkout-canary")
    preview = provider.preview(ROUTE, ALL)
    assert preview.is_possible
    assert "it has no checker, or no request reached it yet" in str(preview.warnings[0])


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "close_before"},
        {"do": "html"},
        {"do": "status:404"},
        {"do": "status:200", "body": json.dumps([{"name": "/apisix/upstreams/x", "nodes": [{"port": 1}]}])},
        {"do": "status:200", "body": json.dumps({"name": 1})},
    ],
    ids=["hung up", "a proxy's page", "404", "a node without a status", "another shape"],
)
def test_a_control_api_that_does_not_answer_as_one_is_a_warning_and_no_guess(world, fault):
    provider, _apisix, (_first, second) = world
    second.faults.append(Fault(**fault, times=9))
    preview = provider.preview(ROUTE, ALL)
    assert preview.is_possible
    assert "Part of the check was skipped." in str(preview.warnings[0])
    assert "it has no checker, or no request reached it yet" in str(preview.warnings[1])


def test_an_empty_list_of_lua_is_no_news(world):
    provider, _apisix, nodes = world
    for node in nodes:
        node.faults.append(Fault("status:200", body="{}", times=9, headers={"Content-Type": "application/json"}))
    assert provider.preview(ROUTE, ALL).is_possible
