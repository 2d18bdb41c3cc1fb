"""Istio's adapter against what a real API server answered, and against the sandbox alike.

The recorded run also checks our requests: method, path, query, content type and body, in order.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import service_objects
from gmud.sandbox.kubernetes.store import Write
from gmud.sandbox.kubernetes.webhook import Webhook
from gmud.sandbox.server import Fault, running
from releases.cluster.client import PAGE, VIRTUAL_SERVICES, ClusterClient
from releases.cluster.errors import Forbidden, Unauthorized
from releases.traffic.guarded import Guarded
from releases.traffic.istio.adapter import Istio
from releases.traffic.ports import Conflict, Contended, NotApplied, NotEditable, RouteRef, Split, Verification
from tests.contract.traffic.replay import Exchange, Replay
from tests.factories.traffic import checkout, door_to, recording

ROUTE = RouteRef("shop", "checkout", "stable", "canary", route="primary")
PATH = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices"
EVERYWHERE = "/apis/networking.istio.io/v1/virtualservices"
UID = "a29456f8-8628-4e9b-a13a-dbb1856a2eb4"


def expected(method: str, path: str, query: dict[str, str] | None = None, body: Any = None) -> dict[str, Any]:
    headers = {"accept": "application/json", "authorization": "Bearer sandbox-full"}
    if method == "PATCH":
        headers["content-type"] = "application/json-patch+json"
    return {"method": method, "path": path, "query": query or {}, "body": body, "headers": headers}


def answered(name: str) -> dict[str, Any]:
    return dict(recording(name)["response"])


def patch(version: str, stable: int, canary: int) -> list[dict[str, Any]]:
    """Return the request we promise to send, and no other."""
    where = "/spec/http/1"
    port = {"number": 8080}
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "test", "path": "/metadata/uid", "value": UID},
        {"op": "test", "path": f"{where}/name", "value": "primary"},
        {
            "op": "test",
            "path": f"{where}/route/0/destination",
            "value": {"host": "checkout", "port": port, "subset": "stable"},
        },
        {
            "op": "test",
            "path": f"{where}/route/1/destination",
            "value": {"host": "checkout", "port": port, "subset": "canary"},
        },
        {"op": "add", "path": f"{where}/route/0/weight", "value": stable},
        {"op": "add", "path": f"{where}/route/1/weight", "value": canary},
    ]


def get(answer: str) -> Exchange:
    return expected("GET", f"{PATH}/checkout"), answered(answer)


def send(answer: str, version: str, stable: int, canary: int, *, dry: bool = False) -> Exchange:
    query = {"fieldManager": "gmud", "fieldValidation": "Strict", **({"dryRun": "All"} if dry else {})}
    return expected("PATCH", f"{PATH}/checkout", query, patch(version, stable, canary)), answered(answer)


GROUP: Exchange = (expected("GET", "/apis/networking.istio.io"), answered("k8s-apigroup-istio"))
# No other system drives weights here. What a role limited to names gets for a list: the checks that need one are
# skipped with a warning.
AROUND: list[Exchange] = [
    (expected("GET", "/apis/argoproj.io"), answered("k8s-apigroup-missing-404")),
    (expected("GET", "/apis/flagger.app"), answered("k8s-apigroup-missing-404")),
    (expected("GET", EVERYWHERE, {"limit": PAGE}), answered("vs-list-403-resourcenames")),
    (expected("GET", PATH, {"limit": PAGE}), answered("vs-list-403-resourcenames")),
    (
        expected("GET", PATH.replace("virtualservices", "destinationrules"), {"limit": PAGE}),
        answered("vs-list-403-resourcenames"),
    ),
]


@dataclass
class Scene:
    """What stands at the start, what happens meanwhile (sandbox), what was answered (recorded)."""

    script: list[Exchange]
    weights: tuple[int | None, int | None] = (90, 10)
    meta: dict[str, Any] = field(default_factory=dict)
    plant: Callable[[Cluster], None] = lambda cluster: None
    objects: Callable[[list[Any]], list[Any]] = lambda objects: objects


def meanwhile(**parts: Any) -> Callable[[Cluster], None]:
    """Have somebody else write just before our first write."""

    def plant(cluster: Cluster) -> None:
        def outrun(resource: Any, there: Any) -> Any:
            del cluster.outrun
            wanted = parts["change"](there)
            return cluster.store.update(resource, there, wanted, Write(parts.get("manager", "kubectl-edit")))

        cluster.outrun = outrun

    return plant


def set_to(stable: int, canary: int) -> Callable[[Any], Any]:
    def change(there: Any) -> Any:
        return {**there, "spec": checkout((stable, canary))["spec"]}

    return change


def fault(**parts: Any) -> Callable[[Cluster], None]:
    return lambda cluster: cluster.faults.append(Fault(**parts))


def down(cluster: Cluster) -> None:
    cluster.webhook = Webhook(state="down")


def warn(cluster: Cluster) -> None:
    cluster.webhook = Webhook(warnings=["webhook saw dryRun=true"])


def deny_all(cluster: Cluster) -> None:
    """Let an older, invalid part of the object make the webhook refuse every write."""
    stored = cluster.store.objects["virtualservices", "shop", "checkout"]
    stored["spec"]["tcp"][0]["route"][0]["weight"] = 0


def forever(cluster: Cluster) -> None:
    cluster.rival.times = -1


def without_istio(cluster: Cluster) -> None:
    text = {"Content-Type": "text/plain; charset=utf-8"}
    cluster.faults.append(Fault("status:404", path="^/apis/networking", headers=text, body="404 page not found\n"))


def reader(cluster: Cluster) -> None:
    cluster.identities = {"sandbox-full": cluster.identities["sandbox-read"]}


def nobody(cluster: Cluster) -> None:
    cluster.identities = {}


FLIP = send("vs-jsonpatch-flip-200", "420", 0, 100)
SCENES = {
    "read": Scene([GROUP, get("vs-get-200")]),
    "flip": Scene([GROUP, get("vs-get-200"), get("vs-get-200"), *AROUND, FLIP, get("vs-jsonpatch-flip-200")]),
    "already": Scene([GROUP, get("vs-get-200"), get("vs-get-200")]),
    "stale version, others' weights": Scene(
        [
            GROUP,
            get("vs-get-200"),
            get("vs-get-200"),
            *AROUND,
            send("vs-jsonpatch-replace-rv-stale-409", "420", 0, 100),
            get("vs-jsonpatch-replace-rv-current-200"),
        ],
        plant=meanwhile(change=set_to(20, 80), manager="gmud"),
    ),
    "patch fails, others' weights": Scene(
        [
            GROUP,
            get("vs-get-200"),
            get("vs-get-200"),
            *AROUND,
            send("vs-jsonpatch-test-fails-weight-422", "420", 0, 100),
            get("vs-jsonpatch-replace-rv-current-200"),
        ],
        plant=meanwhile(change=set_to(20, 80), manager="gmud"),
    ),
    "conflict, but already as asked": Scene(
        [
            GROUP,
            get("vs-get-200"),
            get("vs-get-200"),
            *AROUND,
            send("vs-retry-after-lost-response-409", "420", 11, 89),
            get("vs-get-after-lost-response-200"),
        ],
        plant=meanwhile(change=set_to(11, 89)),
    ),
    "contended": Scene(
        [
            GROUP,
            get("vs-get-200"),
            get("vs-get-200"),
            *AROUND,
            *[
                one
                for _try in range(4)
                for one in (send("vs-jsonpatch-replace-rv-stale-409", "420", 0, 100), get("vs-get-200"))
            ],
        ],
        plant=forever,
    ),
    "forbidden": Scene(
        [GROUP, get("vs-get-200"), get("vs-get-200"), *AROUND, send("vs-patch-403", "420", 0, 100)], plant=reader
    ),
    "unauthorized": Scene([(expected("GET", "/apis/networking.istio.io"), answered("vs-get-401"))], plant=nobody),
    "missing": Scene([GROUP, get("vs-get-404")], objects=lambda objects: objects[1:]),
    "not installed": Scene(
        [(expected("GET", "/apis/networking.istio.io"), answered("k8s-apigroup-missing-404"))], plant=without_istio
    ),
    "webhook down": Scene(
        [
            GROUP,
            get("vs-get-200"),
            get("vs-get-200"),
            *AROUND,
            send("vs-webhook-down-500-failurePolicy-Fail", "420", 0, 100),
            get("vs-get-200"),
        ],
        plant=down,
    ),
    "answer lost, applied": Scene(
        [
            GROUP,
            get("vs-get-200"),
            get("vs-get-200"),
            *AROUND,
            send("vs-request-timeout-504", "420", 11, 89),
            get("vs-get-after-lost-response-200"),
        ],
        plant=fault(do="close_after", method="PATCH"),
    ),
    "answer lost, not applied": Scene(
        [
            GROUP,
            get("vs-get-200"),
            get("vs-get-200"),
            *AROUND,
            send("vs-request-timeout-504", "420", 11, 89),
            get("vs-get-200"),
        ],
        plant=fault(do="close_before", method="PATCH"),
    ),
    "throttled once": Scene(
        [
            GROUP,
            (expected("GET", f"{PATH}/checkout"), answered("k8s-429-too-many-requests")),
            get("vs-get-200"),
        ],
        plant=fault(
            do="status:429", path="/checkout$", headers={"Retry-After": "1"}, body="Too many requests, please try again"
        ),
    ),
    "dry run": Scene(
        [
            GROUP,
            get("vs-get-200"),
            *AROUND,
            send("vs-webhook-dryrun-ok-200-warning", "420", 0, 100, dry=True),
        ],
        plant=warn,
    ),
    "dry run denied": Scene(
        [GROUP, get("vs-get-200"), *AROUND, send("vs-webhook-dryrun-denied-400", "420", 0, 100, dry=True)],
        plant=deny_all,
    ),
}


def sandbox_objects(scene: Scene) -> list[Any]:
    others = [one for one in service_objects("checkout", "shop") if one["kind"] != "VirtualService"]
    return scene.objects([checkout(scene.weights, **scene.meta), *others])


@contextlib.contextmanager
def stage(system: str, name: str) -> Iterator[Guarded]:
    scene = SCENES[name]
    naps: list[float] = []
    if system == "recorded":
        server = Replay(scene.script)
        with running(server) as url:
            yield Guarded(Istio(ClusterClient(door_to(url), sleep=naps.append)), sleep=naps.append)
        assert server.mistakes == []
        assert server.script == []
        return
    cluster = Cluster(sandbox_objects(scene))
    scene.plant(cluster)
    with running(cluster) as url:
        yield Guarded(Istio(ClusterClient(door_to(url), sleep=naps.append)), sleep=naps.append)


@pytest.fixture(params=["sandbox", "recorded"])
def on(request: pytest.FixtureRequest) -> Callable[[str], contextlib.AbstractContextManager[Guarded]]:
    return lambda name: stage(request.param, name)


class TestIstioAdapter:
    """The promises of ``TrafficProvider``."""

    def test_a_route_is_read_with_its_weights_version_writer_and_reach(self, on):
        with on("read") as adapter:
            reading = adapter.read(ROUTE)
        assert reading.weights == {"stable": 90, "canary": 10}
        assert (reading.version.token, reading.version.uid) == ("420", UID)
        assert reading.writer.name == "team-helm"
        assert reading.hosts == ("checkout.shop.svc.cluster.local", "checkout.example.com")
        assert any("several hosts" in str(warning) for warning in reading.warnings)
        assert not reading.obstacles

    def test_a_write_sets_both_weights_in_one_guarded_patch_and_reads_back(self, on):
        with on("flip") as adapter:
            seen = adapter.read(ROUTE).version
            written = adapter.write(ROUTE, Split({"stable": 0, "canary": 100}), seen=seen)
        assert written.reading.weights == {"stable": 0, "canary": 100}
        assert written.verification is Verification.STORED
        assert written.reading.version.fingerprint == seen.fingerprint
        assert int(written.reading.version.token) > int(seen.token)
        assert written.audit_id

    def test_what_already_stands_is_not_written_again(self, on):
        with on("already") as adapter:
            seen = adapter.read(ROUTE).version
            written = adapter.write(ROUTE, Split({"stable": 9, "canary": 1}), seen=seen)
        assert written.reading.version.token == "420"

    @pytest.mark.parametrize("name", ["stale version, others' weights", "patch fails, others' weights"])
    def test_weights_changed_by_somebody_else_are_named_and_left_alone(self, on, name):
        with on(name) as adapter:
            seen = adapter.read(ROUTE).version
            with pytest.raises(Conflict) as raised:
                adapter.write(ROUTE, Split({"stable": 0, "canary": 100}), seen=seen)
        difference = raised.value.difference
        assert difference.expected == {"stable": 90, "canary": 10}
        assert difference.found == {"stable": 20, "canary": 80}
        assert difference.writer.name == "gmud"
        assert not isinstance(raised.value, Contended)

    def test_a_conflict_with_what_was_asked_for_is_no_conflict(self, on):
        with on("conflict, but already as asked") as adapter:
            seen = adapter.read(ROUTE).version
            written = adapter.write(ROUTE, Split({"stable": 11, "canary": 89}), seen=seen)
        assert written.reading.weights == {"stable": 11, "canary": 89}

    def test_an_object_that_never_holds_still_is_left_alone_after_three_more_tries(self, on):
        with on("contended") as adapter:
            seen = adapter.read(ROUTE).version
            with pytest.raises(Contended):
                adapter.write(ROUTE, Split({"stable": 0, "canary": 100}), seen=seen)

    def test_a_role_that_may_only_read_is_told_so(self, on):
        with on("forbidden") as adapter:
            seen = adapter.read(ROUTE).version
            with pytest.raises(Forbidden, match="cannot patch"):
                adapter.write(ROUTE, Split({"stable": 0, "canary": 100}), seen=seen)

    def test_an_unknown_token_is_told_so(self, on):
        with on("unauthorized") as adapter, pytest.raises(Unauthorized):
            adapter.read(ROUTE)

    def test_a_missing_object_is_refused_and_never_made(self, on):
        with on("missing") as adapter, pytest.raises(NotEditable, match="no VirtualService checkout"):
            adapter.read(ROUTE)

    def test_a_cluster_without_istio_says_so(self, on):
        with on("not installed") as adapter, pytest.raises(NotEditable, match="not installed"):
            adapter.read(ROUTE)

    def test_a_dead_webhook_is_named_as_what_blocks_everybody(self, on):
        with on("webhook down") as adapter:
            seen = adapter.read(ROUTE).version
            with pytest.raises(NotApplied, match="istiod"):
                adapter.write(ROUTE, Split({"stable": 0, "canary": 100}), seen=seen)

    def test_a_lost_answer_is_looked_up_and_found_applied(self, on):
        with on("answer lost, applied") as adapter:
            seen = adapter.read(ROUTE).version
            written = adapter.write(ROUTE, Split({"stable": 11, "canary": 89}), seen=seen)
        assert written.reading.weights == {"stable": 11, "canary": 89}

    def test_a_lost_answer_that_left_no_trace_is_told_as_not_applied(self, on):
        with on("answer lost, not applied") as adapter:
            seen = adapter.read(ROUTE).version
            with pytest.raises(NotApplied):
                adapter.write(ROUTE, Split({"stable": 11, "canary": 89}), seen=seen)

    def test_a_server_that_asks_for_patience_is_asked_again(self, on):
        with on("throttled once") as adapter:
            assert adapter.read(ROUTE).weights == {"stable": 90, "canary": 10}

    def test_a_preview_shows_the_steps_and_the_servers_warnings(self, on):
        with on("dry run") as adapter:
            preview = adapter.preview(ROUTE, Split({"stable": 0, "canary": 100}))
        assert [(step.name, step.before, step.after) for step in preview.steps] == [
            ("stable", 90, 0),
            ("canary", 10, 100),
        ]
        assert preview.is_possible
        assert "webhook saw dryRun=true" in [str(warning) for warning in preview.warnings]
        assert list(preview.operations) == patch("420", 0, 100)

    def test_a_preview_shows_what_the_webhook_would_refuse(self, on):
        with on("dry run denied") as adapter:
            preview = adapter.preview(ROUTE, Split({"stable": 0, "canary": 100}))
        assert not preview.is_possible
        assert "total destination weight = 0" in str(preview.obstacles[0])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("vs-webhook-denied-zero-total-400", "total destination weight = 0"),
        ("vs-webhook-denied-negative-400", "weight -5 < 0"),
        ("vs-webhook-denied-two-errors-400", "2 errors occurred"),
        ("vs-duration-cel-422", "greater than 1ms"),
        ("vs-missing-destination-422", "Required value"),
        ("vs-patch-while-deleting-200", None),
    ],
)
def test_every_recorded_answer_to_a_trial_is_told(answer, said):
    script = [GROUP, get("vs-get-200"), *AROUND, send(answer, "420", 0, 100, dry=True)]
    server = Replay(script)
    with running(server) as url:
        preview = Guarded(Istio(ClusterClient(door_to(url)))).preview(ROUTE, Split({"stable": 0, "canary": 100}))
    assert (server.mistakes, server.script) == ([], [])
    assert preview.is_possible is (said is None)
    assert said is None or said in str(preview.obstacles[0])


@pytest.mark.parametrize(
    "answer", ["vs-webhook-timeout-500-failurePolicy-Fail", "vs-webhook-error-500-failurePolicy-Fail"]
)
def test_every_recorded_way_a_webhook_stays_away_is_not_applied(answer):
    script = [GROUP, get("vs-get-200"), get("vs-get-200"), *AROUND, send(answer, "420", 0, 100), get("vs-get-200")]
    server = Replay(script)
    with running(server) as url:
        provider = Guarded(Istio(ClusterClient(door_to(url))), sleep=lambda _seconds: None)
        seen = provider.read(ROUTE).version
        with pytest.raises(NotApplied, match="istiod"):
            provider.write(ROUTE, Split({"stable": 0, "canary": 100}), seen=seen)
    assert (server.mistakes, server.script) == ([], [])


@pytest.mark.parametrize("name", ["vs-get-v1beta1-200", "vs-get-v1alpha3-200", "vs-get-managedfields-200"])
def test_every_recorded_version_is_read_alike(name):
    server = Replay([GROUP, get(name)])
    with running(server) as url:
        reading = Guarded(Istio(ClusterClient(door_to(url)))).read(ROUTE)
    weights = [one["weight"] for one in answered(name)["body"]["spec"]["http"][1]["route"]]
    assert list(reading.weights.values()) == weights
    assert reading.writer.name
    assert server.mistakes == []


def test_the_right_to_patch_is_asked_for_as_recorded():
    told = recording("k8s-ssar-patch-vs")["request"]
    server = Replay([(expected("POST", told["path"], {}, told["body"]), answered("k8s-ssar-patch-vs"))])
    asked = told["body"]["spec"]["resourceAttributes"]
    with running(server) as url:
        client = ClusterClient(door_to(url))
        allowed = client.may(asked["verb"], VIRTUAL_SERVICES, asked["namespace"], asked["name"])
    assert allowed is answered("k8s-ssar-patch-vs")["body"]["status"]["allowed"]
    assert server.mistakes == []
