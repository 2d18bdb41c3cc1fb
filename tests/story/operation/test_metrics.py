"""/metrics: who may look, and whether the figures are those of the database and of every process."""

import os
import subprocess
import sys
from datetime import timedelta
from math import inf

import pytest
from django.db import connection, transaction
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from releases.accounts.rights import Right
from releases.accounts.services import revoke_token
from releases.changes.states import State
from releases.core import clock
from releases.core.ids import uuid7
from releases.operations import services
from releases.operations.models import Operation, OutboxMessage
from tests.factories.accounts import SETUP, a_token
from tests.factories.audit import an_event
from tests.factories.catalog import a_digest
from tests.factories.changes import a_change, a_house
from tests.factories.gate import ask, with_keys
from tests.factories.operations import an_operation
from tests.house.tree import ROOT

pytestmark = pytest.mark.django_db


def scrape(client: Client, **more: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return every sample, by its name and its labels."""
    answer = client.get("/metrics", **more)
    assert answer.status_code == 200, answer.content
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def at(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


@pytest.fixture(autouse=True)
def _places(settings, tmp_path):
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness" / "checkpoints.jsonl")
    with_keys(settings, tmp_path / "keys")


# who may look


def test_from_this_machine_everybody_may_look(client):
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize("address", ["10.1.2.3", "2001:db8::1", "", "unix:"])
def test_from_elsewhere_nobody_may_look_without_a_token(client, address):
    answer = client.get("/metrics", REMOTE_ADDR=address)

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="gmud"')
    assert b"gmud_http" not in answer.content


def test_a_proxy_on_this_machine_opens_to_nobody(client):
    assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 401


def test_the_operator_names_other_networks(client, settings):
    settings.GMUD_METRICS_NETWORKS = ["10.0.0.0/8"]

    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 401


def test_a_token_of_that_scope_may_look_from_anywhere_until_it_ends(client):
    now = clock.now()
    machine, token = a_token(Right.METRICS_READ, name="prometheus", now=now)
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "203.0.113.7"}
    assert client.get("/metrics", headers=headers).status_code == 200

    revoke_token(actor=SETUP, client_id=machine.pk, now=now)
    assert client.get("/metrics", headers=headers).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_a_token_of_another_scope_or_shown_in_another_way_may_not(client, scheme):
    _machine, token = a_token(Right.GATE_ASK, Right.METRICS_READ if scheme == "Basic" else Right.GATE_ASK)
    headers = {"Authorization": f"{scheme} {token}", "X-Forwarded-For": "203.0.113.7"}

    assert client.get("/metrics", headers=headers).status_code == 401


def test_it_is_answered_under_any_host_name_and_kept_by_no_cache(client):
    answer = client.get("/metrics", headers={"host": "10-1-2-3.pod.cluster"})

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")


# what it says


def test_requests_are_counted_by_route_and_not_by_address(client):
    before = scrape(client).get("gmud_http_requests_total", {})
    for number in (4001, 4002):
        client.get(f"/changes/{number}")
    client.get("/nothing/of/ours")
    client.generic("BREW", "/sign-in")
    after = scrape(client)["gmud_http_requests_total"]

    more = {labels: after[labels] - before.get(labels, 0) for labels in after}
    assert more[at(method="GET", route="/changes/<int:number>", status="302")] == 2
    assert more[at(method="GET", route="none", status="404")] == 1
    assert [labels for labels, number in more.items() if number and dict(labels)["method"] == "other"]


def test_how_long_they_took_is_a_histogram(client):
    client.get("/sign-in")
    found = scrape(client)

    counted = found["gmud_http_request_seconds_count"][at(method="GET", route="/sign-in")]
    assert counted == found["gmud_http_request_seconds_bucket"][at(method="GET", route="/sign-in", le="+Inf")] >= 1


def test_answers_of_the_gate_by_verdict_and_reason(client):
    house = a_house(clock.now() - timedelta(hours=2))
    change, now = a_change(house, at=State.SCHEDULED), clock.now()
    ask(house, change, now=now)
    ask(house, change, now=now, digest=a_digest())
    ask(house, change, now=now - timedelta(minutes=6))  # it moved out of the window of five minutes
    found = scrape(client)

    assert found["gmud_gate_decisions_recent"] == {at(verdict="allow"): 1, at(verdict="deny"): 1, at(verdict="wait"): 0}
    assert found["gmud_gate_reasons_recent"] == {at(verdict="deny", reason="artifact_mismatch"): 1}
    assert found["gmud_permits"] == {
        at(state="open"): 1,
        at(state="redeemed"): 0,
        at(state="revoked"): 0,
        at(state="unused"): 1,
    }


def test_how_long_the_oldest_message_waits_by_queue(client):
    now = clock.now()
    with transaction.atomic():
        for ago in (90, 30):
            services.post(kind="test", ref=uuid7(), queue="notify", now=now - timedelta(seconds=ago))
        services.post(kind="test", ref=uuid7(), queue="notify", now=now, available_at=now + timedelta(hours=1))
        dead = services.post(kind="test", ref=uuid7(), now=now)
    OutboxMessage.objects.filter(pk=dead.pk).update(dead_at=now)
    found = scrape(client)

    assert found["gmud_outbox_waiting"][at(queue="notify")] == 2
    assert 90 <= found["gmud_outbox_oldest_seconds"][at(queue="notify")] < 120
    assert found["gmud_outbox_oldest_seconds"][at(queue="deploy")] == 0
    assert found["gmud_outbox_quarantined"][()] == 1


def test_how_long_ago_each_queue_was_swept(client):
    now = clock.now()
    services.heartbeat(worker="a", queues=["rollback"], now=now - timedelta(seconds=50))
    services.heartbeat(worker="b", queues=["rollback", "deploy"], now=now - timedelta(seconds=5))
    lags = scrape(client)["gmud_sweep_lag_seconds"]

    assert 5 <= lags[at(queue="rollback")] < 40
    assert lags[at(queue="notify")] == inf


def test_operations_by_kind_and_state(client):
    with transaction.atomic():
        for kind in ("release", "release", "rollback"):
            an_operation(now=clock.now(), kind=kind)
        stuck = an_operation(now=clock.now(), kind="rollback")
    Operation.objects.filter(pk=stuck.pk).update(state="needs_human")

    assert scrape(client)["gmud_operations"] == {
        at(kind="release", state="pending"): 2,
        at(kind="rollback", state="pending"): 1,
        at(kind="rollback", state="needs_human"): 1,
    }


def test_how_long_the_oldest_event_waits_for_the_sealer(client, monkeypatch):
    assert scrape(client)["gmud_sealer_lag_seconds"][()] == 0
    oldest = an_event()
    an_event()
    monkeypatch.setattr("releases.audit.queries.database_us", lambda: oldest.occurred_us + 90_000_000)
    found = scrape(client)

    assert (found["gmud_sealer_waiting"][()], found["gmud_sealer_lag_seconds"][()]) == (2, 90)


def test_how_far_sealer_and_witness_are_behind(client, tmp_path):
    from releases.audit.services import seal

    an_event()
    assert scrape(client)["gmud_sealer_waiting"][()] == 1
    seal()
    an_event()
    seal()
    lines = (tmp_path / "witness" / "checkpoints.jsonl").read_text().splitlines()
    (tmp_path / "witness" / "checkpoints.jsonl").write_text(lines[0] + "\n")
    found = scrape(client)

    assert (found["gmud_sealer_waiting"][()], found["gmud_witness_lag_events"][()]) == (0, 1)
    assert 0 <= found["gmud_witness_lag_seconds"][()] < 60
    assert found["gmud_witness_agrees"][()] == 1
    (tmp_path / "witness" / "checkpoints.jsonl").write_text(lines[0].replace('"size": 1', '"size": 9') + "\n")
    assert scrape(client)["gmud_witness_agrees"][()] == 0


def test_the_number_of_queries_does_not_grow(client, django_assert_max_num_queries):
    for _ in range(20):
        an_event()
    with transaction.atomic():
        for number in range(20):
            an_operation(now=clock.now(), target=f"target {number}")

    with django_assert_max_num_queries(14):
        scrape(client)


@pytest.mark.django_db(transaction=True)
def test_without_a_database_it_says_so_and_still_counts_requests(client):
    client.get("/sign-in")
    connection.close()
    kept = dict(connection.settings_dict)
    connection.settings_dict.update(NAME="/nowhere/at/all", PORT="1")
    try:
        found = scrape(client)
        headers = {"Authorization": "Bearer gmud_12345678_" + "x" * 43, "X-Forwarded-For": "203.0.113.7"}
        assert client.get("/metrics", headers=headers).status_code == 401
    finally:
        connection.close()
        connection.settings_dict.update(kept)

    assert found["gmud_database_up"][()] == 0
    assert "gmud_http_requests_total" in found
    assert "gmud_operations" not in found


COUNTS = """
import django
django.setup()
from django.test import RequestFactory
from releases.web.metrics import counted
for _ in range({times}):
    request = RequestFactory().get("/x")
    request.resolver_match = None
    counted.count(request, 200, 0.1)
"""


def test_several_processes_count_together(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(shared), "DJANGO_SETTINGS_MODULE": "gmud.settings"}

    def run(source: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", source], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for times in (2, 3):
        run(COUNTS.format(times=times))
    tell = "\nimport sys\nfor metric in counted.collect():\n    for one in metric.samples: print(one.name, one.value)"
    said = run(COUNTS.format(times=1) + tell)

    assert "gmud_http_requests_total 6.0" in said.splitlines()
    assert "gmud_http_request_seconds_count 6.0" in said.splitlines()
