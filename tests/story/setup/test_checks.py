"""A connection is tested against servers that answer as the real ones do."""

import socket

import pytest

from gmud.sandbox.jenkins import TOKEN as SANDBOX_TOKEN
from gmud.sandbox.server import running
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import services
from releases.catalog.kinds import ConnectionKind, Light, Purpose
from releases.catalog.models import Connection
from releases.core.errors import Missing, NotPermitted
from releases.setup import checks
from tests.factories.accounts import NOW, SETUP, an_actor
from tests.factories.addresses import ALLOWED, REFUSED
from tests.factories.catalog import TOKEN, a_connection, a_service, an_environment
from tests.factories.delivery import a_world
from tests.factories.health import a_mesh
from tests.factories.notify import Listener
from tests.factories.shifts import running_cluster

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


def looked_at(row):
    found = checks.check(actor=SETUP, connection_id=row.pk, now=NOW)
    row.refresh_from_db()
    assert (row.check_light, row.check_version, len(row.check_lines)) == (found.light, found.version, len(found.lines))
    assert audit.story(row.stream)[-1].data["light"] == found.light
    return found


def bind(row, purpose, settings):
    services.bind(
        actor=SETUP,
        service_id=a_service("ledgerwriter").pk,
        environment_id=an_environment().pk,
        purpose=purpose,
        connection_id=row.pk,
        settings=settings,
        now=NOW,
    )


def test_jenkins_tells_its_version_and_which_bound_job_is_missing():
    with a_world() as world:
        row = a_connection("ci", origin=world.url, secret=str(SANDBOX_TOKEN))
        assert looked_at(row).light == Light.GO
        assert row.check_version.startswith("2.")
        bind(row, Purpose.DEPLOY, {"job": "nowhere/deploy", "parameters": {}})
        found = looked_at(row)
    assert found.light == Light.WAIT
    assert "nowhere/deploy" in str(found.lines[0])


def test_jenkins_that_does_not_take_the_token_stops_without_repeating_it():
    with a_world() as world:
        found = looked_at(a_connection("ci", origin=world.url, secret=TOKEN))
    assert found.light == Light.STOP
    assert "does not accept" in str(found.lines[0])
    assert TOKEN not in str(found)


def test_a_server_that_is_no_jenkins_is_told_apart():
    with running(Listener()) as here:
        found = looked_at(a_connection("ci", origin=here))
    assert (found.light, "not of Jenkins" in str(found.lines[0])) == (Light.STOP, True)


def test_a_cluster_tells_its_version_and_which_route_is_missing():
    with running_cluster() as cluster:
        row = a_connection("k8s", ConnectionKind.KUBERNETES, origin=cluster.url, account="", secret="sandbox-full")
        assert looked_at(row).light == Light.GO
        assert row.check_version.startswith("v1.")
        services.register_route(
            actor=SETUP,
            service_id=a_service("ledgerwriter").pk,
            environment_id=an_environment().pk,
            connection_id=row.pk,
            locator={"namespace": "bank-production", "name": "nowhere"},
            stable="stable",
            canary="canary",
            now=NOW,
        )
        found = looked_at(row)
    assert found.light == Light.WAIT
    assert len(found.lines) == 1


def test_the_test_of_a_cluster_keeps_how_the_traffic_of_its_routes_is_split():
    with running_cluster() as cluster:
        row = a_connection("k8s", ConnectionKind.KUBERNETES, origin=cluster.url, account="", secret="sandbox-full")
        route = services.register_route(
            actor=SETUP,
            service_id=a_service("ledgerwriter").pk,
            environment_id=an_environment().pk,
            connection_id=row.pk,
            locator={"namespace": "bank-production", "name": "ledgerwriter", "route": "primary"},
            stable="stable",
            canary="canary",
            now=NOW,
        )
        found = looked_at(row)
    assert found.lines == ()
    assert route.reading.weights == {"stable": 100, "canary": 0}


def test_prometheus_to_which_nothing_is_bound_tells_its_version():
    with a_mesh() as mesh:
        row = a_connection("metrics", ConnectionKind.PROMETHEUS, origin=mesh.url, account="", secret=None)
        assert looked_at(row).light == Light.GO
    assert row.check_version.startswith("3.")


def test_prometheus_is_asked_what_is_bound():
    with a_mesh() as mesh:
        row = a_connection("metrics", ConnectionKind.PROMETHEUS, origin=mesh.url, account="", secret=None)
        bind(row, Purpose.HEALTH, {"query": "this is no query", "limit": 1})
        found = looked_at(row)
    assert found.light == Light.STOP
    assert "refuses the query" in str(found.lines[0])


@pytest.mark.parametrize(
    ("status", "light"), [(200, Light.GO), (503, Light.WAIT), (404, Light.WAIT), (302, Light.WAIT)]
)
def test_a_health_address_is_asked_and_a_redirect_is_not_followed(status, light):
    theirs = Listener()
    with running(theirs) as there, running(Listener(status=status, headers={"Location": there})) as here:
        row = a_connection("web", ConnectionKind.HTTP, origin=here, account="", secret=None)
        bind(row, Purpose.HEALTH, {"url": "/ready"})
        assert looked_at(row).light == light
    assert theirs.heard == []


@pytest.mark.parametrize("origin", REFUSED)
def test_an_address_that_must_not_be_called_is_not_called_by_a_test_either(origin, monkeypatch):
    row, tried = a_connection("web", ConnectionKind.HTTP, account="", secret=None), []
    Connection.objects.filter(pk=row.pk).update(origin=origin)
    monkeypatch.setenv("GMUD_OUTBOUND_NETWORKS", ALLOWED)
    monkeypatch.setattr(socket.socket, "connect", lambda _self, where: tried.append(where))
    assert looked_at(row).light == Light.STOP
    assert tried == []


def test_only_those_who_edit_the_catalogue_test_and_only_what_is_there():
    with pytest.raises(NotPermitted):
        checks.check(actor=an_actor(Role.ENGINEER), connection_id=a_connection("ci").pk, now=NOW)
    with pytest.raises(Missing):
        checks.check(actor=SETUP, connection_id=a_service().pk, now=NOW)
