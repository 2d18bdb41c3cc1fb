"""Probes: alive touches nothing; ready names what is missing; both answer callers that a page would not."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from releases.core import clock
from releases.operations import services as operations

QUEUES = ("rollback", "deploy", "notify", "default")


@pytest.fixture
def workers():
    """Let a worker be seen on each queue."""
    for name in QUEUES:
        operations.heartbeat(worker=name, queues=[name], now=clock.now())


def test_alive_asks_no_database(client):  # pytest-django forbids it one here
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"alive": True})


@pytest.mark.django_db
def test_ready_when_database_migrations_and_a_worker_on_each_queue_are_there(client, workers):
    answer = client.get("/readyz")

    assert answer.status_code == 200, answer.json()
    assert answer.json()["ready"] is True
    assert answer.json()["missing"] == []
    assert set(answer.json()["checks"]["workers"]["seconds_since_seen"]) == set(QUEUES)
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_not_ready_without_workers(client):
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["missing"] == ["workers"]
    assert answer.json()["checks"]["workers"]["detail"] == (
        "nobody works on default, deploy, notify, rollback: start a worker"
    )


@pytest.mark.django_db
def test_not_ready_when_nobody_works_on_the_rollback_queue(client):
    operations.heartbeat(worker="one", queues=["deploy", "notify", "default"], now=clock.now())

    assert client.get("/readyz").json()["checks"]["workers"]["detail"] == "nobody works on rollback: start a worker"


@pytest.mark.django_db
def test_a_worker_that_was_not_seen_lately_does_not_count(client):
    operations.heartbeat(worker="one", queues=list(QUEUES), now=clock.now() - timedelta(minutes=5))

    assert client.get("/readyz").json()["missing"] == ["workers"]


@pytest.mark.django_db
def test_not_ready_while_migrations_wait(client, workers):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'releases' AND name <> '0001_initial'")
        cursor.execute("DELETE FROM django_migrations WHERE app = 'sessions'")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["missing"] == ["migrations"]


@pytest.fixture
def lost_database(transactional_db):
    """Let the database be where nobody answers."""
    connection.close()
    kept = dict(connection.settings_dict)
    connection.settings_dict.update(NAME="/nowhere/at/all", PORT="1")
    yield
    connection.close()
    connection.settings_dict.update(kept)


def test_not_ready_without_a_database(client, lost_database):
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["missing"] == ["database", "migrations", "workers"]
    assert answer.json()["checks"]["database"]["detail"] == "the database does not answer (OperationalError)"


@pytest.mark.parametrize("host", ["10.1.2.3", "pod-7.cluster.example"])
def test_a_probe_may_call_by_any_name(host):
    assert Client(headers={"host": host}).get("/healthz").status_code == 200


def test_nobody_can_post_to_a_probe(client, db):
    assert client.post("/healthz").status_code in {403, 404, 405}
