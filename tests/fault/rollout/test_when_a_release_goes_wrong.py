"""What stops a release, what holds it, and what is left when it stopped."""

from datetime import timedelta

import pytest

from releases.audit.actor import system
from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.changes import services as changes
from releases.core import clock
from releases.core.errors import NotPermitted, Refused, Sentence, Unreachable
from releases.delivery.models import Deployment
from releases.gate import queries as gate_queries
from releases.gate import services as gate
from releases.gate.models import GateDecision, Permit
from releases.gate.rules import Run
from releases.notify.models import Notice
from releases.operations import queries as operations
from releases.operations import services as operations_services
from releases.rollback import services as rollback
from releases.rollout import services as rollout
from releases.rollout.models import Rollout
from releases.traffic import queries as traffic
from releases.web.pages import panels
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_service
from tests.factories.delivery import control, fault
from tests.factories.rollout import a_route, another_service, runs, scheduled, told, wire

pytestmark = pytest.mark.django_db(transaction=True)
BAD = ("ledgerwriter", "v1.5.0-bad")


def codes(error):
    return [str(reason.code) for reason in error.value.reasons]


def story(change):
    """Return the change's story as people read it, newest first."""
    return [str(one.text) for one in panels.story(change)]


def step(operation, kind):
    return next(one for one in operation.steps if one.kind == kind)


def freeze(bank):
    now = clock.now()
    return calendar.set_window(
        kind=WindowKind.FREEZE,
        actor=bank.releaser,
        environment_id=bank.house.environment.pk,
        title="Closing",
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        now=now,
    )


def test_a_bad_version_fails_its_canary_and_stays_at_ten_percent_until_somebody_goes_back(bank):
    change = scheduled(bank.house, BAD)

    bank.start(change)
    operation = bank.until_operation(change, "failed")
    change.refresh_from_db()

    assert (change.state, bank.weights()) == ("implementing", {"stable": 90, "canary": 10})
    assert "of requests failed, the limit is 5 %" in str(step(operation, "health.verdict").note)
    assert bank.running() == "v0.6.10"
    assert Rollout.objects.get(change=change).outcome == "failed"
    rollback.begin(change_id=change.pk, actor=bank.on_call, now=clock.now())
    bank.until_state(change, "reviewing")
    assert (bank.weights(), change.outcome) == ({"stable": 100, "canary": 0}, "rolled_back")


def test_a_deployment_that_fails_before_any_traffic_ends_the_change_as_failed(bank):
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"outcomes": {"Deploy": "FAILED"}}}})
    change = scheduled(bank.house)

    bank.start(change)
    bank.until_state(change, "reviewing")

    assert (change.outcome, bank.weights()) == ("failed", {"stable": 100, "canary": 0})
    assert Deployment.objects.get(change_id=change.pk).state == "failed"
    assert traffic.of_change(change.pk) == []
    with pytest.raises(Refused):
        rollback.begin(change_id=change.pk, actor=bank.on_call, now=clock.now())


def test_a_person_may_go_on_without_waiting_for_the_rest_of_the_verdict(bank, settings):
    settings.GMUD_VERDICT_SECONDS = 3600.0
    change = scheduled(bank.house)
    bank.start(change)
    with pytest.raises(Refused) as early:
        rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.work_until(lambda: operations.active_on(change.stream).stage == 3)

    with pytest.raises(NotPermitted):
        rollout.advance(change_id=change.pk, actor=bank.house.actor("engineering"), now=clock.now())
    rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.until_state(change, "watching")

    assert codes(early) == ["not_waiting"]
    assert "rollout.advanced" in told(change)
    assert bank.weights() == {"stable": 0, "canary": 100}


def test_advancing_does_not_wave_a_bad_version_through(bank, settings):
    settings.GMUD_VERDICT_SECONDS = 3600.0
    change = scheduled(bank.house, BAD)
    bank.start(change)
    bank.work_until(lambda: operations.active_on(change.stream).stage == 3)

    rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
    operation = operations.operations_of(change.pk)[0]
    one_bad_measure = step(operation, "health.verdict").data.get("measures", [])
    bank.until_operation(change, "failed", "succeeded")

    assert len(one_bad_measure) < 2
    assert bank.weights() == {"stable": 90, "canary": 10}


def test_stopping_a_rollout_calls_the_build_off_and_sends_nothing_more(bank):
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": "Deploy"}}})
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: bank.jenkins.controller.jobs["ledger/deploy-ledgerwriter"].builds)
    bank.work_until(lambda: Deployment.objects.get(change_id=change.pk).state == "running")

    rollout.stop(change_id=change.pk, actor=bank.releaser, reason="Not tonight.", now=clock.now())
    bank.until_state(change, "reviewing")
    bank.rest()

    build = bank.jenkins.controller.jobs["ledger/deploy-ledgerwriter"].builds[1]
    bank.work_until(lambda: not build.in_progress)
    assert build.result == "ABORTED"
    assert bank.versions()["canary"] == "v0.6.10"
    assert Deployment.objects.get(change_id=change.pk).ended_at is not None
    assert (change.outcome, Rollout.objects.get(change=change).outcome) == ("failed", "stopped")
    assert "rollout.stopped" in told(change)
    assert bank.writes() == []


def test_stopping_after_the_first_traffic_leaves_it_there_and_the_way_back_open(bank, settings):
    settings.GMUD_VERDICT_SECONDS = 3600.0
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: operations.active_on(change.stream).stage == 3)

    rollout.stop(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.rest()
    change.refresh_from_db()

    assert (change.state, bank.weights()) == ("implementing", {"stable": 90, "canary": 10})
    with pytest.raises(Refused) as again:
        rollout.stop(change_id=change.pk, actor=bank.releaser, now=clock.now())
    assert codes(again) == ["no_rollout"]
    rollback.begin(change_id=change.pk, actor=bank.on_call, now=clock.now())
    bank.until_state(change, "reviewing")
    assert bank.weights() == {"stable": 100, "canary": 0}


def test_a_freeze_between_start_and_deployment_asks_a_person_and_deploys_nothing(bank):
    change = scheduled(bank.house)
    bank.start(change)
    window = freeze(bank)

    operation = bank.until_operation(change, "needs_human")

    assert bank.orders() == []
    assert "did not open" in str(step(operation, "delivery.deploy").note)
    assert told(change).count("rollout.waits") == 1
    change.refresh_from_db()
    assert change.state == "implementing"
    calendar.lift(window_id=window.pk, actor=bank.releaser, now=clock.now())
    operations_services.retry_step(step_id=step(operation, "delivery.deploy").id, actor=bank.releaser, now=clock.now())
    bank.until_state(change, "watching")
    assert len(bank.orders()) == 1


def a_freeze(bank, _change):
    window = freeze(bank)
    return "blackout", lambda: calendar.lift(window_id=window.pk, actor=bank.releaser, now=clock.now())


def a_lock(bank, _change):
    lock = calendar.lock(actor=bank.releaser, reason="Payments are slow.", now=clock.now())
    return "lock_active", lambda: calendar.unlock(lock_id=lock.pk, actor=bank.releaser, now=clock.now())


def a_quarantine(_bank, change):
    known = {"actor": SETUP, "artifact_id": change.items.get().artifact_id}
    catalog.quarantine(**known, reason="It leaks.", now=clock.now())
    return "quarantined_artifact", lambda: catalog.clear_quarantine(**known, reason="It does not.", now=clock.now())


def waiting_shift(operation):
    return next(one for one in operation.steps if one.kind == "traffic.shift" and one.state == "needs_human")


@pytest.mark.parametrize("close", [a_freeze, a_lock, a_quarantine])
def test_what_closes_the_gate_at_ten_percent_keeps_the_canary_there_until_it_opens(bank, close):
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: operations.active_on(change.stream).stage == 3)
    code, open_again = close(bank, change)

    operation = bank.until_operation(change, "needs_human")

    shift = waiting_shift(operation)
    answers = GateDecision.objects.filter(intent="traffic_shift").order_by("decided_at")
    first, *_between, last = answers
    assert (first.verdict, [one["code"] for one in last.reasons]) == ("allow", [code])
    assert str(shift.note).startswith("The gate did not open for ledgerwriter, so its traffic stays where it is: ")
    assert str(shift.note).endswith(str(gate_queries.card(last).reasons[0].message))
    assert (bank.weights(), told(change).count("rollout.waits")) == ({"stable": 90, "canary": 10}, 1)
    assert any(str(shift.note) in one for one in story(change))
    open_again()
    operations_services.retry_step(step_id=shift.id, actor=bank.releaser, now=clock.now())
    bank.until_state(change, "watching")
    assert bank.weights() == {"stable": 0, "canary": 100}


def test_a_lock_while_it_deploys_lets_no_customer_see_the_new_version(bank):
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": "Verify"}}})
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: Deployment.objects.get(change_id=change.pk).state == "running")
    a_lock(bank, change)
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": ""}}})

    bank.until_operation(change, "needs_human")

    assert (bank.weights(), bank.writes()) == ({"stable": 100, "canary": 0}, [])


def test_what_closes_the_gate_keeps_nobody_from_going_back(bank):
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: operations.active_on(change.stream).stage == 3)
    for close in (a_freeze, a_lock, a_quarantine):
        close(bank, change)
    bank.until_operation(change, "needs_human")
    asked = GateDecision.objects.filter(intent="traffic_shift").count()

    rollback.begin(change_id=change.pk, actor=bank.on_call, now=clock.now())
    bank.until_state(change, "reviewing")

    assert (bank.weights(), change.outcome) == ({"stable": 100, "canary": 0}, "rolled_back")
    assert GateDecision.objects.filter(intent="traffic_shift").count() == asked


def test_traffic_that_somebody_moved_since_the_approval_refuses_the_start(bank):
    change = scheduled(bank.house)
    bank.cluster.edit(0, 100, service="ledgerwriter")

    with pytest.raises(Refused) as refused:
        bank.start(change)
    change.refresh_from_db()

    assert codes(refused) == ["traffic"]
    assert "revise" in str(refused.value.detail)
    assert change.state == "scheduled"
    assert bank.orders() == []


def test_traffic_that_somebody_moved_after_the_start_keeps_the_deployment_back(bank):
    change = scheduled(bank.house)
    bank.start(change)
    bank.cluster.edit(0, 100, service="ledgerwriter")

    bank.until_operation(change, "needs_human")

    assert bank.orders() == []
    assert (bank.weights(), bank.versions()["canary"]) == ({"stable": 0, "canary": 100}, "v0.6.10")


def test_traffic_that_somebody_moved_before_the_shift_asks_a_person_and_is_not_overwritten(bank):
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": "Verify"}}})
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: Deployment.objects.get(change_id=change.pk).state == "running")
    bank.cluster.edit(70, 30, service="ledgerwriter")
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": ""}}})

    operation = bank.until_operation(change, "needs_human")

    assert bank.weights() == {"stable": 70, "canary": 30}
    assert "kubectl-edit" in str(step(operation, "traffic.shift").note)
    assert bank.writes() == []


def test_traffic_that_cannot_be_seen_refuses_the_start(bank):
    change = scheduled(bank.house)
    fault(bank.cluster.url, "close_before", times=50)

    with pytest.raises(Unreachable):
        bank.start(change)

    change.refresh_from_db()
    assert change.state == "scheduled"


def test_a_change_on_hold_does_not_start(bank):
    change = scheduled(bank.house)
    changes.hold(change_id=change.pk, actor=bank.releaser, reason="The bank waits.", now=clock.now())

    with pytest.raises(Refused) as refused:
        bank.start(change)

    assert codes(refused) == ["on_hold"]


def test_a_change_put_on_hold_goes_no_further_than_its_verdict(bank):
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: operations.active_on(change.stream).stage == 3)
    changes.hold(change_id=change.pk, actor=bank.releaser, reason="The bank waits.", now=clock.now())

    def held():
        return step(operations.active_on(change.stream), "health.verdict").data.get("held")

    assert bank.work_until(held)["parts"] == {"reason": "The bank waits."}
    with pytest.raises(Refused) as refused:
        rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
    assert (codes(refused), bank.weights()) == (["on_hold"], {"stable": 90, "canary": 10})
    changes.resume(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.until_state(change, "watching")


def test_a_hold_between_start_and_deployment_deploys_nothing(bank):
    change = scheduled(bank.house)
    bank.start(change)
    changes.hold(change_id=change.pk, actor=bank.releaser, reason="The bank waits.", now=clock.now())

    bank.until_operation(change, "needs_human")

    assert bank.orders() == []


def test_a_watch_that_turns_bad_leaves_the_change_watched_and_the_way_back_open(bank, settings):
    settings.GMUD_WATCH_SECONDS = 16.0
    change = bank.released()
    bank.prometheus.rates.bad["ledgerwriter", "v1.5.0"] = 0.5

    operation = bank.until_operation(change, "failed")
    change.refresh_from_db()

    assert (operation.kind, change.state) == ("watch", "watching")
    assert "verdict.given" in told(change)
    rollback.begin(change_id=change.pk, actor=bank.on_call, now=clock.now())
    bank.until_state(change, "reviewing")
    assert (bank.weights(), change.outcome) == ({"stable": 100, "canary": 0}, "rolled_back")


def test_weights_that_are_set_back_during_the_watch_ask_a_person_and_are_kept(bank, settings):
    settings.GMUD_WATCH_SECONDS = 16.0
    change = bank.released()
    bank.work_until(lambda: step(operations.active_on(change.stream), "health.watch").data.get("measures"))
    bank.cluster.edit(100, 0, service="ledgerwriter", manager="argocd-controller")

    bank.work_until(lambda: "undone" in watch_of(change).data)
    seen = len(watch_of(change).data["measures"])
    bank.work_until(lambda: len(watch_of(change).data["measures"]) > seen + 1)

    assert "argocd-controller" in str(Sentence.from_json(watch_of(change).data["undone"]))
    (route,) = catalog_queries.routes_for(bank.house.service.pk, bank.house.environment.pk)
    assert (bank.weights(), dict(route.reading.weights)) == ({"stable": 100, "canary": 0},) * 2
    assert told(change).count("rollout.traffic_moved") == 1
    assert Notice.objects.filter(topic="verdict_bad").exists()
    bank.cluster.edit(0, 100, service="ledgerwriter")
    bank.until_state(change, "reviewing")
    assert "undone" not in watch_of(change).data


def watch_of(change):
    """Return the watch as it stands: it measures, whoever it asked."""
    found = next(one for one in operations.operations_of(change.pk) if one.kind == "watch")
    return step(found, "health.watch")


def test_a_watch_that_asked_a_person_still_fails_on_bad_health(bank):
    change = bank.released()
    bank.cluster.edit(50, 50, service="ledgerwriter", manager="argocd-controller")
    bank.work_until(lambda: "undone" in watch_of(change).data)

    bank.prometheus.rates.bad["ledgerwriter", "v1.5.0"] = 0.5
    bank.until_operation(change, "failed")

    assert "requests failed" in str(watch_of(change).note)


def test_a_watch_whose_weights_stand_elsewhere_at_its_end_ends_badly_and_closes_with_its_time(bank, settings):
    settings.GMUD_WATCH_SECONDS = 3.0
    change = bank.released()
    bank.cluster.edit(100, 0, service="ledgerwriter", manager="argocd-controller")

    bank.until_operation(change, "failed")
    change.refresh_from_db()

    assert "argocd-controller" in str(watch_of(change).note)
    assert changes.settle_due(now=change.watch_until_at) == 1
    change.refresh_from_db()
    assert change.state == "reviewing"


def test_a_mesh_that_does_not_answer_ends_no_watch(bank, settings):
    settings.GMUD_WATCH_SECONDS = 2.0
    change = bank.released()
    bank.cluster.control("faults", match={"path": "virtualservices/ledgerwriter$"}, do="close_before", times=10_000)

    bank.until_state(change, "reviewing")

    assert story(change)[0] == "The watch ended without trouble."


def test_time_settles_a_watch_that_turned_bad_and_the_story_says_what_it_found(bank, settings):
    settings.GMUD_WATCH_SECONDS = 16.0
    change = bank.released()
    bank.prometheus.rates.bad["ledgerwriter", "v1.5.0"] = 0.5
    bank.until_operation(change, "failed")

    assert changes.settle_due(now=change.watch_until_at) == 1

    assert story(change)[0].startswith("The time of the watch is over; it had found trouble: ")
    assert "The watch ended without trouble." not in story(change)


def test_a_watch_without_an_answer_can_be_stopped_and_time_settles_the_change(bank, settings):
    settings.GMUD_WATCH_SECONDS = 2.0
    fault(bank.prometheus_url, "status:500", times=10_000)
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: operations.active_on(change.stream).stage == 3)
    rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.until_state(change, "watching")
    late = change.watch_until_at + timedelta(seconds=1)
    assert changes.settle_due(now=late) == 0

    rollout.stop(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.rest()

    change.refresh_from_db()
    assert change.state == "watching"
    assert changes.settle_due(now=late) == 1
    assert story(change)[0] == "The time of the watch is over; somebody had stopped measuring."


def test_without_a_health_question_the_canary_waits_for_a_person(bank):
    contacts = another_service(bank.house, bank.wires, "contacts", health=False)
    change = scheduled(bank.house, ("contacts", "v1.0.1"))
    bank.start(change)
    bank.work_until(lambda: operations.active_on(change.stream).stage == 3)
    for _look in range(5):
        bank.work()
    assert bank.weights("contacts") == {"stable": 90, "canary": 10}

    rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.until_state(change, "watching")

    assert (bank.weights("contacts"), bank.running(contacts)) == ({"stable": 0, "canary": 100}, "v1.0.1")
    assert operations.active_on(change.stream) is None
    assert changes.settle_due(now=change.watch_until_at) == 1
    assert story(change)[0] == "The time of the watch is over; nothing measured it."


def test_without_a_route_a_release_is_one_deployment_and_its_watch(bank):
    service = another_service(bank.house, bank.wires, "userservice", route=False)
    change = scheduled(bank.house, ("userservice", "v1.0.1"))
    bank.start(change)

    bank.until_state(change, "watching")

    assert bank.running(service) == "v1.0.1"
    assert bank.writes() == []


def test_a_route_that_came_after_the_approval_refuses_the_start_instead_of_deploying_blindly(bank):
    service = another_service(bank.house, bank.wires, "balancereader", route=False)
    change = scheduled(bank.house, ("balancereader", "v1.0.1"))
    a_route(bank.house, bank.wires, service)

    with pytest.raises(Refused) as refused:
        bank.start(change)

    assert codes(refused) == ["traffic"]


def test_an_item_without_a_job_refuses_the_start_whole(bank):
    service = a_service("contacts")
    runs(bank.house, service, "v0.6.10")
    change = scheduled(bank.house, ("ledgerwriter", "v1.5.0"), ("contacts", "v1.0.1"))

    with pytest.raises(Refused) as refused:
        bank.start(change)

    change.refresh_from_db()
    assert (codes(refused), change.state) == (["no_deploy_job"], "scheduled")
    assert not Rollout.objects.exists()
    wire(bank.house, bank.wires, service)


def test_a_verdict_of_no_seconds_still_wants_three_good_measures(bank, settings):
    settings.GMUD_VERDICT_SECONDS = 0.0
    change = scheduled(bank.house, BAD)
    bank.start(change)

    bank.until_operation(change, "failed")

    assert bank.weights() == {"stable": 90, "canary": 10}


def test_the_end_of_a_rollout_may_be_heard_twice(bank):
    change = bank.released()
    row = Rollout.objects.get(change=change)
    story = told(change)

    for _time in range(2):
        rollout.ended(operation_id=row.operation, state="succeeded", now=clock.now())
        rollout.ended(operation_id=row.operation, state="failed", now=clock.now())

    change.refresh_from_db()
    assert (change.state, told(change)) == ("watching", story)


def test_the_gate_lets_another_run_have_nothing_of_a_permit_the_job_redeemed(bank):
    bank.released()
    permit = Permit.objects.get(decision__intent="deploy")
    assert permit.redeemed_by.startswith("jenkins:ledger/deploy-ledgerwriter#")
    with pytest.raises(gate.Replayed):
        gate.redeem(
            actor=system("tests"),
            jti=permit.jti,
            run=Run("jenkins", "another#1"),
            artifact_digest=permit.decision.digest,
            now=clock.now(),
        )
