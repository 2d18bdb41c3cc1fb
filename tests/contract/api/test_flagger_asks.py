"""Flagger asks whether to roll back, in its own words: yes only while a rollback of ours waits for that traffic."""

import base64

import pytest
from django.test import Client

from releases.accounts.rights import Right
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.changes.states import State
from releases.operations.models import Step
from releases.operations.states import StepState
from releases.rollback import services as rollback
from releases.traffic.drivers.flagger import CONFIRM, HOOK
from tests.factories.accounts import SETUP, a_token
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change, inside

JSON = "application/json"
ADDRESS = f"/api/v1/{HOOK}"
BOTH = pytest.mark.parametrize("address", [ADDRESS, f"/api/v1/{CONFIRM}"])
METADATA = {"service": "ledgerwriter", "environment": "production"}
YES = 202  # Flagger takes anything above as no


def posted(**changed):
    """Return what Flagger posts: the shape of its CanaryWebhookPayload."""
    body = {"name": "ledgerwriter", "namespace": "bank", "phase": "Progressing", "checksum": "5978589476"}
    return {**body, "metadata": METADATA, **changed}


def basic(token, user="gmud"):
    return f"Basic {base64.b64encode(f'{user}:{token}'.encode()).decode()}"


@pytest.fixture
def token(db, now):
    return a_token(Right.GATE_ASK, now=now)[1]


@pytest.fixture
def flagger(token):
    """Return a client that shows the token as Go's client shows what stands in an address."""
    return Client(headers={"Authorization": basic(token)}, raise_request_exception=False)


@pytest.fixture
def route(house, now):
    edge = a_connection("mesh", ConnectionKind.KUBERNETES, origin="https://mesh.example.com", now=now)
    row = catalog.register_route(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        connection_id=edge.pk,
        locator={"namespace": "bank", "name": "ledgerwriter", "route": "primary"},
        stable="stable",
        canary="canary",
        now=now,
    )
    seen = {"stable": 100, "canary": 0}
    catalog.note_reading(route_id=row.pk, weights=seen, version="1", healthy=None, now=now)
    return row


@pytest.fixture
def change(house, route):
    return a_change(house, at=State.IMPLEMENTING)


def ask(client, address=ADDRESS, **changed):
    return client.post(address, posted(**changed), JSON)


def go_back(house, change):
    return rollback.begin(change_id=change.pk, actor=house.actor("on_call"), now=inside(change))


@pytest.mark.django_db(transaction=True)
def test_yes_only_while_a_rollback_waits_for_this_traffic(house, change, flagger, route):
    before = ask(flagger)
    assert (before.status_code, before.json()["code"]) == (403, "not_going_back")

    row = go_back(house, change)
    asked = ask(flagger)
    assert (asked.status_code, asked.json()) == (200, {"change_request": change.name})
    assert asked.status_code <= YES

    steps = Step.objects.filter(operation_id=row.operation, desired__route=str(route.pk))
    steps.filter(stage=1).update(state=StepState.NEEDS_HUMAN)
    assert ask(flagger).status_code == 200
    for over in (StepState.FAILED, StepState.SKIPPED, StepState.ABANDONED):
        steps.filter(stage=1).update(state=over)
        assert ask(flagger).status_code == 403, over
    steps.filter(stage=1).update(state=StepState.CONFIRMED)
    assert steps.exclude(state=StepState.CONFIRMED).exists()
    assert ask(flagger).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_a_rollback_elsewhere_is_no_yes(house, change, flagger, now):
    go_back(house, change)
    catalog.register_service(actor=SETUP, name="frontend", team_id=house.service.team_id, now=now)
    other = ask(flagger, metadata={**METADATA, "service": "frontend"})
    assert other.status_code == 400
    assert "no route in bank" in other.json()["detail"]


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"metadata": {}}, 400, "metadata.service"),
        ({"metadata": None}, 400, "metadata"),
        ({"metadata": "x"}, 400, "metadata"),
        ({"metadata": {**METADATA, "service": "nobody"}}, 404, "nobody"),
        ({"metadata": {**METADATA, "environment": "nowhere"}}, 404, "nowhere"),
        ({"namespace": "other"}, 400, "no route in other"),
        ({"phase": ""}, 400, "phase"),
        ({"more": {"from": "a newer Flagger"}}, 403, "detail"),
    ],
)
@BOTH
@pytest.mark.django_db(transaction=True)
def test_what_is_wrong_with_the_hook_is_named_and_never_a_yes(change, flagger, address, changed, status, said):
    answer = ask(flagger, address, **changed)
    assert (answer.status_code, said in answer.content.decode()) == (status, True), answer.content
    assert answer.status_code > YES


@pytest.mark.parametrize("shown", ["", "Basic", "Basic %%%", basic("gmud_no_such"), "Basic Z211ZA==", "Bearer x"])
@BOTH
@pytest.mark.django_db(transaction=True)
def test_nobody_without_a_token_is_told_anything(house, change, address, shown):
    go_back(house, change)
    stranger = Client(headers={"Authorization": shown} if shown else {})
    assert ask(stranger, address).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_a_token_of_another_scope_is_no_yes_and_a_bearer_token_is_one(house, change, token, now):
    go_back(house, change)
    _row, other = a_token(Right.CHANGE_READ, now=now)
    assert ask(Client(headers={"Authorization": basic(other)})).status_code == 403
    assert ask(Client(headers={"Authorization": f"Bearer {token}"})).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_nothing_goes_on_that_no_release_wants(house, change, flagger, route):
    for _turn in range(2):
        answer = ask(flagger, f"/api/v1/{CONFIRM}")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_going_on")
        go_back(house, change)  # and least of all while it goes back
