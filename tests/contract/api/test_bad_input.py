"""Input that is wrong is refused by name, as a problem document, and leaves nothing behind."""

import json
from datetime import timedelta

import pytest

from releases.audit.models import AuditEvent
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.gate.models import GateDecision
from tests.factories.catalog import a_digest
from tests.factories.changes import a_change

CHANGES, DECISIONS = "/api/v1/changes", "/api/v1/gate/decisions"
JSON = "application/json"


def a_body(house, **changed):
    body = {
        "title": "Transfers that cannot be booked twice",
        "why": "31 customers were refunded by hand last month.",
        "plan": "1. Deploy.",
        "items": [an_item(house)],
        "tests_passed": 214,
        "tests_failed": 0,
        "starts_at": (house.now + timedelta(hours=1)).isoformat(),
        "ends_at": (house.now + timedelta(hours=3)).isoformat(),
    }
    return {**body, **changed}


def an_item(house, **changed):
    return {
        "service": house.service.name,
        "environment": "production",
        "version": "v1.5.0",
        "digest": a_digest(),
        **changed,
    }


def a_question(house, **changed):
    question = {
        "service": house.service.name,
        "environment": "production",
        "artifact": {"name": house.service.name, "digest": a_digest()},
        "intent": "deploy",
        "run": {"provider": "jenkins", "id": "7"},
    }
    return {**question, **changed}


def refused(answer, status: int, code: str) -> dict:
    """Check that this is a problem document, and return it."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["detail"]
    return document


def test_a_complete_change_is_filed_and_answered_with_its_checklist(house, ci):
    answer = ci.post(CHANGES, a_body(house), JSON)

    assert answer.status_code == 201, answer.content
    assert answer.json()["state"] == "draft"
    assert all(check["holds"] for check in answer.json()["checklist"])


WRONG_CHANGES = {
    "unknown service": ({"service": "nowhere"}, {}, {"items.0.service"}),
    "unknown environment": ({"environment": "nowhere"}, {}, {"items.0.environment"}),
    "both unknown": ({"service": "x", "environment": "y"}, {}, {"items.0.service", "items.0.environment"}),
    "a tag instead of a digest": ({"digest": "v1.5.0"}, {}, {"items.0.digest"}),
    "a digest and a line more": ({"digest": a_digest(1) + "\n"}, {}, {"items.0.digest"}),
    "a digest in capitals": ({"digest": f"sha256:{'A' * 64}"}, {}, {"items.0.digest"}),
    "a tag to go back to": ({"back_version": "v1", "back_digest": "latest"}, {}, {"items.0.back_digest"}),
    "no version": ({"version": " "}, {}, {"items.0.version"}),
    "an unknown migration class": ({"migration_class": "quick"}, {}, {"items.0.migration_class"}),
    "an unknown field of an item": ({"weight": 10}, {}, {"items.0.weight"}),
    "unknown fields": ({}, {"state": "scheduled", "number": 1}, {"state", "number"}),
    "an unknown type": ({}, {"type": "urgent"}, {"type"}),
    "retyped figures": ({}, {"tests_passed": "many"}, {"tests_passed"}),
    "figures below nothing": ({}, {"tests_failed": -1}, {"tests_failed"}),
    "a window in an age nobody counts in": (
        {},
        {"starts_at": "0001-12-31T00:00:00Z", "ends_at": "9999-12-31T23:59:59Z"},
        {"starts_at", "ends_at"},
    ),
    "a window that is no moment": ({}, {"starts_at": "tonight"}, {"starts_at"}),
    "items that are no list": ({}, {"items": "all"}, {"items"}),
    "somebody unknown": ({}, {"implementers": ["nobody"]}, {"implementers"}),
    "a committer unknown": ({}, {"committers": ["nobody"]}, {"committers"}),
    "a parameter of ours": ({}, {"parameters": {"VERSION": "v9"}}, {"parameters"}),
    "a permit as parameter": ({}, {"parameters": {"GMUD_PERMIT": "x"}}, {"parameters"}),
    "no name of a parameter": ({}, {"parameters": {"REGION; rm": "x"}}, {"parameters"}),
    "a title that never ends": ({}, {"title": "x" * 151}, {"title"}),
    "a link that is none": ({}, {"tests_url": "javascript:alert(1)"}, {"tests_url"}),
}


@pytest.mark.parametrize(("item", "fields", "named"), WRONG_CHANGES.values(), ids=WRONG_CHANGES)
def test_a_change_with_something_wrong_is_not_filed_and_the_field_is_named(house, ci, item, fields, named):
    events = AuditEvent.objects.count()
    answer = ci.post(CHANGES, a_body(house, **{"items": [an_item(house, **item)], **fields}), JSON)

    assert set(refused(answer, 400, "invalid")["fields"]) == named
    assert not ChangeRequest.objects.exists()
    assert AuditEvent.objects.count() == events


def test_a_window_that_ends_before_it_starts_is_not_filed(house, ci):
    starts = house.now + timedelta(hours=2)
    for ends in (starts, starts - timedelta(hours=1)):
        answer = ci.post(CHANGES, a_body(house, starts_at=starts.isoformat(), ends_at=ends.isoformat()), JSON)
        assert set(refused(answer, 400, "invalid")["fields"]) == {"ends_at"}


def test_a_window_in_the_past_may_be_noted_but_not_submitted(house, ci):
    past = {
        "starts_at": (house.now - timedelta(hours=2)).isoformat(),
        "ends_at": (house.now - timedelta(hours=1)).isoformat(),
    }
    filed = ci.post(CHANGES, a_body(house, **past), JSON).json()
    assert [check["code"] for check in filed["checklist"] if not check["holds"]] == ["window_ahead"]

    answer = ci.post(f"{CHANGES}/{filed['number']}/submit", {}, JSON)

    assert [one["code"] for one in refused(answer, 409, "refused")["reasons"]] == ["window_ahead"]
    assert ChangeRequest.objects.get().state == State.DRAFT


def test_everything_that_is_missing_is_said_at_once(ci, house):
    filed = ci.post(CHANGES, {}, JSON).json()

    answer = ci.post(f"{CHANGES}/{filed['number']}/submit", {}, JSON)

    codes = {one["code"] for one in refused(answer, 409, "refused")["reasons"]}
    assert codes == {"title", "why", "items", "plan", "evidence", "window"}


def test_the_same_place_twice_in_one_change_is_refused(house, ci):
    answer = ci.post(CHANGES, a_body(house, items=[an_item(house), an_item(house)]), JSON)

    assert set(refused(answer, 400, "invalid")["fields"]) == {"items.1.service"}


BODIES = {
    "nothing": b"",
    "no JSON": b"service=ledgerwriter",
    "half of it": b'{"service": "ledgerwriter"',
    "a list": b"[]",
    "a word": b'"allow"',
    "null": b"null",
    "a name twice": b'{"service": "a", "service": "b"}',
    "a name twice inside": b'{"artifact": {"name": "a", "name": "b"}}',
    "no number": b'{"service": NaN}',
    "endless": b'{"service": Infinity}',
    "too large a number": b'{"service": 1e999}',
    "too many figures": b'{"service": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"service": "\xff"}',
    "NUL": b'{"service": "a\\u0000b"}',
    "NUL in a name": b'{"a\\u0000b": 1}',
    "half a pair": b'{"service": "\\ud800"}',
    "nested deeply": b'{"a":' * 40 + b"1" + b"}" * 40,
    "nested beyond reason": b"[" * 100_000,
}


@pytest.mark.parametrize("path", [CHANGES, DECISIONS])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_cannot_be_read_is_refused(house, ci, path, body):
    if path == CHANGES and body == b"":
        pytest.skip("an empty draft may be filed")
    answer = ci.post(path, body, JSON)

    assert refused(answer, 400, answer.json()["code"])["code"] in {"invalid", "parse_error"}
    assert not ChangeRequest.objects.exists()
    assert not GateDecision.objects.exists()


@pytest.mark.parametrize("path", [CHANGES, DECISIONS])
def test_a_body_over_one_mebibyte_is_refused_before_it_is_read(house, ci, path):
    answer = ci.post(path, b'{"title": "' + b"x" * (1024 * 1024) + b'"}', JSON)

    refused(answer, 413, "too_large")


def test_another_kind_of_body_is_refused(house, ci):
    refused(ci.post(DECISIONS, "service=a", "application/x-www-form-urlencoded"), 415, "unsupported_media_type")


WRONG_QUESTIONS = {
    "unknown service": ({"service": "nowhere"}, {"service"}),
    "unknown environment": ({"environment": "nowhere"}, {"environment"}),
    "a tag": ({"artifact": {"name": "a", "digest": "latest"}}, {"artifact.digest"}),
    "no artifact": ({"artifact": None}, {"artifact"}),
    "unknown intent": ({"intent": "destroy"}, {"intent"}),
    "unknown field": ({"force": True}, {"force"}),
    "unknown field inside": ({"artifact": {"name": "a", "digest": a_digest(1), "tag": "v1"}}, {"artifact.tag"}),
    "a run without a name": ({"run": {"provider": "jenkins", "id": ""}}, {"run.id"}),
    "a provider that could be another run": ({"run": {"provider": "jenkins:7", "id": "1"}}, {"run.provider"}),
    "no change's name": ({"change_request": "CHG-1042; drop"}, {"change_request"}),
}


@pytest.mark.parametrize(("changed", "named"), WRONG_QUESTIONS.values(), ids=WRONG_QUESTIONS)
def test_a_question_with_something_wrong_is_refused_and_the_field_is_named(house, ci, changed, named):
    answer = ci.post(DECISIONS, a_question(house, **changed), JSON)

    assert set(refused(answer, 400, "invalid")["fields"]) == named
    assert not GateDecision.objects.exists()


@pytest.mark.parametrize("key", ["short", "x" * 256])
def test_an_idempotency_key_is_neither_guessable_nor_endless(house, ci, key):
    refused(ci.post(DECISIONS, a_question(house), JSON, headers={"Idempotency-Key": key}), 400, "invalid")


@pytest.mark.parametrize(
    "query", ["state=nowhere", "before=-1", "before=x", f"before={10**30}", "service=%00", "sort=password"]
)
def test_a_list_asked_for_wrongly_is_refused(house, ci, query):
    refused(ci.get(f"{CHANGES}?{query}"), 400, "invalid")


def test_a_vote_on_stale_content_is_refused_with_the_difference(house, now):
    """Voting needs a person, so this is the service's word through the same handler as the API's."""
    from rest_framework.test import APIRequestFactory

    from releases.api.problems import handle
    from releases.changes import services
    from releases.committee.rules import Decision
    from releases.core.errors import Stale
    from tests.factories.changes import fields

    change = a_change(house, at=State.AUTHORIZING)
    seen = change.content_digest
    services.revise(
        change_id=change.pk, actor=house.actor("engineer"), fields=fields(house, plan="Another plan."), now=now
    )
    with pytest.raises(Stale) as stale:
        services.vote(
            change_id=change.pk,
            actor=house.actor("security"),
            decision=Decision.APPROVE,
            seen_digest=seen,
            now=now,
        )
    answer = handle(stale.value, {"request": APIRequestFactory().get("/")})

    assert (answer.status_code, answer.data["code"]) == (409, "stale")
    messages = [one["message"] for one in answer.data["reasons"]]
    assert any("plan" in one.lower() and "Another plan." in one for one in messages)
    assert json.dumps(answer.data)
