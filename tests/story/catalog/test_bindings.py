"""What a service uses connections for, and where its traffic is split."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import queries, services
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.catalog.models import Binding, Route
from releases.core.errors import Invalid, NotPermitted
from tests.factories.accounts import NOW, SETUP, an_actor
from tests.factories.catalog import a_connection, a_service, an_environment

pytestmark = pytest.mark.django_db
JOB = {"job": "ledger/deploy", "parameters": {"SERVICE": "ledgerwriter"}}
LOCATOR = {"namespace": "bank", "name": "frontend", "route": "primary"}


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


def bind(service, connection, purpose=Purpose.DEPLOY, settings=JOB, actor=SETUP):
    return services.bind(
        actor=actor,
        service_id=service.pk,
        environment_id=an_environment().pk,
        purpose=purpose,
        connection_id=connection.pk,
        settings=settings,
        now=NOW,
    )


def route(service, connection, **given):
    told = {"locator": LOCATOR, "stable": "stable", "canary": "canary", "actor": SETUP, **given}
    return services.register_route(
        service_id=service.pk, environment_id=an_environment().pk, connection_id=connection.pk, now=NOW, **told
    )


def kinds(stream: str) -> list[str]:
    return [entry.kind for entry in audit.story(stream)]


def test_a_binding_is_found_by_service_environment_and_purpose():
    service, connection = a_service(), a_connection("ci")
    row = bind(service, connection)
    card = queries.binding_for(service.pk, an_environment().pk, Purpose.DEPLOY)
    assert card is not None
    assert (card.id, card.connection.name, dict(card.settings)) == (row.pk, "ci", JOB)
    assert queries.binding_for(service.pk, an_environment().pk, Purpose.HEALTH) is None


def test_binding_again_replaces_and_the_same_again_leaves_no_event():
    service, connection = a_service(), a_connection("ci")
    row = bind(service, connection)
    assert bind(service, connection).pk == row.pk
    assert bind(service, connection, settings={"job": "other"}).pk == row.pk
    assert Binding.objects.count() == 1
    assert kinds(service.stream)[1:] == ["binding.set", "binding.set"]


def test_the_digest_of_a_binding_follows_its_settings_and_its_connection():
    service = a_service()
    row = bind(service, a_connection("ci"))
    digests = {row.config_digest}
    digests.add(bind(service, a_connection("ci"), settings={"job": "other"}).config_digest)
    a_connection("ci", account="somebody-else")
    digests.add(Binding.objects.get(pk=row.pk).config_digest)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("purpose", "said"),
    [
        (Purpose.DEPLOY, {}),
        (Purpose.DEPLOY, {"job": ""}),
        (Purpose.DEPLOY, {"job": 7}),
        (Purpose.DEPLOY, {"job": "x", "parameters": ["a"]}),
        (Purpose.DEPLOY, {"job": "x", "parameters": {"A": 1}}),
        (Purpose.HEALTH, {}),
        (Purpose.HEALTH, {"query": "up"}),
        (Purpose.HEALTH, {"query": "up", "limit": "0.05"}),
        (Purpose.HEALTH, {"query": "up", "limit": True}),
        (Purpose.HEALTH, {"query": "up", "limit": 0.05, "figure": "furlongs"}),
    ],
)
def test_settings_that_say_too_little_are_refused(purpose, said):
    kind = ConnectionKind.JENKINS if purpose is Purpose.DEPLOY else ConnectionKind.PROMETHEUS
    with pytest.raises(Invalid) as caught:
        bind(a_service(), a_connection("c", kind), purpose, said)
    assert list(caught.value.fields) == ["settings"]


@pytest.mark.parametrize(
    ("purpose", "said", "kind"),
    [
        (Purpose.DEPLOY, JOB, ConnectionKind.KUBERNETES),
        (Purpose.TRAFFIC, {}, ConnectionKind.JENKINS),
        (Purpose.HEALTH, {"url": "/ready"}, ConnectionKind.JENKINS),
    ],
)
def test_a_connection_of_the_wrong_kind_is_refused(purpose, said, kind):
    with pytest.raises(Invalid) as caught:
        bind(a_service(), a_connection("c", kind), purpose, said)
    assert list(caught.value.fields) == ["connection"]


@pytest.mark.parametrize("said", [{"url": "/ready"}, {"query": "rate(errors[1m])", "limit": 0.05}])
def test_health_takes_an_address_or_a_query_with_its_limit(said):
    connection = a_connection("c", ConnectionKind.PROMETHEUS)
    assert bind(a_service(), connection, Purpose.HEALTH, said).settings == said


def test_only_those_who_edit_the_catalogue_bind_and_route():
    service, cluster = a_service(), a_connection("k8s", ConnectionKind.KUBERNETES)
    with pytest.raises(NotPermitted):
        bind(service, cluster, Purpose.TRAFFIC, {}, actor=an_actor(Role.ENGINEER))
    with pytest.raises(NotPermitted):
        route(service, cluster, actor=an_actor(Role.ON_CALL))


def test_a_route_is_found_with_its_connection_and_without_a_reading_until_somebody_looked():
    service, cluster = a_service(), a_connection("k8s", ConnectionKind.KUBERNETES)
    row = route(service, cluster)
    (card,) = queries.routes_for(service.pk, an_environment().pk)
    assert (card.id, card.locator, card.stable, card.canary) == (row.pk, LOCATOR, "stable", "canary")
    assert (card.connection.name, card.reading) == ("k8s", None)
    assert queries.route(row.pk) == card


def test_a_reading_is_kept_and_an_older_one_does_not_replace_it():
    row = route(a_service(), a_connection("k8s", ConnectionKind.KUBERNETES))
    for minutes, canary in ((5, 10), (4, 0), (6, 100)):
        services.note_reading(
            route_id=row.pk,
            weights={"stable": 100 - canary, "canary": canary},
            version=str(minutes),
            healthy=True,
            now=NOW + timedelta(minutes=minutes),
        )
        card = queries.route(row.pk).reading
        assert card is not None
        assert card.weights["canary"] == (10 if minutes < 6 else 100)
    assert card.version == "6"


def test_another_object_forgets_the_reading_of_the_first():
    service, cluster = a_service(), a_connection("k8s", ConnectionKind.KUBERNETES)
    row = route(service, cluster)
    services.note_reading(route_id=row.pk, weights={"stable": 100}, version="1", healthy=None, now=NOW)
    route(service, cluster)
    assert queries.route(row.pk).reading is not None
    first = queries.route(row.pk).config_digest
    route(service, cluster, locator={**LOCATOR, "name": "other"})
    assert queries.route(row.pk).reading is None
    assert queries.route(row.pk).config_digest != first
    assert kinds(service.stream)[1:] == ["route.registered", "route.registered"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"locator": {}}, "locator"),
        ({"locator": {"namespace": "bank"}}, "locator"),
        ({"locator": {"namespace": "../kube-system", "name": "frontend"}}, "locator"),
        ({"locator": {"namespace": "bank", "name": "Front End"}}, "locator"),
        ({"stable": ""}, "stable"),
        ({"canary": "a b"}, "canary"),
        ({"canary": "stable"}, "canary"),
    ],
)
def test_a_route_that_names_nothing_is_refused(given, field):
    with pytest.raises(Invalid) as caught:
        route(a_service(), a_connection("k8s", ConnectionKind.KUBERNETES), **given)
    assert list(caught.value.fields) == [field]


GATEWAYS = [
    (ConnectionKind.KONG, {"name": "checkout"}, "checkout-a.shop.svc:8080", "[2001:db8::1]:80"),
    (ConnectionKind.KONG, {"namespace": "Shop", "name": "checkout.v1"}, "a:80", "b:80"),
    (ConnectionKind.APISIX, {"name": "1", "kind": "upstreams"}, "default", "checkout_canary"),
]


@pytest.mark.parametrize(("kind", "locator", "stable", "canary"), GATEWAYS)
def test_a_gateway_names_its_objects_and_targets_in_its_own_way(kind, locator, stable, canary):
    row = route(a_service(), a_connection("edge", kind), locator=locator, stable=stable, canary=canary)
    card = queries.route(row.pk)
    assert (card.locator, card.stable, card.canary) == (locator, stable, canary)


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        (ConnectionKind.KONG, {"locator": {}}, "locator"),
        (ConnectionKind.KONG, {"locator": {"namespace": "..", "name": "x"}}, "locator"),
        (ConnectionKind.KONG, {"locator": {"namespace": 7, "name": "x"}}, "locator"),
        (ConnectionKind.KONG, {"stable": "a/b:80"}, "stable"),
        (ConnectionKind.APISIX, {"locator": {"namespace": "bank", "name": "1"}}, "locator"),
        (ConnectionKind.APISIX, {"locator": {"name": "../configs"}}, "locator"),
        (ConnectionKind.APISIX, {"canary": "x" * 64}, "canary"),
        (ConnectionKind.KUBERNETES, {"stable": "checkout:80"}, "stable"),
    ],
)
def test_a_name_that_this_system_cannot_have_is_refused(kind, given, field):
    named = {"locator": {"name": "1"}} if kind is not ConnectionKind.KUBERNETES else {}
    with pytest.raises(Invalid) as caught:
        route(a_service(), a_connection("edge", kind), **{**named, **given})
    assert list(caught.value.fields) == [field]


def test_the_database_keeps_stable_and_canary_apart():
    row = route(a_service(), a_connection("k8s", ConnectionKind.KUBERNETES))
    with pytest.raises(IntegrityError), transaction.atomic():
        Route.objects.filter(pk=row.pk).update(canary="stable")
