"""What nothing is known of by which it could go back waits for a person: half a rollback is never said to be whole."""

from datetime import timedelta

import pytest
from django.db import transaction

from releases.catalog import services as catalog
from releases.catalog.kinds import Purpose
from releases.changes.services import ItemDraft
from releases.changes.states import State
from releases.core.errors import Sentence
from releases.operations import services as operations
from releases.rollback.services.planning import backward
from releases.rollback.steps import BY_HAND_KIND
from releases.worker.handlers import HANDLERS
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_connection, a_digest, a_service, an_artifact
from tests.factories.changes import a_change, a_house


@pytest.mark.django_db(transaction=True)
def test_of_two_items_only_the_one_that_nothing_brings_back_asks_a_person(now):
    house = a_house(now)
    contacts, jenkins = a_service("contacts"), a_connection(now=now)
    there = {"actor": SETUP, "environment_id": house.environment.pk, "now": now}
    stands = an_artifact(contacts, "v1.4.2")
    catalog.note_running(**there, service_id=contacts.pk, artifact_id=stands.pk)
    job = {"job": "bank/deploy", "parameters": {}}
    bound = {"service_id": house.service.pk, "purpose": Purpose.DEPLOY, "connection_id": jenkins.pk}
    catalog.bind(**there, **bound, settings=job)
    services = (house.service, contacts)
    items = tuple(ItemDraft(one.name, house.environment.name, "v1.5.0", a_digest()) for one in services)
    change = a_change(house, at=State.WATCHING, items=items)

    with transaction.atomic():
        steps = backward(change, actor=SETUP, now=now)

    assert {(step.kind, step.name) for step in steps} == {
        ("delivery.deploy", "redeploy ledgerwriter"),
        ("delivery.verify", "verify version ledgerwriter"),
        (BY_HAND_KIND, "bring back contacts"),
    }


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
