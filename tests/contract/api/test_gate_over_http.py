"""The gate over HTTP: fails closed, is never cached, repeats itself for the same key, says when to ask again."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from releases.audit.models import AuditEvent
from releases.changes.states import State
from releases.core import clock
from releases.gate import keys, permits
from releases.gate.models import GateDecision, Permit
from tests.factories.accounts import a_token
from tests.factories.changes import a_change, a_house

DECISIONS, JWKS = "/api/v1/gate/decisions", "/api/v1/gate/jwks.json"
JSON = "application/json"


@pytest.fixture
def change(house, now):
    """Return a change whose window is open now."""
    starts, ends = now + timedelta(milliseconds=1), now + timedelta(hours=2)
    return a_change(house, at=State.SCHEDULED, starts_at=starts, ends_at=ends)


def question(house, change, **changed):
    digest = change.items.get().artifact.digest
    whole = {
        "service": house.service.name,
        "environment": "production",
        "artifact": {"name": house.service.name, "digest": digest},
        "intent": "deploy",
        "run": {"provider": "jenkins", "id": "77", "url": "https://ci.example.com/77"},
        "change_request": change.name,
    }
    return {**whole, **changed}


def says_deny(answer) -> bool:
    return (
        answer.status_code == 503
        and answer["Content-Type"] == "application/problem+json"
        and answer.json()["verdict"] == "deny"
        and "permit" not in answer.json()
        and int(answer["Retry-After"]) > 0
    )


def test_an_allow_brings_a_permit_that_the_published_keys_verify_and_that_can_be_redeemed(house, change, ci):
    answer = ci.post(DECISIONS, question(house, change), JSON)
    said = answer.json()
    assert (answer.status_code, said["verdict"], answer["Cache-Control"]) == (200, "allow", "no-store")

    public = Client().get(JWKS)
    assert public["Cache-Control"] == "public, max-age=300"
    claims = permits.verify(
        said["permit"],
        keys=keys.from_jwks(public.json()),
        audience=f"deploy:production:{house.service.name}",
        now=clock.now(),
    )
    body = {"run": {"provider": "jenkins", "id": "77"}, "artifact_digest": claims["art"]}
    path = f"/api/v1/gate/permits/{claims['jti']}/redeem"
    first, again = ci.post(path, body, JSON), ci.post(path, body, JSON)
    other = ci.post(path, {**body, "run": {"provider": "jenkins", "id": "78"}}, JSON)

    assert (first.status_code, first["Cache-Control"]) == (200, "no-store")
    assert (again.status_code, again.json()) == (200, first.json())
    assert (other.status_code, other.json()["code"]) == (409, "permit_replayed")
    change.refresh_from_db()
    assert change.state == State.IMPLEMENTING


def test_a_decision_is_shown_again_without_its_permit_and_with_its_receipt(house, change, ci):
    said = ci.post(DECISIONS, question(house, change), JSON).json()

    shown = ci.get(f"{DECISIONS}/{said['decision_id']}").json()
    receipt = ci.get(said["receipt_url"]).json()["receipt"]

    assert shown == {**said, "permit": None}
    assert permits.verify_receipt(receipt, keys=keys.from_jwks(ci.get(JWKS).json()))["decision"] == said["decision_id"]


def test_a_wait_says_when_to_ask_again_and_brings_no_permit(house, change, ci):
    from releases.changes import services

    services.hold(change_id=change.pk, actor=house.actor("manager"), reason="Wait for the bank", now=house.now)

    answer = ci.post(DECISIONS, question(house, change), JSON)

    assert (answer.json()["verdict"], answer.json()["permit"]) == ("wait", None)
    assert answer["Retry-After"] == str(answer.json()["retry_after"]) == "30"
    assert [one["code"] for one in answer.json()["reasons"]] == ["on_hold"]
    assert all(one["message"] and one["fix"] for one in answer.json()["reasons"])


def test_reasons_are_said_in_the_callers_language_and_codes_never_change(house, change, ci):
    wrong = question(house, change, artifact={"name": "a", "digest": house.running.digest})
    english = ci.post(DECISIONS, wrong, JSON).json()["reasons"]
    portuguese = ci.post(DECISIONS, wrong, JSON, headers={"Accept-Language": "pt-BR"}).json()["reasons"]

    assert [one["code"] for one in english] == [one["code"] for one in portuguese] == ["artifact_mismatch"]


def test_the_same_idempotency_key_gets_the_same_bytes_and_another_body_is_refused(house, change, ci):
    headers = {"Idempotency-Key": "jenkins-77-attempt-1"}
    first = ci.post(DECISIONS, question(house, change), JSON, headers=headers)
    again = ci.post(DECISIONS, question(house, change), JSON, headers=headers)
    other = ci.post(DECISIONS, question(house, change, intent="rollback"), JSON, headers=headers)

    assert first.json()["permit"]
    assert again.content == first.content
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert GateDecision.objects.count() == Permit.objects.count() == 1


def test_a_key_of_one_machine_is_nothing_to_another(house, change, ci, machine):
    from releases.accounts.rights import Right

    headers = {"Idempotency-Key": "jenkins-77-attempt-1"}
    mine = ci.post(DECISIONS, question(house, change), JSON, headers=headers).json()
    theirs = machine(Right.GATE_ASK).post(DECISIONS, question(house, change), JSON, headers=headers).json()

    assert mine["decision_id"] != theirs["decision_id"]


def test_what_nobody_foresaw_says_deny_and_stores_nothing(house, change, ci, settings):
    for place in Path(settings.GMUD_KEYS).iterdir():
        place.write_bytes(b"this was a key")
    events = AuditEvent.objects.count()

    assert says_deny(ci.post(DECISIONS, question(house, change), JSON))
    assert not GateDecision.objects.exists()
    assert AuditEvent.objects.count() == events


def test_without_any_key_the_gate_denies_and_says_whom_to_ask(house, change, ci, settings, tmp_path):
    settings.GMUD_KEYS = str(tmp_path / "empty")

    answer = ci.post(DECISIONS, question(house, change), JSON).json()

    assert (answer["verdict"], answer["permit"]) == ("deny", None)
    assert [one["code"] for one in answer["reasons"]] == ["policy_error"]
    assert ci.get(answer["receipt_url"]).status_code == 503
    assert ci.get(JWKS).json() == {"keys": []}


def test_an_unforeseen_failure_elsewhere_is_a_problem_too(house, change, ci, settings):
    said = ci.post(DECISIONS, question(house, change), JSON).json()
    for place in Path(settings.GMUD_KEYS).iterdir():
        place.write_bytes(b"this was a key")

    answer = ci.get(said["receipt_url"])

    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert "Traceback" not in answer.content.decode()


@pytest.fixture
def nowhere(transactional_db, tmp_path) -> Iterator[None]:
    """Point the process at a database that is not there."""
    before = connection.settings_dict["NAME"]
    connection.close()
    postgres = connection.vendor == "postgresql"
    connection.settings_dict["NAME"] = "no_such_database" if postgres else str(tmp_path / "no" / "such.sqlite3")
    yield
    connection.close()
    connection.settings_dict["NAME"] = before


def test_without_a_database_the_gate_says_deny(nowhere):
    client = Client(headers={"Authorization": "Bearer gmud_aaaaaaaa_" + "A" * 43}, raise_request_exception=False)
    body = {"artifact_digest": f"sha256:{'a' * 64}", "run": {"provider": "jenkins", "id": "7"}}

    assert says_deny(client.post(DECISIONS, {"service": "a"}, JSON))
    assert says_deny(client.post("/api/v1/gate/permits/00000000-0000-7000-8000-000000000000/redeem", body, JSON))
    assert says_deny(client.get("/api/v1/changes"))
    assert client.get(JWKS).status_code == 200  # keys are files


def test_with_a_database_that_only_reads_the_gate_says_deny(transactional_db):
    now = clock.now()
    house = a_house(now)
    change = a_change(
        house, at=State.SCHEDULED, starts_at=now + timedelta(milliseconds=1), ends_at=now + timedelta(hours=1)
    )
    _row, plaintext = a_token(now=now)
    client = Client(headers={"Authorization": f"Bearer {plaintext}"}, raise_request_exception=False)
    asked = question(house, change)
    postgres = connection.vendor == "postgresql"
    switch = "SET default_transaction_read_only = %s" if postgres else "PRAGMA query_only = %s"
    with connection.cursor() as cursor:
        cursor.execute(switch % "on")
    try:
        assert says_deny(client.post(DECISIONS, asked, JSON))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(switch % "off")
    assert not GateDecision.objects.exists()
    assert client.post(DECISIONS, asked, JSON).json()["verdict"] == "allow"


def test_listing_costs_the_same_queries_for_one_change_and_for_many(house, ci, django_assert_max_num_queries):
    for _ in range(8):
        a_change(house)

    with django_assert_max_num_queries(14):
        assert len(ci.get("/api/v1/changes").json()["changes"]) == 8


def test_a_list_is_read_page_by_page(house, ci):
    from releases.changes.queries.reading import PAGE_SIZE

    numbers = [a_change(house, items=()).number for _ in range(PAGE_SIZE + 2)]
    first = ci.get("/api/v1/changes").json()
    second = ci.get(f"/api/v1/changes?before={first['next_before']}").json()

    assert [one["number"] for one in first["changes"] + second["changes"]] == numbers[::-1]
    assert second["next_before"] is None
