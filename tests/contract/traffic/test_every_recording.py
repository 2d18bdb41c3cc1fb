"""What a real API server answered, all of it: replayed as the answer to our own request, its start, or never asked for.

A replay asserts the request as well as the reading. What is in :data:`NEVER_SENT` shows why we ask another way: the
sandbox answers those as recorded, too (tests/contract/cluster).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gmud.sandbox.server import running
from releases.cluster.client import PAGE, VIRTUAL_SERVICES, ClusterClient
from releases.cluster.errors import Forbidden
from releases.core.errors import External
from releases.traffic import rules
from releases.traffic.drivers import rollouts
from releases.traffic.drivers.asking import Asking
from releases.traffic.drivers.ports import Wish
from releases.traffic.gateway.adapter import Gateway
from releases.traffic.guarded import Guarded
from releases.traffic.istio.adapter import Istio
from releases.traffic.linkerd.adapter import Linkerd
from releases.traffic.ports import NotEditable, Outcome, RouteRef, Split, outcome_of
from tests.contract.traffic import test_istio_as_recorded as istio
from tests.contract.traffic.replay import Exchange, Replay
from tests.contract.traffic.stages.gateway_api import ROUTE as GATEWAY_ROUTE
from tests.factories.traffic import RECORDINGS, door_to, recording

ALL = Split({"stable": 0, "canary": 100})
BESIDE = ("test_istio_as_recorded", "test_drivers_of_weights", "test_odd_routes_of_the_gateway_api")

PUT_ALL = "we send only the two weights, as a JSON Patch: this would write the rest of the object, too"
MAKE = "we make no object and delete none"
CONTROLLER = "written by a controller or an installer; what came of it is read in the recordings after it"
SENSELESS = "such weights never leave the house (test_senseless_weights_never_leave_the_house)"
RV_GUARD = "we guard with resourceVersion, uid, name and destinations, not this way"
POLLS = "we poll and never watch"
NEVER_SENT = {
    "flagger-create-201": CONTROLLER,
    "flagger-status-seed-200": CONTROLLER,
    "gitops-reapply": "what Git's own tools print; test_git_applies_its_weights_again_as_recorded replays it",
    "gw-httproute-all-zero-200-accepted": SENSELESS,
    "gw-httproute-create-201": CONTROLLER,
    "gw-httproute-ssa-conflict-409": PUT_ALL,
    "gw-httproute-status-ignored-on-main-200": CONTROLLER,
    "gw-httproute-status-patch-200": CONTROLLER,
    "gw-httproute-weight-negative-422": SENSELESS,
    "gw-httproute-weight-string-422": SENSELESS,
    "k8s-resource-crd-missing-404": "we ask only for versions that the group lists; read in tests/unit/cluster",
    "k8s-tokenrequest-201": "we hold the token that we are given and ask for no other",
    "linkerd-httproute-write-via-v1beta1-loses-weights-200": "a version without weights is refused before the write",
    "rollout-abort-guarded-200": "an abort goes out unguarded: it has to win",
    "rollout-abort-guarded-stale-409": "an abort goes out unguarded: it has to win",
    "rollout-abort-on-main-resource-ignored-200": "an abort goes to the part status, where it counts",
    "rollout-create-201": CONTROLLER,
    "rollout-status-seed-200": CONTROLLER,
    "vs-create-again-409-alreadyexists": MAKE,
    "vs-create-strict-unknown-field-400": MAKE,
    "vs-create-warn-unknown-field-201": MAKE,
    "vs-delete-precondition-409": MAKE,
    "vs-delete-with-finalizer-200": MAKE,
    "vs-jsonpatch-escape-test": RV_GUARD,
    "vs-jsonpatch-malformed-400": "our patches are lists; read in tests/unit/cluster",
    "vs-jsonpatch-noop-200": "what stands already is not written (test_what_already_stands_is_not_written_again)",
    "vs-jsonpatch-path-missing-422": "a missing weight is added; read in tests/unit/cluster",
    "vs-jsonpatch-remove-absent": "a weight that is absent is not removed again",
    "vs-jsonpatch-replace-absent-weight-200": "weights are added, which replaces one that is there",
    "vs-jsonpatch-test-absent-nonnull-422": RV_GUARD,
    "vs-jsonpatch-test-absent-null-200": RV_GUARD,
    "vs-jsonpatch-test-generation-200": RV_GUARD,
    "vs-jsonpatch-test-generation-stale-422": RV_GUARD,
    "vs-mergepatch-list-replaces-all-dryrun-200": PUT_ALL,
    "vs-mergepatch-stale-rv-409": PUT_ALL,
    "vs-mergepatch-wrong-uid-422": PUT_ALL,
    "vs-put-200": PUT_ALL,
    "vs-put-no-rv-422": PUT_ALL,
    "vs-put-stale-rv-409": PUT_ALL,
    "vs-ssa-conflict-409": PUT_ALL,
    "vs-ssa-creates-missing-object-dryrun-201": PUT_ALL,
    "vs-ssa-force-200": PUT_ALL,
    "vs-ssa-nofieldmanager-422": PUT_ALL,
    "vs-ssa-partial-list-drops-routes-dryrun": PUT_ALL,
    "vs-ssa-stale-rv-409": PUT_ALL,
    "vs-status-patch-200": CONTROLLER,
    "vs-strategicmerge-415": PUT_ALL,
    "vs-watch-event": POLLS,
    "vs-watch-rv1": POLLS,
    "vs-weight-bool-422": SENSELESS,
    "vs-weight-float-422": SENSELESS,
    "vs-weight-float-integral-200": SENSELESS,
    "vs-weight-negative-200-accepted": SENSELESS,
    "vs-weight-null-200-key-dropped": "a weight that is to be absent is removed, not set to null",
    "vs-weight-overflow-422": SENSELESS,
    "vs-weight-string-422": SENSELESS,
    "vs-weights-all-zero-accepted-by-apiserver": SENSELESS,
}


def answered(name: str) -> dict[str, Any]:
    return dict(recording(name)["response"])


def asked_for(name: str) -> Exchange:
    """Return a recorded question as ours must be, and its answer."""
    told = recording(name)["request"]
    path, _mark, query = told["path"].partition("?")
    return istio.expected(told["method"], path, {"limit": PAGE} if query else {}), answered(name)


def group_of(*versions: str, name: str) -> Exchange:
    body = {"kind": "APIGroup", "name": name, "versions": [{"version": one} for one in versions]}
    return istio.expected("GET", f"/apis/{name}"), {"status": 200, "body": body}


def replayed(script: list[Exchange], act: Callable[[ClusterClient], Any]) -> Any:
    """Answer the script, and return what came of it, or the error; everything in it was asked for, and no more."""
    server = Replay(script)
    with running(server) as url:
        client = ClusterClient(door_to(url), sleep=lambda _seconds: None)
        try:
            found = act(client)
        except External as error:
            found = error
    assert (server.mistakes, server.script) == ([], [])
    return found


def by_the_rule(name: str) -> RouteRef:
    """Return the reference of the first rule of Linkerd's recorded route."""
    shape = rules.shape(answered(name)["body"]["spec"]["rules"][0], rules.GATEWAY)
    return RouteRef("shop", "backend-router", "bb-v1", "bb-v2", index=0, shape=shape)


def test_every_recording_is_replayed_or_never_sent_for_a_reason():
    texts = [Path(__file__).with_name(f"{name}.py").read_text() for name in BESIDE]
    own = Path(__file__).read_text().partition("\n}\n")[2]
    there = {path.stem for path in RECORDINGS.glob("*.json")}
    replays = {name for name in there if any(f'"{name}"' in text for text in (*texts, own))}

    assert replays | set(NEVER_SENT) == there
    assert set(NEVER_SENT) <= there


def test_the_version_of_the_server_is_read():
    assert replayed([asked_for("k8s-version")], lambda client: client.version()).startswith("v1.")


def test_the_kinds_of_a_group_are_read():
    found = replayed([asked_for("k8s-resources-istio-v1")], lambda client: client.kinds("networking.istio.io", "v1"))

    assert {"VirtualService", "DestinationRule"} <= set(found)


def test_a_list_is_read_page_by_page():
    script = [istio.GROUP, asked_for("vs-list-200")]
    found = replayed(script, lambda client: client.list(VIRTUAL_SERVICES, "shop"))

    assert [one["metadata"]["name"] for one in found] == [
        one["metadata"]["name"] for one in answered("vs-list-200")["body"]["items"]
    ]


def test_a_token_that_may_not_read_is_told_so():
    error = replayed([istio.GROUP, asked_for("vs-get-403")], lambda client: Guarded(Istio(client)).read(istio.ROUTE))

    assert isinstance(error, Forbidden)
    assert "cannot get resource" in str(error)


def test_an_object_that_went_away_is_told_by_its_name():
    gone = RouteRef("shop", "dying", "stable", "canary", route="primary")
    script = [istio.GROUP, asked_for("vs-get-after-delete-404")]
    error = replayed(script, lambda client: Guarded(Istio(client)).read(gone))

    assert isinstance(error, NotEditable)
    assert "There is no VirtualService dying" in str(error)


@pytest.mark.parametrize(
    ("answer", "then", "outcome"),
    [
        ("vs-patch-404", [], Outcome.REFUSED),
        ("vs-patch-other-403", [], Outcome.REFUSED),
        ("vs-jsonpatch-test-uid-wrong-422", ["vs-jsonpatch-replace-rv-current-200"], Outcome.CONFLICT),
        ("vs-jsonpatch-test-fails-stale-rv-422", ["vs-jsonpatch-flip-200"], Outcome.APPLIED),
        ("vs-webhook-down-ignored-200", ["vs-jsonpatch-flip-200"], Outcome.APPLIED),
    ],
)
def test_every_answer_to_our_write_is_understood(answer, then, outcome):
    look = istio.get("vs-get-200")
    script = [istio.GROUP, look, look, *istio.AROUND, istio.send(answer, "420", 0, 100), *map(istio.get, then)]

    def write(client: ClusterClient) -> Outcome:
        provider = Guarded(Istio(client), sleep=lambda _seconds: None)
        return provider.write(istio.ROUTE, ALL, seen=provider.read(istio.ROUTE).version).outcome

    ended = replayed(script, write)
    assert (outcome_of(ended) if isinstance(ended, External) else ended) is outcome


@pytest.mark.parametrize("answer", ["vs-jsonpatch-dryrun-200", "vs-jsonpatch-add-absent-weight-200"])
def test_a_trial_that_is_taken_forbids_nothing(answer):
    trial = istio.send(answer, "420", 0, 100, dry=True)
    script = [istio.GROUP, istio.get("vs-get-200"), *istio.AROUND, trial]

    assert replayed(script, lambda client: Guarded(Istio(client)).preview(istio.ROUTE, ALL)).is_possible


def test_a_route_of_the_gateway_api_is_read_through_the_version_that_is_served():
    script = [group_of("v1beta1", name="gateway.networking.k8s.io"), asked_for("gw-httproute-get-v1beta1-200")]
    reading = replayed(script, lambda client: Guarded(Gateway(client)).read(GATEWAY_ROUTE))

    assert reading.weights == {"stable": 90, "canary": 10}


def test_a_version_of_linkerd_without_weights_is_refused_at_sight():
    name = "linkerd-httproute-get-v1beta1-200"
    script = [group_of("v1beta1", "v1alpha1", name="policy.linkerd.io"), asked_for(name)]
    error = replayed(script, lambda client: Guarded(Linkerd(client)).read(by_the_rule(name)))

    assert isinstance(error, NotEditable)
    assert "v1beta1, which knows no weights" in str(error)


def test_a_version_of_linkerd_that_loses_time_outs_is_read_and_never_written():
    name = "linkerd-httproute-get-v1beta2-200"
    script = [group_of("v1beta2", "v1beta1", name="policy.linkerd.io"), asked_for(name)]
    reading = replayed(script, lambda client: Guarded(Linkerd(client)).read(by_the_rule(name)))

    assert reading.weights == {"stable": 90, "canary": 10}
    assert "would lose their time-outs" in str(reading.obstacles[0])


def test_what_an_old_version_of_linkerd_left_behind_is_read_as_it_counts():
    name = "linkerd-httproute-get-after-old-write"
    script = [group_of("v1beta3", name="policy.linkerd.io"), asked_for(name)]
    reading = replayed(script, lambda client: Guarded(Linkerd(client)).read(by_the_rule(name)))

    assert reading.version.weights == reading.weights == {"stable": 1, "canary": 1}


def test_a_traffic_split_is_recognised_and_answered_with_the_way_out():
    made, name = recording("smi-create-v1alpha4"), "ts-v1alpha4"
    path = "/apis/policy.linkerd.io/v1beta3/namespaces/shop/httproutes"
    split = istio.expected("GET", f"{made['request']['path']}/{name}")
    script = [
        group_of("v1beta3", name="policy.linkerd.io"),
        (istio.expected("GET", f"{path}/{name}"), answered("vs-get-404")),
        asked_for("smi-group"),
        (split, {**answered("smi-create-v1alpha4"), "status": 200}),
    ]
    route = RouteRef("shop", name, "checkout-v1", "checkout-v2")
    error = replayed(script, lambda client: Guarded(Linkerd(client)).read(route))

    assert isinstance(error, NotEditable)
    assert "checkout-v1 (90), checkout-v2 (10)" in str(error)


def test_an_abort_that_the_role_does_not_cover_names_the_right():
    told = recording("rollout-status-403")["request"]
    content_type = told["headers"]["Content-Type"]
    sent = istio.expected("PATCH", told["path"], {"fieldManager": "gmud", "fieldValidation": "Strict"}, told["body"])
    sent["headers"]["content-type"] = content_type
    where = told["path"].removesuffix("/status")
    script = [
        group_of("v1alpha1", name="argoproj.io"),
        (istio.expected("GET", where), answered("rollout-get-paused-200")),
        (sent, answered("rollout-status-403")),
    ]
    error = replayed(script, lambda client: Asking(client, rollouts.BOOK, "shop", "checkout").ask(Wish.ABORT))

    assert isinstance(error, Forbidden)
    assert "rollouts/status" in str(error)
