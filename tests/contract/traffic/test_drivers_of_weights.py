"""Argo Rollouts and Flagger are asked in their own words, as recorded, and never written past."""

import contextlib
import copy
import json

import pytest

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import service_objects
from gmud.sandbox.kubernetes.store import Write
from gmud.sandbox.server import Fault, running
from releases.cluster.client import ClusterClient
from releases.cluster.errors import Forbidden
from releases.traffic.drivers import flagger, rollouts
from releases.traffic.drivers.asking import Asking
from releases.traffic.drivers.finding import drivers_of
from releases.traffic.drivers.ports import Wish
from releases.traffic.guarded import Guarded
from releases.traffic.istio.adapter import Istio
from releases.traffic.owners import FLAGGER, ROLLOUTS
from releases.traffic.ports import Conflict, NotApplied, NotEditable, Outcome, RouteRef, Split
from tests.contract.traffic.replay import Replay
from tests.factories.traffic import checkout, door_to, recording

ROUTE = RouteRef("shop", "checkout", "stable", "canary", route="primary")
TEMPLATE = recording("rollout-undo-jsonpatch-200")["request"]["body"][0]["value"]


def answer(name):
    return dict(recording(name)["response"])


def body(name, **status):
    """Return a recorded object, with parts of its status replaced."""
    found = copy.deepcopy(answer(name)["body"])
    if status:
        found["status"] = {**found.get("status", {}), **status}
    return found


def a_replica_set(pod_hash, owner, image="example/checkout:1"):
    template = copy.deepcopy(TEMPLATE)
    template["metadata"]["labels"][rollouts.HASH] = pod_hash
    template["spec"]["containers"][0]["image"] = image
    meta = {"name": f"checkout-{pod_hash}", "namespace": "shop", "labels": {rollouts.HASH: pod_hash}}
    meta["ownerReferences"] = [{"kind": "Rollout", "name": "checkout", "uid": owner}]
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": {"template": template}}


@contextlib.contextmanager
def asked(book, *objects):
    """Serve a cluster with these objects, and somebody who asks the driver of ``checkout``."""
    cluster = Cluster(objects)
    naps = []
    with running(cluster) as url:
        client = ClusterClient(door_to(url), sleep=naps.append)
        yield cluster, Asking(client, book, "shop", "checkout", sleep=naps.append)


def writes(cluster):
    return [one for one in cluster.log if one["method"] == "PATCH"]


def group(book):
    name = book.kind.group
    return {"status": 200, "body": {"kind": "APIGroup", "name": name, "versions": [{"version": book.kind.versions[0]}]}}


def request(method, path, content=None, kind=None):
    headers = {"accept": "application/json"} | ({"content-type": kind} if kind else {})
    query = {"fieldManager": "gmud", "fieldValidation": "Strict"} if method == "PATCH" else {}
    return {"method": method, "path": path, "query": query, "body": content, "headers": headers}


@pytest.mark.parametrize(
    ("book", "wish", "before", "sent", "is_guarded"),
    [
        (rollouts.BOOK, Wish.ABORT, "rollout-get-paused-200", "rollout-abort-200", False),
        (rollouts.BOOK, Wish.RETRY, "rollout-abort-200", "rollout-retry-200", True),
        (rollouts.BOOK, Wish.PROMOTE, "rollout-get-paused-200", "rollout-promote-step-200", True),
        (rollouts.BOOK, Wish.PROMOTE_FULLY, "rollout-promote-step-200", "rollout-promote-full-200", True),
        (rollouts.BOOK, Wish.PAUSE, "rollout-undo-jsonpatch-200", "rollout-pause-200", False),
        (flagger.BOOK, Wish.PAUSE, "flagger-get-200", "flagger-suspend-200", False),
        (flagger.BOOK, Wish.PROMOTE_FULLY, "flagger-suspend-200", "flagger-skipanalysis-200", False),
    ],
    ids=lambda part: str(getattr(part, "system", part)),
)
def test_a_wish_is_the_recorded_request(book, wish, before, sent, is_guarded):
    told = recording(sent)["request"]
    path = told["path"].removesuffix("/status")
    content = dict(told["body"])
    if is_guarded:
        content = {"metadata": {"resourceVersion": body(before)["metadata"]["resourceVersion"]}, **content}
    script = [
        (request("GET", f"/apis/{book.kind.group}"), group(book)),
        (request("GET", path), {"status": 200, "body": body(before)}),
        (request("PATCH", told["path"], content, told["headers"]["Content-Type"]), answer(sent)),
        (request("GET", path), {"status": 200, "body": body(sent)}),
    ]
    server = Replay(script)
    with running(server) as url:
        granted = Asking(ClusterClient(door_to(url)), book, "shop", "checkout").ask(wish)
    assert (server.mistakes, server.script) == ([], [])
    assert granted.outcome is Outcome.APPLIED


def test_undo_is_the_recorded_request_under_guard():
    before = body("rollout-get-paused-200")
    with asked(rollouts.BOOK, before, a_replica_set("5c4b", before["metadata"]["uid"])) as (cluster, driver):
        assert driver.ask(Wish.UNDO).outcome is Outcome.APPLIED
        stored = cluster.store.objects["rollouts", "shop", "checkout"]
        assert stored["spec"]["template"] == TEMPLATE
    recorded = recording("rollout-undo-jsonpatch-200")["request"]
    (sent,) = writes(cluster)
    assert sent["path"] == recorded["path"]
    guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": before["metadata"]["resourceVersion"]}
    assert json.loads(sent["body"]) == [guard, *recorded["body"]]


def test_undo_reaches_the_deployment_that_a_rollout_takes_its_template_from():
    before = body("rollout-get-paused-200")
    before["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout-canary"}
    objects = [before, a_replica_set("5c4b", before["metadata"]["uid"]), *service_objects("checkout", "shop")]
    with asked(rollouts.BOOK, *objects) as (cluster, driver):
        driver.ask(Wish.UNDO)
        assert cluster.store.objects["deployments", "shop", "checkout-canary"]["spec"]["template"] == TEMPLATE


def test_undo_without_the_stable_replica_set_says_so_and_writes_nothing():
    before = body("rollout-get-paused-200")
    with asked(rollouts.BOOK, before, a_replica_set("5c4b", "another")) as (cluster, driver):
        with pytest.raises(NotEditable, match="5c4b"):
            driver.ask(Wish.UNDO)
        assert not writes(cluster)


@pytest.mark.parametrize(
    ("book", "found", "phase", "canary", "wishes"),
    [
        (
            rollouts.BOOK,
            body("rollout-get-paused-200"),
            "Paused",
            10,
            {Wish.ABORT, Wish.PROMOTE, Wish.PROMOTE_FULLY, Wish.PAUSE, Wish.UNDO},
        ),
        (rollouts.BOOK, body("rollout-abort-200"), "Paused", 10, {Wish.RETRY, Wish.PAUSE, Wish.UNDO}),
        (rollouts.BOOK, body("rollout-get-paused-200", currentPodHash="5c4b"), "Paused", 10, set()),
        (flagger.BOOK, body("flagger-get-200"), "Progressing", 20, {Wish.PAUSE, Wish.PROMOTE_FULLY, Wish.ROLLBACK}),
        (
            flagger.BOOK,
            body("flagger-suspend-200"),
            "Progressing",
            20,
            {Wish.RESUME, Wish.PROMOTE_FULLY, Wish.ROLLBACK},
        ),
        (flagger.BOOK, body("flagger-get-200", phase="Succeeded"), "Succeeded", 20, {Wish.PAUSE}),
        (flagger.BOOK, body("flagger-get-200", phase="Promoting"), "Promoting", 20, {Wish.PAUSE}),
        (flagger.BOOK, body("flagger-get-200", phase="Failed"), "Failed", 20, {Wish.PAUSE}),
    ],
)
def test_only_what_makes_sense_now_may_be_asked(book, found, phase, canary, wishes):
    with asked(book, found) as (cluster, driver):
        standing = driver.look()
        assert (standing.phase, standing.canary, set(standing.wishes)) == (phase, canary, wishes)
        for wish in set(Wish) - set(wishes):
            verb = book.verbs.get(wish)
            if verb and verb.stands(found, found):
                assert driver.ask(wish).outcome is Outcome.ALREADY
            else:
                with pytest.raises(NotEditable, match=phase):
                    driver.ask(wish)
        assert not writes(cluster)


@pytest.mark.parametrize(
    ("status", "spec", "change"),
    [
        ({}, {}, {"pauseConditions": None}),
        ({"pauseConditions": None}, {}, {"pauseConditions": None, "currentStepIndex": 2}),
        (
            {"pauseConditions": [{"reason": rollouts.INCONCLUSIVE}]},
            {},
            {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2},
        ),
        ({}, {"paused": True}, {"pauseConditions": None}),
    ],
    ids=["paused by a step", "not paused", "inconclusive", "paused by a person"],
)
def test_a_promotion_goes_exactly_one_step(status, spec, change):
    found = body("rollout-get-paused-200", **status)
    found["spec"] |= spec
    with asked(rollouts.BOOK, found) as (cluster, driver):
        driver.ask(Wish.PROMOTE)
        stored = cluster.store.objects["rollouts", "shop", "checkout"]
        after = {key: stored["status"].get(key) for key in change}
        assert after == change
        assert stored["spec"].get("paused", False) is False
        assert len(writes(cluster)) == (2 if spec else 1)


def test_two_clicks_on_promote_go_one_step():
    with asked(rollouts.BOOK, body("rollout-get-paused-200")) as (cluster, driver):

        def outrun(resource, there):
            del cluster.outrun
            status = {**there["status"], "currentStepIndex": 2}
            return cluster.store.update(
                resource, there, {**there, "status": status}, Write("rollouts-controller", subresource="status")
            )

        cluster.outrun = outrun
        with pytest.raises(Conflict, match="moved on"):
            driver.ask(Wish.PROMOTE)
        status = cluster.store.objects["rollouts", "shop", "checkout"]["status"]
        assert (status["currentStepIndex"], bool(status["pauseConditions"])) == (2, True)


def test_an_abort_passes_whatever_else_happens_meanwhile():
    with asked(rollouts.BOOK, body("rollout-get-paused-200")) as (cluster, driver):

        def outrun(resource, there):
            del cluster.outrun
            status = {**there["status"], "currentStepIndex": 2}
            return cluster.store.update(
                resource, there, {**there, "status": status}, Write("rollouts-controller", subresource="status")
            )

        cluster.outrun = outrun
        granted = driver.ask(Wish.ABORT)
        assert cluster.store.objects["rollouts", "shop", "checkout"]["status"]["abort"] is True
    assert any("still stands" in str(one) for one in granted.standing.warnings)


@pytest.mark.parametrize("wish", [Wish.ABORT, Wish.PROMOTE, Wish.PAUSE, Wish.UNDO])
@pytest.mark.parametrize("do", ["close_after", "close_before"])
def test_a_lost_answer_is_looked_up(wish, do):
    before = body("rollout-get-paused-200")
    with asked(rollouts.BOOK, before, a_replica_set("5c4b", before["metadata"]["uid"])) as (cluster, driver):
        cluster.faults.append(Fault(do, method="PATCH"))
        if do == "close_after":
            assert driver.ask(wish).outcome is Outcome.APPLIED
        else:
            with pytest.raises(NotApplied):
                driver.ask(wish)
            assert driver.ask(wish).outcome is Outcome.APPLIED


def test_a_role_that_may_not_write_the_status_is_told_which_right_is_missing():
    with asked(rollouts.BOOK, body("rollout-get-paused-200")) as (cluster, driver):
        cluster.identities = {"sandbox-full": cluster.identities["sandbox-read"]}
        with pytest.raises(Forbidden, match="rollouts/status"):
            driver.ask(Wish.ABORT)


def test_a_driver_that_is_gone_is_not_made_anew():
    with asked(rollouts.BOOK) as (_cluster, driver), pytest.raises(NotEditable, match="no Rollout checkout"):
        driver.ask(Wish.ABORT)


def a_rollout(**routing):
    found = body("rollout-get-paused-200")
    found["spec"]["strategy"]["canary"]["trafficRouting"] = routing
    return found


def a_canary(**spec):
    found = body("flagger-get-200")
    found["spec"] |= spec
    return found


@pytest.mark.parametrize(
    ("found", "references", "routes"),
    [
        (a_rollout(istio={"virtualService": {"name": "vs"}}), rollouts.references, {("virtualservices", "shop", "vs")}),
        (
            a_rollout(istio={"virtualServices": [{"name": "a"}, {"name": "b.mesh"}, {"name": "c.edge.cluster.local"}]}),
            rollouts.references,
            {("virtualservices", "shop", "a"), ("virtualservices", "mesh", "b"), ("virtualservices", "edge", "c")},
        ),
        (a_rollout(smi={}), rollouts.references, {("trafficsplits", "shop", "checkout")}),
        (
            a_rollout(plugins={"argoproj-labs/gatewayAPI": {"httpRoute": "r", "namespace": "gw"}}),
            rollouts.references,
            {("httproutes", "gw", "r")},
        ),
        (
            a_rollout(
                plugins={"argoproj-labs/gatewayAPI": {"httpRoutes": [{"name": "r"}], "grpcRoutes": [{"name": "g"}]}}
            ),
            rollouts.references,
            {("httproutes", "shop", "r"), ("grpcroutes", "shop", "g")},
        ),
        (a_rollout(), rollouts.references, set()),
        (a_canary(), flagger.references, {("virtualservices", "shop", "checkout")}),
        (a_canary(service={"name": "apex", "port": 1}), flagger.references, {("virtualservices", "shop", "apex")}),
        (a_canary(provider="gatewayapi:v1"), flagger.references, {("httproutes", "shop", "checkout")}),
        (a_canary(provider="kubernetes"), flagger.references, set()),
    ],
)
def test_the_routes_of_a_driver_are_read_from_its_own_object(found, references, routes):
    assert set(references(found)) == routes


@pytest.mark.parametrize(
    ("found", "system"), [(body("rollout-get-paused-200"), ROLLOUTS), (body("flagger-get-200"), FLAGGER)]
)
def test_a_route_that_somebody_drives_is_never_written_although_it_bears_no_mark(found, system):
    others = [one for one in service_objects("checkout", "shop") if one["kind"] != "VirtualService"]
    cluster = Cluster([checkout(), found, *others])
    with running(cluster) as url:
        provider = Guarded(Istio(ClusterClient(door_to(url))))
        seen = provider.read(ROUTE).version
        assert system in str(provider.preview(ROUTE, Split({"stable": 0, "canary": 1})).obstacles[0])
        with pytest.raises(NotEditable, match=system):
            provider.write(ROUTE, Split({"stable": 0, "canary": 1}), seen=seen)
        assert not writes(cluster)
        unknown = []
        (driver,) = drivers_of(
            provider.plane.cluster, plural="virtualservices", namespace="shop", name="checkout", unknown=unknown
        )
        assert driver.owner.name == "checkout"
        assert not unknown


def test_a_token_of_one_namespace_finds_the_drivers_there_and_says_that_it_saw_no_others():
    others = [one for one in service_objects("checkout", "shop") if one["kind"] != "VirtualService"]
    cluster = Cluster([checkout(), body("rollout-get-paused-200"), *others])
    cluster.faults += [Fault("status:403", method="GET", path=r"^/apis/argoproj\.io/v1alpha1/rollouts", times=9)]
    with running(cluster) as url:
        preview = Guarded(Istio(ClusterClient(door_to(url)))).preview(ROUTE, Split({"stable": 0, "canary": 1}))

    assert ROLLOUTS in str(preview.obstacles[0])
    assert any(f"{ROLLOUTS} was looked for in the namespace shop only" in str(one) for one in preview.warnings)


def test_a_canary_without_a_rollback_hook_is_warned_about():
    with asked(flagger.BOOK, a_canary(analysis={"webhooks": []})) as (_cluster, driver):
        assert any("rollback hook" in str(one) for one in driver.look().warnings)
    with asked(flagger.BOOK, a_canary()) as (_cluster, driver):
        assert not driver.look().warnings


ELSEWHERE = {"type": "rollback", "url": "http://someone:secret@flagger-loadtester.test/rollback/check"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"analysis": {"webhooks": [ELSEWHERE]}}, "asks flagger-loadtester.test and not GMUD"),
        ({"analysis": {"webhooks": []}}, "this Canary has none"),
        ({"skipAnalysis": True}, "skipAnalysis stands in this Canary"),
    ],
    ids=["a hook of others", "no hook", "nothing analysed"],
)
def test_flagger_that_would_not_ask_us_is_not_waited_for_and_the_way_out_is_told(changed, said):
    found = body("flagger-get-200")
    found["spec"] |= changed
    with asked(flagger.BOOK, found) as (cluster, driver):
        assert Wish.ROLLBACK not in driver.look().wishes
        with pytest.raises(NotEditable, match=said) as refused:
            driver.go_back()
        assert "secret" not in str(refused.value)
        assert not writes(cluster)


def test_flagger_that_is_suspended_is_resumed_to_go_back_or_it_would_never_ask():
    found = body("flagger-get-200")
    found["spec"]["suspend"] = True
    with asked(flagger.BOOK, found) as (cluster, driver):
        assert driver.go_back().outcome is Outcome.APPLIED
        (sent,) = writes(cluster)
        assert json.loads(sent["body"]) == {"spec": {"suspend": False}}


@pytest.mark.parametrize(
    ("interval", "seconds"), [("30s", 120), ("1m", 180), ("1m30s", 240), ("500ms", 80), ("", 180), ("soon", 180)]
)
def test_flagger_is_given_two_intervals_and_a_minute_to_bring_the_traffic_back(interval, seconds):
    found = body("flagger-get-200")
    found["spec"]["analysis"]["interval"] = interval
    with asked(flagger.BOOK, found) as (cluster, driver):
        granted = driver.go_back()
        assert (granted.outcome, granted.standing.patience_seconds) == (Outcome.APPLIED, seconds)
        assert not writes(cluster)
