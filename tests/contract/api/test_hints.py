"""Hints: a system says that a run moved, and the run is looked at; nothing of what is said is believed."""

import base64
import hashlib
import hmac
import io
import json
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import Client

from releases.api import hints
from releases.catalog import services as catalog
from releases.catalog.models import Connection
from releases.core import clock
from releases.delivery import services as delivery
from releases.delivery.jenkins import hints as jenkins
from releases.delivery.models import Deployment
from releases.delivery.ports import Hint
from releases.delivery.spinnaker import hints as spinnaker
from releases.delivery.steps import DeployStep
from releases.operations import services as operations
from releases.operations.models import Step
from tests.factories.accounts import SETUP
from tests.factories.delivery import a_deployment, a_world, begin, permit

JSON = "application/json"


@pytest.fixture(autouse=True)
def _afresh():
    hints._buckets.clear()


@pytest.fixture
def under_way(db, now, monkeypatch):
    """Return a deployment whose build runs at a real server and is to be looked at later."""
    monkeypatch.setenv("GMUD_OUTBOUND_NETWORKS", "127.0.0.0/8")
    with a_world(speed=0.05) as world:
        row = a_deployment(world)
        operation = begin([delivery.step_for(row)], row.change_id, clock.now())
        handlers = {delivery.STEP_KIND: DeployStep(lambda _deployment: permit())}
        operations.run(operation_id=operation.pk, worker="w", handlers=handlers, now=clock.now)
        later()
        yield Deployment.objects.select_related("connection").get()


@pytest.fixture
def secret(under_way, now):
    return catalog.open_hints(actor=SETUP, connection_id=under_way.connection_id, now=now)


def later():
    """Have the step looked at in an hour; nobody looked at it for a while."""
    moved = Step.objects.update(
        look_at=clock.now() + timedelta(hours=1), heartbeat_at=clock.now() - timedelta(minutes=1)
    )
    assert moved == 1


def is_woken():
    return Step.objects.get().look_at <= clock.now()


def told(row, **build):
    """Return what the Notification plugin would post of the deployment's build."""
    whole = {
        "number": 1,
        "queue_id": int(row.remote["ticket"]),
        "phase": "COMPLETED",
        "status": "SUCCESS",
        "parameters": {"GMUD_CORRELATION": row.op_key},
        **build,
    }
    return {"name": "deploy-ledgerwriter", "url": "job/ledger/job/deploy-ledgerwriter/", "build": whole}


def post(row, body, **headers):
    place = f"/api/v1/hints/{row.connection_id if isinstance(row, Deployment) else row}"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client(raise_request_exception=False).post(place, content, JSON, headers=headers)


def basic(secret):
    return {"Authorization": "Basic " + base64.b64encode(f"gmud:{secret}".encode()).decode()}


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def signed(secret, body, *, at=None, called="msg_1"):
    at = str(int(at or clock.now().timestamp()))
    digest = hmac.new(secret.encode(), f"{called}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": called, "webhook-timestamp": at, "webhook-signature": signature}


@pytest.mark.parametrize("show", [basic, bearer], ids=["as the plugin can", "as Echo can"])
def test_a_hint_has_the_run_looked_at_now_and_says_nothing_back(under_way, secret, show):
    answer = post(under_way, told(under_way), **show(secret))

    assert (answer.status_code, answer.content) == (202, b"")
    assert is_woken()


def test_a_script_may_sign_its_hint_and_no_other_body_goes_with_that_signature(under_way, secret):
    body = json.dumps(told(under_way)).encode()
    assert post(under_way, body + b" ", **signed(secret, body)).status_code == 401
    assert post(under_way, body, **signed("another", body)).status_code == 401
    assert not is_woken()

    assert post(under_way, body, **signed(secret, body)).status_code == 202
    assert is_woken()


def test_a_signature_of_another_time_is_refused(under_way, secret):
    body = json.dumps(told(under_way)).encode()
    for at in (clock.now() - timedelta(minutes=6), clock.now() + timedelta(minutes=6)):
        assert post(under_way, body, **signed(secret, body, at=at.timestamp())).status_code == 401
    assert not is_woken()


def test_a_hint_that_lies_changes_nothing_but_when_the_run_is_looked_at(under_way, secret):
    before = Deployment.objects.values().get()

    for lie in ({"status": "SUCCESS"}, {"status": "FAILURE"}, {"phase": "FINALIZED", "number": 99}):
        assert post(under_way, told(under_way, **lie), **bearer(secret)).status_code == 202

    assert Deployment.objects.values().get() == before
    assert before["state"] in {"queued", "running"}


def test_a_hint_that_comes_again_costs_no_second_look_within_a_second(under_way, secret):
    Step.objects.update(heartbeat_at=clock.now())
    for _time in range(5):
        post(under_way, told(under_way), **bearer(secret))

    step = Step.objects.get()
    assert step.look_at - step.heartbeat_at == timedelta(seconds=1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"build": {"parameters": {"GMUD_CORRELATION": "another"}, "queue_id": 10**6, "number": 10**6}},
        {"build": {"parameters": [], "queue_id": True, "number": "1"}, "url": 7},
        {"build": None},
    ],
    ids=range(5),
)
def test_what_names_no_run_of_ours_is_answered_the_same_and_wakes_nobody(under_way, secret, body):
    answer = post(under_way, body, **bearer(secret))

    assert (answer.status_code, answer.content) == (202, b"")
    assert not is_woken()


def test_nobody_learns_which_connections_there_are(under_way, secret, now):
    silent = Connection.objects.create(name="other", kind="jenkins", origin="https://other.example.com")
    refused = [
        post(row, told(under_way), **shown)
        for row, shown in [
            (uuid4(), bearer(secret)),
            (silent.pk, bearer(secret)),
            (silent.pk, bearer("")),
            (under_way, bearer(secret + "x")),
            (under_way, basic("x")),
            (under_way, {}),
            (under_way, {"Authorization": "Basic ÿ"}),
            *((row, {"webhook-signature": "x"}) for row in (under_way, silent.pk, uuid4())),
            *((under_way, {"webhook-signature": "x", "webhook-timestamp": "9" * digits}) for digits in (13, 400, 5000)),
            *((row, signed("another", b"")) for row in (under_way, silent.pk)),
            (silent.pk, signed("", json.dumps(told(under_way)).encode())),
        ]
    ]

    assert {(one.status_code, one.content) for one in refused} == {(401, refused[0].content)}
    assert not is_woken()


def test_nobody_learns_it_by_a_body_that_is_too_large_either(under_way, secret, monkeypatch):
    monkeypatch.setattr(hints, "LARGEST", 100)
    large = b" " * 200

    refused = [post(row, large, **signed("another", large)) for row in (under_way, uuid4())]

    assert [one.status_code for one in refused] == [401, 401]


def test_a_hint_finds_what_was_sent_without_an_answer_by_the_key_that_its_step_has_alone(under_way, secret):
    body = told(under_way)
    Deployment.objects.update(op_key=None, remote={}, job="")

    assert post(under_way, body, **bearer(secret)).status_code == 202
    assert is_woken()


def test_a_new_secret_ends_the_one_before_and_closing_ends_both(under_way, secret, now):
    out = io.StringIO()
    call_command("catalog", "hints", under_way.connection.name, stdout=out)
    new = out.getvalue().split()[-1]
    assert f"/api/v1/hints/{under_way.connection_id}" in out.getvalue()
    assert post(under_way, {}, **bearer(secret)).status_code == 401
    assert post(under_way, {}, **bearer(new)).status_code == 202

    call_command("catalog", "hints", under_way.connection.name, "--close", stdout=out)
    assert post(under_way, {}, **bearer(new)).status_code == 401


def test_a_hint_is_bounded_in_size_and_in_number_and_must_be_json(under_way, secret, monkeypatch):
    monkeypatch.setattr(hints, "LARGEST", 100)
    assert post(under_way, b"{" + b" " * 200 + b"}", **bearer(secret)).status_code == 413
    assert post(under_way, b"{", **bearer(secret)).status_code == 400

    hints._buckets[under_way.connection_id] = hints.Bucket(left=0.0, at=time.monotonic() + 3600)
    refused = post(under_way, {}, **bearer(secret))
    assert (refused.status_code, refused["Retry-After"]) == (429, "1")


def test_sixty_hints_are_taken_at_once_and_ten_more_each_second():
    bucket = hints.Bucket(at=0.0)

    assert [sum(bucket.takes(at) for _one in range(100)) for at in (0.0, 0.0, 1.0, 3600.0)] == [60, 0, 10, 60]


def test_a_hint_names_runs_by_what_jenkins_says_of_them():
    payload = {
        "url": "job/team/job/app/job/feature%252Fx/",
        "build": {"number": 7, "queue_id": 12, "parameters": {"GMUD_CORRELATION": "op:1", "EMPTY": ""}},
    }

    assert jenkins.read(payload) == Hint(frozenset({"op:1"}), "12", "team/app/feature%2Fx", "7")


def test_a_hint_names_runs_by_what_echo_says_of_them_wrapped_or_not():
    event = {
        "details": {"type": "orca:pipeline:complete", "application": "ledger"},
        "content": {"executionId": "01J", "execution": {"trigger": {"correlationId": "op:1"}}},
    }
    task = {"details": {"type": "orca:orchestration:failed"}, "content": {"executionId": "01K"}}

    assert spinnaker.read(event) == Hint(frozenset({"op:1"}), run="pipelines/01J")
    assert spinnaker.read({"eventName": "spinnaker_events", "payload": event}) == spinnaker.read(event)
    assert spinnaker.read(task) == Hint(run="tasks/01K")
    assert spinnaker.read({"content": [], "details": 3, "payload": None}) == Hint()
