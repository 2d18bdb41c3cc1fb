"""People, their accounts and roles."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from releases.accounts import queries, services
from releases.accounts.models import Grant, Person, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.audit.actor import Actor, ActorKind, system
from releases.core.errors import Invalid, Missing, NotPermitted, Refused
from releases.operations.models import OutboxMessage
from tests.factories.accounts import PASSWORD, SETUP, a_person, a_team, actor_of, an_actor

pytestmark = pytest.mark.django_db


def kinds(stream: str) -> list[str]:
    return [entry.kind for entry in audit.story(stream)]


def test_one_person_with_two_accounts_is_one_person_with_one_set_of_roles(now):
    person = a_person("Ana", Role.SEAT_SECURITY, username="ana")
    second = services.add_account(actor=SETUP, person_id=person.pk, username="ana.admin", now=now)

    first = User.objects.get(username="ana")
    assert first.person == second.person == person
    for account in (first, second):
        assert queries.rights_of(queries.actor_for(account)) == {Right.CHANGE_READ, Right.CHANGE_VOTE}


def test_everything_about_a_person_is_in_the_record_and_the_name_stands_beside_it(now):
    person = a_person("Ana Souza", Role.ENGINEER, username="ana")
    services.revoke(actor=SETUP, person_id=person.pk, role=Role.ENGINEER, now=now)

    story = audit.story(person.stream)
    assert [entry.kind for entry in story] == [
        "person.registered",
        "account.added",
        "role.granted",
        "role.revoked",
    ]
    assert story[0].text["name"] == "Ana Souza"
    assert "Ana" not in str([entry.data for entry in story])


@pytest.mark.parametrize("other", ["ANA", " ana ", "ａｎａ"])
def test_a_user_name_that_differs_in_case_or_width_only_is_taken(now, other):
    a_person("Ana", username="ana")
    with pytest.raises(Invalid) as caught:
        a_person("Anna", username=other)
    assert list(caught.value.fields) == ["username"]


@pytest.mark.parametrize("username", ["", "ana souza", "аna", "-ana", "a" * 65, "ana/admin"])
def test_a_user_name_that_is_not_plain_is_refused(now, username):
    person = a_person("Ana")
    with pytest.raises(Invalid):
        services.add_account(actor=SETUP, person_id=person.pk, username=username, now=now)


@pytest.mark.parametrize("username", ["Ana", "аna", "", "ana\n"])
def test_the_database_itself_refuses_such_a_user_name(username):
    person = a_person("Ana")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username=username, person=person)


def test_a_weak_password_is_refused_and_leaves_nothing(now):
    person = a_person("Ana")
    with pytest.raises(Invalid) as caught:
        services.add_account(actor=SETUP, person_id=person.pk, username="ana2", password="password", now=now)
    assert list(caught.value.fields) == ["password"]
    assert not User.objects.filter(username="ana2").exists()
    assert "account.added" not in kinds(person.stream)[2:]


def test_a_person_without_a_name_is_refused(now):
    with pytest.raises(Invalid):
        services.register_person(actor=SETUP, name="  ", now=now)


def test_giving_a_role_twice_is_one_grant_and_one_event(now):
    person = a_person("Ana", Role.ENGINEER)
    services.grant(actor=SETUP, person_id=person.pk, role=Role.ENGINEER, now=now)
    assert Grant.objects.filter(person=person).count() == 1
    assert kinds(person.stream).count("role.granted") == 1


def test_taking_a_role_that_nobody_holds_leaves_no_event(now):
    person = a_person("Ana")
    services.revoke(actor=SETUP, person_id=person.pk, role=Role.AUDITOR, now=now)
    assert "role.revoked" not in kinds(person.stream)


def test_the_database_refuses_a_role_it_does_not_know(now):
    person = a_person("Ana")
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.create(person=person, role="emperor", granted_by="sql", granted_at=now)


def test_nobody_gives_a_seat_to_themselves_but_another_owner_may(now):
    owner = a_person("Olga", Role.OWNER)
    other = an_actor(Role.OWNER)
    with pytest.raises(Refused, match="themselves"):
        services.grant(actor=actor_of(owner), person_id=owner.pk, role=Role.SEAT_BUSINESS, now=now)
    services.grant(actor=other, person_id=owner.pk, role=Role.SEAT_BUSINESS, now=now)
    assert Role.SEAT_BUSINESS in queries.roles_of(owner.pk)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_only_owners_edit_people(now, role):
    actor = an_actor(role)
    person = a_person("Bruno")
    for attempt in (
        lambda: services.register_person(actor=actor, name="Eve", now=now),
        lambda: services.add_account(actor=actor, person_id=person.pk, username="eve", now=now),
        lambda: services.grant(actor=actor, person_id=person.pk, role=Role.OWNER, now=now),
        lambda: services.revoke(actor=actor, person_id=person.pk, role=Role.OWNER, now=now),
        lambda: services.deactivate(actor=actor, person_id=person.pk, now=now),
        lambda: services.register_team(actor=actor, name="eves", now=now),
        lambda: services.issue_token(actor=actor, name="x", scopes=[Right.GATE_ASK], expires_at=now, now=now),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    assert not Person.objects.filter(name="Eve").exists()


def test_a_refusal_names_who_can_help(now):
    a_person("Rita", Role.RELEASE_MANAGER)
    a_person("Gone", Role.RELEASE_MANAGER)
    services.deactivate(actor=SETUP, person_id=Person.objects.get(name="Gone").pk, now=now)
    with pytest.raises(NotPermitted) as caught:
        services.require(an_actor(Role.ENGINEER, name="Ana"), Right.QUARANTINE_CLEAR)
    assert "Ana" in str(caught.value)
    assert "Rita" in str(caught.value)
    assert "Gone" not in str(caught.value)


def test_a_refusal_names_the_role_when_nobody_holds_it():
    with pytest.raises(NotPermitted, match="release_manager"):
        services.require(an_actor(Role.ENGINEER), Right.QUARANTINE_CLEAR)


def test_one_of_several_rights_is_enough():
    services.require(an_actor(Role.ON_CALL), Right.QUARANTINE_CLEAR, Right.ROLLBACK_BEGIN)
    with pytest.raises(NotPermitted):
        services.require(an_actor(Role.AUDITOR), Right.QUARANTINE_CLEAR, Right.ROLLBACK_BEGIN)


def test_the_system_may_do_everything_but_vote():
    assert queries.rights_of(system("worker")) == set(Right) - {Right.CHANGE_VOTE}


def test_a_person_who_left_has_no_account_no_role_no_right_and_no_seat(now):
    person = a_person("Ana", Role.SEAT_SECURITY, Role.ENGINEER, username="ana", password=PASSWORD)
    before = actor_of(person)
    assert queries.can(before, Right.CHANGE_VOTE)

    services.deactivate(actor=SETUP, person_id=person.pk, now=now)

    assert queries.rights_of(before) == frozenset()  # also for a session that was opened before
    assert queries.roles_of(person.pk) == frozenset()
    assert queries.holders_of(Role.SEAT_SECURITY) == []
    assert not User.objects.filter(person=person, is_active=True).exists()
    with pytest.raises(NotPermitted):
        queries.actor_for(User.objects.get(username="ana"))
    for attempt in (
        lambda: services.grant(actor=SETUP, person_id=person.pk, role=Role.OWNER, now=now),
        lambda: services.add_account(actor=SETUP, person_id=person.pk, username="ana3", now=now),
    ):
        with pytest.raises(Refused):
            attempt()


def test_people_are_named_by_user_name_and_only_while_they_are_here(now):
    ana, bruno = a_person("Ana", username="ana"), a_person("Bruno", username="bruno")
    services.add_account(actor=SETUP, person_id=ana.pk, username="ana2", now=now)
    assert queries.persons_named(["ANA", "ana2", "bruno"], field="implementers") == [ana, bruno]
    services.deactivate(actor=SETUP, person_id=bruno.pk, now=now)
    with pytest.raises(Invalid, match=r"nobody, bruno"):
        queries.persons_named(["ana", "nobody", "bruno"], field="committers")


def test_leaving_is_told_once(now):
    person = a_person("Ana")
    for _ in range(2):
        services.deactivate(actor=SETUP, person_id=person.pk, now=now)
    assert kinds(person.stream).count("person.deactivated") == 1
    assert OutboxMessage.objects.filter(kind="person.deactivated", ref=person.pk).count() == 1


def test_ending_one_account_takes_the_rights_of_that_account_only(now):
    person = a_person("Ana", Role.ENGINEER, username="ana")
    services.add_account(actor=SETUP, person_id=person.pk, username="ana.admin", now=now)
    first, second = (queries.actor_for(User.objects.get(username=name)) for name in ("ana", "ana.admin"))
    User.objects.filter(username="ana").update(is_active=False)
    assert queries.rights_of(first) == frozenset()
    assert Right.CHANGE_FILE in queries.rights_of(second)


def test_an_account_does_not_speak_for_another_person():
    ana, bruno = a_person("Ana", username="ana"), a_person("Bruno", Role.OWNER)
    forged = Actor(kind=ActorKind.PERSON, id=str(bruno.pk), name="Bruno", account="ana")
    assert queries.rights_of(forged) == frozenset()
    assert ana.pk != bruno.pk


def test_the_last_owner_can_neither_leave_nor_lose_the_role(now):
    owner = a_person("Olga", Role.OWNER)
    with pytest.raises(Refused, match="last owner"):
        services.deactivate(actor=SETUP, person_id=owner.pk, now=now)
    with pytest.raises(Refused, match="last owner"):
        services.revoke(actor=SETUP, person_id=owner.pk, role=Role.OWNER, now=now)

    a_person("Otto", Role.OWNER)
    services.deactivate(actor=SETUP, person_id=owner.pk, now=now)
    with pytest.raises(Refused, match="last owner"):
        services.deactivate(actor=SETUP, person_id=Person.objects.get(name="Otto").pk, now=now)


def test_what_does_not_exist_is_said(now):
    with pytest.raises(Missing):
        services.grant(actor=SETUP, person_id=uuid4(), role=Role.ENGINEER, now=now)
    with pytest.raises(Missing):
        services.join_team(actor=SETUP, team_id=uuid4(), person_id=a_person().pk, now=now)


def test_a_team_is_made_once_and_joined_once(now):
    ana = a_person("Ana")
    team = a_team("ledger", ana)
    assert a_team("ledger").pk == team.pk
    services.join_team(actor=SETUP, team_id=team.pk, person_id=ana.pk, now=now)
    assert kinds(team.stream) == ["team.registered", "team.joined"]
    with pytest.raises(Invalid):
        a_team("The Ledger")
