"""A connection is tested against servers that answer as the real ones do."""

import json
import socket
from datetime import UTC, datetime

import pytest

from gmud.sandbox.apisix import ADMIN_KEY, VIEWER_KEY, Apisix
from gmud.sandbox.apisix_control import Control
from gmud.sandbox.jenkins import TOKEN as SANDBOX_TOKEN
from gmud.sandbox.kong import Kong
from gmud.sandbox.server import running
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import services
from releases.catalog.kinds import ConnectionKind, Light, Purpose
from releases.catalog.models import Connection
from releases.core.errors import Missing, NotPermitted
from releases.delivery.ports import Target
from releases.setup import checks
from tests.factories.accounts import NOW, SETUP, an_actor
from tests.factories.addresses import ALLOWED, REFUSED
from tests.factories.catalog import TOKEN, a_connection, a_service, an_environment
from tests.factories.certificates import a_certificate
from tests.factories.delivery import JOB, PARAMETERS, a_world, order
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
    assert (row.check_light, row.check_version) == (found.light, found.version)
    assert len(row.check_lines) == len(found.lines) + len(found.facts)
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


def test_a_bound_job_is_looked_at_as_it_would_be_ordered_forward_and_back():
    with a_world() as world:
        row = a_connection("ci", origin=world.url, secret=str(SANDBOX_TOKEN))
        bind(row, Purpose.DEPLOY, {"job": JOB, "parameters": {}})
        found = looked_at(row)
        (said,) = [str(one) for one in found.facts if JOB in str(one)]
        assert (found.light, said.endswith("May the account start it? No system says.")) == (Light.GO, True)
        back = {"job": JOB, "parameters": {}, "back": {"parameters": {"OTHER": "x"}}}
        bound = row.bindings.get()
        services.rebind(actor=SETUP, binding_id=bound.pk, connection_id=row.pk, settings=back, now=NOW)
        found = looked_at(row)
    assert found.light == Light.WAIT
    assert "does not declare the parameter OTHER" in str(found.lines[0])


def test_the_version_that_stood_there_before_is_found_and_named():
    with a_world() as world:
        row = a_connection("ci", origin=world.url, secret=str(SANDBOX_TOKEN))
        bind(row, Purpose.DEPLOY, {"job": JOB, "parameters": {}})
        assert [one for one in looked_at(row).facts if "stood there before" in str(one)] == []
        for version in ("v0.6.10", "v0.6.11"):
            given = {**PARAMETERS, "VERSION": version, "SLOT": "stable"}
            world.ended(world.adapter.start(order(target=Target(JOB, given))).handle)
        told = "ledgerwriter in production: v0.6.11 stands there, and v0.6.10 stood there before it."
        assert told in map(str, looked_at(row).facts)


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


def a_gateway_route(row, stable, canary, **locator):
    return services.register_route(
        actor=SETUP,
        service_id=a_service("frontend").pk,
        environment_id=an_environment().pk,
        connection_id=row.pk,
        locator={"name": "frontend-production", **locator},
        stable=stable,
        canary=canary,
        now=NOW,
    )


SIDES = ("frontend-stable.bank-production.svc:8080", "frontend-canary.bank-production.svc:8080")


def test_kong_tells_its_version_and_its_database_and_how_the_traffic_is_split():
    with running(Kong()) as url:
        row = a_connection("edge", ConnectionKind.KONG, origin=url, account="", secret=None)
        route = a_gateway_route(row, *SIDES)
        found = looked_at(row)
    assert (found.light, found.version, found.lines) == (Light.GO, "3.9.1 (postgres)", ())
    assert route.reading.weights == {"stable": 100, "canary": 0}


def test_kong_without_a_database_is_told_with_the_way_out_and_still_read():
    with running(Kong(database="off")) as url:
        row = a_connection("edge", ConnectionKind.KONG, origin=url, account="", secret=None)
        route = a_gateway_route(row, *SIDES)
        found = looked_at(row)
    assert (found.light, found.version) == (Light.WAIT, "3.9.1 (off)")
    assert [("without a database" in str(line)) for line in found.lines] == [True]
    assert route.reading.weights == {"stable": 100, "canary": 0}


def test_konnect_is_told_by_its_address():
    with running(Kong(control_plane="cp-1")) as url:
        row = a_connection(
            "cloud", ConnectionKind.KONG, origin=f"{url}/v2/control-planes/cp-1/core-entities", account=""
        )
        found = looked_at(row)
    assert found.light == Light.WAIT
    assert "Konnect" in str(found.lines[0])


@pytest.mark.parametrize(("actions", "lacks"), [(["read", "update"], False), (["read"], True)])
def test_a_token_of_kong_that_may_only_read_is_told_and_nothing_is_changed(actions, lacks):
    kong = Kong(tokens={TOKEN: {"user": "gmud", "actions": actions}})
    with running(kong) as url:
        row = a_connection("edge", ConnectionKind.KONG, origin=url, account="", secret=TOKEN)
        a_gateway_route(row, *SIDES, namespace="default")
        before = kong.state()
        found = looked_at(row)
    assert [str(line) for line in found.lines] == [
        "The token may read default/frontend-production, but not change it."
    ] * lacks
    assert kong.state() == before


def test_kong_that_does_not_take_the_token_stops_without_repeating_it():
    with running(Kong(tokens={"another": {"user": "eve", "actions": ["read"]}})) as url:
        found = looked_at(a_connection("edge", ConnectionKind.KONG, origin=url, account="", secret=TOKEN))
    assert (found.light, "Unauthorized" in str(found.lines[0])) == (Light.STOP, True)
    assert TOKEN not in str(found)


@pytest.mark.parametrize(("key", "lacks"), [(ADMIN_KEY, False), (VIEWER_KEY, True)])
def test_apisix_tells_its_version_how_the_traffic_is_split_and_whether_the_key_may_write(key, lacks):
    apisix = Apisix()
    with running(apisix) as url:
        row = a_connection("edge", ConnectionKind.APISIX, origin=url, account="", secret=key)
        route = a_gateway_route(row, "default", "frontend-production-canary")
        before = apisix.state()
        found = looked_at(row)
    assert (found.light, found.version) == (Light.WAIT if lacks else Light.GO, "3.18.0")
    assert [("role is viewer" in str(line)) for line in found.lines] == [True] * lacks
    assert route.reading.weights == {"stable": 100, "canary": 0}
    assert apisix.state() == before


def test_apisix_standalone_is_told_with_the_way_out_and_still_read():
    with running(Apisix(standalone=True)) as url:
        row = a_connection("edge", ConnectionKind.APISIX, origin=url, account="", secret=ADMIN_KEY)
        route = a_gateway_route(row, "default", "frontend-production-canary")
        found = looked_at(row)
    assert (found.light, found.version) == (Light.WAIT, "3.18.0")
    assert [("runs standalone" in str(line)) for line in found.lines] == [True]
    assert route.reading.weights == {"stable": 100, "canary": 0}


def test_apisix_that_does_not_take_the_key_stops_without_repeating_it():
    with running(Apisix()) as url:
        found = looked_at(a_connection("edge", ConnectionKind.APISIX, origin=url, account="", secret=TOKEN))
    assert (found.light, "wrong apikey" in str(found.lines[0])) == (Light.STOP, True)
    assert TOKEN not in str(found)


@pytest.mark.parametrize("kind", [ConnectionKind.KONG, ConnectionKind.APISIX])
def test_a_server_that_is_no_gateway_is_told_apart(kind):
    with running(Listener()) as here:
        found = looked_at(a_connection("edge", kind, origin=here, account=""))
    assert found.light == Light.STOP


# --- what is served, which rights are missing, and the role that gives them ---


def a_mesh_route(row, service="ledgerwriter", **locator):
    return services.register_route(
        actor=SETUP,
        service_id=a_service(service).pk,
        environment_id=an_environment().pk,
        connection_id=row.pk,
        locator={"namespace": "bank-production", "name": service, **locator},
        stable="stable",
        canary="canary",
        now=NOW,
    )


def test_a_cluster_tells_what_it_serves_and_what_not():
    with running_cluster() as cluster:
        row = a_connection("k8s", ConnectionKind.KUBERNETES, origin=cluster.url, account="", secret="sandbox-full")
        cluster.cluster.absent.add("flagger.app")
        facts = [str(one) for one in looked_at(row).facts]
    assert "Istio: networking.istio.io v1, v1beta1, v1alpha3 with " in facts[0]
    assert "VirtualService" in facts[0]
    assert "Gateway API: gateway.networking.k8s.io v1, v1beta1 with HTTPRoute, GRPCRoute" in facts
    assert "TrafficSplits are recognised but not shifted: write an HTTPRoute in their place." in facts
    assert facts[-1] == "Not served here: Flagger (flagger.app)"


def test_a_token_that_may_only_read_is_told_every_right_it_lacks_by_namespace():
    with running_cluster() as cluster:
        row = a_connection("k8s", ConnectionKind.KUBERNETES, origin=cluster.url, account="", secret="sandbox-read")
        a_mesh_route(row, route="primary")
        cluster.cluster.absent.add("flagger.app")
        found = looked_at(row)
        reviews = [json.loads(one["body"])["spec"]["resourceAttributes"] for one in cluster.cluster.log if one["body"]]
    assert [str(line) for line in found.lines] == [
        "In bank-production the token may not: patch virtualservices.networking.istio.io, patch rollouts.argoproj.io, "
        "patch rollouts/status.argoproj.io. Apply the role that stands here."
    ]
    assert {"verb": "patch", "group": "argoproj.io", "resource": "rollouts", "subresource": "status"}.items() <= {
        **next(one for one in reviews if "subresource" in one)
    }.items()
    assert not [one for one in reviews if one["group"] == "flagger.app"], "what is not served is not asked for"
    assert {one["name"] for one in reviews if one["verb"] == "patch"} == {"ledgerwriter", ""}


def test_kong_and_apisix_tell_how_they_are_run():
    for sandbox, kind, secret, told in (
        (Kong(), ConnectionKind.KONG, None, ["Mode: with a database (postgres).", "Edition: community."]),
        (Kong(database="off"), ConnectionKind.KONG, None, ["Mode: without a database.", "Edition: community."]),
        (Apisix(), ConnectionKind.APISIX, ADMIN_KEY, ["Mode: with etcd.", "Role of the key: admin."]),
        (Apisix(), ConnectionKind.APISIX, VIEWER_KEY, ["Mode: with etcd."]),
        (Apisix(standalone=True), ConnectionKind.APISIX, ADMIN_KEY, ["Mode: standalone, without etcd."]),
    ):
        with running(sandbox) as url:
            found = looked_at(a_connection("", kind, origin=url, account="", secret=secret))
        assert [str(one) for one in found.facts] == told


def test_the_control_api_of_apisix_is_asked_whether_it_answers():
    apisix = Apisix()
    with running(apisix) as url, running(Control(apisix)) as control, running(Listener()) as other:
        row = a_connection("edge", ConnectionKind.APISIX, origin=url, account="", secret=ADMIN_KEY)
        Connection.objects.filter(pk=row.pk).update(config={"control": [control, other]})
        found = looked_at(row)
    assert f"Control API of {control}: answers." in [str(one) for one in found.facts]
    assert [str(line) for line in found.lines] == [
        f"What answered at {other} is not APISIX' Control API. Check the setting control."
    ]


def test_a_client_certificate_that_ends_soon_is_told(tmp_path):
    pem = (tmp_path / a_certificate(tmp_path)).read_text()
    with running(Kong()) as url:
        row = services.connect(
            actor=SETUP, name="edge", kind=ConnectionKind.KONG, origin=url, client_certificate=pem, now=NOW
        )
        found = checks.check(actor=SETUP, connection_id=row.pk, now=datetime.now(UTC))
    assert ["The secret of edge ends on " in str(line) for line in found.lines] == [True]
