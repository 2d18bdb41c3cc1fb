"""The policy over REST: what is in force, what is proposed and who must still vote; no token changes any of it."""

import pytest

from releases.accounts.rights import Right
from releases.committee import services
from releases.committee.models import Policy
from releases.committee.seats import Decision
from tests.factories.changes import POLICY

ADDRESS = "/api/v1/policy"


@pytest.fixture
def reader(machine):
    return machine(Right.CHANGE_READ)


def test_the_policy_in_force_is_read_with_every_field_of_every_rule(house, reader):
    told = reader.get(ADDRESS).json()
    assert told["proposed"] == []
    assert (told["in_force"]["version"], told["in_force"]["name"]) == (1, "Release policy")
    assert told["in_force"]["digest"] == Policy.objects.get().digest
    assert told["in_force"]["rules"] == Policy.objects.get().document
    assert set(told["in_force"]["rules"][0]) == {"when", "seats", "fresh_sign_in_minutes", "second_factor"}


def test_what_is_proposed_is_read_with_the_votes_given_and_missing(house, reader, now):
    rules = [{**POLICY[0], "second_factor": True}, *POLICY[1:]]
    proposed = services.save_policy(actor=house.actor("manager"), name="Stricter", rules=rules, now=now)
    services.vote_on_policy(
        policy_id=proposed.pk,
        actor=house.actor("security"),
        decision=Decision.APPROVE,
        seen_digest=proposed.digest,
        now=now,
    )
    (told,) = reader.get(ADDRESS).json()["proposed"]
    assert (told["version"], told["proposed_by"], told["in_force_at"]) == (2, "Marta Sá", None)
    assert told["rules"][0]["second_factor"] is True
    assert told["votes"] == [
        {"seat": "seat_engineering", "needed": 1, "approved_by": [], "may_decide": ["Bruno Lima"]},
        {"seat": "seat_security", "needed": 1, "approved_by": ["Helena Costa"], "may_decide": []},
    ]


def test_before_the_first_policy_there_is_none(house, reader):
    Policy.objects.all().delete()
    assert reader.get(ADDRESS).json() == {"in_force": None, "proposed": []}


def test_a_text_that_is_not_what_its_digest_names_is_not_told_as_a_policy(house, reader):
    Policy.objects.update(rules="[]")
    answer = reader.get(ADDRESS)
    assert answer.status_code == 409
    assert "not what its digest names" in answer.json()["detail"]
