"""What nothing is known of by which it could go back waits for a person: half a rollback is never said to be whole."""

from datetime import timedelta

import pytest
from django.db import transaction

from releases.changes.states import State
from releases.core.errors import Sentence
from releases.operations import services as operations
from releases.rollback.services.planning import backward
from releases.rollback.steps import BY_HAND_KIND
from releases.worker.handlers import HANDLERS
from tests.factories.accounts import SETUP
from tests.factories.changes import a_change, a_house


@pytest.mark.django_db(transaction=True)
def test_an_item_without_a_job_and_a_route_holds_the_rollback_open_and_asks_a_person(now):
    house = a_house(now)
    change = a_change(house, at=State.WATCHING)

    steps = backward(change, actor=SETUP, now=now)
    assert [(step.name, step.kind) for step in steps] == [("bring back ledgerwriter", BY_HAND_KIND)]

    with transaction.atomic(durable=True):
        operation = operations.begin(
            kind="rollback",
            target=change.stream,
            subject=change.pk,
            steps=steps,
            actor=SETUP,
            deadline=now + timedelta(minutes=5),
            key="rollback",
            now=now,
            urgent=True,
        )
    operations.run(operation_id=operation.pk, worker="w", handlers=HANDLERS, now=lambda: now)

    operation.refresh_from_db()
    assert operation.state == "needs_human"
    said = str(Sentence.from_json(operation.steps.get().note))
    assert said.startswith("No job and no route of ledgerwriter is known here")
