"""Everything a cluster and its people can do to a flip, each by name; what stands there afterwards is what counts."""

import json
from dataclasses import replace
from functools import partial

import pytest

from gmud.sandbox.kubernetes import resources
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import service_objects
from gmud.sandbox.kubernetes.store import Write
from gmud.sandbox.kubernetes.webhook import Webhook
from gmud.sandbox.server import Fault, running
from releases.cluster.client import ClusterClient
from releases.cluster.errors import Denied, Forbidden, Invalid
from releases.core import http
from releases.core.errors import Rejected, Unreachable
from releases.traffic import rules
from releases.traffic.guarded import Guarded
from releases.traffic.istio.adapter import Istio
from releases.traffic.ports import Conflict, Contended, NotApplied, NotEditable, Outcome, RouteRef, Split, outcome_of
from tests.factories.tls import a_certificate, over_tls
from tests.factories.traffic import checkout, door_to

pytestmark = pytest.mark.once
ROUTE = RouteRef("shop", "checkout", "stable", "canary", route="primary")
ALL = Split({"stable": 0, "canary": 100})
OLD, NEW = {"stable": 90, "canary": 10}, {"stable": 0, "canary": 100}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class Mesh:
    """A cluster under test, and the provider that looks at it."""

    def __init__(self, url, cluster):
        self.cluster, self.naps = cluster, []
        client = ClusterClient(door_to(url), sleep=self.naps.append)
        self.provider = Guarded(Istio(client), sleep=self.naps.append)

    @property
    def resource(self):
        return resources.by_plural("virtualservices")

    @property
    def stored(self):
        return self.cluster.store.objects["virtualservices", "shop", "checkout"]

    @property
    def weights(self):
        stable, canary = (entry.get("weight") for entry in self.stored["spec"]["http"][1]["route"])
        return {"stable": stable, "canary": canary}

    def edit(self, change, *, manager="kubectl-edit", sub=""):
        wanted = json.loads(json.dumps(self.stored))
        change(wanted)
        self.cluster.store.update(self.resource, self.stored, wanted, Write(manager, subresource=sub))

    def before_write(self, act, *, times=1):
        left = [times]

        def outrun(resource, there):
            left[0] -= 1
            if not left[0]:
                del self.cluster.outrun
            act()
            return self.cluster.store.get(resource, "shop", "checkout")

        self.cluster.outrun = outrun

    def writes(self):
        return [one for one in self.cluster.log if one["method"] == "PATCH" and "dryRun" not in one["query"]]

    def fault(self, do, **more):
        self.cluster.faults.append(Fault(do, **more))

    def write(self, split=ALL):
        return self.provider.write(ROUTE, split, seen=self.provider.read(ROUTE).version)


@pytest.fixture
def mesh():
    others = [one for one in service_objects("checkout", "shop") if one["kind"] != "VirtualService"]
    cluster = Cluster([checkout(), *others])
    with running(cluster) as url:
        yield Mesh(url, cluster)


class TestTheObject:
    """Missing, made anew, going away, served otherwise."""

    def test_deleted_between_look_and_write(self, mesh):
        seen = mesh.provider.read(ROUTE).version
        mesh.cluster.store.delete(mesh.resource, mesh.stored)
        with pytest.raises(NotEditable, match="none is made"):
            mesh.provider.write(ROUTE, ALL, seen=seen)
        assert not mesh.writes()

    def test_deleted_after_our_last_look(self, mesh):
        mesh.before_write(lambda: mesh.cluster.store.delete(mesh.resource, mesh.stored))
        with pytest.raises(Rejected) as raised:
            mesh.write()
        assert outcome_of(raised.value) is Outcome.REFUSED
        assert ("virtualservices", "shop", "checkout") not in mesh.cluster.store.objects

    def test_gone_right_after_our_write_is_not_told_as_refused(self, mesh):
        mesh.before_write(lambda: mesh.fault("status:404", method="GET", body=_not_found(), headers=_json()))
        with pytest.raises(Unreachable, match="were taken") as raised:
            mesh.write()
        assert outcome_of(raised.value) is Outcome.UNKNOWN
        assert mesh.weights == NEW

    def test_being_deleted_although_the_server_would_take_the_patch(self, mesh):
        mesh.edit(lambda found: found["metadata"].update(finalizers=["shop.example/hold"]))
        mesh.cluster.store.delete(mesh.resource, mesh.stored)
        with pytest.raises(NotEditable, match="being deleted"):
            mesh.write()
        assert not mesh.writes()

    @pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
    def test_the_newest_version_served_is_taken(self, mesh, version):
        served = ["v1", "v1beta1", "v1alpha3"]
        served = served[served.index(version) :]
        group = {"name": "networking.istio.io", "versions": [{"version": one} for one in reversed(served)]}
        mesh.fault("status:200", path="^/apis/networking.istio.io$", body=json.dumps(group), headers=_json())
        assert mesh.write().outcome is Outcome.APPLIED
        assert {one["path"].split("/")[3] for one in mesh.writes()} == {version}
        assert mesh.weights == NEW

    @pytest.mark.parametrize("versions", [[], ["v2"]])
    def test_a_group_without_a_version_we_know(self, mesh, versions):
        group = {"name": "networking.istio.io", "versions": [{"version": one} for one in versions]}
        mesh.fault("status:200", path="^/apis/networking.istio.io$", body=json.dumps(group), headers=_json())
        with pytest.raises(NotEditable, match="not installed"):
            mesh.provider.read(ROUTE)

    def test_a_group_that_is_not_there(self, mesh):
        mesh.fault("status:404", path="^/apis/networking.istio.io$", body="404 page not found\n", headers=TEXT)
        with pytest.raises(NotEditable, match="not installed"):
            mesh.provider.read(ROUTE)


class TestTheServer:
    """Every status it may answer a write with."""

    def test_403_names_the_right(self, mesh):
        seen = mesh.provider.read(ROUTE).version
        mesh.cluster.identities = {"sandbox-full": mesh.cluster.identities["sandbox-read"]}
        with pytest.raises(Forbidden, match='cannot patch resource "virtualservices"'):
            mesh.provider.write(ROUTE, ALL, seen=seen)
        assert mesh.weights == OLD

    def test_422_of_the_schema_is_final(self, mesh):
        mesh.stored["spec"]["http"][1]["timeout"] = "0s"
        with pytest.raises(Invalid, match="greater than 1ms"):
            mesh.write()
        assert (mesh.weights, len(mesh.writes())) == (OLD, 1)

    def test_422_of_a_patch_that_failed_is_read_again(self, mesh):
        body = json.dumps({"kind": "Status", "status": "Failure", "reason": "Invalid", "details": {}, "code": 422})
        mesh.fault("status:422", method="PATCH", query="^(?!.*dryRun)", body=body, headers=_json())
        assert mesh.write().outcome is Outcome.APPLIED
        assert (mesh.weights, len(mesh.writes())) == (NEW, 2)

    @pytest.mark.parametrize("times", [1, 3])
    def test_409_a_few_times(self, mesh, times):
        mesh.cluster.rival.times = times
        assert mesh.write().outcome is Outcome.APPLIED
        assert (mesh.weights, len(mesh.writes())) == (NEW, times + 1)
        assert all(0.05 <= nap <= 0.3 for nap in mesh.naps)

    def test_409_for_ever(self, mesh):
        mesh.cluster.rival.times = -1
        with pytest.raises(Contended):
            mesh.write()
        assert (mesh.weights, len(mesh.writes())) == (OLD, 4)

    @pytest.mark.parametrize("method", ["GET", "PATCH"])
    def test_429_in_plain_text_is_waited_for(self, mesh, method):
        headers = {**TEXT, "Retry-After": "2"}
        body = "Too many requests, please try again"
        mesh.fault("status:429", method=method, path="/checkout$", headers=headers, body=body)
        assert mesh.write().outcome is Outcome.APPLIED
        assert mesh.naps == [2.0]

    def test_429_for_ever_is_told_as_not_applied(self, mesh):
        seen = mesh.provider.read(ROUTE).version
        mesh.fault("status:429", method="PATCH", times=100, headers={**TEXT, "Retry-After": "1"}, body="Too many")
        with pytest.raises(NotApplied):
            mesh.provider.write(ROUTE, ALL, seen=seen)
        assert mesh.weights == OLD

    @pytest.mark.parametrize(
        ("broken", "said"),
        [({"weight": 0}, "total destination weight = 0"), ({"weight": -5}, "weight -5 < 0")],
        ids=["zero total", "negative"],
    )
    def test_a_webhook_that_denies_is_told_word_for_word(self, mesh, broken, said):
        mesh.stored["spec"]["tcp"][0]["route"][0] |= broken
        assert said in str(mesh.provider.preview(ROUTE, ALL).obstacles[0])
        with pytest.raises(Denied, match=said):
            mesh.write()
        assert mesh.weights == OLD

    @pytest.mark.parametrize("state", ["down", "timeout", "error"])
    def test_a_webhook_that_must_answer_and_does_not(self, mesh, state):
        mesh.cluster.webhook = Webhook(state=state)
        with pytest.raises(NotApplied, match="Bring istiod back"):
            mesh.write()
        assert mesh.weights == OLD

    def test_a_webhook_that_may_be_away_lets_us_through_and_still_no_zero_total(self, mesh):
        mesh.cluster.webhook = Webhook(policy="Ignore", state="down")
        with pytest.raises(NotEditable):
            mesh.write(Split({"stable": 0, "canary": 0}, literal=True))
        assert mesh.write().outcome is Outcome.APPLIED

    def test_a_slow_webhook_that_outlasts_our_patience_is_looked_for(self, mesh, monkeypatch):
        seen, only = mesh.provider.read(ROUTE).version, partial(monkeypatch.setattr, http, "READ_SECONDS", 0.3)
        mesh.fault("slow", method="PATCH", seconds=0.6, query="^(?!.*dryRun)")
        mesh.provider.sleep = mesh.cluster.closing.wait
        try:
            assert mesh.provider.write(ROUTE, ALL, seen=seen, still=only).outcome is Outcome.APPLIED
        except NotApplied:
            mesh.cluster.closing.wait(1.0)
        assert mesh.weights == NEW
        assert mesh.provider.write(ROUTE, ALL, seen=seen).outcome is Outcome.ALREADY


class TestCertificates:
    """Whom we trust, and whom they trust."""

    def test_a_cluster_that_another_authority_signed_hears_nothing(self, mesh, tmp_path):
        authority = a_certificate(tmp_path)
        with over_tls(mesh.cluster, authority) as url:
            with pytest.raises(Unreachable, match="nobody vouches for it"):
                Guarded(Istio(ClusterClient(door_to(url)))).read(ROUTE)
            assert not mesh.cluster.log
            trusting = replace(door_to(url), ca_bundle=authority)
            assert Guarded(Istio(ClusterClient(trusting))).read(ROUTE).weights == OLD

    def test_a_cluster_that_wants_a_client_certificate_is_shown_ours(self, mesh, tmp_path):
        authority = a_certificate(tmp_path)
        with over_tls(mesh.cluster, authority, demands_a_client=True) as url:
            door = replace(door_to(url), ca_bundle=authority)
            with pytest.raises(Unreachable):
                Guarded(Istio(ClusterClient(door))).read(ROUTE)
            shown = replace(door, client_certificate=authority)
            assert Guarded(Istio(ClusterClient(shown))).read(ROUTE).weights == OLD


class TestOthers:
    """Controllers, people, and what they leave behind."""

    def test_a_status_only_writer_moves_the_version_and_not_us(self, mesh):
        def status(found):
            found["status"] = {"observedGeneration": len(mesh.cluster.log)}

        mesh.before_write(lambda: mesh.edit(status, manager="istiod", sub="status"), times=3)
        assert mesh.write().outcome is Outcome.APPLIED
        assert len(mesh.writes()) == 4
        assert mesh.weights == NEW

    @pytest.mark.parametrize("when", ["before our look", "before our write"])
    def test_unnamed_routes_that_change_places_are_not_mistaken(self, mesh, when):
        def nameless(found):
            for route in found["spec"]["http"]:
                route.pop("name", None)

        def turn(found):
            found["spec"]["http"].insert(0, found["spec"]["http"].pop(1))

        mesh.edit(nameless)
        shape = rules.shape(mesh.stored["spec"]["http"][1])
        route = RouteRef("shop", "checkout", "stable", "canary", index=1, shape=shape)
        seen = mesh.provider.read(route).version
        if when == "before our look":
            mesh.edit(turn)
        else:
            mesh.before_write(lambda: mesh.edit(turn))
        with pytest.raises(NotEditable, match="moved or changed"):
            mesh.provider.write(route, ALL, seen=seen)
        assert [entry.get("weight") for entry in mesh.stored["spec"]["http"][0]["route"]] == [90, 10]

    def test_the_same_destination_twice_is_refused(self, mesh):
        def twice(found):
            entries = found["spec"]["http"][1]["route"]
            entries.append({"destination": {"host": "other"}, "weight": 0})
            entries.append({"destination": {"host": "other"}, "weight": 0})

        mesh.edit(twice)
        with pytest.raises(NotEditable, match="twice"):
            mesh.provider.read(ROUTE)

    def test_a_delegate_changed_while_its_root_stands_still(self, mesh):
        root = checkout(name="root", uid="root")
        root["spec"] = {
            "hosts": ["shop.example"],
            "http": [{"name": "all", "delegate": {"name": "inner", "namespace": "team"}}],
        }
        inner = checkout(name="inner", uid="inner", namespace="team")
        entries = [
            {"destination": {"host": f"a-{side}"}, "weight": weight} for side, weight in (("old", 90), ("new", 10))
        ]
        inner["spec"] = {"http": [{"name": "split", "route": entries}]}
        mesh.cluster.store.load([root, inner])
        route = RouteRef("shop", "root", "a-old", "a-new", route="all/split")
        seen = mesh.provider.read(route).version
        stored = mesh.cluster.store.objects["virtualservices", "team", "inner"]
        stored["spec"]["http"][0]["route"][0]["weight"] = 70
        with pytest.raises(Conflict):
            mesh.provider.write(route, ALL, seen=seen)
        assert not mesh.writes()

    def test_git_that_puts_the_weights_back_is_named_by_the_next_look(self, mesh):
        written = mesh.write()

        def back(found):
            for entry, weight in zip(found["spec"]["http"][1]["route"], (90, 10), strict=True):
                entry["weight"] = weight

        mesh.edit(back, manager="argocd-controller")
        reading = mesh.provider.read(ROUTE)
        assert reading.weights == OLD
        assert reading.writer.name == "argocd-controller"
        assert reading.owner.system == "Argo CD"
        with pytest.raises(Conflict, match="argocd-controller"):
            mesh.provider.write(ROUTE, Split({"stable": 50, "canary": 50}), seen=written.reading.version)


def _json():
    return {"Content-Type": "application/json"}


def _not_found():
    return json.dumps({"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "gone", "code": 404})
