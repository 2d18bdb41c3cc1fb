"""Going back where Argo Rollouts or Flagger set the weights themselves: they are asked, their routes are left alone."""

import copy
from datetime import timedelta

import pytest
from django.db.models import F

from releases.core.errors import Sentence
from releases.operations import services as operations
from releases.operations.models import Step
from releases.operations.states import StepState
from releases.traffic import queries
from releases.traffic.providers import drivers_for
from releases.traffic.states import ShiftState
from releases.traffic.steps import STEP_KIND, ShiftStep
from tests.factories.shifts import a_route, begin, run, running_cluster
from tests.factories.traffic import recording

pytestmark = pytest.mark.django_db(transaction=True)
BACK = {"stable": 100, "canary": 0}


@pytest.fixture
def mesh():
    with running_cluster() as running:
        yield running


def driven(mesh, name, spec=None):
    """Let the recorded Rollout or Canary drive the route of frontend, which stands at 90/10."""
    found = copy.deepcopy(recording(name)["response"]["body"])
    found["metadata"] |= {"namespace": "bank-production", "name": "frontend"}
    if found["kind"] == "Rollout":
        found["spec"]["strategy"]["canary"]["trafficRouting"] = {"istio": {"virtualService": {"name": "frontend"}}}
    else:
        found["spec"] |= {"service": {"name": "frontend", "port": 8080}, **(spec or {})}
    mesh.control("edit", create=found)
    mesh.edit(90, 10, manager="rollouts-controller")


def asked(mesh):
    return [(one["path"].split("/namespaces/")[1], one["body"]) for one in mesh.patches()]


def test_a_rollout_is_asked_to_abort_and_its_route_is_left_to_it(mesh, now):
    route = a_route(mesh.url, now)
    driven(mesh, "rollout-get-paused-200")
    operation, step = run(begin(route, BACK, now, urgent=True), now, looks=3)
    assert step.state == StepState.APPLIED
    assert asked(mesh) == [("bank-production/rollouts/frontend/status", '{"status":{"abort":true}}')]
    mesh.edit(100, 0, manager="rollouts-controller")
    operation, step = run(operation, now + timedelta(seconds=6))
    assert step.state == StepState.CONFIRMED
    assert len(mesh.patches()) == 1
    shift = queries.ledger(route.id)[0]
    assert (shift.state, shift.observed) == (ShiftState.CONFIRMED, BACK)


def test_a_rollout_that_does_not_move_in_a_minute_asks_a_human(mesh, now):
    route = a_route(mesh.url, now)
    driven(mesh, "rollout-get-paused-200")
    _operation, step = run(begin(route, BACK, now, urgent=True), now, looks=33)
    assert step.state == StepState.NEEDS_HUMAN
    assert "was asked for stable 100, canary 0" in str(Sentence.from_json(step.note))
    assert mesh.weights() == {"stable": 90, "canary": 10}
    assert len(mesh.patches()) == 1


@pytest.mark.parametrize("weights", [{"stable": 50, "canary": 50}, BACK])
def test_going_forward_nobody_is_asked_and_nothing_is_written(mesh, now, weights):
    route = a_route(mesh.url, now)
    driven(mesh, "rollout-get-paused-200")
    _operation, step = run(begin(route, weights, now), now)
    assert step.state == StepState.FAILED
    assert "Argo Rollouts drives this route" in str(Sentence.from_json(step.note))
    assert not mesh.patches()


def test_going_back_half_way_is_not_an_abort(mesh, now):
    route = a_route(mesh.url, now)
    driven(mesh, "rollout-get-paused-200")
    _operation, step = run(begin(route, {"stable": 95, "canary": 5}, now, urgent=True), now)
    assert step.state == StepState.FAILED
    assert not mesh.patches()


def test_flagger_is_waited_for_until_it_asked_and_nothing_is_written(mesh, now):
    route = a_route(mesh.url, now)
    driven(mesh, "flagger-get-200")
    operation, step = run(begin(route, BACK, now, urgent=True), now, looks=33)
    assert step.state == StepState.APPLIED
    mesh.edit(100, 0, manager="flagger")
    _operation, step = run(operation, now + timedelta(seconds=66))
    assert step.state == StepState.CONFIRMED
    assert not mesh.patches()


def test_flagger_that_asks_somebody_else_cannot_be_told_and_says_how_it_stands(mesh, now):
    route = a_route(mesh.url, now)
    driven(mesh, "flagger-get-200", {"analysis": {"webhooks": []}})
    _operation, step = run(begin(route, BACK, now, urgent=True), now)
    assert step.state == StepState.FAILED
    said = str(Sentence.from_json(step.note))
    assert "Flagger" in said
    assert "Progressing" in said
    assert "rollback hook" in said
    assert not mesh.patches()


def test_a_driver_is_not_asked_any_more_once_somebody_else_took_the_work_over(mesh, now):
    route = a_route(mesh.url, now)
    driven(mesh, "rollout-get-paused-200")

    def taken_over_meanwhile(route, *, urgent):
        found = drivers_for(route, urgent=urgent)
        Step.objects.update(fence=F("fence") + 1)
        return found

    handlers = {STEP_KIND: ShiftStep(hold_seconds=0, drive=taken_over_meanwhile)}
    operation = begin(route, BACK, now, urgent=True)
    operations.run(operation_id=operation.pk, worker="w", handlers=handlers, now=lambda: now)
    assert not mesh.patches()
