"""Deployments through the real engine and Spinnaker's stand-in, forward and back, all over HTTP."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction

from gmud.sandbox.spinnaker.accounts import TOKEN
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.core import breaker
from releases.delivery import queries, services
from releases.delivery.spinnaker import going_back
from releases.delivery.states import State
from releases.delivery.steps import DeployStep, VersionStep
from releases.operations.models import Step
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_connection, a_service, an_artifact, an_environment
from tests.factories.delivery import Clock, begin, control, fault, permit, run
from tests.factories.spinnaker import JOB, PLACE, REGION, a_world

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def world():
    with a_world() as found:
        yield found


class Place:
    """Ledgerwriter in production, bound to a pipeline of the world's Spinnaker."""

    def __init__(self, world):
        self.world = world
        self.service, self.environment = a_service("ledgerwriter"), an_environment()
        self.connection = a_connection(
            "spin", ConnectionKind.SPINNAKER, origin=world.url, account="", secret=str(TOKEN)
        )
        self.artifacts = {}
        self.bind(job=JOB)

    def bind(self, **settings):
        catalog.bind(
            actor=SETUP,
            service_id=self.service.pk,
            environment_id=self.environment.pk,
            purpose=Purpose.DEPLOY,
            connection_id=self.connection.pk,
            settings=settings,
            now=NOW,
        )

    def brings(self, version, now, *, intent="deploy"):
        """Bring a version there through the engine; return how the operation and the deployment ended."""
        if version not in self.artifacts:
            self.artifacts[version] = an_artifact(self.service, version)
        with transaction.atomic(durable=True):
            deployment = services.request(
                change_id=uuid4(),
                item_id=None,
                service_id=self.service.pk,
                environment_id=self.environment.pk,
                artifact_id=self.artifacts[version].pk,
                slot="canary",
                actor=SETUP,
                now=now,
                intent=intent,
            )
        clock = Clock(now)
        steps = [services.step_for(deployment)]
        if intent == "rollback":
            steps.append(services.verification_of(deployment, leaving=[], live="", stage=2))
        operation = begin(steps, deployment.change_id, now)
        deploy = DeployStep(lambda one: permit(str(one.pk)), clock)
        handlers = {services.STEP_KIND: deploy, services.VERIFY_STEP: VersionStep(clock)}
        ended = run(operation, handlers, clock)
        return ended, queries.deployment(deployment.pk, now=clock.now)


@pytest.fixture
def place(world):
    return Place(world)


def test_forward_and_back_through_the_same_pipeline(place, now):
    forward, there = place.brings("v0.6.11", now)
    back, again = place.brings("v0.6.10", now, intent="rollback")

    assert (forward.state, back.state) == ("succeeded", "succeeded")
    assert (there.state, again.state) == (State.SUCCEEDED, State.SUCCEEDED)
    assert [stage.name for stage in there.stages] == ["Permit", "Deploy"]
    assert there.job == JOB
    assert ":v0.6.10@" in place.world.deployed()
    assert len(place.world.gate.redeemed) == 2


def test_through_echo_it_is_followed_though_gate_answered_before_anything_began(place, now):
    place.bind(job=JOB, options={"via": "v2"})

    ended, deployment = place.brings("v0.6.11", now)

    assert (ended.state, deployment.state) == ("succeeded", State.SUCCEEDED)
    assert {one["path"].split("/")[2] for one in place.world.spinnaker.log if one["method"] == "POST"} == {"v2"}


def test_back_by_a_task_to_the_revision_that_carries_what_was_approved(place, now):
    place.brings("v0.6.11", now)
    place.brings("v0.6.12", now)
    place.bind(job="ledger", options={"task": "undoRolloutManifest", **PLACE})

    ended, deployment = place.brings("v0.6.11", now, intent="rollback")

    assert (ended.state, deployment.state) == ("succeeded", State.SUCCEEDED)
    assert ":v0.6.11@" in place.world.deployed()
    assert [stage.name for stage in deployment.stages] == ["undoRolloutManifest"]


def test_what_a_task_goes_back_from_and_to_is_chosen_once_before_it_is_first_sent(place, now):
    rows = [{"name": "v006", "enabled": False}, {"name": "v007"}]
    control(place.world.url, "settings", {"groups": {"prod/shop-prod/us-east-1": rows}})
    place.bind(job="ledger", options={"task": "rollbackCluster", **REGION})

    ended, deployment = place.brings("v0.6.11", now, intent="rollback")

    assert (ended.state, deployment.state) == ("succeeded", State.SUCCEEDED)
    chosen = Step.objects.get(kind=services.STEP_KIND).prev["options"]
    assert (chosen["task"], chosen["now"], chosen["back"]) == ("rollbackServerGroup", "v007", "v006")


def test_a_task_that_succeeded_and_did_nothing_fails_the_operation_with_its_reason(place, now, monkeypatch):
    place.brings("v0.6.11", now)
    place.bind(job="ledger", options={"task": "undoRolloutManifest", "revision": "1", **PLACE})
    place.world.spinnaker.works.clouds.undo = lambda _place, _job: None
    monkeypatch.setattr(going_back, "CACHE_LASTS", timedelta(0))

    ended, deployment = place.brings("v0.6.10", now, intent="rollback")

    assert (ended.state, deployment.state) == ("failed", State.UNCHANGED)
    assert "nothing changed" in str(deployment.why)


def test_a_response_lost_after_apply_ends_in_one_execution_and_one_deployment(place, now):
    fault(place.world.url, "close_after", method="POST", path="/pipelines/")

    ended, deployment = place.brings("v0.6.11", now)
    breaker._breakers.clear()

    assert (ended.state, deployment.state) == ("succeeded", State.SUCCEEDED)
    assert len(place.world.executions()) == 1
    assert len([one for one in place.world.cluster.log if one["method"] == "PATCH"]) == 1
