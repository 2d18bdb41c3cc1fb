"""A release from its start to its review, through the real engine, Jenkins, gate, mesh and figures, over HTTP."""

import pytest

from releases.catalog import queries as catalog
from releases.delivery.models import Deployment
from releases.health.models import Verdict
from releases.operations import queries as operations
from releases.rollout.models import Rollout
from releases.traffic import queries as traffic
from tests.factories.rollout import scheduled, told, unsound

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_release_deploys_shifts_is_judged_is_watched_and_goes_to_its_review(bank, settings):
    settings.GMUD_WATCH_SECONDS = 3.0
    change = scheduled(bank.house)

    bank.start(change)
    bank.until_state(change, "watching")

    assert (bank.weights(), bank.versions()["canary"]) == ({"stable": 0, "canary": 100}, "v1.5.0")
    assert bank.running() == "v1.5.0"
    bank.until_state(change, "reviewing")
    bank.rest()
    row = Rollout.objects.get(change=change)
    assert (row.outcome, row.ended_at is not None) == ("succeeded", True)
    deployment = Deployment.objects.get(change_id=change.pk)
    assert (deployment.state, deployment.slot, deployment.intent) == ("succeeded", "canary", "deploy")
    shifts = traffic.of_change(change.pk)
    assert [(dict(one.asked), one.state) for one in shifts] == [
        ({"stable": 90, "canary": 10}, "confirmed"),
        ({"stable": 0, "canary": 100}, "confirmed"),
    ]
    assert dict(shifts[0].before) == {"stable": 100, "canary": 0}
    verdicts = Verdict.objects.filter(change_id=change.pk).order_by("judged_at")
    assert [(one.name, one.health) for one in verdicts] == [
        ("verdict ledgerwriter", "healthy"),
        ("watch ledgerwriter", "healthy"),
    ]
    route = catalog.route_for(bank.house.service.pk, bank.house.environment.pk)
    assert dict(route.reading.weights) == {"stable": 0, "canary": 100}
    assert len(bank.orders()) == 1
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
    assert not operations.has_active(change.pk)
    assert unsound() == []
