"""Notices to customers over REST: who must hear of a change is listed, and that they were told is recorded."""

from datetime import timedelta

import pytest

from releases.accounts.rights import Right
from releases.changes import queries
from releases.changes.models import CustomerNotice
from releases.changes.states import State
from tests.factories.catalog import a_customer
from tests.factories.changes import a_change


@pytest.fixture
def change(house):
    a_customer(house.service, name="Partner banks", notice_hours=72)
    return a_change(house, at=State.SCHEDULED)


@pytest.fixture
def address(change):
    return f"/api/v1/changes/{change.number}/customer-notices"


def body(change, now, **changed):
    said = {
        "seen_digest": queries.told_of(change),
        "customer": "partner BANKS",
        "told_at": now.isoformat(),
        "told_by": "Ana Reis",
        "evidence": "MAIL-4711",
    }
    return {**said, **changed}


def test_a_machine_records_that_a_customer_was_told_and_reads_it_back(ci, machine, change, address, now):
    [promised] = machine(Right.CHANGE_READ).get(address).json()["promised"]
    assert promised == {"customer": "Partner banks", "hours": 72, "told_at": None, "good_from": None}

    answer = ci.post(address, body(change, now), content_type="application/json")

    assert answer.status_code == 201, answer.json()
    [promised], [notice] = answer.json()["promised"], answer.json()["notices"]
    assert (notice["customer"], notice["evidence"], notice["counts"]) == ("Partner banks", "MAIL-4711", True)
    assert promised["told_at"] == notice["told_at"]
    assert promised["good_from"] is not None
    assert ci.get(address).json() == answer.json()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"customer": "Nobody"}, "customer"),
        ({"told_at": "yesterday"}, "told_at"),
        ({"evidence": " "}, "evidence"),
        ({"told_by": None}, "told_by"),
        ({"seen_digest": "latest"}, "seen_digest"),
        ({"channel": "mail"}, "channel"),
    ],
)
def test_bad_input_names_its_field_and_nothing_is_recorded(ci, change, address, now, wrong, field):
    answer = ci.post(address, body(change, now, **wrong), content_type="application/json")

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert not CustomerNotice.objects.exists()


def test_items_or_window_that_are_others_by_now_are_a_conflict_and_nothing_is_recorded(ci, change, address, now):
    asked = body(change, now, seen_digest=f"sha256:{'0' * 64}")

    assert ci.post(address, asked, content_type="application/json").status_code == 409
    assert not CustomerNotice.objects.exists()
    assert ci.get(address).json()["digest"] == queries.told_of(change)


def test_a_moment_before_the_change_was_filed_names_its_field(ci, change, address, now):
    answer = ci.post(address, body(change, now - timedelta(days=1)), content_type="application/json")

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["told_at"])


def test_a_moment_in_the_future_is_no_notice(ci, change, address, now):
    answer = ci.post(address, body(change, now + timedelta(hours=1)), content_type="application/json")

    assert answer.status_code == 400
    assert "future" in answer.json()["fields"]["told_at"][0]


def test_whoever_may_only_read_records_nothing(machine, change, address, now):
    answer = machine(Right.CHANGE_READ).post(address, body(change, now), content_type="application/json")

    assert answer.status_code == 403
    assert machine(Right.GATE_ASK).get(address).status_code == 403
