"""Things that are said of the catalogue at the same moment."""

from functools import partial
from itertools import count
from threading import Barrier

import pytest
from django.db import connection, transaction

from releases.accounts import services as accounts
from releases.audit.models import AuditEvent
from releases.catalog import services
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind, EnvironmentKind
from releases.catalog.models import Artifact, Connection, Running, Service
from releases.core.errors import Invalid
from tests.factories.accounts import SETUP, a_team
from tests.factories.catalog import a_connection, a_customer, a_digest, a_service, an_artifact, an_environment
from tests.factories.races import at_once
from tests.fault.harness import database


@pytest.fixture(scope="module", autouse=True)
def _house(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database(tmp_path_factory.mktemp("house")):
        yield


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path / "keys")


NUMBERS = count(1)


def errors(said: list[object]) -> list[object]:
    return [one for one in said if isinstance(one, Exception)]


def test_of_six_notes_of_what_runs_one_stays_open_and_the_others_end(now):
    service, place = a_service(), an_environment()
    artifacts = [an_artifact(service, f"v{number}") for number in range(6)]
    said = at_once(
        [
            partial(
                services.note_running,
                actor=SETUP,
                service_id=service.pk,
                environment_id=place.pk,
                artifact_id=one.pk,
                now=now,
            )
            for one in artifacts
        ]
    )
    assert errors(said) == []
    assert Running.objects.filter(service=service).count() == 6
    assert Running.objects.filter(service=service, ended_at=None).count() == 1


def test_a_service_registered_by_six_is_registered_once(now):
    team = a_team("ledger")
    said = at_once(
        [partial(services.register_service, actor=SETUP, name="contacts", team_id=team.pk, now=now) for _ in range(6)]
    )
    assert [type(one) for one in errors(said)] == [Invalid] * 5
    row = Service.objects.get(name="contacts")
    assert AuditEvent.objects.filter(stream=row.stream).count() == 1


# How one of each is made, and given another name.
NAMED = {
    "service": (
        a_service,
        lambda row, told: services.describe_service(service_id=row.pk, **told),
    ),
    "environment": (
        lambda: an_environment(f"place-{next(NUMBERS)}"),
        lambda row, told: services.describe_environment(
            environment_id=row.pk, kind=EnvironmentKind(row.kind), rank=row.rank, **told
        ),
    ),
    "customer": (
        lambda: a_customer(name=f"bank-{next(NUMBERS)}"),
        lambda row, told: services.describe_customer(customer_id=row.pk, segment=row.segment, service_ids=[], **told),
    ),
    "connection": (
        a_connection,
        lambda row, told: services.reconnect(connection_id=row.pk, origin=row.origin, account=row.account, **told),
    ),
    "team": (
        a_team,
        lambda row, told: accounts.describe_team(team_id=row.pk, **told),
    ),
}


def at_once_named(rename, names, now):
    """Give each of these things its new name, all at the same moment; return the errors."""
    told = {"actor": SETUP, "now": now}
    return errors(at_once([partial(rename, row, {"name": name, **told}) for row, name in names]))


def told_of_the_name(error):
    return isinstance(error, Invalid) and list(error.fields) == ["name"]


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_that_six_things_are_given_goes_to_one_and_the_others_hear_which_field_it_is(now, kind):
    make, rename = NAMED[kind]
    rows = [make() for _ in range(6)]

    refused = at_once_named(rename, [(row, f"wanted-{kind}") for row in rows], now)

    assert [told_of_the_name(one) for one in refused] == [True] * 5, refused
    assert type(rows[0]).objects.filter(name=f"wanted-{kind}").count() == 1


@pytest.mark.parametrize("kind", NAMED)
def test_two_things_that_take_each_other_s_name_are_refused_in_words(now, kind):
    make, rename = NAMED[kind]
    for _ in range(10):
        one, other = make(), make()

        refused = at_once_named(rename, [(one, other.name), (other, one.name)], now)

        assert refused
        assert all(map(told_of_the_name, refused)), refused


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer: nobody waits in a circle")
def test_of_two_that_wait_for_each_other_s_new_name_one_is_refused_in_words(now):
    rows, meet = [a_service() for _ in range(4)], Barrier(2)

    def rename(first, second, *names):
        with transaction.atomic():
            for row, name in zip((first, second), names, strict=True):
                services.describe_service(actor=SETUP, service_id=row.pk, name=name, now=now)
                if row is first:
                    meet.wait(10)

    said = at_once([partial(rename, *rows[:2], "left", "right"), partial(rename, *rows[2:], "right", "left")])

    assert [told_of_the_name(one) for one in errors(said)] == [True], said


def test_an_artifact_named_by_six_is_one_artifact_with_one_event(now):
    service = a_service()
    call = partial(
        services.register_artifact, actor=SETUP, service_id=service.pk, version="v1", digest=a_digest(1), now=now
    )
    said = at_once([call] * 6)
    assert errors(said) == []
    row = Artifact.objects.get(service=service)
    assert AuditEvent.objects.filter(stream=row.stream).count() == 1


def test_an_artifact_quarantined_by_six_is_told_once(now):
    artifact = an_artifact(a_service())
    said = at_once([partial(services.quarantine, actor=SETUP, artifact_id=artifact.pk, reason="500s", now=now)] * 6)
    assert errors(said) == []
    assert AuditEvent.objects.filter(stream=artifact.stream, kind="artifact.quarantined").count() == 1


def test_a_connection_opened_by_six_is_opened_once_and_the_key_ring_is_made_once(now):
    calls = [
        partial(
            services.connect,
            actor=SETUP,
            name="metrics",
            kind=ConnectionKind.PROMETHEUS,
            origin="https://metrics.example.com",
            secret="the-same-secret-0123",
            now=now,
        )
    ] * 6
    said = at_once(calls)
    assert {type(one) for one in errors(said)} <= {Invalid}
    row = Connection.objects.get(name="metrics")
    assert door_for(row).headers == {"Authorization": "Bearer the-same-secret-0123"}
