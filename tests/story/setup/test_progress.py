"""Every first step turns done by the service that does it, and by nothing else; who does the next one is a right."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from releases.accounts import queries
from releases.accounts import services as accounts
from releases.accounts.models import Person, Team, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role, rights_of_roles
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, EnvironmentKind, Light, Purpose
from releases.catalog.models import Environment, Service
from releases.changes import services as changes
from releases.changes.services import ChangeDraft, ItemDraft
from releases.committee import services as committee
from releases.core import clock
from releases.setup.facts import is_over
from releases.setup.progress import STEPS, Name, progress
from tests.factories.accounts import SETUP, a_person
from tests.factories.catalog import a_connection, a_digest
from tests.factories.factors import an_app
from tests.factories.gate import with_keys
from tests.factories.setup import the_first_owner

pytestmark = pytest.mark.django_db

OWNER = rights_of_roles(frozenset({Role.OWNER}))
ENGINEER = rights_of_roles(frozenset({Role.ENGINEER}))


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


@pytest.fixture
def owner():
    return the_first_owner()


def done():
    return progress().done


def open_parts(name):
    found = progress()
    step = next(step for step in STEPS if step.name is name)
    return [part.name for part in step.open_parts(found.facts)]


def next_for(rights):
    found = progress().next_part(rights)
    return found and found[1].name


def a_place():
    return {
        "actor": SETUP,
        "service_id": Service.objects.get().pk,
        "environment_id": Environment.objects.get().pk,
        "now": clock.now(),
    }


def checked(row, light):
    catalog.note_check(actor=SETUP, connection_id=row.pk, light=light, version="1", lines=(), now=clock.now())


def test_an_empty_installation_has_done_nothing_and_begins_with_the_owners_account(owner):
    assert done() == frozenset()
    assert next_for(OWNER) == "guarded"
    assert next_for(ENGINEER) is None


def test_every_step_is_done_by_its_service_in_the_order_of_the_page(owner, settings, tmp_path):
    now = clock.now()
    expected = set()

    an_app(User.objects.get(username="olga"))
    expected.add(Name.SIGN_IN)
    assert done() == expected

    accounts.register_team(actor=owner, name="ledger", now=now)
    expected.add(Name.TEAM)
    assert done() == expected

    ana, _password = accounts.admit_person(
        actor=owner, name="Ana Reis", username="ana", roles=[Role.ENGINEER], team_id=Team.objects.get().pk, now=now
    )
    accounts.admit_person(
        actor=owner, name="Bruno Lima", username="bruno", roles=[Role.SEAT_ENGINEERING, Role.ON_CALL], now=now
    )
    expected.add(Name.PEOPLE)
    assert done() == expected
    assert list(ana.teams.values_list("name", flat=True)) == ["ledger"]

    catalog.register_environment(actor=owner, name="production", kind=EnvironmentKind.PRODUCTION, rank=0, now=now)
    expected.add(Name.ENVIRONMENTS)
    catalog.register_service(actor=owner, name="cart", team_id=Team.objects.get().pk, now=now)
    expected.add(Name.SERVICES)
    assert done() == expected

    jenkins = a_connection("ci")
    assert done() == expected
    checked(jenkins, Light.GO)
    expected.add(Name.CONNECTIONS)
    assert done() == expected
    assert next_for(OWNER) == "deploy"

    job = {"job": "bank/cart", "parameters": {}}
    catalog.bind(**a_place(), purpose=Purpose.DEPLOY, connection_id=jenkins.pk, settings=job)
    expected.add(Name.WIRES)
    assert done() == expected

    accounts.issue_token(
        actor=owner,
        name="Jenkins",
        scopes=(Right.GATE_ASK, Right.PERMIT_REDEEM),
        owner_id=owner.person_id,
        expires_at=now + timedelta(days=30),
        now=now,
    )
    assert open_parts(Name.MACHINE) == ["key"]
    with_keys(settings, tmp_path)
    expected.add(Name.MACHINE)
    assert done() == expected
    assert next_for(ENGINEER) is None

    committee.save_policy(actor=owner, name="Release policy", rules=[{"seats": {"seat_engineering": 1}}], now=now)
    expected.add(Name.POLICY)
    assert done() == expected
    assert (next_for(OWNER), next_for(ENGINEER)) == (None, "change")

    assert not is_over()
    file_as(ana)
    assert done() == set(Name)
    assert is_over()
    assert progress().is_over


def file_as(person: Person):
    """Draft and hand in a change of the one service there is."""
    now = clock.now()
    item = ItemDraft("cart", "production", "v2", a_digest(), back_version="v1", back_digest=a_digest())
    draft = ChangeDraft(
        title="Cart",
        why="It is slow.",
        plan="Deploy it.",
        items=(item,),
        tests_passed=1,
        tests_failed=0,
        starts_at=now + timedelta(hours=1),
        ends_at=now + timedelta(hours=2),
    )
    actor = queries.actor_for(User.objects.get(person=person))
    change = changes.draft(actor=actor, fields=draft, now=now)
    assert not is_over()
    changes.submit(change_id=change.pk, actor=actor, now=now)


def test_who_asks_and_decides_alone_is_no_committee(owner):
    both = a_person("Ana Reis", Role.ENGINEER, Role.SEAT_ENGINEERING, Role.ON_CALL)
    assert open_parts(Name.PEOPLE) == ["decider"]

    accounts.deactivate(actor=SETUP, person_id=both.pk, now=clock.now())
    assert open_parts(Name.PEOPLE) == ["filer", "decider", "returner"]


@pytest.mark.parametrize(("light", "is_done"), [(Light.GO, True), (Light.WAIT, False), (Light.STOP, False)])
def test_a_connection_counts_when_its_test_was_good(owner, light, is_done):
    checked(a_connection("ci"), light)
    assert (Name.CONNECTIONS in done()) is is_done


def test_whoever_connects_a_mesh_and_figures_must_wire_them_too_and_look_at_the_traffic(owner):
    accounts.register_team(actor=owner, name="ledger", now=clock.now())
    catalog.register_environment(
        actor=owner, name="production", kind=EnvironmentKind.PRODUCTION, rank=0, now=clock.now()
    )
    catalog.register_service(actor=owner, name="cart", team_id=Team.objects.get().pk, now=clock.now())
    jenkins = a_connection("ci")
    assert open_parts(Name.WIRES) == ["deploy"]

    cluster = a_connection("mesh", ConnectionKind.KUBERNETES, origin="https://mesh.example.com", account="")
    metrics = a_connection("metrics", ConnectionKind.PROMETHEUS, account="", secret=None)
    assert open_parts(Name.CONNECTIONS) == ["jenkins", "kubernetes", "prometheus"]
    for row in (jenkins, cluster, metrics):
        checked(row, Light.GO)
    assert Name.CONNECTIONS in done()
    assert open_parts(Name.WIRES) == ["deploy", "route", "health"]

    job = {"job": "bank/cart", "parameters": {}}
    catalog.bind(**a_place(), purpose=Purpose.DEPLOY, connection_id=jenkins.pk, settings=job)
    figure = {"query": "vector(0)", "limit": 1.0}
    catalog.bind(**a_place(), purpose=Purpose.HEALTH, connection_id=metrics.pk, settings=figure)
    locator = {"namespace": "bank", "name": "cart"}
    route = catalog.register_route(
        **a_place(), connection_id=cluster.pk, locator=locator, stable="stable", canary="canary"
    )
    assert open_parts(Name.WIRES) == ["traffic"]
    catalog.note_reading(
        route_id=route.pk, weights={"stable": 100, "canary": 0}, version="1", healthy=None, now=clock.now()
    )
    assert Name.WIRES in done()


def test_what_was_done_can_be_undone_and_is_open_again(owner, settings, tmp_path):
    with_keys(settings, tmp_path)
    client, _token = accounts.issue_token(
        actor=owner,
        name="Jenkins",
        scopes=(Right.GATE_ASK, Right.PERMIT_REDEEM),
        owner_id=owner.person_id,
        expires_at=clock.now() + timedelta(days=30),
        now=clock.now(),
    )
    assert Name.MACHINE in done()
    accounts.revoke_token(actor=owner, client_id=client.pk, now=clock.now())
    assert Name.MACHINE not in done()


def test_an_installation_in_use_is_asked_for_its_first_steps_with_one_query(owner):
    with CaptureQueriesContext(connection) as asked:
        is_over()
    assert len(asked) == 1
