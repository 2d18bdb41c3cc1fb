"""Other writers: conflicts for a while, conflicts for ever, an edit in the middle of a flip."""

from datetime import timedelta

import pytest

from gmud.sandbox.kubernetes.store import Write
from releases.audit.actor import system
from releases.operations import services as operations
from releases.operations.states import OperationState, StepState
from releases.traffic import queries, steps
from releases.traffic.states import ShiftState
from tests.factories.shifts import Clock, a_route, begin, run, running_cluster

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_flip_outlasts_thirty_conflicts(now):
    with running_cluster() as mesh:
        route = a_route(mesh.url, now)
        mesh.control("conflict", times=30, what="touch")
        operation = begin(route, {"stable": 90, "canary": 10}, now)
        naps = []

        def patient(card, *, urgent=False):
            provider = steps.provider_for(card, urgent=urgent)
            provider.sleep = naps.append
            return provider

        handlers = {steps.STEP_KIND: steps.ShiftStep(provide=patient, hold_seconds=0, contention_seconds=60)}
        operations.run(operation_id=operation.pk, worker="w", handlers=handlers, now=Clock(now))
        operation.refresh_from_db()
        assert operation.state == OperationState.SUCCEEDED
        assert mesh.weights() == {"stable": 90, "canary": 10}
        assert len(mesh.patches()) == 31
        assert sum(naps) < 20


def test_conflicts_for_ever_ask_a_human_and_overwrite_nothing(now):
    with running_cluster() as mesh:
        route = a_route(mesh.url, now)
        mesh.control("conflict", times=-1, what="touch")
        operation, step = run(begin(route, {"stable": 90, "canary": 10}, now), now)
        assert step.state == StepState.NEEDS_HUMAN
        assert mesh.weights() == {"stable": 100, "canary": 0}
        assert queries.of_change(operation.subject)[0].state == ShiftState.NEEDS_HUMAN

        mesh.control("conflict", times=0)
        operations.retry_step(step_id=step.pk, actor=system("tests"), now=now)
        operation, step = run(operation, now + timedelta(seconds=1))
        assert operation.state == OperationState.SUCCEEDED
        assert mesh.weights() == {"stable": 90, "canary": 10}


def test_an_edit_during_the_flip_stops_it_with_both_sides_named(now):
    """Of every control plane 50 of 50 are noticed in the contract; here it is what becomes of the operation."""
    with running_cluster() as mesh:
        route = a_route(mesh.url, now)
        cluster = mesh.cluster

        def outrun(resource, there):
            del cluster.outrun
            spec = {**there["spec"], "http": [{**there["spec"]["http"][0]}]}
            stable, canary = there["spec"]["http"][0]["route"]
            spec["http"][0]["route"] = [{**stable, "weight": 60}, {**canary, "weight": 40}]
            return cluster.store.update(resource, there, {**there, "spec": spec}, Write("kubectl-edit"))

        cluster.outrun = outrun
        operation, step = run(begin(route, {"stable": 90, "canary": 10}, now), now)
        assert step.state == StepState.NEEDS_HUMAN
        assert "kubectl-edit" in str(step.note)
        assert mesh.weights() == {"stable": 60, "canary": 40}
        assert len(mesh.patches()) == 1
        assert operation.state == OperationState.NEEDS_HUMAN


def test_of_two_flips_of_one_route_the_later_one_stands_and_each_tells_what_it_found(now):
    with running_cluster() as mesh:
        route = a_route(mesh.url, now)
        first, second = ({"stable": 90, "canary": 10}, {"stable": 50, "canary": 50})
        begun = [begin(route, weights, now) for weights in (first, second)]
        states = [run(operation, now)[1].state for operation in begun]
        assert states == [StepState.CONFIRMED, StepState.CONFIRMED]
        assert mesh.weights() == second
        assert [shift.before for shift in queries.ledger(route.id)] == [first, {"stable": 100, "canary": 0}]
