"""Going back writes the very numbers that stood there: whatever they sum to, and none where a weight was absent."""

from datetime import timedelta

import pytest
from django.db import transaction

from releases.catalog import queries as catalog
from releases.catalog import services as catalog_services
from releases.catalog.kinds import ConnectionKind
from releases.changes.states import State
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.rollback import services as rollback
from releases.traffic import steps
from releases.traffic.services.looking import look
from tests.factories.accounts import SETUP
from tests.factories.changes import a_change, a_house, inside
from tests.factories.shifts import HANDLERS, Clock, running_cluster
from tests.factories.traffic import FULL

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mesh():
    with running_cluster() as running:
        yield running


def entries(mesh):
    stored = mesh.cluster.store.objects["virtualservices", "bank-production", "frontend"]
    return stored["spec"]["http"][0]["route"]


def raw(mesh):
    return [one.get("weight") for one in entries(mesh)]


def stand(mesh, *weights):
    for entry, weight in zip(entries(mesh), weights, strict=True):
        entry.pop("weight", None)
        if weight is not None:
            entry["weight"] = weight


def a_route(mesh, house):
    edge = catalog_services.connect(
        actor=SETUP, name="mesh", kind=ConnectionKind.KUBERNETES, origin=mesh.url, secret=FULL, now=house.now
    )
    row = catalog_services.register_route(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        connection_id=edge.pk,
        locator={"namespace": "bank-production", "name": "frontend", "route": "primary"},
        stable="stable",
        canary="canary",
        now=house.now,
    )
    look(route_id=row.pk, now=house.now)
    return catalog.route(row.pk)


def run(operation_id, now):
    for seconds in range(0, 24, 2):
        clock = Clock(now + timedelta(seconds=seconds))
        operations.run(operation_id=operation_id, worker="w", handlers=HANDLERS, now=clock)
    return Operation.objects.get(pk=operation_id)


def forward(change, route, now):
    step = steps.plan(route=route, weights={"stable": 1, "canary": 1}, change_id=change.pk, asked_by="Ana")
    with transaction.atomic(durable=True):
        return operations.begin(
            kind="test",
            target=f"route:{route.id}",
            subject=change.pk,
            steps=[step],
            actor=SETUP,
            deadline=now + timedelta(minutes=5),
            key="forward",
            now=now,
        ).pk


@pytest.mark.parametrize("stood", [(3, None), (3, 1), (None, 7)], ids=str)
def test_a_rollback_writes_them_and_removes_what_was_absent(mesh, now, stood):
    house = a_house(now, service="frontend")
    stand(mesh, *stood)
    route = a_route(mesh, house)
    change = a_change(house, at=State.IMPLEMENTING)
    at = inside(change)
    assert run(forward(change, route, at), at).state == "succeeded"
    assert raw(mesh) != list(stood)

    later = at + timedelta(minutes=1)
    row = rollback.begin(change_id=change.pk, actor=house.actor("on_call"), now=later)
    assert run(row.operation, later).state == "succeeded"
    assert raw(mesh) == list(stood)


def test_weights_that_somebody_changed_before_the_release_are_no_way_back(mesh, now):
    house = a_house(now, service="frontend")
    stand(mesh, 3, 1)
    route = a_route(mesh, house)
    change = a_change(house, at=State.IMPLEMENTING)
    at = inside(change)
    stand(mesh, 3, None)
    assert run(forward(change, route, at), at).state == "succeeded"

    later = at + timedelta(minutes=1)
    row = rollback.begin(change_id=change.pk, actor=house.actor("on_call"), now=later)
    assert run(row.operation, later).state == "succeeded"
    assert raw(mesh) == [3, 1]


def test_a_reason_given_when_it_begins_anew_passes_the_doubts_that_stopped_it(mesh, now):
    house = a_house(now, service="frontend")
    route = a_route(mesh, house)
    change = a_change(house, at=State.IMPLEMENTING)
    at = inside(change)
    assert run(forward(change, route, at), at).state == "succeeded"
    where = {"kind": "deployments", "namespace": "bank-production", "name": "frontend-stable"}
    mesh.control("edit", **where, patch=[{"op": "replace", "path": "/spec/replicas", "value": 0}])

    later = at + timedelta(minutes=1)
    row = rollback.begin(change_id=change.pk, actor=house.actor("on_call"), reason="errors rise", now=later)
    assert run(row.operation, later).state != "succeeded"
    assert raw(mesh) == [50, 50]

    again = later + timedelta(minutes=1)
    rollback.ended(operation_id=row.operation, state=Operation.objects.get(pk=row.operation).state, now=again)
    row = rollback.take_over(
        change_id=change.pk, actor=house.actor("on_call"), reason="the pods start at any moment", now=again
    )
    assert run(row.operation, again).state == "succeeded"
    assert raw(mesh) == [100, 0]
