"""A release from its start to its review, through the real engine, Jenkins, gate, mesh and figures, over HTTP."""

import pytest

from gmud.demo.telling import ERROR_LIMIT, ERROR_RATE, SPLIT
from gmud.sandbox.jenkins_controller import Parameter
from releases.catalog import queries as catalog
from releases.catalog import services
from releases.catalog.kinds import Purpose
from releases.core import clock
from releases.delivery.models import Deployment
from releases.gate.models import GateDecision, Permit
from releases.health.models import Verdict
from releases.operations import queries as operations
from releases.rollout.models import Rollout
from releases.rollout.steps import GatedShift
from releases.traffic import queries as traffic
from releases.traffic.steps import STEP_KIND
from releases.web.pages import panels
from releases.web.pages.measured import traffic_of
from releases.web.pages.seen import look_at
from releases.worker.handlers import counted
from tests.factories.accounts import SETUP
from tests.factories.rollout import job_of, scheduled, told, unsound

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_the_job_gets_the_parameters_the_committee_saw_before_those_it_is_bound_with(bank):
    bank.jenkins.controller.jobs[job_of("ledgerwriter")].parameters += [Parameter("REGION"), Parameter("SHARDS")]
    services.bind(
        actor=SETUP,
        service_id=bank.house.service.pk,
        environment_id=bank.house.environment.pk,
        purpose=Purpose.DEPLOY,
        connection_id=bank.wires.jenkins.pk,
        settings={"job": job_of("ledgerwriter"), "parameters": {"REGION": "us-east-1", "SHARDS": "8"}},
        now=bank.house.now,
    )
    change = scheduled(bank.house, parameters={"REGION": "sa-east-1"})

    bank.start(change)
    bank.until_state(change, "watching")

    (build,) = bank.builds()
    assert (build["REGION"], build["SHARDS"], build["VERSION"]) == ("sa-east-1", "8", "v1.5.0")


def counting(bank):
    """Have somebody count the requests."""
    services.bind(
        actor=SETUP,
        service_id=bank.house.service.pk,
        environment_id=bank.house.environment.pk,
        purpose=Purpose.HEALTH,
        connection_id=bank.wires.prometheus.pk,
        settings={"query": ERROR_RATE, "limit": ERROR_LIMIT, "split": SPLIT},
        now=bank.house.now,
    )
    bank.handlers[STEP_KIND] = GatedShift(hold_seconds=0.02, contention_seconds=0.5, count=counted)


def test_a_release_deploys_shifts_is_judged_is_watched_and_goes_to_its_review(bank, settings):
    settings.GMUD_WATCH_SECONDS = 3.0
    counting(bank)
    change = scheduled(bank.house)

    bank.start(change)
    bank.until_state(change, "watching")

    said = "Prometheus 3.5.0 (the stand-in counts) saw 100.0 % of the requests at v1.5.0 after the shift."
    assert [str(one) for one in traffic_of(look_at(change.number, clock.now()))[1]] == [said]
    assert (bank.weights(), bank.versions()["canary"]) == ({"stable": 0, "canary": 100}, "v1.5.0")
    assert bank.running() == "v1.5.0"
    bank.until_state(change, "reviewing")
    bank.rest()
    row = Rollout.objects.get(change=change)
    assert (row.outcome, row.ended_at is not None) == ("succeeded", True)
    deployment = Deployment.objects.get(change_id=change.pk)
    assert (deployment.state, deployment.slot, deployment.intent) == ("succeeded", "canary", "deploy")
    shifts = traffic.of_change(change.pk)
    assert [(dict(one.asked), one.state, one.verification) for one in shifts] == [
        ({"stable": 90, "canary": 10}, "confirmed", "observed"),
        ({"stable": 0, "canary": 100}, "confirmed", "observed"),
    ]
    assert [shift.evidence.parts["share"] for shift in shifts] == [10.0, 100.0]
    assert dict(shifts[0].before) == {"stable": 100, "canary": 0}
    verdicts = Verdict.objects.filter(change_id=change.pk).order_by("judged_at")
    assert [(one.name, one.health) for one in verdicts] == [
        ("verdict ledgerwriter", "healthy"),
        ("watch ledgerwriter", "healthy"),
    ]
    (route,) = catalog.routes_for(bank.house.service.pk, bank.house.environment.pk)
    assert dict(route.reading.weights) == {"stable": 0, "canary": 100}
    assert len(bank.orders()) == 1
    asked = GateDecision.objects.order_by("decided_at")
    assert [(one.intent, one.verdict) for one in asked] == [("deploy", "allow"), *[("traffic_shift", "allow")] * 2]
    assert not Permit.objects.filter(redeemed_at=None).exists()
    story = told(change)
    order = [
        "change.started",
        "rollout.started",
        "gate.decided",
        "permit.redeemed",
        "deployment.ended",
        "shift.ended",
        "verdict.given",
        "change.deployed",
        "rollout.ended",
        "change.settled",
    ]
    assert [story.index(kind) for kind in order] == sorted(story.index(kind) for kind in order)
    assert str(panels.story(change)[0].text) == "The watch ended without trouble."
    assert operations.state_on(change.stream) is None
    assert unsound() == []
