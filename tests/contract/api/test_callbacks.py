"""Asking the gate with an address to be called at: read strictly, and part of the question."""

from datetime import timedelta

import pytest

from releases.changes.document import items_of
from releases.changes.states import State
from releases.gate.models import Callback
from tests.factories.changes import a_change

DECISIONS = "/api/v1/gate/decisions"
ADDRESS = "https://ci.example.com/gate/called"


@pytest.fixture
def change(house):
    """Return a change whose window has not opened yet."""
    return a_change(house, at=State.SCHEDULED)


def ask(ci, house, change, *, key: str = "", **more):
    body = {
        "service": house.service.name,
        "environment": house.environment.name,
        "artifact": {"name": house.service.name, "digest": items_of(change)[0].artifact.digest},
        "intent": "deploy",
        **more,
    }
    headers = {"Idempotency-Key": key} if key else {}
    return ci.post(DECISIONS, body, content_type="application/json", headers=headers)


def test_who_must_wait_gives_an_address_and_may_poll_all_the_same(ci, house, change):
    answer = ask(ci, house, change, callback_url=ADDRESS)

    assert (answer.status_code, answer.json()["verdict"]) == (200, "wait")
    assert timedelta(seconds=int(answer.headers["Retry-After"])) > timedelta(0)
    row = Callback.objects.get()
    assert (str(row.decision_id), row.url) == (answer.json()["decision_id"], ADDRESS)


def test_without_an_address_nobody_is_called(ci, house, change):
    assert ask(ci, house, change).json()["verdict"] == "wait"
    assert not Callback.objects.exists()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://ci.example.com/called", "https://"),
        ("https://10.1.2.3/called", "GMUD_OUTBOUND_NETWORKS"),
        ("https://ci.example.com/called?secret=1", "before any ?"),
        (" https://ci.example.com/called", "plain letters"),
        (["https://ci.example.com"], "valid string"),
        (None, "may not be null"),
    ],
)
def test_an_address_that_cannot_be_called_is_refused_by_its_name(ci, house, change, address, told):
    answer = ask(ci, house, change, callback_url=address)

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["callback_url"]
    assert told in answer.json()["fields"]["callback_url"][0]
    assert not Callback.objects.exists()


def test_a_field_nobody_knows_is_still_named(ci, house, change):
    answer = ask(ci, house, change, callback=ADDRESS)

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["callback"])


def test_the_address_is_part_of_the_question_that_a_key_stands_for(ci, house, change):
    first = ask(ci, house, change, key="build-1077", callback_url=ADDRESS)

    again = ask(ci, house, change, key="build-1077", callback_url=ADDRESS)
    assert again.json()["decision_id"] == first.json()["decision_id"]
    assert ask(ci, house, change, key="build-1077").status_code == 422
    assert Callback.objects.count() == 1
