from datetime import timedelta

import pytest

from releases.catalog import services as catalog
from releases.catalog.kinds import Purpose
from releases.changes.states import State
from releases.operations.models import Operation, Step
from releases.rollback import services as rollback
from releases.rollout import services as rollout
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change


@pytest.fixture
def wired(house, now):
    """Return the house with a job that deploys."""
    jenkins = a_connection(origin="http://127.0.0.1:9", now=now)
    place = {"actor": SETUP, "service_id": house.service.pk, "environment_id": house.environment.pk, "now": now}
    catalog.bind(
        **place, purpose=Purpose.DEPLOY, connection_id=jenkins.pk, settings={"job": "bank/deploy", "parameters": {}}
    )
    return house


@pytest.fixture
def released(wired, now):
    """Return a change whose rollout has begun."""
    change = a_change(wired, at=State.SCHEDULED, starts_at=now + timedelta(seconds=1))
    rollout.start(change_id=change.pk, actor=wired.actor("manager"), now=now + timedelta(seconds=2))
    return change


def test_a_rollout_is_shown_with_its_steps_and_the_way_back_at_hand(wired, released, browse):
    text = browse(wired.on_call).get(f"/live/{released.number}").content.decode()

    assert "v1.5.0 is being deployed; no customer sees it yet" in text
    assert "Deploy v1.5.0" in text
    assert 'data-open="go-back"' in text
    assert "Then v1.4.2 is deployed again." in text


def test_the_list_tells_the_truth_in_one_sentence(wired, released, browse):
    text = browse(wired.on_call).get("/live").content.decode()

    assert "1 release is moving" in text
    assert "v1.5.0 is being deployed" in text


def test_going_back_is_one_click_and_a_second_one_joins_it(wired, released, browse):
    browser = browse(wired.on_call)

    first = browser.post(f"/live/{released.number}/go-back", {"reason": "500s"}, follow=True)
    second = browser.post(f"/live/{released.number}/go-back", follow=True)

    assert "Going back to v1.4.2" in first.content.decode()
    assert second.status_code == 200
    assert Operation.objects.filter(subject=released.pk, kind=rollback.KIND).count() == 1


def test_who_may_not_go_back_reads_who_can(wired, released, browse):
    answer = browse(wired.engineer).post(f"/live/{released.number}/go-back", headers={"HX-Request": "true"})

    assert answer.status_code == 403
    assert "Davi Nunes" in answer.content.decode()


def test_a_step_that_waits_for_a_person_says_so_and_offers_both_ways(wired, released, browse):
    rollback.begin(change_id=released.pk, actor=wired.actor("on_call"), now=wired.now + timedelta(seconds=5))
    back = Operation.objects.get(subject=released.pk, kind=rollback.KIND)
    Operation.objects.filter(pk=back.pk).update(state="needs_human")
    Step.objects.filter(operation=back, kind="delivery.deploy").update(state="needs_human", error="503 queue is paused")

    text = browse(wired.on_call).get(f"/live/{released.number}").content.decode()

    assert "a step waits for you" in text
    assert "503 queue is paused" in text
    assert "Retry this step" in text
    assert "Begin anew" in text


def test_polling_the_same_state_costs_no_page(wired, released, browse):
    browser = browse(wired.on_call)
    address = f"/live/{released.number}?part=live"
    first = browser.get(address, headers={"HX-Request": "true"})
    again = browser.get(address, headers={"HX-Request": "true", "If-None-Match": first.headers["ETag"]})

    assert first.status_code == 200
    assert again.status_code == 304
