"""What exists is edited, and taken away only when nothing uses it."""

import socket

import pytest
from django.apps import apps
from django.db import transaction

from releases.accounts.models import Team
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import services
from releases.catalog.kinds import ConnectionKind, DependencySource, EnvironmentKind, Light, Purpose
from releases.catalog.models import Binding, Connection, Customer, Dependency, Environment, Route, Service
from releases.catalog.services import uses
from releases.changes.models import Item
from releases.core.errors import GmudError, Invalid, Missing, NotPermitted, Refused, Sentence
from tests.factories.accounts import NOW, SETUP, an_actor
from tests.factories.addresses import ALLOWED, REFUSED
from tests.factories.catalog import TOKEN, a_connection, a_service, an_environment
from tests.factories.changes import a_change, a_house

pytestmark = pytest.mark.django_db
LOCATOR = {"namespace": "bank", "name": "frontend", "route": "primary"}


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


@pytest.fixture
def service():
    return a_service("ledgerwriter")


@pytest.fixture
def environment():
    return an_environment("staging", EnvironmentKind.STAGING)


@pytest.fixture
def cluster():
    return a_connection("cluster", ConnectionKind.KUBERNETES)


def kinds(stream):
    return [entry.kind for entry in audit.story(stream)]


def a_binding(service, environment, connection=None, **more):
    connection = connection or a_connection("ci")
    told = {"purpose": Purpose.DEPLOY, "settings": {"job": "bank/deploy", "parameters": {}}, **more}
    return services.bind(
        actor=SETUP,
        service_id=service.pk,
        environment_id=environment.pk,
        connection_id=connection.pk,
        now=NOW,
        **told,
    )


def a_route(service, environment, cluster, **more):
    told = {"locator": LOCATOR, "stable": "stable", "canary": "canary", **more}
    return services.register_route(
        actor=SETUP, service_id=service.pk, environment_id=environment.pk, connection_id=cluster.pk, now=NOW, **told
    )


def a_link(caller, callee):
    return services.link(actor=SETUP, caller_id=caller.pk, callee_id=callee.pk, source=DependencySource.MANUAL, now=NOW)


def a_customer(name="Acme", **more):
    told = {"segment": "retail", "service_ids": (), **more}
    return services.register_customer(actor=SETUP, name=name, now=NOW, **told)


# --- nothing that is used is taken away ---


@pytest.mark.parametrize("table", ["Service", "Environment", "Connection", "Route"])
def test_every_table_that_refers_to_it_has_its_words(table):
    model = apps.get_model("releases", table)
    row = {"Service": Service, "Environment": Environment, "Connection": Connection, "Route": Route}[table]()
    named = set(uses._WORDS) | uses.GOES_ALONG
    relations = [one for one in model._meta.related_objects if not one.related_model._meta.auto_created]
    hidden = [one for one in model._meta.get_fields(include_hidden=True) if one.is_relation and one.auto_created]
    tables = {one.related_model._meta.model_name for one in (*relations, *hidden) if one.related_model}
    through = {one.related_model._meta.model_name for one in hidden if one.related_model._meta.auto_created}

    assert tables - through <= named
    assert uses.uses_of(row) == []


def test_what_is_in_use_stays_and_the_refusal_counts_everything_that_uses_it(now):
    house = a_house(now)
    a_change(house)
    other = a_service("frontend")
    a_link(other, house.service)
    a_link(house.service, other)
    a_binding(house.service, house.environment)
    a_customer(service_ids=[house.service.pk])

    with pytest.raises(Refused) as refused:
        services.remove_service(actor=SETUP, service_id=house.service.pk, now=now)

    said = str(refused.value.detail)
    assert said.startswith("ledgerwriter stays, because it is in use: 2 artifacts, 1 binding, 1 customer, ")
    assert "2 dependencies, 1 change request and 1 record of what ran" in said
    assert Service.objects.filter(pk=house.service.pk).exists()
    assert "service.removed" not in kinds(house.service.stream)
    with pytest.raises(Refused, match="1 binding, 1 change request and 1 record of what ran"):
        services.remove_environment(actor=SETUP, environment_id=house.environment.pk, now=now)


def test_a_change_that_names_a_service_twice_is_one_change(now, environment):
    house = a_house(now)
    change = a_change(house)
    first = change.items.get()
    Item.objects.create(
        change=change, position=1, service=first.service, environment=environment, artifact=first.artifact
    )
    assert "1 change request" in [str(one) for one in uses.uses_of(house.service)]


def test_a_connection_in_use_stays_and_one_that_is_free_is_forgotten_with_its_secret(service, environment, cluster):
    a_route(service, environment, cluster)
    a_binding(service, environment, cluster, purpose=Purpose.TRAFFIC, settings={})
    with pytest.raises(Refused, match="cluster stays, because it is in use: 1 binding and 1 route"):
        services.disconnect(actor=SETUP, connection_id=cluster.pk, now=NOW)

    free = a_connection("free")
    services.disconnect(actor=SETUP, connection_id=free.pk, now=NOW)
    assert not Connection.objects.filter(pk=free.pk).exists()
    assert kinds(free.stream) == ["connection.opened", "connection.closed"]
    assert TOKEN not in str(audit.story(free.stream))


def test_what_nobody_uses_goes_and_its_history_stays(service, environment):
    customer = a_customer(service_ids=())
    services.remove_service(actor=SETUP, service_id=service.pk, now=NOW)
    services.remove_environment(actor=SETUP, environment_id=environment.pk, now=NOW)
    services.remove_customer(actor=SETUP, customer_id=customer.pk, now=NOW)

    assert not Service.objects.exists()
    assert not Environment.objects.exists()
    assert not Customer.objects.exists()
    for row, kind in ((service, "service"), (environment, "environment"), (customer, "customer")):
        assert kinds(row.stream)[-1] == f"{kind}.removed"
    assert audit.story(customer.stream)[-1].text == {"name": "Acme"}


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (services.remove_service, "service_id"),
        (services.remove_environment, "environment_id"),
        (services.remove_customer, "customer_id"),
        (services.disconnect, "connection_id"),
        (services.unbind, "binding_id"),
        (services.remove_route, "route_id"),
        (services.unlink, "dependency_id"),
        (services.reinstate, "service_id"),
    ],
)
def test_only_those_who_edit_the_catalogue_and_only_what_is_there(act, named, service):
    with pytest.raises(NotPermitted):
        act(actor=an_actor(Role.ENGINEER), now=NOW, **{named: service.pk})
    missing = Team.objects.get().pk
    with pytest.raises(Missing):
        act(actor=SETUP, now=NOW, **{named: missing})


def test_all_of_it_can_be_part_of_a_larger_whole_that_fails(service, environment):
    def everything() -> None:
        services.remove_service(actor=SETUP, service_id=service.pk, now=NOW)
        services.describe_environment(
            actor=SETUP, environment_id=environment.pk, name="qa", kind=EnvironmentKind.STAGING, now=NOW
        )
        raise ValueError

    with pytest.raises(ValueError), transaction.atomic():  # noqa: PT011 - it is ours
        everything()
    assert Service.objects.filter(pk=service.pk).exists()
    assert kinds(environment.stream) == ["environment.registered"]


# --- services and environments ---


def test_a_retired_service_is_taken_into_use_again(service):
    services.retire(actor=SETUP, service_id=service.pk, now=NOW)
    for _ in range(2):
        assert services.reinstate(actor=SETUP, service_id=service.pk, now=NOW).retired_at is None
    assert kinds(service.stream)[1:] == ["service.retired", "service.reinstated"]


def describe(environment, **given):
    told = {"name": environment.name, "kind": EnvironmentKind(environment.kind), "rank": environment.rank, **given}
    return services.describe_environment(actor=SETUP, environment_id=environment.pk, now=NOW, **told)


def test_an_environment_is_described_and_the_same_again_is_no_event(environment):
    for _ in range(2):
        describe(environment, name="qa", kind=EnvironmentKind.DEVELOPMENT, rank=5)
    environment.refresh_from_db()
    assert (environment.name, environment.kind, environment.rank) == ("qa", "development", 5)
    assert kinds(environment.stream) == ["environment.registered", "environment.described"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "The Bank"}, "name"),
        ({"name": "production"}, "name"),
        ({"rank": -1}, "rank"),
        ({"rank": 1 << 15}, "rank"),
    ],
)
def test_an_environment_that_cannot_be_is_refused_at_its_field(environment, given, field):
    an_environment("production")
    with pytest.raises(Invalid) as refused:
        describe(environment, **given)
    assert list(refused.value.fields) == [field]


def test_the_kind_of_an_environment_in_use_stays_because_it_decides_who_approves(now):
    house = a_house(now)
    with pytest.raises(Invalid) as refused:
        describe(house.environment, kind=EnvironmentKind.DEVELOPMENT)
    assert list(refused.value.fields) == ["kind"]
    assert "1 record of what ran" in str(refused.value.fields["kind"][0])
    assert describe(house.environment, name="prod", rank=9).name == "prod"


# --- customers and dependencies ---


def test_a_customer_is_described_with_the_services_that_serve_it(service):
    customer = a_customer()
    for _ in range(2):
        services.describe_customer(
            actor=SETUP,
            customer_id=customer.pk,
            name=" Acme  Ltda ",
            segment="wholesale",
            service_ids=[service.pk],
            size=7,
            notice_hours=48,
            now=NOW,
        )
    customer.refresh_from_db()
    assert (customer.name, customer.folded_name, customer.size) == ("Acme Ltda", "acme ltda", 7)
    assert list(customer.services.all()) == [service]
    assert kinds(customer.stream) == ["customer.registered", "customer.described"]
    assert "Acme" not in str(audit.story(customer.stream)[-1].data)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "ACME"}, "name"),
        ({"segment": "Big ones"}, "segment"),
        ({"size": -1}, "size"),
        ({"notice_hours": 1 << 31}, "notice_hours"),
    ],
)
def test_a_customer_that_cannot_be_is_refused_at_its_field(given, field):
    a_customer("Acme")
    other = a_customer("Other")
    told = {"name": "Other", "segment": "retail", "service_ids": (), **given}
    with pytest.raises(Invalid) as refused:
        services.describe_customer(actor=SETUP, customer_id=other.pk, now=NOW, **told)
    assert list(refused.value.fields) == [field]


def test_an_edge_is_forgotten_and_counts_again_when_it_is_said_again(service):
    other = a_service("frontend")
    edge = a_link(other, service)
    services.unlink(actor=SETUP, dependency_id=edge.pk, now=NOW)
    assert not Dependency.objects.exists()
    assert kinds(edge.stream) == ["dependency.linked", "dependency.unlinked"]
    assert a_link(other, service).pk != edge.pk


# --- bindings and routes ---


def test_a_binding_is_changed_in_its_place_and_taken_away(service, environment):
    row = a_binding(service, environment)
    other = a_connection("other-ci")
    for _ in range(2):
        services.rebind(actor=SETUP, binding_id=row.pk, connection_id=other.pk, settings={"job": "x"}, now=NOW)
    services.unbind(actor=SETUP, binding_id=row.pk, now=NOW)
    assert not Binding.objects.exists()
    assert kinds(service.stream)[1:] == ["binding.set", "binding.set", "binding.removed"]
    assert audit.story(service.stream)[-1].data["connection"] == "other-ci"


def test_what_is_to_be_new_replaces_nothing(service, environment, cluster):
    a_connection("ci")
    for act in (
        lambda: a_binding(service, environment, Connection.objects.get(name="ci"), must_be_new=True),
        lambda: a_route(service, environment, cluster, must_be_new=True),
    ):
        act()
        with pytest.raises(Invalid):
            act()
    with pytest.raises(Invalid) as refused:
        services.connect(
            actor=SETUP,
            name="ci",
            kind=ConnectionKind.HTTP,
            origin="https://evil.example.com",
            secret="another-secret-0123",
            must_be_new=True,
            now=NOW,
        )
    assert list(refused.value.fields) == ["name"]
    assert Connection.objects.get(name="ci").origin == "https://ci.example.com"


@pytest.mark.parametrize(
    ("given", "field"),
    [({"settings": {}}, "settings"), ({"settings": {"job": "x", "parameters": {"DEPLOY_TOKEN": "abc"}}}, "settings")],
)
def test_a_binding_is_not_changed_into_one_that_cannot_be(service, environment, given, field):
    row = a_binding(service, environment)
    told = {"connection_id": row.connection_id, **given}
    with pytest.raises(Invalid) as refused:
        services.rebind(actor=SETUP, binding_id=row.pk, now=NOW, **told)
    assert list(refused.value.fields) == [field]
    row.refresh_from_db()
    assert row.settings["job"] == "bank/deploy"


def test_a_route_is_changed_in_its_place_forgets_its_reading_and_goes(service, environment, cluster):
    row = a_route(service, environment, cluster)
    services.note_reading(route_id=row.pk, weights={"stable": 100}, version="1", healthy=True, now=NOW)
    told = {"connection_id": cluster.pk, "locator": {**LOCATOR, "name": "other"}, "stable": "blue", "canary": "green"}
    for _ in range(2):
        row = services.describe_route(actor=SETUP, route_id=row.pk, now=NOW, **told)
    assert (row.stable, row.canary, hasattr(Route.objects.get(), "reading")) == ("blue", "green", False)

    with pytest.raises(Invalid):
        services.describe_route(actor=SETUP, route_id=row.pk, now=NOW, **{**told, "canary": "blue"})
    services.remove_route(actor=SETUP, route_id=row.pk, now=NOW)
    assert not Route.objects.exists()
    assert kinds(service.stream)[1:] == ["route.registered", "route.registered", "route.removed"]


# --- connections ---


def reconnect(row, **given):
    told = {"name": row.name, "origin": row.origin, "account": row.account, **given}
    return services.reconnect(actor=SETUP, connection_id=row.pk, now=NOW, **told)


def test_a_connection_is_renamed_and_keeps_its_secret():
    row = reconnect(a_connection("ci"), name="jenkins", config={"key_parameter": "ORDER"})
    assert (row.name, row.secret_version, row.config) == ("jenkins", 1, {"key_parameter": "ORDER"})
    assert kinds(row.stream) == ["connection.opened", "connection.changed"]


def test_another_origin_asks_for_the_secret_anew_and_forgets_the_test():
    row = a_connection("ci")
    services.note_check(actor=SETUP, connection_id=row.pk, light=Light.GO, version="2.555.3", now=NOW)
    with pytest.raises(Invalid) as refused:
        reconnect(row, origin="https://evil.example.com")
    assert list(refused.value.fields) == ["secret"]
    row.refresh_from_db()
    assert (row.origin, row.check_light) == ("https://ci.example.com", "go")

    moved = reconnect(row, origin="https://new.example.com", secret="a-newer-secret-0123")
    assert (moved.check_light, moved.checked_at, moved.check_version) == ("", None, "")


def test_a_name_that_is_taken_is_refused():
    a_connection("ci")
    with pytest.raises(Invalid) as refused:
        reconnect(a_connection("other"), name="ci")
    assert list(refused.value.fields) == ["name"]


def test_a_test_is_kept_and_told_without_the_secret():
    row = a_connection("ci")
    said = Sentence("It said: %(said)s", {"said": f"401: no token {TOKEN}\n"})
    services.note_check(actor=SETUP, connection_id=row.pk, light=Light.STOP, lines=[said], now=NOW)
    row.refresh_from_db()
    assert (row.check_light, row.checked_at) == ("stop", NOW)
    assert row.check_lines == [{"text": "It said: %(said)s", "parts": {"said": "401: no token [secret]"}}]
    assert TOKEN not in str(audit.story(row.stream))
    with pytest.raises(NotPermitted):
        services.note_check(actor=an_actor(Role.ENGINEER), connection_id=row.pk, light=Light.GO, now=NOW)


@pytest.mark.parametrize(
    ("given", "field", "named"),
    [
        ({"origin": "https://gmud:canary-9876543210@ci.example.com"}, "origin", "no user name or password"),
        ({"config": {"token": "canary-9876543210"}}, "config", "“token”"),
        ({"config": {"http": {"api_key": "canary-9876543210"}}}, "config", "“http.api_key”"),
        ({"config": {"proxy": "https://u:canary-9876543210@proxy.example.com"}}, "config", "“proxy”"),
        ({"config": {"note": f"it is {TOKEN}"}, "secret": TOKEN}, "config", "stands in here, too"),
        ({"account": TOKEN, "secret": TOKEN}, "account", "This is the secret"),
    ],
)
def test_a_secret_in_the_wrong_field_is_refused_by_name_and_not_repeated(given, field, named):
    row = a_connection("ci")
    with pytest.raises(Invalid) as refused:
        reconnect(row, **given)
    assert list(refused.value.fields) == [field]
    assert named in str(refused.value.fields[field][0])
    assert "canary" not in str(refused.value) + str(refused.value.fields)
    assert kinds(row.stream) == ["connection.opened"]


@pytest.mark.parametrize("config", [{"key_parameter": "GMUD_CORRELATION"}, {"permit_parameter": "P"}, {}])
def test_settings_that_only_sound_alike_are_kept(config):
    assert reconnect(a_connection("ci"), config=config).config == config


@pytest.mark.parametrize("origin", REFUSED)
def test_an_address_that_must_not_be_called_is_refused_when_it_is_typed(origin, monkeypatch):
    row, tried = a_connection("ci"), []
    monkeypatch.setenv("GMUD_OUTBOUND_NETWORKS", ALLOWED)
    monkeypatch.setattr(socket.socket, "connect", lambda _self, where: tried.append(where))
    for save in (
        lambda: a_connection("evil", origin=origin),
        lambda: reconnect(row, origin=origin, secret="a-newer-secret-0123"),
    ):
        with pytest.raises(GmudError) as refused:
            save()
        assert list(refused.value.fields) == ["origin"]
    assert tried == []
    assert [one.origin for one in Connection.objects.all()] == ["https://ci.example.com"]


def test_a_private_address_that_the_operator_allows_is_saved(monkeypatch):
    monkeypatch.setenv("GMUD_OUTBOUND_NETWORKS", ALLOWED)
    assert a_connection("ci", origin="https://10.9.9.7:8443").origin == "https://10.9.9.7:8443"
