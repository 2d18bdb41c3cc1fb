"""The published description is complete and true, and its page works under our content security policy."""

import re
from collections import Counter

import pytest
import schemathesis
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from releases.accounts.rights import Right
from releases.changes.states import State
from releases.gate.states import ReasonCode
from tests.factories.accounts import a_token
from tests.factories.changes import a_change, a_house

WAYS = {
    "/api/v1/gate/jwks.json": [],
    "/api/v1/flagger/": ["token", "tokenAsPassword"],
    "/api/v1/hints/": ["hintSecret", "hintPassword", "hintSignature"],
}
CHECKS = (not_a_server_error, content_type_conformance, response_schema_conformance)


def test_the_schema_is_valid_and_nothing_in_it_is_guessed(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_the_schema_is_public_and_names_how_to_prove_who_one_is(db):
    answer = Client().get("/api/v1/schema", headers={"Accept": "application/json"})

    assert answer.status_code == 200
    schema = answer.json()
    kinds = {name: one.get("scheme", one["type"]) for name, one in schema["components"]["securitySchemes"].items()}
    assert kinds == {
        "token": "bearer",
        "tokenAsPassword": "basic",
        "hintSecret": "bearer",
        "hintPassword": "basic",
        "hintSignature": "apiKey",
    }
    for path, methods in schema["paths"].items():
        for one in methods.values():
            assert one["operationId"], path
            assert one["description"], path
            ways = [name for way in one.get("security", ()) for name in way]
            assert ways == next((of for start, of in WAYS.items() if path.startswith(start)), ["token"]), path


def test_the_page_of_the_schema_needs_nothing_that_our_policy_forbids(db):
    answer = Client().get("/api/docs")
    page = answer.content.decode()

    assert answer.status_code == 200
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert not re.search(r"<style|style=|<script(?![^>]*\bsrc=)|\son\w+=", page)
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    script = re.findall(r"<script src=\"(/api/docs[^\"]*)\"", page)
    assert script
    assert Client().get(script[0].replace("&amp;", "&"))["Content-Type"].startswith("application/javascript")


@pytest.mark.parametrize(
    ("who", "examples"),
    [
        ("ci", 4),
        ("anonymous", 2),
        pytest.param("ci", 200, marks=pytest.mark.long, id="ci-long"),
        pytest.param("anonymous", 50, marks=pytest.mark.long, id="anonymous-long"),
    ],
)
def test_whatever_is_sent_the_server_answers_as_described_and_never_breaks(live_server, now, who, examples):
    a_change(a_house(now), at=State.AUTHORIZING)
    scopes = (Right.CHANGE_FILE, Right.CHANGE_READ, Right.GATE_ASK, Right.PERMIT_REDEEM)
    _row, plaintext = a_token(*scopes, now=now)
    headers = {"Authorization": f"Bearer {plaintext}"} if who == "ci" else {}
    few = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    statuses: Counter[int] = Counter()

    def attempt(case: schemathesis.Case) -> None:
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)
        statuses[answer.status_code] += 1
        if who == "anonymous" and not case.path.endswith("jwks.json"):
            assert answer.status_code in {401, 404}

    described = schemathesis.openapi.from_url(f"{live_server.url}/api/v1/schema?format=json")
    for found in described.get_all_operations():
        few(given(case=found.ok().as_strategy())(attempt))()
    assert statuses.total() >= examples * 10


def test_every_reason_of_the_gate_is_published(db):
    schema = Client().get("/api/v1/schema", headers={"Accept": "application/json"}).json()
    codes = schema["components"]["schemas"]["GateReasonOut"]["properties"]["code"]
    while "$ref" in codes:
        codes = schema["components"]["schemas"][codes["$ref"].rpartition("/")[2]]

    assert set(codes["enum"]) == set(ReasonCode)
