"""A run that others began and report is believed as far as its own system agrees."""

from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import transaction

from releases.core import clock
from releases.delivery import queries, services
from releases.delivery.ports import Handle
from releases.delivery.services import reporting
from releases.delivery.services.reporting import Report
from releases.delivery.states import State
from releases.delivery.steps import ReportStep
from releases.gate.rules import Run
from tests.factories.accounts import SETUP
from tests.factories.delivery import JOB, Clock, a_deployment, a_world, ask, basic, begin, permit, run

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ANOTHER = "sha256:" + "cd" * 32
WITHIN_AN_HOUR = timedelta(hours=1)


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def awaited(world):
    """Request a deployment that others begin, where the job of the world's Jenkins is bound."""
    ours = a_deployment(world)
    place = {name: getattr(ours, name) for name in ("service_id", "environment_id", "artifact_id", "slot")}
    with transaction.atomic(durable=True):
        return services.request(
            change_id=uuid4(), item_id=None, actor=SETUP, now=clock.now(), is_reported=True, **place
        )


def built(world, parameters):
    """Build as somebody else does, and wait for the end."""
    path = "/job/ledger/job/deploy-ledgerwriter/buildWithParameters"
    headers = {"Authorization": basic(), "Content-Type": "application/x-www-form-urlencoded"}
    assert ask(world.url, "POST", path, body=urlencode(parameters), headers=headers).status == 201
    return world.until(Handle(key="", job=JOB, run="1"), lambda one: one.state in {State.SUCCEEDED, State.FAILED})


@pytest.mark.parametrize(
    ("given", "later", "ends", "words"),
    [
        ({}, timedelta(), ("succeeded", State.SUCCEEDED), ""),
        ({"DIGEST": ANOTHER}, timedelta(), ("failed", State.FAILED), "as DIGEST"),
        ({}, WITHIN_AN_HOUR, ("failed", State.FAILED), "had ended before"),
    ],
)
def test_a_success_counts_only_of_a_run_that_brought_the_artifact_since_it_was_reported(
    world, given, later, ends, words
):
    row = awaited(world)
    assert built(world, {**row.parameters, "GMUD_PERMIT": permit(), **given}).state is State.SUCCEEDED
    told_at = clock.now() + later
    operation = begin([services.step_for(row)], row.change_id, told_at)
    report = Report(uuid4(), Run("jenkins", f"{JOB}#1"), row.artifact.digest)
    with transaction.atomic(durable=True):
        row = reporting.began(row, report, actor=SETUP, now=told_at)
        reporting.ended(row, said=State.SUCCEEDED, why="", actor=SETUP, now=told_at)

    there = Clock(told_at)
    ended = run(operation, {services.REPORT_STEP: ReportStep(there)}, there)

    card = queries.deployment(row.pk, now=there.now)
    assert (ended.state, card.state) == ends
    assert words in str(card.why or "")
    assert (card.key, card.acts) == ("", frozenset())
