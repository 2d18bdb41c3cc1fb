"""The probes against the Prometheus sandbox, whose figures follow the cluster; and the sandbox itself."""

import json
import time
from urllib.parse import urlencode

import pytest

from gmud.sandbox.prometheus import Rates
from releases.core.errors import Rejected, Unreachable
from releases.health.endpoint.adapter import EndpointProbe
from releases.health.ports import Question
from releases.health.prometheus.adapter import PrometheusProbe
from tests.factories.delivery import ask, door_to, fault, requests_of
from tests.factories.health import FILLED, a_mesh

QUESTION = Question("prometheus", "prom", FILLED, 0.05)
ENDPOINT = Question("http", "service", "/health/production/ledgerwriter", 0.5)


@pytest.fixture
def mesh():
    with a_mesh() as found:
        yield found


@pytest.fixture
def at():
    from releases.core import clock

    return clock.now()


def measured(mesh, at, text=FILLED):
    return PrometheusProbe(door_to(mesh.url, "")).measure(Question("prometheus", "prom", text, 0.05), at=at)


def query(mesh, text, path="query", **more):
    return ask(mesh.url, "GET", f"/api/v1/{path}?{urlencode({'query': text, **more})}")


@pytest.mark.parametrize(("canary", "rate"), [(0, 0.002), (10, 0.0818), (50, 0.401), (100, 0.8)])
def test_the_error_rate_follows_the_weights(mesh, at, canary, rate):
    mesh.set(canary)

    assert measured(mesh, at).value == pytest.approx(rate)


def test_the_error_rate_follows_the_version_behind_the_canary(mesh, at):
    mesh.set(100, "v0.6.12")
    assert measured(mesh, at).value == pytest.approx(0.002)

    mesh.sandbox.rates = Rates(bad={("ledgerwriter", "v0.6.12"): 0.25})

    assert measured(mesh, at).value == pytest.approx(0.25)


def test_a_version_can_be_asked_for_and_without_requests_there_is_no_value(mesh, at):
    text = FILLED.replace('response_code=~"5.."', 'response_code=~"5..",destination_version="v0.6.11-bad"')
    mesh.set(0)
    assert measured(mesh, at, text).value is None

    mesh.set(10)

    assert measured(mesh, at, text).value == pytest.approx(0.08)


def test_the_question_is_an_instant_query_at_the_moment_of_asking(mesh, at):
    measured(mesh, at)

    (asked,) = requests_of(mesh.url)
    assert (asked["method"], asked["path"]) == ("GET", "/api/v1/query")
    assert asked["query"] == {"query": [FILLED], "time": [f"{at.timestamp():.3f}"]}


def test_an_instant_answer_is_a_vector_of_texts(mesh):
    answer = json.loads(query(mesh, FILLED, time=time.time()).text)

    (sample,) = answer["data"]["result"]
    assert (answer["status"], answer["data"]["resultType"], sample["metric"]) == ("success", "vector", {})
    assert isinstance(sample["value"][1], str)


def test_a_range_answer_is_a_matrix_from_when_it_began_to_look(mesh):
    now = time.time()
    answer = json.loads(query(mesh, FILLED, "query_range", start=now - 60, end=now + 1, step=1).text)

    (series,) = answer["data"]["result"]
    assert answer["data"]["resultType"] == "matrix"
    assert all(at >= now - 3 for at, _value in series["values"])


def test_a_query_it_cannot_read_is_bad_data(mesh, at):
    answer = query(mesh, "rate(up")

    assert answer.status == 400
    assert json.loads(answer.text)["errorType"] == "bad_data"
    with pytest.raises(Rejected, match="parse error"):
        measured(mesh, at, "rate(up")


@pytest.mark.parametrize("do", ["500", "status:503", "html", "close_before"])
def test_no_trustworthy_answer_is_not_known(mesh, at, do):
    fault(mesh.url, do)

    with pytest.raises(Unreachable):
        measured(mesh, at)


@pytest.mark.parametrize("status", [401, 403])
def test_an_account_that_is_refused_is_a_rejection(mesh, at, status):
    fault(mesh.url, f"status:{status}")

    with pytest.raises(Rejected, match="secret"):
        measured(mesh, at)


def answered(mesh, at, data, status="success"):
    fault(mesh.url, "status:200", body=json.dumps({"status": status, "data": data}))
    return measured(mesh, at)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_no_value(mesh, at, value):
    assert answered(mesh, at, {"resultType": "vector", "result": [{"metric": {}, "value": [1, value]}]}).value is None


def test_of_several_series_the_worst_counts_and_a_scalar_is_a_value(mesh, at):
    series = [{"metric": {"pod": str(n)}, "value": [1, value]} for n, value in enumerate(["0.1", "0.7", "0.2"])]

    assert answered(mesh, at, {"resultType": "vector", "result": series}).value == 0.7
    assert answered(mesh, at, {"resultType": "scalar", "result": [1, "0.3"]}).value == 0.3


@pytest.mark.parametrize("data", [None, {}, {"resultType": "vector", "result": [{"value": ["x"]}]}, {"resultType": 1}])
def test_another_shape_is_not_known(mesh, at, data):
    with pytest.raises(Unreachable):
        answered(mesh, at, data)


def test_a_cluster_that_does_not_answer_is_a_503(mesh, at):
    fault(mesh.cluster_url, "500", times=9)

    with pytest.raises(Unreachable):
        measured(mesh, at)


def test_the_health_address_fails_as_often_as_requests_do(mesh, at):
    mesh.set(100)
    probe = EndpointProbe(door_to(mesh.url, ""))

    values = [probe.measure(ENDPOINT, at=at).value for _turn in range(10)]

    assert sum(values) == 8


@pytest.mark.parametrize(
    ("do", "error"),
    [("status:404", Rejected), ("status:302", Rejected), ("status:429", Unreachable), ("close_before", Unreachable)],
)
def test_a_health_address_that_says_nothing_of_health_gives_no_value(mesh, at, do, error):
    fault(mesh.url, do)

    with pytest.raises(error):
        EndpointProbe(door_to(mesh.url, "")).measure(ENDPOINT, at=at)


BUDGET = f"1 - ({FILLED}) / 0.05"


@pytest.mark.parametrize(("canary", "left"), [(0, 0.96), (10, -0.636), (100, -15)])
def test_what_is_left_of_an_error_budget_follows_the_error_rate(mesh, at, canary, left):
    mesh.set(canary)

    assert measured(mesh, at, BUDGET).value == pytest.approx(left)


def test_a_budget_of_a_service_that_is_not_there_has_no_value(mesh, at):
    assert measured(mesh, at, BUDGET.replace("ledgerwriter", "nowhere")).value is None
    assert query(mesh, "1 - (up) / 0.05").status == 400
