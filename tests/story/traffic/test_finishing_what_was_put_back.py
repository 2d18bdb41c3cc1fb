"""Bringing a version that was put back to everybody: a driver is given the time to notice it, and is left as it was."""

from datetime import timedelta

import pytest
from django.db import transaction

from releases.audit import queries as audit
from releases.catalog import queries as catalog
from releases.catalog import services as catalog_services
from releases.catalog.kinds import ConnectionKind
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.core.errors import Sentence
from releases.operations import services as operations
from releases.operations.models import Step
from releases.operations.states import StepState
from releases.traffic import queries
from releases.traffic.finishing import FINISH_KIND, FinishStep, finish
from releases.traffic.services.looking import look
from tests.factories.accounts import SETUP
from tests.factories.changes import a_change, a_house, inside
from tests.factories.drivers import Flagger
from tests.factories.shifts import Clock, running_cluster
from tests.factories.traffic import FULL

pytestmark = pytest.mark.django_db(transaction=True)
LABEL = "/metadata/labels/version"


class Finishing:
    """A change that goes back, and the step that has Flagger give all traffic to what was redeployed."""

    def __init__(self, mesh, now):
        house = a_house(now, service="frontend")
        edge = catalog_services.connect(
            actor=SETUP, name="mesh", kind=ConnectionKind.KUBERNETES, origin=mesh.url, secret=FULL, now=now
        )
        row = catalog_services.register_route(
            actor=SETUP,
            service_id=house.service.pk,
            environment_id=house.environment.pk,
            connection_id=edge.pk,
            locator={"namespace": "bank-production", "name": "frontend", "route": "primary"},
            stable="stable",
            canary="canary",
            now=now,
        )
        look(route_id=row.pk, now=now)
        self.change = a_change(house, at=State.IMPLEMENTING)
        ChangeRequest.objects.filter(pk=self.change.pk).update(state=State.ROLLING_BACK)
        self.flagger = Flagger(mesh, "frontend").begin()
        self.clock = Clock(inside(self.change))
        self.route, route = row.pk, catalog.route(row.pk)
        how = {"driver": "frontend", "is_promoted": True, "name": "promote frontend", "stage": 1, "after": ()}
        with transaction.atomic(durable=True):
            self.operation = operations.begin(
                kind="test",
                target="route",
                subject=self.change.pk,
                steps=[finish(route=route, change_id=self.change.pk, **how)],
                actor=SETUP,
                deadline=self.clock.now + timedelta(hours=1),
                key="finish",
                now=self.clock.now,
                urgent=True,
            )

    def redeployed(self, version):
        """Let a job deploy it."""
        patch = [{"op": "add", "path": LABEL, "value": version}]
        self.flagger._edit("deployments", "frontend-canary", patch)

    def looks(self, times):
        """Let a worker look so often, two seconds between the looks, and return the step."""
        for _look in range(times):
            handlers = {FINISH_KIND: FinishStep()}
            operations.run(operation_id=self.operation.pk, worker="w", handlers=handlers, now=self.clock)
            self.clock.now += timedelta(seconds=2)
        return Step.objects.get(operation=self.operation)

    def asked(self):
        """Return what was asked, as the record tells it."""
        return [one.data["wish"] for one in audit.story(self.change.stream) if one.kind == "driver.asked"]


@pytest.fixture
def finishing(now):
    with running_cluster() as mesh:
        yield Finishing(mesh, now)


def test_flagger_is_given_two_intervals_to_notice_and_its_analysis_is_skipped_for_once(finishing):
    flagger = finishing.flagger
    finishing.redeployed("v0.6.9")
    assert finishing.looks(8).state == StepState.APPLIED  # it rests, and has not noticed yet
    flagger.turn()
    assert flagger.object["status"]["phase"] == "Progressing"
    finishing.looks(1)
    assert (finishing.asked(), flagger.object["spec"]["skipAnalysis"]) == (["promote_fully"], True)
    assert queries.in_flight() == {finishing.route}  # what stands there meanwhile is no drift
    flagger.turn()
    assert finishing.looks(9).state == StepState.APPLIED  # another one may follow
    assert finishing.looks(4).state == StepState.CONFIRMED
    assert (finishing.asked(), flagger.object["spec"]["skipAnalysis"]) == (["promote_fully", "analyse"], False)
    assert flagger._of("deployments", "frontend-stable")["metadata"]["labels"]["version"] == "v0.6.9"


def test_flagger_that_never_gets_there_asks_a_person(finishing):
    finishing.redeployed("v0.6.9")
    finishing.flagger.turn()
    step = finishing.looks(200)
    assert step.state == StepState.NEEDS_HUMAN
    assert "is to bring the old version to everybody, and says: Progressing" in str(Sentence.from_json(step.note))


def test_what_nobody_drives_any_more_is_not_called_finished(finishing):
    where = {"kind": "canaries", "namespace": "bank-production", "name": "frontend"}
    finishing.flagger.cluster.control("edit", **where, delete=True)
    step = finishing.looks(1)
    assert step.state == StepState.FAILED
    assert "does not drive this route any more" in str(Sentence.from_json(step.note))
