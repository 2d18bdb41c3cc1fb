"""Bringing a version that was put back to everybody: a driver is given the time to notice it, and is left as it was."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction

from gmud.sandbox.server import Fault
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
OLD = "v0.6.9"
CONFLICT = '{"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409, "message": "modified"}'


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
        self.step = finish(
            route=route,
            change_id=self.change.pk,
            driver="frontend",
            version=OLD,
            name="promote frontend",
            stage=1,
            after=(),
        )
        self.begin()

    def begin(self):
        """Begin to go back, or begin it anew."""
        with transaction.atomic(durable=True):
            self.operation = operations.begin(
                kind="test",
                target="route",
                subject=self.change.pk,
                steps=[self.step],
                actor=SETUP,
                deadline=self.clock.now + timedelta(hours=1),
                key=str(uuid4()),
                now=self.clock.now,
                urgent=True,
                supersede=True,
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


def test_flagger_is_given_time_to_notice_and_its_analysis_is_skipped_for_once(finishing):
    flagger = finishing.flagger
    finishing.redeployed(OLD)
    assert finishing.looks(25).state == StepState.APPLIED  # it rests, and has not noticed yet
    flagger.turn()
    assert flagger.object["status"]["phase"] == "Progressing"
    finishing.looks(1)
    assert (finishing.asked(), flagger.object["spec"]["skipAnalysis"]) == (["promote_fully"], True)
    assert queries.in_flight() == {finishing.route}  # what stands there meanwhile is no drift
    flagger.turn()
    assert finishing.looks(9).state == StepState.APPLIED  # another one may follow
    assert finishing.looks(4).state == StepState.CONFIRMED
    assert (finishing.asked(), flagger.object["spec"]["skipAnalysis"]) == (["promote_fully", "analyse"], False)
    assert flagger._of("deployments", "frontend-stable")["metadata"]["labels"]["version"] == OLD


def test_what_was_put_back_and_never_noticed_is_not_called_back(finishing):
    finishing.redeployed(OLD)
    step = finishing.looks(200)
    assert step.state == StepState.NEEDS_HUMAN
    assert "is to bring the old version to everybody, and says: Succeeded" in str(Sentence.from_json(step.note))
    assert finishing.asked() == []


def test_where_the_old_version_serves_nothing_that_moves_is_taken_further(finishing):
    flagger = finishing.flagger
    flagger.say(lastAppliedSpec=OLD, lastPromotedSpec=OLD)
    finishing.redeployed("v0.6.11")  # the new one again: somebody tries once more
    flagger.turn()
    assert flagger.object["status"]["phase"] == "Progressing"
    assert finishing.looks(200).state == StepState.NEEDS_HUMAN
    assert finishing.asked() == []


def test_begun_anew_it_still_takes_out_what_it_had_set_itself(finishing):
    finishing.redeployed(OLD)
    finishing.flagger.turn()
    finishing.looks(1)
    finishing.flagger.turn()
    finishing.begin()
    assert finishing.looks(14).state == StepState.CONFIRMED
    assert finishing.flagger.object["spec"]["skipAnalysis"] is False


def test_one_that_moves_on_while_it_is_asked_is_asked_again(finishing):
    cluster = finishing.flagger.cluster.cluster
    finishing.redeployed(OLD)
    finishing.flagger.turn()
    cluster.faults.append(Fault("status:409", method="PATCH", path="canaries", body=CONFLICT))
    assert finishing.looks(2).state == StepState.APPLIED
    assert finishing.asked() == ["promote_fully"] * 2
    assert finishing.flagger.object["spec"]["skipAnalysis"] is True


def test_flagger_that_never_gets_there_asks_a_person(finishing):
    finishing.redeployed(OLD)
    finishing.flagger.turn()
    step = finishing.looks(200)
    assert step.state == StepState.NEEDS_HUMAN
    assert "is to bring the old version to everybody, and says: Progressing" in str(Sentence.from_json(step.note))


def test_what_nobody_drives_any_more_is_not_called_finished(finishing):
    where = {"kind": "canaries", "namespace": "bank-production", "name": "frontend"}
    finishing.flagger.cluster.control("edit", **where, delete=True)
    step = finishing.looks(1)
    assert step.state == StepState.NEEDS_HUMAN
    assert "does not drive this route any more" in str(Sentence.from_json(step.note))
