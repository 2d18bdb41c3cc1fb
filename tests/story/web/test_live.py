import re
from datetime import timedelta
from uuid import uuid4

import pytest

from releases.audit.queries import story
from releases.catalog import services as catalog
from releases.catalog.kinds import Purpose
from releases.changes import services
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.delivery import services as delivery
from releases.delivery.models import Deployment
from releases.delivery.states import State as Deployed
from releases.operations.models import Operation, Step
from releases.rollback import services as rollback
from releases.rollback.steps import BY_HAND_KIND
from releases.rollout import services as rollout
from releases.rollout.models import Rollout
from releases.rollout.states import pause_stage, shift_stage
from releases.rollout.steps import VERDICT_KIND
from releases.traffic.steps import STEP_KIND as SHIFT
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change
from tests.factories.gate import with_keys


@pytest.fixture
def wired(house, now, settings, tmp_path):
    """Return the house with a job that deploys, and a gate that can sign."""
    with_keys(settings, tmp_path / "keys")
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


def test_a_run_that_asks_something_is_the_first_thing_one_reads_forward_and_back(wired, released, browse, now):
    Deployment.objects.update(state=Deployed.WAITING_INPUT)
    jenkins = Deployment.objects.get().connection.name
    browser = browse(wired.on_call)

    assert f"ledgerwriter waits for an answer in {jenkins}" in browser.get(f"/live/{released.number}").content.decode()
    rollback.begin(change_id=released.pk, actor=wired.actor("on_call"), now=now + timedelta(seconds=5))
    Deployment.objects.filter(intent="rollback").update(state=Deployed.WAITING_INPUT)
    text = browser.get(f"/live/{released.number}").content.decode()
    assert f"Going back to v1.4.2: ledgerwriter waits for an answer in {jenkins}" in text


def test_who_may_not_go_back_reads_who_can(wired, released, browse):
    answer = browse(wired.engineer).post(f"/live/{released.number}/go-back", headers={"HX-Request": "true"})

    assert answer.status_code == 403
    assert "Davi Nunes" in answer.content.decode()


def test_a_release_that_somebody_else_carries_out_has_its_live_page_and_the_way_back(wired, browse):
    change = a_change(wired, at=State.IMPLEMENTING, starts_at=wired.now + timedelta(seconds=1))
    browser = browse(wired.on_call)

    assert "v1.5.0 is being deployed outside GMUD" in browser.get("/live").content.decode()
    text = browser.get(f"/live/{change.number}").content.decode()
    assert 'data-open="go-back"' in text
    assert f'href="/changes/{change.number}#acts"' in text
    answer = browser.post(f"/live/{change.number}/go-back", {"reason": "500s"}, follow=True)
    assert "Going back to v1.4.2" in answer.content.decode()


def test_what_neither_moves_nor_was_started_here_has_no_live_page(wired, browse):
    change = a_change(wired, at=State.SCHEDULED)

    assert browse(wired.on_call).get(f"/live/{change.number}").status_code == 404


@pytest.fixture
def failed_back(wired, released):
    """Return a change whose way back has failed: its job ended red."""
    rollback.begin(change_id=released.pk, actor=wired.actor("on_call"), now=wired.now + timedelta(seconds=5))
    back = Operation.objects.get(subject=released.pk, kind=rollback.KIND)
    earlier = wired.now - timedelta(minutes=1)
    Operation.objects.filter(pk=back.pk).update(state="failed", begun_at=earlier, ended_at=wired.now)
    Step.objects.filter(operation=back, kind="delivery.deploy").update(
        state="failed", note={"text": "The job failed.", "parts": {}}
    )
    rollback.ended(operation_id=back.pk, state="failed", now=wired.now + timedelta(seconds=9))
    return released


def test_a_rollback_that_failed_says_why_and_is_begun_anew_with_one_press(wired, failed_back, browse):
    browser = browse(wired.on_call)
    text = browser.get(f"/live/{failed_back.number}").content.decode()

    assert "Going back has failed. Customers may still be on v1.5.0." in text
    assert "The job failed." in text
    assert f'action="/live/{failed_back.number}/take-over"' in text
    assert "Retry this step" not in text

    answer = browser.post(f"/live/{failed_back.number}/take-over", {"reason": "Jenkins is up again"}, follow=True)

    assert "Going back to v1.4.2" in answer.content.decode()
    assert [one.state for one in Operation.objects.filter(kind=rollback.KIND).order_by("pk")] == ["failed", "pending"]
    assert "Jenkins is up again" in browser.get(f"/changes/{failed_back.number}").content.decode()


@pytest.mark.parametrize("door", ["go-back", "by-hand"])
def test_a_press_for_a_change_that_does_not_exist_is_answered(wired, browse, door):
    answer = browse(wired.on_call).post(f"/live/9999/{door}", {"how": "stay", "reason": "a", "evidence": "b"})

    assert (answer.status_code, "There is no change" in answer.content.decode()) == (404, True)


def test_a_rollback_that_does_not_end_is_ended_by_hand_with_a_reason_and_evidence(wired, failed_back, browse):
    browser, place = browse(wired.on_call), f"/live/{failed_back.number}/by-hand"
    said = {"how": "back_by_hand", "reason": "The figures never fit.", "evidence": "https://wiki.example/7"}

    assert place in browser.get(f"/live/{failed_back.number}").content.decode()
    form = browser.get(place).content.decode()
    bare = browser.post(place, {**said, "evidence": ""})
    done = browser.post(place, said, follow=True)
    after = browser.get(f"/live/{failed_back.number}").content.decode()

    assert "Everything is back on v1.4.2: people brought it there" in form
    assert (bare.status_code, "evidence-error" in bare.content.decode()) == (422, True)
    assert "The rollback is ended, the review is open." in done.content.decode()
    assert "says that everything is back, brought there by hand." in done.content.decode()
    assert "Everything is back on v1.4.2, by hand" in after
    assert "Begin the rollback anew" not in after
    assert browser.get(place).status_code == 404


def test_what_only_a_person_can_bring_back_is_ended_by_hand_and_not_tried_again(wired, failed_back, browse):
    operation = Operation.objects.get(kind=rollback.KIND, subject=failed_back.pk)
    operation.steps.update(kind=BY_HAND_KIND, desired={"service": "ledgerwriter"}, state="needs_human", ended_at=None)
    Operation.objects.filter(pk=operation.pk).update(state="needs_human", ended_at=None)

    text = browse(wired.on_call).get(f"/live/{failed_back.number}").content.decode()

    assert re.search(rf'data-kind="main"\s+href="/live/{failed_back.number}/by-hand"', text)
    assert "Retry this step" not in text


def test_who_may_not_end_a_rollback_by_hand_reads_who_can(wired, failed_back, browse):
    shown = browse(wired.engineer).get(f"/live/{failed_back.number}/by-hand").content.decode()

    assert "You may not do this." in shown
    assert "<textarea" not in shown


def test_who_may_not_begin_a_rollback_anew_reads_who_can(wired, failed_back, browse):
    text = browse(wired.engineer).get(f"/live/{failed_back.number}").content.decode()

    assert "take-over" not in text
    assert "You may not do this. Davi Nunes or Marta Sá can." in text


def test_a_build_that_cannot_be_called_off_asks_whoever_is_on_call_beside_the_way_back(wired, released, browse):
    forward = Operation.objects.get(subject=released.pk)
    Step.objects.filter(operation=forward, kind="delivery.deploy").update(sent_at=wired.now, state="applied")
    rollback.begin(change_id=released.pk, actor=wired.actor("on_call"), now=wired.now + timedelta(seconds=5))
    off = delivery.call_off(operation_id=forward.pk, now=wired.now + timedelta(seconds=6))
    Operation.objects.filter(pk=off.pk).update(state="needs_human")
    Step.objects.filter(operation=off).update(state="needs_human", note={"text": "No answer.", "parts": {}})
    browser = browse(wired.on_call)

    text = browser.get(f"/live/{released.number}").content.decode()

    assert "Going back to v1.4.2" in text
    assert "Call off the deployment of ledgerwriter" in text
    assert "take-over" not in text
    step = Step.objects.get(operation=off)
    assert browser.post(f"/live/{released.number}/steps/{step.pk}/retry").status_code == 302
    step.refresh_from_db()
    assert step.state != "needs_human"


def test_a_step_that_waits_for_a_person_says_so_and_offers_both_ways(wired, released, browse):
    rollback.begin(change_id=released.pk, actor=wired.actor("on_call"), now=wired.now + timedelta(seconds=5))
    back = Operation.objects.get(subject=released.pk, kind=rollback.KIND)
    Operation.objects.filter(pk=back.pk).update(state="needs_human")
    Step.objects.filter(operation=back, kind="delivery.deploy").update(state="needs_human", error="503 queue is paused")

    text = browse(wired.on_call).get(f"/live/{released.number}").content.decode()

    assert "a step waits for you" in text
    assert "503 queue is paused" in text
    assert "Retry this step" in text
    assert "Begin the rollback anew" in text


def test_polling_the_same_state_costs_no_page(wired, released, browse):
    browser = browse(wired.on_call)
    address = f"/live/{released.number}?part=live"
    first = browser.get(address, headers={"HX-Request": "true"})
    again = browser.get(address, headers={"HX-Request": "true", "If-None-Match": first.headers["ETag"]})

    assert first.status_code == 200
    assert again.status_code == 304


@pytest.fixture
def judged(released):
    """Return a change whose rollout waits for the verdict on the first share of its traffic."""
    operation = Operation.objects.get(subject=released.pk)
    for stage, kind, move, percent in (
        (pause_stage(1), VERDICT_KIND, 1, 10),
        (shift_stage(2), SHIFT, 2, 100),
    ):
        desired = {"route": str(uuid4()), "move": move, "percent": percent}
        Step.objects.create(
            operation=operation,
            position=stage,
            stage=stage,
            name="x ledgerwriter",
            kind=kind,
            desired=desired,
            op_key=stage,
        )
    Operation.objects.filter(pk=operation.pk).update(stage=pause_stage(1))
    return released


HTMX = {"HX-Request": "true"}


def state_of(change) -> str:
    return Operation.objects.get(subject=change.pk).state


def test_both_buttons_stand_on_the_page_while_the_verdict_is_awaited(wired, judged, browse):
    text = browse(wired.manager).get(f"/live/{judged.number}").content.decode()

    assert f'action="/live/{judged.number}/advance"' in text
    assert "Advance now" in text
    assert f'action="/live/{judged.number}/stop"' in text
    assert "Stopping leaves traffic as it is; going back brings it home." in text
    assert "All traffic follows, or it stops by itself" in text
    assert "Its health is judged" not in text  # that is not what happens next


def test_before_the_verdict_there_is_nothing_to_advance_and_afterwards_nothing_to_stop(wired, released, browse):
    browser, page = browse(wired.manager), f"/live/{released.number}"

    before = browser.get(page).content.decode()
    browser.post(f"{page}/stop", {"reason": "Odd errors"})
    after = browser.get(page).content.decode()

    assert (f"{page}/advance" in before, f"{page}/stop" in before) == (False, True)
    assert (f"{page}/advance" in after, f"{page}/stop" in after) == (False, False)


@pytest.mark.parametrize(("state", "said"), [(State.WATCHING, "; watched until"), (State.REVIEWING, "</h1>")])
def test_a_release_that_nothing_measured_is_not_said_to_move_once_it_is_out(wired, judged, browse, state, said):
    times = {"begun_at": wired.now - timedelta(minutes=1), "ended_at": wired.now}
    Operation.objects.filter(subject=judged.pk).update(state="succeeded", stage=shift_stage(2), **times)
    ChangeRequest.objects.filter(pk=judged.pk).update(state=state, watch_until_at=wired.now + timedelta(hours=1))

    text = browse(wired.manager).get(f"/live/{judged.number}").content.decode()

    assert f"v1.5.0 serves everybody{said}" in text
    assert "Everybody moves to" not in text


def test_who_may_not_release_is_offered_neither_button(wired, judged, browse):
    text = browse(wired.on_call).get(f"/live/{judged.number}").content.decode()

    assert "Advance now" not in text
    assert "Stop here" not in text


@pytest.mark.parametrize("htmx", [True, False], ids=["in place", "as a page"])
def test_advancing_says_who_cut_the_verdict_short_and_leaves_the_rollout_running(wired, judged, browse, htmx):
    browser = browse(wired.manager)
    answer = browser.post(f"/live/{judged.number}/advance", follow=not htmx, headers=HTMX if htmx else {})

    row = Rollout.objects.get(change=judged)
    assert (answer.status_code, row.advanced_by, row.advanced_at is not None) == (200, "Marta Sá", True)
    assert ("<html" in answer.content.decode()) != htmx
    assert state_of(judged) in {"pending", "running"}
    assert story(judged.stream)[-1].kind == "rollout.advanced"


@pytest.mark.parametrize("htmx", [True, False], ids=["in place", "as a page"])
def test_stopping_ends_the_rollout_with_its_reason_and_sends_nothing_more(wired, released, browse, htmx):
    browser = browse(wired.manager)
    answer = browser.post(
        f"/live/{released.number}/stop", {"reason": "Odd errors"}, follow=not htmx, headers=HTMX if htmx else {}
    )

    assert (answer.status_code, state_of(released)) == (200, "stopped")
    assert ("<html" in answer.content.decode()) != htmx
    assert not Step.objects.filter(operation__subject=released.pk, sent_at__isnull=False).exists()
    told = story(released.stream)[-1]
    assert (told.kind, told.text["reason"], told.actor_name) == ("rollout.stopped", "Odd errors", "Marta Sá")


@pytest.mark.parametrize("door", ["advance", "stop"])
def test_who_may_not_release_is_refused_by_name_and_nothing_happens(wired, judged, browse, door):
    before = state_of(judged)
    answer = browse(wired.on_call).post(f"/live/{judged.number}/{door}", {"reason": "Mine"}, headers=HTMX)

    text = answer.content.decode()
    assert answer.status_code == 403
    assert "Ana Reis" in text
    assert "Marta Sá" in text
    assert (state_of(judged), Rollout.objects.get(change=judged).advanced_at) == (before, None)


def test_advancing_before_there_is_a_verdict_is_refused_with_that_sentence(wired, released, browse):
    answer = browse(wired.manager).post(f"/live/{released.number}/advance", headers=HTMX)

    assert answer.status_code == 409
    assert "The rollout is not pausing now." in answer.content.decode()
    assert Rollout.objects.get(change=released).advanced_at is None


def test_advancing_what_is_on_hold_is_refused_with_the_reason_of_the_hold(wired, judged, browse):
    services.hold(change_id=judged.pk, actor=wired.actor("manager"), reason="Fraud desk calls", now=wired.now)

    answer = browse(wired.manager).post(f"/live/{judged.number}/advance", headers=HTMX)

    assert answer.status_code == 409
    assert "On hold: Fraud desk calls" in answer.content.decode()
    assert Rollout.objects.get(change=judged).advanced_at is None


@pytest.mark.parametrize("door", ["advance", "stop"])
def test_once_somebody_goes_back_there_is_no_rollout_to_press_for(wired, judged, browse, door):
    rollback.begin(change_id=judged.pk, actor=wired.actor("on_call"), now=wired.now + timedelta(seconds=5))

    answer = browse(wired.manager).post(f"/live/{judged.number}/{door}", headers=HTMX)

    assert answer.status_code == 409
    assert f"No rollout of {judged.name} is running." in answer.content.decode()


def test_what_the_gate_would_not_let_out_is_not_begun_and_stays_approved(wired, now, browse):
    change = a_change(wired, at=State.SCHEDULED, starts_at=now + timedelta(microseconds=1))
    artifact = change.items.get().artifact
    catalog.quarantine(actor=wired.actor("on_call"), artifact_id=artifact.pk, reason="Broke", now=now)
    browser = browse(wired.manager)

    page = browser.post(f"/live/{change.number}/release", follow=True)

    change.refresh_from_db()
    assert page.redirect_chain[-1][0] == f"/changes/{change.number}"
    assert "This artifact is in quarantine." in [str(one) for one in page.context["messages"]]
    assert change.state == State.SCHEDULED
    assert not Operation.objects.exists()
    assert not Rollout.objects.exists()
    assert "change.started" not in [one.kind for one in story(change.stream)]


def test_no_door_of_the_page_begins_a_release_past_the_gate(wired, now, browse):
    change = a_change(wired, at=State.SCHEDULED, starts_at=now + timedelta(microseconds=1))

    answer = browse(wired.manager).post(f"/changes/{change.number}/do/start")

    change.refresh_from_db()
    assert (answer.status_code, change.state) == (404, State.SCHEDULED)


@pytest.mark.parametrize("door", ["advance", "stop"])
def test_a_press_for_what_was_never_released_leads_back_to_the_change_with_the_reason(wired, browse, door):
    change = a_change(wired, at=State.SCHEDULED)

    answer = browse(wired.manager).post(f"/live/{change.number}/{door}", follow=True)

    assert answer.redirect_chain == [(f"/changes/{change.number}", 302)]
    assert f"No rollout of {change.name} is running." in answer.content.decode()


def test_going_back_by_a_job_and_a_route_that_nobody_knows_is_refused_with_that_reason(house, browse):
    change = a_change(house, at=State.IMPLEMENTING, starts_at=house.now + timedelta(seconds=1))
    browser = browse(house.on_call)

    shown = browser.get(f"/live/{change.number}").content.decode()
    answer = browser.post(f"/live/{change.number}/go-back", {"reason": "500s"}, headers=HTMX)

    assert "No job and no route of ledgerwriter is known here" in shown
    assert 'data-open="go-back"' not in shown
    assert answer.status_code == 409
    assert "go back by your own means" in answer.content.decode()
