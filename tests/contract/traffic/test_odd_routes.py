"""Routes that are not plain: unnamed, delegated, owned, shared, dying, with absent weights or more targets."""

import contextlib
import copy

import pytest

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import service_objects
from gmud.sandbox.server import Fault, running
from releases.cluster.client import ClusterClient
from releases.cluster.errors import Invalid
from releases.traffic import rules
from releases.traffic.guarded import Guarded
from releases.traffic.istio.adapter import Istio
from releases.traffic.ports import Conflict, NotEditable, RouteRef, Split
from tests.factories.traffic import checkout, door_to

ROUTE = RouteRef("shop", "checkout", "stable", "canary", route="primary")
ALL = Split({"stable": 0, "canary": 100})


@contextlib.contextmanager
def mesh(*objects, others=None):
    others = service_objects("checkout", "shop") if others is None else others
    kept = [one for one in others if one["kind"] != "VirtualService"]
    cluster = Cluster([*objects, *kept])
    with running(cluster) as url:
        naps = []
        yield cluster, Guarded(Istio(ClusterClient(door_to(url), sleep=naps.append)), sleep=naps.append)


def stored(cluster, name="checkout"):
    return cluster.store.objects["virtualservices", "shop", name]


def write(adapter, route, split):
    return adapter.write(route, split, seen=adapter.read(route).version).reading


def a_change(**parts):
    """Return the recorded object with parts of its route ``primary`` replaced."""
    found = checkout()
    found["spec"]["http"][1] |= parts
    return found


def target(subset, weight=None, host="checkout"):
    entry = {"destination": {"host": host, "subset": subset}}
    return entry if weight is None else {**entry, "weight": weight}


def test_everything_but_the_two_weights_stays_byte_for_byte():
    with mesh(checkout()) as (cluster, adapter):
        before = copy.deepcopy(stored(cluster)["spec"])
        write(adapter, ROUTE, ALL)
        after = copy.deepcopy(stored(cluster)["spec"])
    for entry, weight in zip(before["http"][1]["route"], (0, 100), strict=True):
        entry["weight"] = weight
    assert after == before


def test_a_restore_writes_the_old_numbers_and_removes_what_was_absent():
    with mesh(checkout((None, 7))) as (cluster, adapter):
        old = adapter.read(ROUTE).version
        assert old.weights == {"stable": None, "canary": 7}
        write(adapter, ROUTE, Split({"stable": 90, "canary": 10}))
        restored = write(adapter, ROUTE, Split(old.weights, literal=True))
        assert restored.version.weights == old.weights
        assert "weight" not in stored(cluster)["spec"]["http"][1]["route"][0]
        again = write(adapter, ROUTE, Split(old.weights, literal=True))
    assert again.version.token == restored.version.token


def test_shares_are_written_in_the_scale_of_the_object():
    with mesh(checkout((900, 100))) as (_cluster, adapter):
        reading = write(adapter, ROUTE, Split({"stable": 1, "canary": 1}))
    assert reading.weights == {"stable": 500, "canary": 500}


def test_a_third_target_without_traffic_is_left_alone_and_one_with_traffic_must_be_named():
    third = [target("stable", 90), target("canary", 10), target("old", 0)]
    with mesh(a_change(route=third)) as (cluster, adapter):
        write(adapter, ROUTE, ALL)
        assert [one["weight"] for one in stored(cluster)["spec"]["http"][1]["route"]] == [0, 100, 0]
    third[2]["weight"] = 5
    with mesh(a_change(route=third)) as (_cluster, adapter), pytest.raises(NotEditable, match=r"checkout\|old\|"):
        write(adapter, ROUTE, ALL)


def test_a_route_without_a_name_is_found_by_place_and_shape_and_missed_when_it_moved():
    found = checkout()
    del found["spec"]["http"][1]["name"]
    route = RouteRef("shop", "checkout", "stable", "canary", index=1, shape=rules.shape(found["spec"]["http"][1]))
    with mesh(found) as (cluster, adapter):
        assert write(adapter, route, ALL).weights == {"stable": 0, "canary": 100}
        stored(cluster)["spec"]["http"].insert(1, stored(cluster)["spec"]["http"].pop())
        with pytest.raises(NotEditable, match="moved or changed"):
            adapter.read(route)


def test_a_name_that_two_routes_carry_is_refused():
    found = checkout()
    found["spec"]["http"][2]["name"] = "primary"
    with mesh(found) as (_cluster, adapter), pytest.raises(NotEditable, match="2 routes are called primary"):
        adapter.read(ROUTE)


@pytest.mark.parametrize("name", ["canary-by-header", "admin"])
def test_a_single_destination_is_refused_because_its_weight_means_nothing(name):
    route = RouteRef("shop", "checkout", "stable", "canary", route=name)
    with mesh(checkout()) as (_cluster, adapter), pytest.raises(NotEditable, match="single destination"):
        adapter.read(route)


def test_an_object_that_is_being_deleted_is_refused_although_the_server_would_take_the_patch():
    dying = checkout(deletionTimestamp="2026-11-20T12:55:19Z", finalizers=["gmud.example/hold"])
    with mesh(dying) as (cluster, adapter):
        with pytest.raises(NotEditable, match="being deleted"):
            write(adapter, ROUTE, ALL)
        assert not [one for one in cluster.log if one["method"] == "PATCH"]


@pytest.mark.parametrize(
    ("meta", "owner"),
    [
        ({"ownerReferences": [{"kind": "Canary", "name": "checkout"}]}, "Flagger"),
        ({"annotations": {"flagger.kubernetes.io/original-configuration": "{}"}}, "Flagger"),
        ({"ownerReferences": [{"kind": "Rollout", "name": "checkout"}]}, "Argo Rollouts"),
    ],
)
def test_a_route_that_another_system_drives_is_never_written(meta, owner):
    with mesh(checkout(**meta)) as (cluster, adapter):
        assert adapter.read(ROUTE).owner.system == owner
        with pytest.raises(NotEditable, match=owner):
            write(adapter, ROUTE, ALL)
        assert not [one for one in cluster.log if one["method"] == "PATCH"]


def test_subsets_that_a_rollout_drives_are_a_refusal_too():
    others = service_objects("checkout", "shop")
    others[3]["metadata"]["annotations"] = {"argo-rollouts.argoproj.io/managed-by-rollouts": "checkout"}
    with mesh(checkout(), others=others) as (_cluster, adapter), pytest.raises(NotEditable, match="Argo Rollouts"):
        write(adapter, ROUTE, ALL)


def test_a_removed_subset_is_not_given_traffic():
    others = service_objects("checkout", "shop")
    others[3]["spec"]["subsets"] = others[3]["spec"]["subsets"][:1]
    with mesh(checkout(), others=others) as (_cluster, adapter):
        with pytest.raises(NotEditable, match="no subset canary"):
            write(adapter, ROUTE, ALL)
        assert write(adapter, ROUTE, Split({"stable": 100, "canary": 0})).weights["canary"] == 0


@pytest.mark.parametrize(
    "meta",
    [
        {"labels": {"app.kubernetes.io/instance": "shop"}},
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}},
        {"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}},
        {"managedFields": [{"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {"f:http": {}}}}]},
    ],
)
def test_an_object_that_git_writes_is_written_with_a_warning(meta):
    with mesh(checkout(**meta)) as (_cluster, adapter):
        assert any("puts the old weights back" in str(one) for one in adapter.read(ROUTE).warnings)
        assert write(adapter, ROUTE, ALL).weights["canary"] == 100


def test_two_objects_for_one_host_are_refused_because_the_mesh_obeys_either():
    twin = checkout(name="twin", uid="another")
    twin["spec"]["hosts"] = ["checkout.shop.svc.cluster.local"]
    with mesh(checkout(), twin) as (_cluster, adapter):
        preview = adapter.preview(ROUTE, ALL)
        assert "twin" in str(preview.obstacles[0])
        with pytest.raises(NotEditable, match="undefined"):
            write(adapter, ROUTE, ALL)


def a_rival(**spec):
    rival = checkout(name="twin", namespace="platform", uid="another")
    rival["spec"] |= {"hosts": ["checkout.shop.svc.cluster.local"], **spec}
    return rival


@pytest.mark.parametrize("spec", [{}, {"gateways": []}, {"exportTo": ["*"]}, {"exportTo": [".", "shop"]}])
def test_a_rival_for_the_host_is_refused_in_whatever_namespace_it_stands(spec):
    mine = checkout()
    mine["spec"]["exportTo"] = [".", "web"]
    with mesh(mine, a_rival(**spec)) as (cluster, adapter):
        assert "platform/twin" in str(adapter.preview(ROUTE, ALL).obstacles[0])
        with pytest.raises(NotEditable, match="undefined"):
            write(adapter, ROUTE, ALL)
        assert not [one for one in cluster.log if one["method"] == "PATCH"]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [({"exportTo": ["."]}, {"exportTo": ["."]}), ({}, {"exportTo": ["~"]}), ({}, {"gateways": ["shop/public-gw"]})],
)
def test_an_object_for_the_host_that_none_of_our_callers_obeys_is_no_rival(mine, theirs):
    found = checkout()
    found["spec"] |= mine
    with mesh(found, a_rival(**theirs)) as (_cluster, adapter):
        assert adapter.preview(ROUTE, ALL).is_possible


def test_a_token_of_one_namespace_finds_rivals_there_and_says_that_it_saw_no_others():
    twin = checkout(name="twin", uid="another")
    with mesh(checkout(), twin) as (cluster, adapter):
        path = r"^/apis/networking\.istio\.io/v1/virtualservices"
        cluster.faults.append(Fault("status:403", method="GET", path=path, times=9))
        preview = adapter.preview(ROUTE, ALL)
    assert "twin routes" in str(preview.obstacles[0])
    assert any("VirtualService was looked for in the namespace shop only" in str(one) for one in preview.warnings)


def a_root(name, **meta):
    root = checkout(name=name, uid=f"uid-{name}", **meta)
    root["spec"] = {
        "hosts": [f"{name}.example.com"],
        "gateways": ["shop/public-gw"],
        "http": [{"name": "all", "delegate": {"name": "inner"}}],
    }
    return root


def a_delegate():
    inner = checkout(name="inner", uid="uid-inner")
    inner["spec"] = {"http": [{"name": "split", "route": [target("stable", 90), target("canary", 10)]}]}
    return inner


@pytest.mark.parametrize("name", ["all", "all/split"])
def test_a_delegate_is_followed_and_written_and_its_other_users_are_named(name):
    route = RouteRef("shop", "root", "stable", "canary", route=name)
    with mesh(a_root("root"), a_root("second"), a_delegate()) as (cluster, adapter):
        assert any("second" in str(one) for one in adapter.preview(route, ALL).warnings)
        reading = write(adapter, route, ALL)
        assert reading.hosts == ("root.example.com",)
        assert [one["weight"] for one in stored(cluster, "inner")["spec"]["http"][0]["route"]] == [0, 100]


def test_an_object_made_anew_between_look_and_write_is_left_alone():
    with mesh(checkout()) as (cluster, adapter):
        seen = adapter.read(ROUTE).version
        stored(cluster)["metadata"]["uid"] = "another"
        with pytest.raises(Conflict) as raised:
            adapter.write(ROUTE, ALL, seen=seen)
    assert raised.value.difference.restructured


def test_a_writer_that_only_touches_labels_does_not_stop_the_flip():
    with mesh(checkout()) as (cluster, adapter):
        seen = adapter.read(ROUTE).version
        cluster.rival.times = 2
        assert adapter.write(ROUTE, ALL, seen=seen).reading.weights["canary"] == 100
    assert len([one for one in cluster.log if one["method"] == "PATCH"]) == 3


def test_a_sibling_added_between_look_and_write_is_a_change_of_the_route():
    with mesh(checkout()) as (cluster, adapter):
        seen = adapter.read(ROUTE).version
        stored(cluster)["spec"]["http"].insert(0, {"name": "first", "route": [target("stable")]})
        with pytest.raises(Conflict) as raised:
            adapter.write(ROUTE, ALL, seen=seen)
    assert raised.value.difference.restructured
    assert not [one for one in cluster.log if one["method"] == "PATCH"]


@pytest.mark.parametrize("weights", [{"stable": 0, "canary": 0}, {"stable": -1, "canary": 2}, {"blue": 100}])
def test_senseless_weights_never_leave_the_house(weights):
    with mesh(checkout()) as (cluster, adapter):
        with pytest.raises(NotEditable):
            write(adapter, ROUTE, Split(weights))
        assert not adapter.preview(ROUTE, Split(weights)).is_possible
    assert not [one for one in cluster.log if one["method"] == "PATCH"]


def test_a_schema_refusal_is_told_word_for_word():
    broken = checkout()
    with mesh(broken) as (cluster, adapter):
        stored(cluster)["spec"]["http"][1]["timeout"] = "0s"
        with pytest.raises(Invalid, match="greater than 1ms"):
            write(adapter, ROUTE, ALL)


def test_a_role_without_lists_still_writes_and_says_what_it_could_not_check():
    with mesh(checkout()) as (cluster, adapter):
        full = cluster.identities["sandbox-full"]
        limited = type(full)(full.user, full.verbs, frozenset({"checkout"}))
        cluster.identities = {"sandbox-full": limited}
        preview = adapter.preview(ROUTE, ALL)
        assert preview.is_possible
        assert any("skipped" in str(one) for one in preview.warnings)
        assert write(adapter, ROUTE, ALL).weights["canary"] == 100
