"""Going back from beginning to end, through the real engine, Jenkins, gate, mesh and figures, over HTTP."""

import time

import pytest
from django.db import connection

from releases.accounts.rights import Right
from releases.catalog import queries as catalog
from releases.changes import services as changes
from releases.core import breaker, clock
from releases.delivery.models import Deployment
from releases.gate import services as gate
from releases.gate.rules import Request
from releases.gate.states import Intent
from releases.operations import queries as operations
from releases.operations import services as operations_services
from releases.operations.models import Operation, OutboxMessage
from releases.rollback import services
from releases.rollback.models import Rollback
from releases.rollback.services import AlreadyRolledBack, restoring
from releases.rollout import services as rollout
from releases.rollout.steps import GatedShift
from releases.traffic import queries as traffic
from releases.traffic.models import Drift
from releases.traffic.providers import provider_for
from releases.traffic.services import look
from releases.traffic.steps import STEP_KIND, ShiftStep
from tests.factories.accounts import SETUP, a_token
from tests.factories.delivery import control, fault
from tests.factories.races import at_once
from tests.factories.rollback import go_back, post_rollback
from tests.factories.rollout import another_service, calls, runs, scheduled, told

pytestmark = pytest.mark.django_db(transaction=True)
HOME, AWAY = {"stable": 100, "canary": 0}, {"stable": 0, "canary": 100}


def test_traffic_is_back_first_then_the_version_then_all_is_verified_and_the_artifact_refused(bank):
    change = bank.released()
    before = len(bank.cluster.patches())

    row = go_back(bank, change, "Bookings are late.")
    bank.until_state(change, "reviewing")
    bank.rest()

    assert (bank.weights(), bank.versions()) == (HOME, {"stable": "v0.6.10", "canary": "v0.6.10"})
    kinds = ["virtualservices" if "virtualservices" in one["path"] else "deployments" for one in bank.cluster.patches()]
    assert kinds[before:] == ["virtualservices", "deployments"]
    assert (change.outcome, bank.running()) == ("rolled_back", "v0.6.10")
    row.refresh_from_db()
    assert (row.outcome, row.reason, row.ended_at is not None) == ("succeeded", "Bookings are late.", True)
    artifact = change.items.get().artifact
    assert artifact.is_quarantined
    answer = gate.ask(
        actor=SETUP,
        request=Request("ledgerwriter", "production", "ledgerwriter", artifact.digest, Intent.DEPLOY),
        now=clock.now(),
    )
    assert "quarantined_artifact" in [one["code"] for one in answer.decision.reasons]
    order = ["change.roll_back_begun", "rollback.begun", "change.rolled_back", "rollback.ended"]
    story = told(change)
    assert [story.index(kind) for kind in order] == sorted(story.index(kind) for kind in order)
    assert [(one.intent, one.state, one.slot) for one in Deployment.objects.order_by("requested_at")] == [
        ("deploy", "succeeded", "canary"),
        ("rollback", "succeeded", "canary"),
    ]


def test_the_next_release_takes_the_other_side_and_its_way_back_leads_to_the_weights_before_it(bank):
    first = bank.released()
    assert first.watch_until_at is not None
    assert changes.settle_due(now=first.watch_until_at) == 0
    rollout.stop(change_id=first.pk, actor=bank.releaser, now=clock.now())
    assert changes.settle_due(now=first.watch_until_at) == 1
    second = bank.released(("ledgerwriter", "v1.6.0"))
    assert (bank.weights(), bank.versions()) == (HOME, {"stable": "v1.6.0", "canary": "v1.5.0"})

    go_back(bank, second)
    bank.until_state(second, "reviewing")

    assert (bank.weights(), bank.versions()) == (AWAY, {"stable": "v1.5.0", "canary": "v1.5.0"})
    assert bank.running() == "v1.5.0"
    assert [one["SLOT"] for one in bank.builds()] == ["canary", "stable", "stable"]


def test_of_several_services_all_traffic_goes_first_and_callers_are_redeployed_before_whom_they_call(bank):
    frontend = another_service(bank.house, bank.wires, "frontend")
    balances = another_service(bank.house, bank.wires, "balancereader")
    calls(frontend, bank.house.service, bank.house.now)
    calls(bank.house.service, balances, bank.house.now)
    names = ["balancereader", "frontend", "ledgerwriter"]
    change = bank.released(*((name, "v1.5.0") for name in names))
    before = len(bank.cluster.patches())

    go_back(bank, change)
    bank.until_state(change, "reviewing")

    paths = [one["path"].rsplit("/", 2) for one in bank.cluster.patches()][before:]
    assert sorted(name for _, kind, name in paths[:3] if kind == "virtualservices") == names
    assert [name for _, _kind, name in paths[3:]] == ["frontend-canary", "ledgerwriter-canary", "balancereader-canary"]
    assert [bank.weights(name) for name in names] == [HOME] * 3
    stages = {step.name: step.stage for step in operations.operations_of(change.pk)[0].steps}
    assert {stages[f"traffic {name}"] for name in names} == {1}
    assert len({stages[f"verify {what} {name}"] for name in names for what in ("weights", "health")}) == 1
    assert stages["verify health frontend"] > stages["redeploy balancereader"]


def test_a_second_click_joins_the_rollback_and_afterwards_it_is_refused_by_name(bank):
    change = bank.released()
    first = go_back(bank, change, "Errors.")

    second = go_back(bank, change, "Me, too.")

    assert (second.pk, second.operation) == (first.pk, first.operation)
    bank.until_state(change, "reviewing")
    with pytest.raises(AlreadyRolledBack) as refused:
        go_back(bank, change)
    assert (refused.value.code, refused.value.status) == ("already_rolled_back", 409)
    assert [one.code for one in refused.value.reasons] == ["already_rolled_back"]
    assert Operation.objects.filter(kind="rollback").count() == 1


def test_a_machine_with_the_right_goes_back_through_the_api_and_one_without_does_not(bank, live_server):
    change = bank.released()
    _client, token = a_token(Right.ROLLBACK_BEGIN, name="pager", now=clock.now())

    assert post_rollback(live_server.url, change.number, bank.token)[0] == 403
    first, again = (post_rollback(live_server.url, change.number, token) for _ in range(2))
    bank.until_state(change, "reviewing")
    late, problem = post_rollback(live_server.url, change.number, token)

    assert (first[0], again[0], first[1]["operation"]) == (202, 202, again[1]["operation"])
    assert (late, problem["code"]) == (409, "already_rolled_back")
    assert "already rolled back" in problem["detail"]
    assert bank.weights() == HOME


def test_many_posts_at_once_are_one_rollback(bank, live_server):
    change = bank.released()
    _client, token = a_token(Right.ROLLBACK_BEGIN, name="pager", now=clock.now())
    many = 50 if connection.vendor == "postgresql" else 10

    answers = at_once([lambda: post_rollback(live_server.url, change.number, token)] * many)

    assert [answer[0] for answer in answers] == [202] * many, answers
    assert len({answer[1]["operation"] for answer in answers}) == 1
    assert (Rollback.objects.count(), Operation.objects.filter(kind="rollback").count()) == (1, 1)
    assert told(change).count("rollback.begun") == 1
    bank.until_state(change, "reviewing")
    assert len([one for one in bank.builds() if one["VERSION"] == "v0.6.10"]) == 1


def test_a_running_rollout_is_superseded_in_the_same_moment_and_its_build_called_off(bank):
    job = {"jobs": {"ledger/deploy-ledgerwriter": {"hold": "Deploy"}}}
    control(bank.jenkins_url, "settings", job)
    change = scheduled(bank.house)
    row = bank.start(change)
    bank.work_until(lambda: Deployment.objects.get(change_id=change.pk).state == "running")

    go_back(bank, change)

    assert Operation.objects.get(pk=row.operation).state == "superseded"
    bank.work_until(lambda: bank.jenkins.controller.jobs["ledger/deploy-ledgerwriter"].builds[1].result)
    assert bank.jenkins.controller.jobs["ledger/deploy-ledgerwriter"].builds[1].result == "ABORTED"
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": ""}}})
    bank.until_state(change, "reviewing")
    bank.rest()
    row.refresh_from_db()
    assert (row.outcome, bank.versions()["canary"]) == ("superseded", "v0.6.10")
    assert not Deployment.objects.filter(ended_at=None).exists()


def test_news_of_the_rollback_that_come_late_do_not_revoke_its_own_permit(bank):
    change = bank.released()
    row = go_back(bank, change)
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": "Permit"}}})

    def ordered():
        operations_services.run(operation_id=row.operation, worker="w", handlers=bank.handlers, now=clock.now)
        return len(bank.orders()) == 2

    while not ordered():
        time.sleep(0.05)
    assert OutboxMessage.objects.undone().filter(kind="change.roll_back").exists()
    bank.work_until(lambda: not OutboxMessage.objects.undone().exists())
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": ""}}})

    bank.until_state(change, "reviewing")

    assert change.outcome == "rolled_back"


def test_a_shift_that_a_rollback_overtook_stands_in_the_ledger(bank):
    bank.handlers[STEP_KIND] = ShiftStep(hold_seconds=60, contention_seconds=0)
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: bank.weights()["canary"] == 10)
    bank.handlers[STEP_KIND] = ShiftStep(hold_seconds=0.1, contention_seconds=0)

    go_back(bank, change)
    bank.until_state(change, "reviewing")
    bank.rest()

    states = [(dict(one.asked), one.state) for one in traffic.of_change(change.pk)]
    assert ({"stable": 90, "canary": 10}, "superseded") in states
    assert bank.weights() == HOME


class SlowToTry:
    """A mesh whose dry runs take so long that somebody presses a button meanwhile."""

    def __init__(self, mesh, press):
        self.mesh, self.press = mesh, press

    def __getattr__(self, name):
        return getattr(self.mesh, name)

    def preview(self, route, split):
        found = self.mesh.preview(route, split)
        self.press()
        return found


def test_a_shift_whose_trial_outlasts_the_click_to_go_back_writes_nothing(bank):
    change = scheduled(bank.house)
    pressed = []

    def press():
        if not pressed:
            pressed.append(go_back(bank, change))

    def provide(card, *, urgent=False):
        return provider_for(card, urgent=urgent) if urgent else SlowToTry(provider_for(card), press)

    bank.handlers[STEP_KIND] = GatedShift(provide, hold_seconds=0.1, contention_seconds=0)
    bank.start(change)
    bank.until_state(change, "reviewing")
    bank.rest()

    assert pressed
    assert (bank.weights(), bank.writes()) == (HOME, [])


class SlowToLookAround:
    """A mesh whose look around before a write takes so long that somebody presses a button meanwhile."""

    def __init__(self, mesh, press):
        self.mesh, self.press = mesh, press

    def __getattr__(self, name):
        return getattr(self.mesh, name)

    def write(self, route, split, *, seen, still):
        def pressed_meanwhile():
            self.press()
            still()

        return self.mesh.write(route, split, seen=seen, still=pressed_meanwhile)


def test_a_shift_whose_look_around_outlasts_the_click_to_go_back_writes_nothing(bank):
    change = scheduled(bank.house)
    pressed = []

    def press():
        if not pressed:
            pressed.append(go_back(bank, change))

    def provide(card, *, urgent=False):
        return provider_for(card, urgent=urgent) if urgent else SlowToLookAround(provider_for(card), press)

    bank.handlers[STEP_KIND] = GatedShift(provide, hold_seconds=0.1, contention_seconds=0)
    bank.start(change)
    bank.until_state(change, "reviewing")
    bank.rest()

    assert pressed
    assert (bank.weights(), bank.writes()) == (HOME, [])


def test_a_restore_under_way_on_its_route_is_taken_over(bank):
    change = bank.released()
    bank.cluster.edit(100, 0, service="ledgerwriter")
    (route,) = catalog.routes_for(*change.items.get().place)
    look(route_id=route.id, now=clock.now())
    drift = Drift.objects.get()
    begun = restoring.restore(drift_id=drift.pk, seen=HOME, actor=bank.releaser, now=clock.now())

    go_back(bank, change)

    begun.refresh_from_db()
    assert begun.state == "superseded"
    bank.until_state(change, "reviewing")
    bank.rest()
    assert bank.weights() == HOME


def test_an_open_breaker_keeps_nobody_from_going_back(bank):
    change = bank.released()
    for name in ("jenkins", "kubernetes", "prometheus"):
        for _failure in range(breaker.OPEN_AFTER):
            breaker.breaker_for(name).failed(time.monotonic())

    go_back(bank, change)
    bank.until_state(change, "reviewing")

    assert bank.weights() == HOME


def test_when_jenkins_is_down_traffic_is_back_first_and_taking_over_finishes_the_rest(bank):
    change = bank.released()
    fault(bank.jenkins_url, "close_before", times=100_000)
    go_back(bank, change)

    first = bank.until_operation(change, "needs_human")
    change.refresh_from_db()

    assert (bank.weights(), change.state) == (HOME, "rolling_back")
    assert told(change).count("rollback.waits") == 1
    assert not catalog.quarantined([change.items.get().artifact.digest])
    bank.jenkins.faults.clear()
    services.take_over(change_id=change.pk, actor=bank.on_call, reason="Jenkins is back.", now=clock.now())
    bank.until_state(change, "reviewing")
    bank.rest()

    assert Operation.objects.get(pk=first.id).state == "superseded"
    assert [one["VERSION"] for one in bank.builds()] == ["v1.5.0", "v0.6.10"]
    assert "rollback.taken_over" in told(change)
    assert not Deployment.objects.filter(ended_at=None).exists()


def test_a_rollback_that_does_not_verify_says_so_and_can_be_begun_anew(bank):
    change = bank.released()
    bank.prometheus.rates.bad["ledgerwriter", "v0.6.10"] = 0.5
    go_back(bank, change)

    bank.until_operation(change, "failed")
    change.refresh_from_db()

    row = Rollback.objects.get(change=change)
    assert (change.state, row.outcome, row.ended_at, bank.weights()) == ("rolling_back", "failed", None, HOME)
    assert told(change).count("rollback.waits") == 1
    assert go_back(bank, change).pk == row.pk
    bank.prometheus.rates.bad.clear()
    services.take_over(change_id=change.pk, actor=bank.on_call, now=clock.now())
    bank.until_state(change, "reviewing")
    row.refresh_from_db()
    assert (row.outcome, change.outcome) == ("succeeded", "rolled_back")


def failing(operation):
    return [(step.name, str(step.note)) for step in operation.steps if step.state == "failed"]


def test_a_run_that_brought_another_version_than_ordered_fails_the_verification_by_name(bank):
    change = bank.released()
    job = bank.jenkins.controller.jobs["ledger/deploy-ledgerwriter"]
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": "Deploy"}}})
    go_back(bank, change)
    bank.work_until(lambda: len(job.builds) == 2)
    job.builds[2].item.parameters.update(DIGEST="sha256:other", VERSION="v9.9.9")
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": ""}}})

    [(name, why)] = failing(bank.until_operation(change, "failed"))

    assert name == "verify version ledgerwriter"
    assert "it brought v9.9.9" in why
    change.refresh_from_db()
    assert (change.state, change.items.get().artifact.is_quarantined) == ("rolling_back", False)


def test_a_version_that_somebody_else_brought_meanwhile_fails_the_verification_by_name(bank):
    change = bank.released()
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": "Deploy"}}})
    go_back(bank, change)
    bank.work_until(lambda: len(bank.builds()) == 2)
    runs(bank.house, bank.house.service, "v7.7.7")
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": ""}}})

    [(name, why)] = failing(bank.until_operation(change, "failed"))

    assert name == "verify version ledgerwriter"
    assert "v7.7.7" in why
    assert bank.running() == "v7.7.7"


def test_what_a_failed_redeployment_kept_from_beginning_is_closed(bank):
    frontend = another_service(bank.house, bank.wires, "frontend")
    calls(frontend, bank.house.service, bank.house.now)
    change = bank.released(("frontend", "v1.5.0"), ("ledgerwriter", "v1.5.0"))
    control(bank.jenkins_url, "settings", {"jobs": {"frontend/deploy-frontend": {"outcomes": {"Deploy": "FAILED"}}}})

    go_back(bank, change)
    bank.until_operation(change, "failed")

    back = Deployment.objects.filter(intent="rollback").order_by("service__name")
    assert [(one.service.name, one.state) for one in back] == [("frontend", "failed"), ("ledgerwriter", "superseded")]
    assert [bank.weights(name) for name in ("frontend", "ledgerwriter")] == [HOME, HOME]


def test_somebody_elses_weights_are_overwritten_and_kept(bank):
    change = bank.released()
    bank.cluster.edit(40, 60, service="ledgerwriter")

    go_back(bank, change)
    bank.until_state(change, "reviewing")

    back = next(one for one in traffic.of_change(change.pk) if dict(one.asked) == HOME)
    assert (bank.weights(), dict(back.before)) == (HOME, {"stable": 40, "canary": 60})


def test_a_route_that_cannot_be_read_is_no_silent_end(bank):
    change = bank.released()
    bank.cluster.control(
        "edit", kind="virtualservices", namespace="bank-production", name="ledgerwriter", manager="x", delete=True
    )

    go_back(bank, change)
    operation = bank.until_operation(change, "failed", "needs_human")

    change.refresh_from_db()
    assert change.state == "rolling_back"
    assert any(step.note for step in operation.steps)
