"""Routes of the Gateway API and of Linkerd that are not plain, and what their controllers and old versions say."""

import contextlib
import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import Fault, running
from releases.cluster.client import PAGE, ClusterClient
from releases.cluster.errors import Invalid
from releases.core.errors import External
from releases.traffic import rules
from releases.traffic.gateway import parsing
from releases.traffic.gateway.adapter import Gateway
from releases.traffic.guarded import Guarded
from releases.traffic.linkerd.adapter import Linkerd
from releases.traffic.ports import NotEditable, Outcome, RouteRef, Split, outcome_of
from tests.contract.traffic.replay import Replay
from tests.contract.traffic.stages.cluster import backends
from tests.contract.traffic.stages.gateway_api import ROUTE, gateway
from tests.factories.traffic import door_to, recording

ALL = Split({"stable": 0, "canary": 100})
BOOKINFO = Path(__file__).parents[2] / "recordings" / "bookinfo"


def recorded(name):
    return copy.deepcopy(recording(name)["response"]["body"])


def linkerd_route(**meta):
    found = recorded("linkerd-httproute-create-201")
    found["metadata"] |= meta
    return found


def to(body, **more):
    """Return the reference of the first rule of Linkerd's recorded route."""
    shape = rules.shape(body["spec"]["rules"][0], rules.GATEWAY)
    return RouteRef("shop", body["metadata"]["name"], "bb-v1", "bb-v2", index=0, shape=shape, **more)


@contextlib.contextmanager
def serving(plane, *objects):
    cluster = Cluster(objects)
    naps = []
    with running(cluster) as url:
        yield cluster, Guarded(plane(ClusterClient(door_to(url), sleep=naps.append)), sleep=naps.append)


def write(provider, route, split=ALL):
    return provider.write(route, split, seen=provider.read(route).version)


def writes(cluster):
    return [one for one in cluster.log if one["method"] == "PATCH" and "dryRun" not in one["query"]]


class TestWhatWeSend:
    """The recorded write, with every guard of ours."""

    def test_the_patch_is_the_recorded_one_and_guards_more(self):
        with serving(Gateway, recorded("gw-httproute-get-200")) as (cluster, provider):
            write(provider, ROUTE)
        (sent,) = writes(cluster)
        told = recording("gw-httproute-flip-200")["request"]
        ours = json.loads(sent["body"])
        for operation in told["body"]:
            wanted = {**operation, "op": "add"} if operation["path"].endswith("/weight") else operation
            assert wanted in ours
        assert sent["path"] == told["path"].partition("?")[0]
        assert sent["headers"]["content-type"] == told["headers"]["Content-Type"]
        assert {"op": "test", "path": "/spec/rules/1/name", "value": "primary"} in ours
        assert {one["path"] for one in ours if one["op"] != "test"} == {
            "/metadata/resourceVersion",
            "/spec/rules/1/backendRefs/0/weight",
            "/spec/rules/1/backendRefs/1/weight",
        }

    def test_the_result_is_the_recorded_one(self):
        with serving(Gateway, recorded("gw-httproute-get-200")) as (cluster, provider):
            write(provider, ROUTE)
            assert (
                cluster.store.objects["httproutes", "shop", "checkout"]["spec"]
                == recorded("gw-httproute-flip-200")["spec"]
            )

    def test_a_grpc_route_is_shifted_alike(self):
        body = recorded("gw-grpcroute-create-201")
        route = RouteRef(
            "shop",
            "ledger",
            "ledger-v1",
            "ledger-v2",
            index=0,
            shape=rules.shape(body["spec"]["rules"][0], rules.GATEWAY),
            kind="GRPCRoute",
        )
        with serving(Gateway, body) as (cluster, provider):
            assert provider.read(route).hosts == ("ledger.shop",)
            assert write(provider, route).outcome is Outcome.APPLIED
            rule = cluster.store.objects["grpcroutes", "shop", "ledger"]["spec"]["rules"][0]
        assert [one["weight"] for one in rule["backendRefs"]] == [0, 100]

    def test_the_backend_that_a_schema_refuses_is_told_word_for_word(self):
        with serving(Gateway, recorded("gw-httproute-get-200")) as (cluster, provider):
            stored = cluster.store.objects["httproutes", "shop", "checkout"]
            del stored["spec"]["rules"][0]["backendRefs"][0]["port"]
            with pytest.raises(Invalid, match="Must have port"):
                write(provider, ROUTE)

    def test_bookinfo_is_as_it_was(self):
        body = yaml.safe_load((BOOKINFO / "route-reviews-90-10.yaml").read_text())
        body["metadata"]["namespace"] = "bookinfo"
        with serving(Gateway, body) as (cluster, provider):
            stored = cluster.store.objects["httproutes", "bookinfo", "reviews"]
            shape = rules.shape(stored["spec"]["rules"][0], rules.GATEWAY)
            route = RouteRef("bookinfo", "reviews", "reviews-v1", "reviews-v2", index=0, shape=shape)
            before = copy.deepcopy(stored["spec"])
            old = provider.read(route).version
            write(provider, route)
            write(provider, route, Split.back_to(old))
            assert cluster.store.objects["httproutes", "bookinfo", "reviews"]["spec"] == before


class TestAsRecorded:
    """What a real API server answered, and the very requests it would have got from us."""

    PATH = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/checkout"

    def script(self, *answers):
        """Return the exchanges of one write after a look; the last answers are what the server recorded."""
        group = {"versions": [{"version": "v1"}]}
        nobody = recording("k8s-apigroup-missing-404")["response"]
        forbidden = recording("vs-list-403-resourcenames")["response"]
        look = (self.asked("GET", self.PATH), recording("gw-httproute-get-200")["response"])
        slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
        chosen = {"limit": PAGE, "labelSelector": "kubernetes.io/service-name=checkout-canary"}
        return [
            (self.asked("GET", "/apis/gateway.networking.k8s.io"), {"status": 200, "body": group}),
            look,
            look,
            (self.asked("GET", "/apis/argoproj.io"), nobody),
            (self.asked("GET", "/apis/flagger.app"), nobody),
            (self.asked("GET", "/apis/discovery.k8s.io"), {"status": 200, "body": group}),
            (self.asked("GET", slices, chosen), forbidden),
            (self.sent(), recording(answers[0])["response"]),
            *[(self.asked("GET", self.PATH), recording(name)["response"]) for name in answers[1:]],
        ]

    def asked(self, method, path, query=None):
        return {"method": method, "path": path, "query": query or {}, "body": None, "headers": {}}

    def sent(self):
        body = recorded("gw-httproute-get-200")
        where = "/spec/rules/1"
        operations = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "437"},
            {"op": "test", "path": "/metadata/uid", "value": body["metadata"]["uid"]},
            {"op": "test", "path": f"{where}/name", "value": "primary"},
        ]
        for at, backend in enumerate(body["spec"]["rules"][1]["backendRefs"]):
            tested = {key: value for key, value in backend.items() if key != "weight"}
            operations += [
                {"op": "test", "path": f"{where}/backendRefs/{at}/{key}", "value": value}
                for key, value in tested.items()
            ]
        for at, weight in enumerate((0, 100)):
            operations.append({"op": "add", "path": f"{where}/backendRefs/{at}/weight", "value": weight})
        query = {"fieldManager": "gmud", "fieldValidation": "Strict"}
        headers = {"content-type": "application/json-patch+json"}
        return {"method": "PATCH", "path": self.PATH, "query": query, "body": operations, "headers": headers}

    @pytest.mark.parametrize(
        ("answers", "outcome"),
        [
            (["gw-httproute-flip-200", "gw-httproute-flip-200"], Outcome.APPLIED),
            (["gw-httproute-flip-stale-409", "gw-httproute-flip-200"], Outcome.APPLIED),
            (["gw-httproute-weight-over-max-422"], Outcome.REFUSED),
            (["gw-httproute-missing-port-422"], Outcome.REFUSED),
            (["gw-httproute-flip-stale-409", "gw-httproute-weight-max-200"], Outcome.CONFLICT),
            (["gw-httproute-flip-stale-409", "gw-httproute-remove-weight-defaults-to-1"], Outcome.CONFLICT),
        ],
    )
    def test_a_write_is_answered(self, answers, outcome):
        server = Replay(self.script(*answers))
        with running(server) as url:
            provider = Guarded(Gateway(ClusterClient(door_to(url))), sleep=lambda _seconds: None)
            seen = provider.read(ROUTE).version
            try:
                ended = provider.write(ROUTE, ALL, seen=seen).outcome
            except External as error:
                ended = outcome_of(error)
        assert (server.mistakes, server.script) == ([], [])
        assert ended is outcome


class TestOddRules:
    """Backends that repeat, stand elsewhere, or are alone."""

    def test_the_same_service_twice_is_told_apart_by_its_number(self):
        body = recorded("gw-httproute-get-200")
        again = {**body["spec"]["rules"][1]["backendRefs"][0], "weight": 0}
        body["spec"]["rules"][1]["backendRefs"].append(again)
        with serving(Gateway, body) as (_cluster, provider):
            with pytest.raises(NotEditable, match="2 destinations match checkout-stable"):
                provider.read(ROUTE)
            key = "/Service/shop/checkout-stable:8080"
            route = RouteRef("shop", "checkout", key, "checkout-canary", route="primary")
            assert [one.key for one in provider.read(route).targets][::2] == [key, f"{key}#2"]
            assert write(provider, route).outcome is Outcome.APPLIED

    @pytest.mark.parametrize("when", ["before our look", "before our write"])
    def test_unnamed_rules_that_change_places_are_not_mistaken(self, when):
        with gateway() as stage:

            def nameless(found):
                for rule in found["spec"]["rules"]:
                    rule.pop("name", None)

            def turn():
                stage.edit(lambda found: found["spec"]["rules"].insert(0, found["spec"]["rules"].pop(1)))

            stage.edit(nameless)
            shape = rules.shape(stage.stored["spec"]["rules"][1], rules.GATEWAY)
            route = replace(stage.route, route="", index=1, shape=shape)
            seen = stage.provider.read(route).version
            before = copy.deepcopy(stage.stored["spec"]["rules"][1])
            if when == "before our look":
                turn()
            else:
                stage.before_write(turn)
            with pytest.raises(NotEditable, match="moved or changed"):
                stage.provider.write(route, Split({"stable": 0, "canary": 100}), seen=seen)
            assert stage.stored["spec"]["rules"][0] == before

    def test_a_rule_with_one_backend_is_refused(self):
        route = RouteRef("shop", "checkout", "checkout-stable", "checkout-canary", route="canary-header")
        with (
            serving(Gateway, recorded("gw-httproute-get-200")) as (_cluster, provider),
            pytest.raises(NotEditable, match="single destination"),
        ):
            provider.read(route)

    def test_a_backend_of_another_namespace_is_looked_for_there(self):
        body = recorded("gw-httproute-get-200")
        body["spec"]["rules"][1]["backendRefs"][1]["namespace"] = "team"
        here, there = backends("shop", "checkout-canary"), backends("team", "checkout-canary")
        there[1]["spec"]["replicas"] = 0
        with serving(Gateway, body, *here, *there) as (_cluster, provider):
            assert "team" in str(provider.preview(ROUTE, ALL).doubts[0])

    def test_a_backend_that_is_no_service_is_written_with_a_warning(self):
        body = recorded("gw-httproute-get-200")
        body["spec"]["rules"][1]["backendRefs"][1] |= {"group": "multicluster.x-k8s.io", "kind": "ServiceImport"}
        with serving(Gateway, body) as (_cluster, provider):
            preview = provider.preview(ROUTE, ALL)
        assert preview.is_possible
        assert any("no plain Service" in str(one) for one in preview.warnings)

    def test_a_kind_that_splits_nothing_is_refused(self):
        route = RouteRef("shop", "checkout", "a", "b", kind="TLSRoute")
        with serving(Gateway) as (_cluster, provider), pytest.raises(NotEditable, match="HTTPRoute and GRPCRoute"):
            provider.read(route)

    def test_an_older_cluster_serves_the_older_version(self):
        group = {"name": "gateway.networking.k8s.io", "versions": [{"version": "v1beta1"}]}
        fault = Fault("status:200", path="^/apis/gateway.networking.k8s.io$", body=json.dumps(group))
        with serving(Gateway, recorded("gw-httproute-get-200")) as (cluster, provider):
            cluster.faults.append(fault)
            assert write(provider, ROUTE).outcome is Outcome.APPLIED
            assert "/v1beta1/" in writes(cluster)[0]["path"]


class TestStatus:
    """What controllers say."""

    def test_what_a_controller_finds_wrong_is_told(self):
        with serving(Gateway, recorded("gw-httproute-get-with-status-200")) as (_cluster, provider):
            reading = provider.read(ROUTE)
        assert reading.is_taken_up is False
        assert any("BackendNotFound" in str(one) and "checkout-canary" in str(one) for one in reading.warnings)

    @pytest.mark.parametrize(
        ("conditions", "is_taken_up"),
        [
            ([("Accepted", "True", 7), ("ResolvedRefs", "True", 7)], True),
            ([("Accepted", "True", 8), ("ResolvedRefs", "True", 8)], True),
            ([("Accepted", "True", 6), ("ResolvedRefs", "True", 7)], False),
            ([("Accepted", "False", 7), ("ResolvedRefs", "True", 7)], False),
            ([("Accepted", "True", 7), ("ResolvedRefs", "True", 7), ("PartiallyInvalid", "True", 7)], False),
            ([("Accepted", "True", 7), ("ResolvedRefs", "True", 7), ("PartiallyInvalid", "False", 7)], True),
            ([("Accepted", "True", None), ("ResolvedRefs", "True", None)], None),
            ([], None),
        ],
    )
    def test_a_generation_is_taken_up_when_every_condition_is_about_it(self, conditions, is_taken_up):
        told = [
            {"type": kind, "status": status, **({} if seen is None else {"observedGeneration": seen})}
            for kind, status, seen in conditions
        ]
        parents = [{"controllerName": "c", "parentRef": {}, "conditions": told}] if told else []
        body = {"metadata": {"generation": 7}, "status": {"parents": parents}}
        assert parsing.is_taken_up(body) is is_taken_up


class TestLinkerd:
    """Old versions, profiles, parents, and the split of old."""

    @pytest.mark.parametrize(
        ("version", "said"), [("v1beta2", "time-outs"), ("v1beta1", "no weights"), ("v1alpha1", "no weights")]
    )
    def test_an_old_version_that_loses_fields_is_never_written_through(self, version, said):
        body = linkerd_route()
        group = {"name": "policy.linkerd.io", "versions": [{"version": version}]}
        fault = Fault("status:200", path="^/apis/policy.linkerd.io$", body=json.dumps(group), times=9)
        with serving(Linkerd, body) as (cluster, provider):
            cluster.faults.append(fault)
            before = copy.deepcopy(cluster.store.objects["httproutes.policy.linkerd.io", "shop", "backend-router"])
            with pytest.raises(NotEditable, match=said):
                write(provider, to(body))
            if version == "v1beta2":
                assert provider.read(to(body)).weights == {"stable": 90, "canary": 10}
            assert cluster.store.objects["httproutes.policy.linkerd.io", "shop", "backend-router"] == before
            assert not writes(cluster)

    def test_the_version_that_keeps_everything_is_taken_whatever_the_server_prefers(self):
        body = linkerd_route()
        versions = [{"version": one} for one in ("v1alpha1", "v1beta1", "v1beta2", "v1beta3")]
        fault = Fault("status:200", path="^/apis/policy.linkerd.io$", body=json.dumps({"versions": versions}))
        with serving(Linkerd, body) as (cluster, provider):
            cluster.faults.append(fault)
            write(provider, to(body))
            stored = cluster.store.objects["httproutes.policy.linkerd.io", "shop", "backend-router"]
        assert stored["spec"]["rules"][0]["timeouts"] == {"request": "5s"}
        assert "/v1beta3/" in writes(cluster)[0]["path"]

    @pytest.mark.parametrize("home", ["shop", "clients"])
    def test_a_profile_that_makes_proxies_pass_the_route_by_is_a_doubt(self, home):
        body = linkerd_route()
        body["metadata"]["namespace"] = "clients"
        body["spec"]["parentRefs"][0]["namespace"] = "shop"
        profile = {
            "apiVersion": "linkerd.io/v1alpha2",
            "kind": "ServiceProfile",
            "metadata": {"name": "bb.shop.svc.cluster.local", "namespace": home},
            "spec": {"routes": []},
        }
        route = RouteRef(**{**_parts(to(body)), "namespace": "clients"})
        with serving(Linkerd, body, profile) as (_cluster, provider):
            reading = provider.read(route)
            assert any("Only clients in clients" in str(one) for one in reading.warnings)
            assert "pass this route by" in str(provider.preview(route, ALL).doubts[0])
            with pytest.raises(NotEditable, match="pass this route by"):
                write(provider, route)
            meant = Split(ALL.weights, reason="the profile goes with this release")
            assert write(provider, route, meant).outcome is Outcome.APPLIED

    def test_a_route_before_a_server_is_policy_and_no_split(self):
        body = linkerd_route()
        body["spec"]["parentRefs"] = [{"group": "policy.linkerd.io", "kind": "Server", "name": "bb"}]
        with serving(Linkerd, body) as (_cluster, provider), pytest.raises(NotEditable, match="no Service"):
            provider.read(to(body))

    def test_a_route_of_the_gateway_api_before_a_service_is_shifted_too(self):
        body = recorded("gw-httproute-get-200")
        body["spec"]["parentRefs"] = [{"group": "", "kind": "Service", "name": "checkout", "port": 8080}]
        route = RouteRef(**{**_parts(ROUTE), "kind": "gateway.networking.k8s.io"})
        with serving(Linkerd, body) as (_cluster, provider):
            assert provider.read(route).is_taken_up is None
            assert write(provider, route).outcome is Outcome.APPLIED

    def test_an_smi_split_is_answered_with_the_way_to_an_http_route(self):
        split = recorded("smi-create-v1alpha4")
        route = RouteRef("shop", split["metadata"]["name"], "checkout-v1", "checkout-v2", index=0)
        with serving(Linkerd, split) as (cluster, provider):
            with pytest.raises(NotEditable) as raised:
                provider.read(route)
            assert not writes(cluster)
        said = str(raised.value)
        for part in ("SMI TrafficSplit", "Service checkout", "checkout-v1 (90), checkout-v2 (10)", "HTTPRoute"):
            assert part in said

    def test_what_is_nowhere_is_plainly_not_there(self):
        with serving(Linkerd) as (_cluster, provider), pytest.raises(NotEditable, match="no HTTPRoute nothing"):
            provider.read(RouteRef("shop", "nothing", "a", "b", index=0))


def _parts(route):
    return {name: getattr(route, name) for name in type(route).__dataclass_fields__}
