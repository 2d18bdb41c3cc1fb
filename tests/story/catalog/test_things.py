"""Services, environments, customers, who calls whom."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from releases.accounts.roles import Role
from releases.accounts.services import deactivate, join_team
from releases.audit import queries as audit
from releases.catalog import queries, services
from releases.catalog.kinds import DataClass, DependencySource, EnvironmentKind
from releases.catalog.models import Customer, Dependency, Service
from releases.core.errors import Invalid, Missing, NotPermitted
from tests.factories.accounts import NOW, SETUP, a_person, a_team, actor_of, an_actor
from tests.factories.catalog import a_service, an_environment

pytestmark = pytest.mark.django_db
FACT, HINT = DependencySource.CONFIG, DependencySource.SHARED_CONFIG


def link(caller: Service, callee: Service, source: DependencySource = FACT) -> Dependency:
    return services.link(actor=SETUP, caller_id=caller.pk, callee_id=callee.pk, source=source, now=NOW)


def kinds(stream: str) -> list[str]:
    return [entry.kind for entry in audit.story(stream)]


def test_a_service_is_found_by_name_and_by_an_id_that_stays_when_the_name_changes(now):
    row = a_service("ledgerwriter", tier="backend", criticality=4, data_classes=[DataClass.MONEY])
    card = queries.service_named("ledgerwriter")
    assert (card.id, card.team, card.tier, card.criticality) == (row.pk, "ledger", "backend", 4)
    assert card.data_classes == ("money",)

    services.describe_service(actor=SETUP, service_id=row.pk, name="ledger-writer", criticality=3, now=now)
    card = queries.service_named("ledger-writer")
    assert (card.id, card.criticality) == (row.pk, 3)
    with pytest.raises(Missing):
        queries.service_named("ledgerwriter")
    assert kinds(row.stream) == ["service.registered", "service.described"]


def test_saying_the_same_of_a_service_again_leaves_no_event(now):
    row = a_service("ledgerwriter", tier="backend")
    services.describe_service(actor=SETUP, service_id=row.pk, name="ledgerwriter", tier="backend", now=now)
    assert kinds(row.stream) == ["service.registered"]


@pytest.mark.parametrize(
    "name", ["", "Ledger", "ledgеr", "ledger writer", "LEDGER", "ledger.writer", "ｌedger", "-x", "x" * 64]
)
def test_a_name_that_could_be_taken_for_another_is_refused_and_so_it_is_by_the_database(name, now):
    team = a_team("ledger")
    with pytest.raises(Invalid) as caught:
        services.register_service(actor=SETUP, name=name, team_id=team.pk, now=now)
    assert list(caught.value.fields) == ["name"]
    if len(name) <= 63:
        with pytest.raises(IntegrityError), transaction.atomic():
            Service.objects.create(name=name, title="x", team=team)


def test_a_name_that_is_taken_is_refused_and_nothing_else_is_lost(now):
    a_service("contacts")
    row = a_service("balances")
    with pytest.raises(Invalid, match="exists already"):
        a_service("contacts")
    with pytest.raises(Invalid, match="exists already"):
        services.describe_service(actor=SETUP, service_id=row.pk, name="contacts", now=now)
    assert [card.name for card in queries.services()] == ["balances", "contacts"]


@pytest.mark.parametrize("criticality", [0, 5, -1])
def test_criticality_goes_from_one_to_four(criticality):
    with pytest.raises(Invalid):
        a_service("contacts", criticality=criticality)
    row = a_service("contacts")
    with pytest.raises(IntegrityError), transaction.atomic():
        Service.objects.filter(pk=row.pk).update(criticality=criticality)


def test_an_environment_is_known_by_name_and_sorted_by_rank(now):
    an_environment("production")
    services.register_environment(actor=SETUP, name="dev", kind=EnvironmentKind.DEVELOPMENT, rank=1, now=now)
    assert [card.name for card in queries.environments()] == ["dev", "production"]
    assert queries.environment_named("production").kind is EnvironmentKind.PRODUCTION
    with pytest.raises(Missing):
        queries.environment_named("Production")
    with pytest.raises(Invalid):
        services.register_environment(actor=SETUP, name="dev", kind=EnvironmentKind.STAGING, now=now)


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.ON_CALL, Role.AUDITOR, Role.SEAT_SECURITY])
def test_only_those_who_edit_the_catalogue_do(now, role):
    actor = an_actor(role)
    row = a_service("contacts")
    for attempt in (
        lambda: services.register_service(actor=actor, name="x", team_id=row.team_id, now=now),
        lambda: services.describe_service(actor=actor, service_id=row.pk, criticality=1, now=now),
        lambda: services.retire(actor=actor, service_id=row.pk, now=now),
        lambda: services.register_environment(actor=actor, name="x", kind=EnvironmentKind.STAGING, now=now),
        lambda: services.register_customer(actor=actor, name="x", segment="retail", service_ids=[], now=now),
        lambda: services.link(actor=actor, caller_id=row.pk, callee_id=uuid4(), source=FACT, now=now),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    assert [card.name for card in queries.services()] == ["contacts"]


def test_a_retired_service_is_no_longer_listed_and_calls_nobody(now):
    reader, ledger = a_service("reader"), a_service("ledger-db")
    link(reader, ledger)
    for _ in range(2):
        services.retire(actor=SETUP, service_id=reader.pk, now=now)
    assert [card.name for card in queries.services()] == ["ledger-db"]
    assert queries.service_named("reader").retired_at == now
    assert queries.dependents([ledger.pk]).direct == ()
    assert kinds(reader.stream).count("service.retired") == 1


def test_the_reach_names_direct_callers_indirect_ones_and_the_edges_that_say_so():
    ledger, reader, front, load = (a_service(name) for name in ("ledger-db", "reader", "frontend", "load"))
    link(reader, ledger)
    link(front, reader)
    link(load, front)
    link(ledger, load)  # a circle

    reach = queries.dependents([ledger.pk])

    assert [(one.name, one.hops) for one in reach.direct] == [("reader", 1)]
    assert [(one.name, one.hops) for one in reach.indirect] == [("frontend", 2), ("load", 3)]
    assert {(edge.caller, edge.callee) for edge in reach.edges} == {
        ("reader", "ledger-db"),
        ("frontend", "reader"),
        ("load", "frontend"),
        ("ledger-db", "load"),
    }
    assert all(edge.sources == (FACT,) and edge.is_fact and not edge.is_confirmed for edge in reach.edges)


def test_a_hint_is_followed_and_marked_until_a_person_confirms_it(now):
    reader, front, load = (a_service(name) for name in ("reader", "frontend", "load"))
    hint = link(front, reader, HINT)
    link(load, front)
    assert [(one.name, one.is_fact) for one in queries.dependents([reader.pk]).direct] == [("frontend", False)]
    assert [(one.name, one.is_fact) for one in queries.dependents([reader.pk]).indirect] == [("load", False)]

    owner = a_person("Lia", Role.ENGINEER)
    join_team(actor=SETUP, team_id=front.team_id, person_id=owner.pk, now=now)
    services.confirm_dependency(actor=actor_of(owner), dependency_id=hint.pk, now=now)

    reach = queries.dependents([reader.pk])
    assert [one.is_fact for one in (*reach.direct, *reach.indirect)] == [True, True]
    edge = next(one for one in reach.edges if one.callee == "reader")
    assert (edge.ids, edge.sources, edge.is_confirmed) == ((hint.pk,), (HINT,), True)
    assert kinds(hint.stream) == ["dependency.linked", "dependency.confirmed"]


def test_a_denied_hint_is_gone_and_stays_gone_when_the_source_says_it_again(now):
    reader, front = a_service("reader"), a_service("frontend")
    hint = link(front, reader, HINT)
    services.deny_dependency(actor=an_actor(Role.RELEASE_MANAGER), dependency_id=hint.pk, now=now)
    assert link(front, reader, HINT).pk == hint.pk
    assert queries.dependents([reader.pk]).direct == ()
    assert queries.edges_of(reader.pk) == []

    services.confirm_dependency(actor=an_actor(Role.RELEASE_MANAGER), dependency_id=hint.pk, now=now)
    assert [edge.is_fact for edge in queries.edges_of(reader.pk)] == [True]


def test_a_hint_beside_a_fact_does_not_weaken_it():
    reader, front = a_service("reader"), a_service("frontend")
    link(front, reader, HINT)
    link(front, reader, FACT)
    (edge,) = queries.edges_of(front.pk)
    assert edge.is_fact
    assert set(edge.sources) == {HINT, FACT}


def test_only_owners_of_an_end_and_editors_judge_an_edge_and_only_as_persons(now):
    hint = link(a_service("frontend", team=a_team("web")), a_service("reader"), HINT)
    stranger = a_person("Stranger", Role.ENGINEER)
    a_team("others", stranger)
    for actor in (actor_of(stranger), SETUP):
        with pytest.raises(NotPermitted):
            services.confirm_dependency(actor=actor, dependency_id=hint.pk, now=now)
        with pytest.raises(NotPermitted):
            services.deny_dependency(actor=actor, dependency_id=hint.pk, now=now)


def test_an_owner_who_left_judges_nothing(now):
    team = a_team("web")
    hint = link(a_service("frontend", team=team), a_service("reader"), HINT)
    owner = a_person("Lia", Role.ENGINEER)
    join_team(actor=SETUP, team_id=team.pk, person_id=owner.pk, now=now)
    actor = actor_of(owner)
    deactivate(actor=SETUP, person_id=owner.pk, now=now)
    with pytest.raises(NotPermitted):
        services.confirm_dependency(actor=actor, dependency_id=hint.pk, now=now)


def test_linking_twice_is_one_edge_and_one_event():
    reader, front = a_service("reader"), a_service("frontend")
    row = link(front, reader)
    assert link(front, reader).pk == row.pk
    assert kinds(row.stream) == ["dependency.linked"]


def test_a_service_does_not_depend_on_itself_also_not_by_sql():
    front = a_service("frontend")
    with pytest.raises(Invalid):
        link(front, front)
    with pytest.raises(IntegrityError), transaction.atomic():
        Dependency.objects.create(caller=front, callee=front, source="manual", seen_at=NOW)


def test_customers_are_counted_once_and_by_segment(now):
    front, ledger = a_service("frontend"), a_service("ledger-db")
    for name, segment, size, served in (
        ("Banco Aurora", "wholesale", 3, [front, ledger]),
        ("Retail app", "retail", 120_000, [front]),
        ("Nobody", "retail", 9, []),
    ):
        services.register_customer(
            actor=SETUP, name=name, segment=segment, size=size, service_ids=[one.pk for one in served], now=now
        )
    cards = queries.customers_of([front.pk, ledger.pk])
    assert [(card.name, card.services) for card in cards] == [
        ("Retail app", ("frontend",)),
        ("Banco Aurora", ("frontend", "ledger-db")),
    ]
    assert queries.customers_by_segment([ledger.pk]) == {"wholesale": 3}


@pytest.mark.parametrize("again", ["Banco Aurora", "BANCO AURORA", "  Banco   Aurora "])
def test_a_customer_that_differs_in_case_or_space_only_is_the_same(now, again):
    services.register_customer(actor=SETUP, name="Banco Aurora", segment="retail", service_ids=[], now=now)
    with pytest.raises(Invalid, match="exists already"):
        services.register_customer(actor=SETUP, name=again, segment="retail", service_ids=[], now=now)
    assert Customer.objects.count() == 1


def test_a_customer_of_an_unknown_service_is_not_half_registered(now):
    with pytest.raises(Missing):
        services.register_customer(actor=SETUP, name="Aurora", segment="retail", service_ids=[uuid4()], now=now)
    assert not Customer.objects.exists()
