"""The Kubernetes sandbox is believed only as far as it repeats what a real API server answered."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from gmud.sandbox.kubernetes.api import ALL, READ, Cluster, Identity
from gmud.sandbox.kubernetes.webhook import Webhook
from gmud.sandbox.server import running
from tests.factories.traffic import RECORDINGS, checkout, recording

IDENTITIES = {
    "admin": Identity("rig-admin", ALL),
    "limited": Identity("rig-limited", READ),
    "nobody": Identity("rig-nobody", frozenset()),
    "sa": Identity("system:serviceaccount:shop:gmud", ALL, frozenset({"checkout"})),
}
ABSENT = {"policy": "Absent"}
STATUS = {"conditions": [{"status": "True", "type": "Reconciled"}], "observedGeneration": 3}
DYING = {
    "name": "dying",
    "uid": "3b0dc860-f19f-4e51-b690-9fd8b098d295",
    "finalizers": ["gmud.example/hold"],
    "creationTimestamp": "2026-11-20T12:55:19Z",
    "labels": None,
    "annotations": None,
}
# What stood in the cluster before each recorded request: the recording whose answer it was, or weights,
# resourceVersion, generation, and more metadata.
FIRST = ((90, 10), 420, 1)
FLIPPED = ((0, 100), 421, 2)
TWENTY = ((20, 80), 422, 3)
THIRTY = ((30, 70), 423, 4)
COVERED = {
    "flagger-create-201": None,
    "flagger-get-200": "flagger-status-seed-200",
    "flagger-skipanalysis-200": "flagger-suspend-200",
    "flagger-status-seed-200": "flagger-create-201",
    "flagger-suspend-200": "flagger-get-200",
    "k8s-version": FIRST,
    "k8s-apigroup-istio": FIRST,
    "k8s-apigroup-missing-404": FIRST,
    "k8s-resource-crd-missing-404": FIRST,
    "k8s-resources-istio-v1": FIRST,
    "k8s-ssar-patch-vs": FIRST,
    "gw-grpcroute-create-201": None,
    "gw-httproute-all-zero-200-accepted": "gw-httproute-flip-200",
    "gw-httproute-create-201": None,
    "gw-httproute-flip-200": "gw-httproute-get-200",
    "gw-httproute-flip-stale-409": "gw-httproute-flip-200",
    "gw-httproute-get-200": "gw-httproute-create-201",
    "gw-httproute-get-v1beta1-200": "gw-httproute-create-201",
    "gw-httproute-get-with-status-200": "gw-httproute-status-patch-200",
    "gw-httproute-missing-port-422": "gw-httproute-flip-200",
    "gw-httproute-remove-weight-defaults-to-1": "gw-httproute-flip-200",
    "gw-httproute-ssa-conflict-409": "gw-httproute-flip-200",
    "gw-httproute-status-ignored-on-main-200": "gw-httproute-status-patch-200",
    "gw-httproute-status-patch-200": "gw-httproute-flip-200",
    "gw-httproute-weight-max-200": "gw-httproute-flip-200",
    "gw-httproute-weight-negative-422": "gw-httproute-flip-200",
    "gw-httproute-weight-over-max-422": "gw-httproute-flip-200",
    "gw-httproute-weight-string-422": "gw-httproute-flip-200",
    "linkerd-httproute-create-201": None,
    "linkerd-httproute-get-after-old-write": "linkerd-httproute-get-after-old-write",
    "linkerd-httproute-get-v1beta1-200": "linkerd-httproute-create-201",
    "linkerd-httproute-get-v1beta2-200": "linkerd-httproute-create-201",
    "linkerd-httproute-write-via-v1beta1-loses-weights-200": "linkerd-httproute-create-201",
    "rollout-abort-200": "rollout-promote-full-200",
    "rollout-abort-guarded-200": "rollout-retry-200",
    "rollout-abort-guarded-stale-409": "rollout-abort-guarded-200",
    "rollout-abort-on-main-resource-ignored-200": "rollout-create-201",
    "rollout-create-201": None,
    "rollout-get-paused-200": "rollout-status-seed-200",
    "rollout-pause-200": "rollout-undo-jsonpatch-200",
    "rollout-promote-full-200": "rollout-promote-step-200",
    "rollout-promote-step-200": "rollout-get-paused-200",
    "rollout-retry-200": "rollout-abort-200",
    "rollout-status-403": "rollout-get-paused-200",
    "rollout-status-seed-200": "rollout-create-201",
    "rollout-undo-jsonpatch-200": "rollout-abort-guarded-200",
    "smi-create-v1alpha4": None,
    "smi-group": FIRST,
    "vs-create-again-409-alreadyexists": FIRST,
    "vs-create-strict-unknown-field-400": None,
    "vs-create-warn-unknown-field-201": None,
    "vs-delete-precondition-409": FIRST,
    "vs-delete-with-finalizer-200": ((90, 10), 505, 1, DYING),
    "vs-duration-cel-422": FIRST,
    "vs-get-200": FIRST,
    "vs-get-401": FIRST,
    "vs-get-403": FIRST,
    "vs-get-404": FIRST,
    "vs-get-after-delete-404": FIRST,
    "vs-get-after-lost-response-200": "vs-get-after-lost-response-200",
    "vs-get-managedfields-200": "vs-get-managedfields-200",
    "vs-get-v1alpha3-200": FIRST,
    "vs-get-v1beta1-200": FIRST,
    "vs-jsonpatch-add-absent-weight-200": FLIPPED,
    "vs-jsonpatch-dryrun-200": FIRST,
    "vs-jsonpatch-escape-test": FLIPPED,
    "vs-jsonpatch-flip-200": FIRST,
    "vs-jsonpatch-malformed-400": FLIPPED,
    "vs-jsonpatch-noop-200": FLIPPED,
    "vs-jsonpatch-path-missing-422": FLIPPED,
    "vs-jsonpatch-remove-absent": FLIPPED,
    "vs-jsonpatch-replace-absent-weight-200": FLIPPED,
    "vs-jsonpatch-replace-rv-current-200": FLIPPED,
    "vs-jsonpatch-replace-rv-stale-409": TWENTY,
    "vs-jsonpatch-test-absent-nonnull-422": FLIPPED,
    "vs-jsonpatch-test-absent-null-200": FLIPPED,
    "vs-jsonpatch-test-fails-stale-rv-422": FLIPPED,
    "vs-jsonpatch-test-fails-weight-422": FLIPPED,
    "vs-jsonpatch-test-generation-200": (
        (11, 89),
        2204,
        1381,
        {
            "labels": {"app": "checkout", "x": "1"},
            "annotations": {"team": "pagamentos", "touched": "1795180777.5664663"},
        },
        {**STATUS, "observedGeneration": 1381},
    ),
    "vs-jsonpatch-test-generation-stale-422": ((42, 58), 2205, 1382),
    "vs-jsonpatch-test-uid-wrong-422": FLIPPED,
    "vs-list-200": FIRST,
    "vs-list-403-resourcenames": FIRST,
    "vs-mergepatch-list-replaces-all-dryrun-200": TWENTY,
    "vs-mergepatch-stale-rv-409": TWENTY,
    "vs-mergepatch-wrong-uid-422": TWENTY,
    "vs-missing-destination-422": FIRST,
    "vs-patch-403": FIRST,
    "vs-patch-404": FIRST,
    "vs-patch-other-403": FIRST,
    "vs-patch-while-deleting-200": (
        (90, 10),
        506,
        2,
        {**DYING, "deletionTimestamp": "2026-11-20T12:55:19Z", "deletionGracePeriodSeconds": 0},
    ),
    "vs-put-200": TWENTY,
    "vs-put-no-rv-422": TWENTY,
    "vs-put-stale-rv-409": TWENTY,
    "vs-request-timeout-504": FIRST,
    "vs-retry-after-lost-response-409": ((11, 89), 502, 8),
    "vs-ssa-conflict-409": "vs-put-200",
    "vs-ssa-creates-missing-object-dryrun-201": None,
    "vs-ssa-force-200": "vs-put-200",
    "vs-ssa-nofieldmanager-422": "vs-put-200",
    "vs-ssa-partial-list-drops-routes-dryrun": "vs-ssa-force-200",
    "vs-ssa-stale-rv-409": "vs-ssa-force-200",
    "vs-status-patch-200": ((60, 40), 424, 5),
    "vs-strategicmerge-415": FIRST,
    "vs-webhook-denied-negative-400": FIRST,
    "vs-webhook-denied-two-errors-400": FIRST,
    "vs-webhook-denied-zero-total-400": FIRST,
    "vs-webhook-down-500-failurePolicy-Fail": FIRST,
    "vs-webhook-down-ignored-200": ((60, 40), 485, 6, {}, STATUS),
    "vs-webhook-dryrun-denied-400": FIRST,
    "vs-webhook-dryrun-ok-200-warning": ((60, 40), 479, 6, {}, STATUS),
    "vs-webhook-error-500-failurePolicy-Fail": FIRST,
    "vs-webhook-timeout-500-failurePolicy-Fail": FIRST,
    "vs-weight-bool-422": THIRTY,
    "vs-weight-float-422": THIRTY,
    "vs-weight-float-integral-200": THIRTY,
    "vs-weight-negative-200-accepted": THIRTY,
    "vs-weight-null-200-key-dropped": THIRTY,
    "vs-weight-overflow-422": THIRTY,
    "vs-weight-string-422": THIRTY,
    "vs-weights-all-zero-accepted-by-apiserver": THIRTY,
}
WEBHOOK = {
    "vs-request-timeout-504": {"state": "slow", "seconds": 4.0},
    "vs-webhook-down-500-failurePolicy-Fail": {"state": "down"},
    "vs-webhook-down-ignored-200": {"policy": "Ignore", "state": "down"},
    "vs-webhook-dryrun-ok-200-warning": {"warnings": ["webhook saw dryRun=true"]},
    "vs-webhook-error-500-failurePolicy-Fail": {"state": "error"},
    "vs-webhook-timeout-500-failurePolicy-Fail": {"state": "timeout"},
}
LEFT_OUT = {
    "gitops-reapply": "output of a command line, see test_git_applies_its_weights_again_as_recorded",
    "k8s-429-too-many-requests": "planted as a fault, see test_too_many_requests_is_answered_as_recorded",
    "k8s-tokenrequest-201": "the product holds a static token and asks for no other",
    "vs-watch-event": "watches: the product polls",
    "vs-watch-rv1": "watches: the product polls",
}


def ask(url, method, path, headers, body):
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    payload = None if body is None else json.dumps(body).encode()
    line.request(method, path, payload, headers)
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def replay(name, url):
    asked = recording(name)["request"]
    token = recording(name).get("as", "admin")
    headers = {**asked.get("headers", {}), "Authorization": f"Bearer {token}"}
    return ask(url, asked["method"], asked["path"], headers, asked.get("body"))


def before(name):
    stood = COVERED[name]
    if stood is None:
        return []
    if isinstance(stood, str):
        return [recording(stood)["response"]["body"]]
    weights, version, generation, *more = stood
    meta = {"resourceVersion": str(version), "generation": generation, **(more[0] if more else {})}
    found = checkout(weights, **{key: value for key, value in meta.items() if value is not None})
    for key in [key for key, value in meta.items() if value is None]:
        del found["metadata"][key]
    if len(more) > 1:
        found["status"] = more[1]
    return [found]


def significant(body):
    """Drop what differs from run to run: times, new uids, and managedFields (a test of their own)."""
    if not isinstance(body, dict):
        return body
    kept = dict(body)
    meta = {key: value for key, value in kept.get("metadata", {}).items() if key != "managedFields"}
    if "items" in kept:
        kept["items"] = [significant(one) for one in kept["items"]]
    kept["metadata"] = {**meta, **({"deletionTimestamp": "?"} if "deletionTimestamp" in meta else {})}
    return kept


@pytest.mark.parametrize("name", sorted(COVERED))
def test_the_sandbox_answers_as_the_real_server_did(name):
    recorded = recording(name)["response"]
    cluster = Cluster(before(name), IDENTITIES)
    cluster.webhook = Webhook(
        **WEBHOOK.get(name, {} if "webhook-denied" in name or "dryrun-denied" in name else ABSENT)
    )
    with running(cluster) as url:
        status, headers, text = replay(name, url)
    assert status == recorded["status"]
    assert headers["content-type"] == recorded["headers"]["content-type"]
    assert headers.get("warning") == recorded["headers"].get("warning")
    assert headers["audit-id"]
    wanted = recorded["body"]
    if isinstance(wanted, dict) and "_raw_text" in wanted:
        assert text == wanted["_raw_text"]
        return
    got, wanted = significant(json.loads(text)), significant(wanted)
    if recorded["status"] == 201:
        assert (got.get("spec"), got["kind"]) == (wanted["spec"], wanted["kind"])
        return
    assert got == wanted


def test_every_recording_is_replayed_or_left_out_for_a_reason():
    there = {path.stem for path in RECORDINGS.glob("*.json")}
    assert there == set(COVERED) | set(LEFT_OUT)
    assert not set(COVERED) & set(LEFT_OUT)


def test_too_many_requests_is_answered_as_recorded():
    recorded = recording("k8s-429-too-many-requests")
    cluster = Cluster(before("vs-get-200"), IDENTITIES)
    with running(cluster) as url:
        fault = {
            "match": {"method": "GET"},
            "do": "status:429",
            "headers": {"Content-Type": "text/plain; charset=utf-8", "Retry-After": "1"},
            "body": recorded["response"]["body"],
        }
        ask(url, "POST", "/_sandbox/faults", {}, fault)
        status, headers, text = replay("k8s-429-too-many-requests", url)
    assert (status, text) == (429, recorded["response"]["body"])
    assert headers["retry-after"] == "1"
    assert headers["content-type"] == "text/plain; charset=utf-8"


def managers(body):
    return {entry["manager"]: entry["fieldsV1"] for entry in body["metadata"]["managedFields"]}


@pytest.mark.parametrize("name", ["vs-jsonpatch-flip-200", "vs-jsonpatch-replace-rv-current-200", "vs-ssa-force-200"])
def test_managed_fields_name_the_last_writer_of_the_routes(name):
    with running(Cluster(before(name), IDENTITIES)) as url:
        _status, _headers, text = replay(name, url)
    recorded = recording(name)["response"]["body"]
    assert managers(json.loads(text)) == managers(recorded)


def test_status_writes_are_recorded_apart_and_leave_the_generation_alone():
    name = "vs-status-patch-200"
    with running(Cluster(before(name), IDENTITIES)) as url:
        _status, _headers, text = replay(name, url)
    entry = json.loads(text)["metadata"]["managedFields"][-1]
    assert (entry["subresource"], set(entry["fieldsV1"])) == ("status", {"f:status"})


def test_what_an_old_version_wrote_is_what_the_newest_then_shows():
    written = "linkerd-httproute-write-via-v1beta1-loses-weights-200"
    with running(Cluster(before(written), IDENTITIES)) as url:
        replay(written, url)
        _status, _headers, text = replay("linkerd-httproute-get-after-old-write", url)
    recorded = recording("linkerd-httproute-get-after-old-write")["response"]["body"]
    assert significant(json.loads(text)) == significant(recorded)


@pytest.mark.parametrize(
    ("name", "query", "weights"),
    [("ssa", "fieldManager=git", [0, 100]), ("ssaf", "fieldManager=git&force=true", [90, 10])],
)
def test_git_applies_its_weights_again_as_recorded(name, query, weights):
    told = recording("gitops-reapply")["results"][name]
    manifest = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "checkout"},
        "spec": {"http": checkout()["spec"]["http"]},
    }
    path = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/checkout"
    headers = {"Authorization": "Bearer admin", "Content-Type": "application/apply-patch+yaml"}
    cluster = Cluster(before("vs-jsonpatch-noop-200"), IDENTITIES)
    cluster.webhook = Webhook(**ABSENT)
    with running(cluster) as url:
        replay("vs-jsonpatch-replace-rv-current-200", url)
        flip = [{"op": "add", "path": f"/spec/http/1/route/{at}/weight", "value": (0, 100)[at]} for at in range(2)]
        ask(url, "PATCH", f"{path}?fieldManager=gmud", {**headers, "Content-Type": "application/json-patch+json"}, flip)
        status, _headers, text = ask(url, "PATCH", f"{path}?{query}", headers, manifest)
    route = cluster.store.objects["virtualservices", "shop", "checkout"]["spec"]["http"][1]["route"]
    assert [entry["weight"] for entry in route] == weights
    assert (status == 200) == (told["rc"] == 0)
    if told["rc"]:
        assert json.loads(text)["message"] == told["output"].splitlines()[0].removeprefix("error: ")
