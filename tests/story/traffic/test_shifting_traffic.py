"""A shift through the real engine, against a cluster over HTTP."""

import json
from datetime import timedelta

import pytest

from releases.audit import queries as audit
from releases.catalog import queries as catalog
from releases.core.errors import Sentence, Unreachable
from releases.operations import services as operations
from releases.operations.services import journal
from releases.operations.states import OperationState, StepState
from releases.traffic import queries, services
from releases.traffic.ports import Split
from releases.traffic.providers import provider_for, reference
from releases.traffic.states import ShiftState
from tests.contract.traffic.stages.cluster import backends
from tests.factories.accounts import SETUP
from tests.factories.shifts import HANDLERS, Clock, a_choice, a_route, begin, run, running_cluster
from tests.factories.traffic import recording

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
WRITE = {"method": "PATCH", "query": "^(?!.*dryRun)"}
DRY_RUN = {"method": "PATCH", "query": "dryRun=All"}


def refusal(status, message, reason="", **body):
    """Return a fault: the cluster says no to the dry run, as an API server writes it."""
    told = {"kind": "Status", "status": "Failure", "code": status, "message": message, "reason": reason, **body}
    headers = {"Content-Type": "application/json"}
    return {"match": DRY_RUN, "do": f"status:{status}", "headers": headers, "body": json.dumps(told), "times": 1}


@pytest.fixture
def mesh():
    with running_cluster() as cluster:
        yield cluster


def test_a_shift_is_written_held_and_kept_in_the_ledger(mesh, now):
    route = a_route(mesh.url, now)
    operation, _step = run(begin(route, {"stable": 90, "canary": 10}, now), now)
    assert operation.state == OperationState.SUCCEEDED
    assert mesh.weights() == {"stable": 90, "canary": 10}
    (shift,) = queries.of_change(operation.subject)
    assert (shift.state, shift.asked_by, shift.verification) == (ShiftState.CONFIRMED, "Ana", "held")
    assert (shift.before, shift.asked, shift.observed) == (
        {"stable": 100, "canary": 0},
        {"stable": 90, "canary": 10},
        {"stable": 90, "canary": 10},
    )
    assert catalog.route(route.id).reading.weights == {"stable": 90, "canary": 10}
    story = audit.story(f"change:{operation.subject}")
    assert [entry.kind for entry in story] == ["shift.asked", "shift.ended"]
    assert story[0].data["asked_by"] == "Ana"
    assert len(mesh.patches()) == 1


def test_weights_that_stand_already_are_adopted_without_a_write(mesh, now):
    route = a_route(mesh.url, now)
    operation, _step = run(begin(route, {"stable": 1, "canary": 0}, now), now)
    assert operation.state == OperationState.SUCCEEDED
    assert mesh.patches() == []


def test_a_probe_finds_what_stands_and_nothing_else(mesh, now):
    route = a_route(mesh.url, now)
    for weights, found in (({"stable": 1, "canary": 0}, True), ({"stable": 90, "canary": 10}, False)):
        operation = begin(route, weights, now)
        view = journal.view_of(operation.steps.get(), operation)
        assert bool(HANDLERS["traffic.shift"].probe(view)) is found


def test_a_lost_answer_writes_once(mesh, now):
    route = a_route(mesh.url, now)
    mesh.control("faults", match=WRITE, do="close_after")
    operation, _step = run(begin(route, {"stable": 90, "canary": 10}, now), now)
    assert operation.state == OperationState.SUCCEEDED
    assert len(mesh.patches()) == 1


def test_a_write_that_never_arrived_is_sent_again(mesh, now):
    route = a_route(mesh.url, now)
    mesh.control("faults", match=WRITE, do="close_before")
    operation, _step = run(begin(route, {"stable": 90, "canary": 10}, now), now, looks=30)
    assert operation.state == OperationState.SUCCEEDED
    assert mesh.weights() == {"stable": 90, "canary": 10}


def test_weights_that_were_not_expected_ask_a_human_and_stay(mesh, now):
    route = a_route(mesh.url, now)
    mesh.edit(40, 60, manager="argocd-controller")
    operation, step = run(begin(route, {"stable": 90, "canary": 10}, now, expect={"stable": 100, "canary": 0}), now)
    assert step.state == StepState.NEEDS_HUMAN
    assert "argocd-controller" in str(step.note)
    assert mesh.weights() == {"stable": 40, "canary": 60}
    assert mesh.patches() == []
    assert queries.of_change(operation.subject)[0].state == ShiftState.NEEDS_HUMAN


def test_going_back_overwrites_a_foreign_change_after_keeping_it_in_the_record(mesh, now):
    route = a_route(mesh.url, now)
    mesh.edit(40, 60)
    operation, _step = run(begin(route, {"stable": 100, "canary": 0}, now, urgent=True, literal=True), now)
    assert operation.state == OperationState.SUCCEEDED
    assert mesh.weights() == {"stable": 100, "canary": 0}
    assert queries.of_change(operation.subject)[0].before == {"stable": 40, "canary": 60}


def test_going_back_never_makes_a_deleted_object_anew(mesh, now):
    route = a_route(mesh.url, now)
    mesh.control("edit", kind="virtualservices", namespace="bank-production", name="frontend", delete=True)
    _operation, step = run(begin(route, {"stable": 100, "canary": 0}, now, urgent=True), now)
    assert step.state == StepState.FAILED
    assert "no VirtualService frontend" in str(Sentence.from_json(step.note))
    assert not [one for one in mesh.cluster.log if one["method"] in {"POST", "PUT", "PATCH"}]


def test_weights_set_back_during_the_hold_are_noticed(mesh, now):
    route = a_route(mesh.url, now)
    operation = begin(route, {"stable": 90, "canary": 10}, now)
    operations.run(operation_id=operation.pk, worker="w", handlers=HANDLERS, now=Clock(now))
    mesh.edit(100, 0, manager="argocd-controller")
    operation, step = run(operation, now + timedelta(seconds=2))
    assert step.state == StepState.NEEDS_HUMAN
    assert "argocd-controller" in str(step.note)
    assert mesh.weights() == {"stable": 100, "canary": 0}


def test_weights_that_were_set_back_are_written_again_by_the_next_try(mesh, now):
    route = a_route(mesh.url, now)
    operation = begin(route, {"stable": 90, "canary": 10}, now)
    operations.run(operation_id=operation.pk, worker="w", handlers=HANDLERS, now=Clock(now))
    mesh.edit(100, 0)
    _operation, step = run(operation, now + timedelta(seconds=2))
    assert step.state == StepState.NEEDS_HUMAN

    operations.retry_step(step_id=step.pk, actor=SETUP, now=now + timedelta(seconds=20))
    operation, _step = run(operation, now + timedelta(seconds=20))
    assert operation.state == OperationState.SUCCEEDED
    assert (len(mesh.patches()), mesh.weights()) == (2, {"stable": 90, "canary": 10})


def kept_by_git(mesh):
    mesh.control(
        "edit",
        kind="virtualservices",
        namespace="bank-production",
        name="frontend",
        manager="argocd-controller",
        patch=[{"op": "add", "path": "/metadata/labels/app.kubernetes.io~1instance", "value": "bank"}],
    )


def test_weights_are_looked_at_for_longer_where_git_may_put_them_back(mesh, now):
    route = a_route(mesh.url, now)
    kept_by_git(mesh)
    operation = begin(route, {"stable": 90, "canary": 10}, now)
    a_choice(operation, route, now)
    at, states = now, []
    for wait in (0, 1, 4, 10):
        at += timedelta(seconds=wait)
        operations.run(operation_id=operation.pk, worker="w", handlers=HANDLERS, now=Clock(at))
        states.append(operation.steps.get().state)
    assert states == [StepState.APPLIED] * 3 + [StepState.CONFIRMED]
    shift = queries.ledger(route.id)[0]
    assert shift.verification == "held"


def test_a_rollback_does_not_wait_for_git(mesh, now):
    route = a_route(mesh.url, now)
    kept_by_git(mesh)
    mesh.edit(90, 10)
    operation = begin(route, {"stable": 100, "canary": 0}, now, urgent=True)
    for wait in (0, 1):
        clock = Clock(now + timedelta(seconds=wait))
        operations.run(operation_id=operation.pk, worker="w", handlers=HANDLERS, now=clock)
    assert operation.steps.get().state == StepState.CONFIRMED


def test_a_sync_five_seconds_later_is_noticed_and_named(mesh, now):
    route = a_route(mesh.url, now)
    kept_by_git(mesh)
    operation = begin(route, {"stable": 90, "canary": 10}, now)
    a_choice(operation, route, now)
    for wait in (0, 1):
        operations.run(
            operation_id=operation.pk, worker="w", handlers=HANDLERS, now=Clock(now + timedelta(seconds=wait))
        )
    mesh.edit(100, 0, manager="argocd-controller")
    operation, step = run(operation, now + timedelta(seconds=5))
    assert step.state == StepState.NEEDS_HUMAN
    assert "argocd-controller" in str(step.note)


@pytest.mark.parametrize(("takes_up", "level"), [(True, "held"), (False, "stored")])
def test_a_gateway_controller_that_lags_behind_is_waited_for(mesh, now, takes_up, level):
    body = recording("gw-httproute-status-patch-200")["response"]["body"]
    for condition in body["status"]["parents"][0]["conditions"]:
        condition["status"] = "True"
    for name in ("checkout-stable", "checkout-canary"):
        for one in backends("shop", name):
            mesh.control("edit", create=one)
    mesh.control("edit", create=body)
    where = {"system": "gateway", "namespace": "shop", "name": "checkout", "route": "primary"}
    route = a_route(mesh.url, now, locator=where, stable="checkout-stable", canary="checkout-canary")
    operation, step = run(begin(route, {"stable": 90, "canary": 10}, now), now)
    assert step.state == StepState.APPLIED
    if takes_up:
        there = mesh.cluster.store.objects["httproutes", "shop", "checkout"]
        for condition in there["status"]["parents"][0]["conditions"]:
            condition["observedGeneration"] = there["metadata"]["generation"]
    operation, step = run(operation, now + timedelta(seconds=12))
    assert step.state == StepState.CONFIRMED
    assert queries.ledger(route.id)[0].verification == level


def scale(mesh, replicas):
    mesh.control(
        "edit",
        kind="deployments",
        namespace="bank-production",
        name="frontend-canary",
        patch=[{"op": "replace", "path": "/spec/replicas", "value": replicas}],
    )


def test_a_target_without_ready_endpoints_gets_no_traffic_until_it_has_some(mesh, now):
    route = a_route(mesh.url, now)
    scale(mesh, 0)
    operation, step = run(begin(route, {"stable": 90, "canary": 10}, now), now)
    assert step.state == StepState.NEEDS_HUMAN
    assert "no ready endpoint" in str(step.note)
    assert mesh.weights() == {"stable": 100, "canary": 0}

    scale(mesh, 1)
    operations.retry_step(step_id=step.pk, actor=SETUP, now=now + timedelta(seconds=20))
    operation, _step = run(operation, now + timedelta(seconds=20))
    assert (operation.state, mesh.weights()) == (OperationState.SUCCEEDED, {"stable": 90, "canary": 10})


def test_a_reason_lets_it_go_on_and_is_kept_in_the_ledger_and_the_record(mesh, now):
    route = a_route(mesh.url, now)
    scale(mesh, 0)
    reason = "the pods start with the first request"
    operation, step = run(begin(route, {"stable": 90, "canary": 10}, now, reason=reason), now)
    assert step.state == StepState.CONFIRMED
    assert mesh.weights() == {"stable": 90, "canary": 10}
    assert queries.ledger(route.id)[0].reason == reason
    told = [event.data["reason"] for event in audit.story(f"change:{operation.subject}") if "reason" in event.data]
    assert told
    assert set(told) == {reason}


def test_a_look_is_kept_as_the_last_reading(mesh, now):
    route = a_route(mesh.url, now)
    mesh.edit(7, 3)
    services.look(route_id=route.id, now=now)
    assert catalog.route(route.id).reading.weights == {"stable": 7, "canary": 3}


def test_a_look_at_a_silent_cluster_keeps_nothing(mesh, now):
    route = a_route(mesh.url, now)
    mesh.control("faults", match={"path": "."}, do="close_before")
    with pytest.raises(Unreachable):
        services.look(route_id=route.id, now=now)
    assert catalog.route(route.id).reading is None


def test_a_preview_writes_nothing_anywhere(mesh, now):
    route = a_route(mesh.url, now)
    preview = provider_for(route).preview(reference(route), Split({"stable": 90, "canary": 10}))
    assert preview.is_possible
    assert [(step.name, step.before, step.after) for step in preview.steps] == [("stable", 100, 90), ("canary", 0, 10)]
    assert mesh.weights() == {"stable": 100, "canary": 0}
    assert catalog.route(route.id).reading is None


FORBIDDEN = refusal(403, "virtualservices is forbidden: User cannot patch", "Forbidden")
INVALID = refusal(422, "weight: Invalid value", "Invalid", details={"causes": [{"field": "weight"}]})


@pytest.mark.parametrize("urgent", [False, True], ids=["forward", "back"])
@pytest.mark.parametrize("no", [FORBIDDEN, INVALID], ids=["403", "422"])
def test_what_the_dry_run_refuses_is_never_sent_and_told_so(mesh, now, no, urgent):
    route = a_route(mesh.url, now)
    mesh.control("faults", **no)
    operation, step = run(begin(route, {"stable": 90, "canary": 10}, now, urgent=urgent), now)
    assert (operation.state, step.state) == (OperationState.FAILED, StepState.FAILED)
    note = str(Sentence.from_json(step.note))
    assert note.startswith("Nothing was written, it would be refused: ")
    assert json.loads(no["body"])["message"] in note
    assert (mesh.patches(), mesh.weights()) == ([], {"stable": 100, "canary": 0})
    assert str(queries.of_change(operation.subject)[0].why) == note


def test_every_write_is_tried_out_first(mesh, now):
    route = a_route(mesh.url, now)
    run(begin(route, {"stable": 90, "canary": 10}, now), now)
    patches = [one for one in mesh.cluster.log if one["method"] == "PATCH"]
    assert ["dryRun" in one["query"] for one in patches] == [True, False]
    assert patches[0]["body"] == patches[1]["body"]


def test_a_dry_run_nobody_answers_keeps_a_shift_forward_waiting_and_nothing_is_written(mesh, now):
    route = a_route(mesh.url, now)
    mesh.control("faults", match=DRY_RUN, do="close_before", times=1000)
    _operation, step = run(begin(route, {"stable": 90, "canary": 10}, now), now, looks=30)
    assert step.state == StepState.NEEDS_HUMAN
    assert (mesh.patches(), mesh.weights()) == ([], {"stable": 100, "canary": 0})


def test_a_dry_run_nobody_answers_keeps_nobody_from_going_back(mesh, now):
    route = a_route(mesh.url, now)
    mesh.control("faults", match=DRY_RUN, do="close_before", times=1000)
    operation, _step = run(begin(route, {"stable": 90, "canary": 10}, now, urgent=True), now)
    assert operation.state == OperationState.SUCCEEDED
    assert mesh.weights() == {"stable": 90, "canary": 10}


@pytest.mark.parametrize("urgent", [False, True], ids=["forward", "back"])
def test_a_cluster_that_tries_nothing_out_is_written_to_all_the_same(mesh, now, urgent):
    route = a_route(mesh.url, now)
    text = 'admission webhook "audit.example.com" does not support dry run'
    mesh.control("faults", **refusal(400, text, "BadRequest"))
    operation, _step = run(begin(route, {"stable": 90, "canary": 10}, now, urgent=urgent), now)
    assert operation.state == OperationState.SUCCEEDED
    assert mesh.weights() == {"stable": 90, "canary": 10}


def test_going_back_to_what_stands_already_needs_no_trial(mesh, now):
    route = a_route(mesh.url, now)
    mesh.control("faults", **FORBIDDEN)
    operation, _step = run(begin(route, {"stable": 100, "canary": 0}, now, urgent=True, literal=True), now)
    assert operation.state == OperationState.SUCCEEDED
