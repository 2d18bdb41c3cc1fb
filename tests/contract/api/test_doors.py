"""Who gets in where: every route with every method and every scope, strangers, garbage, and the words of a refusal."""

import re
from itertools import product

import pytest
from django.test import Client
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from releases.accounts.rights import Right
from releases.accounts.roles import NEVER_FOR_MACHINES
from releases.audit.models import AuditEvent
from releases.changes.states import State
from releases.committee.models import Vote
from tests.factories.changes import a_change

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
JSON = "application/json"
NOBODYS = "00000000-0000-7000-8000-000000000000"
# Which scope opens what: anything else is refused with 403 for a token, with 401 for a stranger.
OPENS = {
    ("get", "/api/v1/changes"): Right.CHANGE_READ,
    ("post", "/api/v1/changes"): Right.CHANGE_FILE,
    ("get", "/api/v1/changes/{number}"): Right.CHANGE_READ,
    ("put", "/api/v1/changes/{number}"): Right.CHANGE_FILE,
    ("post", "/api/v1/changes/{number}/submit"): Right.CHANGE_FILE,
    ("post", "/api/v1/changes/{number}/votes"): None,  # nobody's: people vote on the page
    ("post", "/api/v1/changes/{number}/rollout"): Right.CHANGE_RELEASE,
    ("post", "/api/v1/changes/{number}/rollback"): Right.ROLLBACK_BEGIN,
    ("post", "/api/v1/changes/{number}/withdraw"): Right.CHANGE_FILE,
    ("post", "/api/v1/changes/{number}/cancel"): Right.CHANGE_FILE,
    ("post", "/api/v1/changes/{number}/deployed"): Right.CHANGE_RELEASE,
    ("post", "/api/v1/changes/{number}/failed"): Right.CHANGE_RELEASE,
    ("get", "/api/v1/changes/{number}/customer-notices"): Right.CHANGE_READ,
    ("post", "/api/v1/changes/{number}/customer-notices"): Right.CHANGE_FILE,
    ("get", "/api/v1/changes/{number}/routes"): Right.CHANGE_READ,
    ("put", "/api/v1/changes/{number}/routes/{route_id}/choice"): Right.CHANGE_RELEASE,
    ("post", "/api/v1/changes/{number}/routes/{route_id}/wishes"): (Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN),
    ("post", "/api/v1/flagger/confirm"): Right.GATE_ASK,
    ("post", "/api/v1/flagger/rollback"): Right.GATE_ASK,
    ("get", "/api/v1/config"): (Right.CATALOG_EDIT, Right.AUDIT_READ),
    ("post", "/api/v1/config"): (Right.CATALOG_EDIT, Right.AUDIT_READ),  # an auditor sees what a file would do
    ("get", "/api/v1/deployments"): Right.CHANGE_READ,
    ("get", "/api/v1/deployments/{deployment_id}"): Right.CHANGE_READ,
    ("get", "/api/v1/deployments/{deployment_id}/log"): (Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN),
    ("post", "/api/v1/deployments/{deployment_id}/acts"): (Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN),
    ("post", "/api/v1/deployments"): Right.PERMIT_REDEEM,
    ("post", "/api/v1/gate/decisions"): Right.GATE_ASK,
    ("get", "/api/v1/gate/decisions/{decision_id}"): Right.GATE_ASK,
    ("get", "/api/v1/gate/decisions/{decision_id}/receipt"): Right.GATE_ASK,
    ("get", "/api/v1/gate/decisions/{decision_id}/status"): Right.PERMIT_REDEEM,
    ("post", "/api/v1/gate/permits/{jti}/redeem"): Right.PERMIT_REDEEM,
    ("get", "/api/v1/notices"): Right.CHANGE_READ,
    ("post", "/api/v1/notices/{notice_id}/acknowledge"): Right.ROLLBACK_BEGIN,
    ("get", "/api/v1/policy"): Right.CHANGE_READ,
    ("get", "/api/v1/traffic"): Right.CHANGE_READ,
    ("post", "/api/v1/traffic/{route_id}/look"): (Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN, Right.CATALOG_EDIT),
}
# A door with keys of its own: what a token opens does not matter (tests/contract/api/test_hints.py).
OWN_KEYS = {("post", "/api/v1/hints/{connection_id}")}
PUBLIC = {("get", "/api/v1/gate/jwks.json")}
SCOPES = sorted(set(Right) - set(NEVER_FOR_MACHINES))


def described() -> dict[tuple[str, str], dict]:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return {(method, path): one for path, methods in schema["paths"].items() for method, one in methods.items()}


def routes() -> set[str]:
    """Return every address under /api/v1 that the URL table has, written as the schema does."""
    api = next(one for one in get_resolver().url_patterns if str(one.pattern) == "api/")
    found = {re.sub(r"<(\w+:)?(\w+)>", r"{\2}", f"/api/{one.pattern}") for one in api.url_patterns}
    return {path for path in found if path.startswith("/api/v1/") and path != "/api/v1/schema"}


def body_of(path: str, house) -> dict:
    digest = house.running.digest
    if path.endswith("/decisions"):
        artifact = {"name": "a", "digest": digest}
        return {"service": house.service.name, "environment": "production", "artifact": artifact, "intent": "deploy"}
    if path.endswith("/redeem"):
        return {"run": {"provider": "jenkins", "id": "7"}, "artifact_digest": digest}
    if path.endswith("/config"):
        return {"document": "gmud: 1"}
    if path.endswith("/acts"):
        return {"act": "stop"}
    if path.endswith("/votes"):
        return {"decision": "approve", "seen_digest": digest}
    return {}


def call(client: Client, method: str, path: str, house, number: int = 999):
    place = path.replace("{number}", str(number)).replace("{decision_id}", NOBODYS).replace("{jti}", NOBODYS)
    place = place.replace("{notice_id}", NOBODYS).replace("{deployment_id}", NOBODYS)
    place = place.replace("{connection_id}", NOBODYS)
    place = place.replace("{route_id}", NOBODYS)
    if method in {"get", "head", "options"}:
        return getattr(client, method)(place)
    return getattr(client, method)(place, body_of(path, house), JSON)


def is_problem(answer, status: int) -> bool:
    return (answer.status_code, answer["Content-Type"], answer.json()["status"]) == (
        status,
        "application/problem+json",
        status,
    )


def test_the_table_above_the_url_table_and_the_published_schema_say_the_same():
    assert {path for _method, path in {*OPENS, *PUBLIC, *OWN_KEYS}} == routes()
    assert set(described()) == {*OPENS, *PUBLIC, *OWN_KEYS}


@pytest.mark.parametrize("path", sorted(routes()))
def test_a_stranger_gets_in_nowhere(house, path):
    stranger = Client()
    for method in METHODS:
        answer = call(stranger, method, path, house)
        if method == "head":
            assert answer.status_code in {401, 200 if ("get", path) in PUBLIC else 401}
        elif ("get", path) in PUBLIC:
            assert answer.status_code in {200, 405}
        else:
            assert is_problem(answer, 401)
            assert answer["WWW-Authenticate"] == 'Bearer realm="gmud"'


GARBAGE = [
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer gmud_aaaaaaaa_" + "A" * 43,
    "Bearer " + "ÿ" * 10,
    "Bearer a b c",
    "bearer null",
    "Basic YWRtaW46YWRtaW4=",
    "Token x",
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "Bearer ' OR 1=1 --",
    "Bearer " + "x" * 100_000,
]


@pytest.mark.parametrize("shown", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_instead_of_a_token_opens_nothing(house, shown):
    for method, path in OPENS:
        answer = call(Client(headers={"Authorization": shown}), method, path, house)
        assert is_problem(answer, 401), path
        assert answer["WWW-Authenticate"]


def test_a_session_of_the_pages_opens_nothing_here(house):
    from releases.accounts.models import User

    browser = Client()
    browser.force_login(User.objects.get(person=house.manager), backend="releases.accounts.backends.PersonBackend")
    for method, path in OPENS:
        assert is_problem(call(browser, method, path, house), 401), path


def test_every_route_opens_to_its_scope_and_to_no_other(house, machine):
    change = a_change(house)
    tokens = {scope: machine(scope) for scope in SCOPES}
    for (method, path), scope in product(OPENS, SCOPES):
        answer = call(tokens[scope], method, path, house, change.number)
        told = (method, path, scope, answer.status_code, answer.content)
        opens = OPENS[method, path]
        is_open = scope in opens if isinstance(opens, tuple) else scope == opens
        if any(name in path for name in ("{decision_id}", "{deployment_id}", "{jti}")):
            assert answer.status_code == (404 if is_open else 403), told
        elif is_open:
            assert answer.status_code not in {401, 403} or "asked for by" in answer.json()["detail"], told
        else:
            assert is_problem(answer, 403), told


def test_methods_that_are_not_described_are_refused_with_those_that_are(house, ci):
    for path in sorted(routes() - {path for _method, path in OWN_KEYS}):
        for method in set(METHODS) - {"head", "options"}:
            if (method, path) in {*OPENS, *PUBLIC, *OWN_KEYS}:
                continue
            answer = call(ci, method, path, house)
            assert is_problem(answer, 405), (method, path, answer.status_code)
            assert {name.lower() for name in answer["Allow"].split(", ")} >= {m for m, p in OPENS if p == path}


def test_a_token_that_may_do_everything_a_machine_may_still_cannot_vote(house, machine):
    change = a_change(house, at=State.AUTHORIZING)
    answer = machine(*SCOPES).post(
        f"/api/v1/changes/{change.number}/votes",
        {"decision": "approve", "seen_digest": change.content_digest, "reason": "I am a robot"},
        JSON,
    )

    assert is_problem(answer, 403)
    assert not Vote.objects.exists()
    told = AuditEvent.objects.filter(stream=change.stream).order_by("-stream_version")[0]
    assert (told.kind, told.actor_kind) == ("change.vote_refused", "machine")


@pytest.mark.parametrize(
    "path", ["", "v1", "v1/", "v2/changes", "v1/changes/x", "v1/changes/", "v1/gate/permits/7/redeem"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_that_is_none_is_said_in_the_same_words(db, path, method):
    assert is_problem(getattr(Client(), method)(f"/api/{path}"), 404)


@pytest.mark.parametrize("number", [0, 999, 2**31, 10**12])
def test_a_change_that_is_not_there_is_missing(ci, number):
    assert is_problem(ci.get(f"/api/v1/changes/{number}"), 404)


def test_an_answer_nobody_can_read_is_not_sent(ci):
    assert is_problem(ci.get("/api/v1/changes", headers={"Accept": "text/html"}), 406)


def test_a_revoked_token_is_a_strangers_at_once(house, machine, now):
    from releases.accounts import services
    from releases.accounts.models import ApiClient
    from tests.factories.accounts import SETUP

    client = machine(Right.CHANGE_READ)
    assert client.get("/api/v1/changes").status_code == 200

    services.revoke_token(actor=SETUP, client_id=ApiClient.objects.get().pk, now=now)
    assert is_problem(client.get("/api/v1/changes"), 401)
