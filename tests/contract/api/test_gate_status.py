"""The address that a run looks at until it says yes: one word, and behind the yes a permit that is taken."""

from datetime import timedelta

import pytest

from releases.accounts.rights import Right
from releases.calendar import services as calendar
from releases.changes import services
from releases.changes.states import State
from releases.gate.models import GateDecision, Permit
from tests.contract.api.test_gate_over_http import DECISIONS, JSON, question
from tests.factories.changes import a_change

RUN = {"provider": "spinnaker", "id": "01K8ZZZZZZZZZZZZZZZZZZZZZZ"}


@pytest.fixture
def change(house, now):
    """Return a change whose window is open now."""
    starts, ends = now + timedelta(milliseconds=1), now + timedelta(hours=2)
    return a_change(house, at=State.SCHEDULED, starts_at=starts, ends_at=ends)


def asked(ci, house, change, **changed):
    answer = ci.post(DECISIONS, question(house, change, run=RUN, **changed), JSON).json()
    return answer["status_url"].removeprefix("http://localhost:8000")


def test_while_the_gate_waits_it_says_so_and_once_it_opens_the_run_holds_its_permit(house, change, ci):
    services.hold(change_id=change.pk, actor=house.actor("manager"), reason="Wait for the bank", now=house.now)
    address = asked(ci, house, change)
    waiting = ci.get(address)
    services.resume(change_id=change.pk, actor=house.actor("manager"), now=house.now)

    first, again = ci.get(address), ci.get(address)

    assert (waiting.status_code, waiting.json()["status"], waiting.json()["retry_after"]) == (200, "PENDING", 30)
    assert waiting.json()["progress"]
    assert (waiting.json()["permit"], waiting.json()["slot"]) == (None, "")
    assert (first.status_code, first.json()["status"], first["Cache-Control"]) == (200, "APPROVED", "no-store")
    assert again.json() == first.json()
    (permit,) = Permit.objects.exclude(redeemed_at=None)
    assert permit.redeemed_by == f"spinnaker:{RUN['id']}"
    assert (first.json()["permit"], first.json()["slot"]) == (str(permit.pk), "stable")
    change.refresh_from_db()
    assert change.state == State.IMPLEMENTING


def test_who_looks_again_and_again_while_nothing_changed_leaves_one_answer_behind(house, change, ci):
    services.hold(change_id=change.pk, actor=house.actor("manager"), reason="Wait for the bank", now=house.now)
    address = asked(ci, house, change)
    first, *others = (ci.get(address).json() for _look in range(3))
    assert [first["status"], *others] == ["PENDING", first, first]
    assert GateDecision.objects.count() == 1

    lock = calendar.lock(
        actor=house.actor("manager"), reason="Odd errors", environment_id=house.environment.pk, now=house.now
    )
    now_two = ci.get(address).json()
    assert (now_two["status"], GateDecision.objects.count()) == ("PENDING", 2)
    assert len(now_two["progress"]) > len(first["progress"])

    calendar.unlock(lock_id=lock.pk, actor=house.actor("manager"), now=house.now)
    services.resume(change_id=change.pk, actor=house.actor("manager"), now=house.now)
    assert ci.get(address).json()["status"] == "APPROVED"


def test_what_is_denied_says_why_and_takes_nothing(house, change, ci):
    wrong = {"name": house.service.name, "digest": house.running.digest}

    said = ci.get(asked(ci, house, change, artifact=wrong)).json()

    assert said["status"] == "REJECTED"
    assert said["progress"]
    assert not Permit.objects.exclude(redeemed_at=None).exists()


def test_only_who_may_redeem_looks_and_a_decision_without_a_run_opens_nothing(house, change, ci, machine):
    address = asked(ci, house, change)
    asking = machine(Right.GATE_ASK)
    nobody = question(house, change)
    del nobody["run"]
    without = ci.post(DECISIONS, nobody, JSON).json()["status_url"].removeprefix("http://localhost:8000")
    none = f"{DECISIONS}/01999999-0000-7000-8000-000000000000/status"

    assert asking.get(address).status_code == 403
    assert ci.get(without).status_code == 400
    assert ci.get(none).status_code == 404
    assert not Permit.objects.exclude(redeemed_at=None).exists()


def test_another_run_neither_inherits_the_yes_nor_gets_one_of_its_own_for_the_same_item(house, change, ci):
    address = asked(ci, house, change)
    assert ci.get(address).json()["status"] == "APPROVED"
    other = ci.post(DECISIONS, question(house, change, run={**RUN, "id": "another"}), JSON).json()

    answer = ci.get(other["status_url"].removeprefix("http://localhost:8000"))

    assert (answer.status_code, answer.json()["code"]) == (409, "permit_replayed")
    assert [one.redeemed_by for one in Permit.objects.exclude(redeemed_at=None)] == [f"spinnaker:{RUN['id']}"]
