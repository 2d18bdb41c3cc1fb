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
from tests.factories.shifts import HANDLERS, Clock, a_route, begin, run, running_cluster

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
    assert [entry.kind for entry in story] == ["shift.ended"]
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
    assert "no VirtualService" in str(step.note)
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


def test_a_target_without_ready_replicas_gets_no_traffic(mesh, now):
    route = a_route(mesh.url, now)
    mesh.control(
        "edit",
        kind="deployments",
        namespace="bank-production",
        name="frontend-canary",
        patch=[{"op": "replace", "path": "/spec/replicas", "value": 0}],
    )
    _operation, step = run(begin(route, {"stable": 90, "canary": 10}, now), now)
    assert step.state == StepState.FAILED
    assert "no ready replica" in str(step.note)
    assert mesh.weights() == {"stable": 100, "canary": 0}


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
    assert note.startswith("Nothing was written, the cluster would refuse it: ")
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
