"""What an owner changes of people, their accounts, and teams."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth import authenticate

from releases.accounts import queries, services
from releases.accounts.models import Person, Team, User
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.core import redaction
from releases.core.errors import Invalid, Missing, NotPermitted, Refused
from tests.factories.accounts import PASSWORD, SETUP, a_person, a_team, a_token, actor_of, an_actor
from tests.factories.catalog import a_service

pytestmark = pytest.mark.django_db


def kinds(stream: str) -> list[str]:
    return [entry.kind for entry in audit.story(stream)]


def test_somebody_new_gets_an_account_and_a_password_that_is_said_once(now):
    person, password = services.admit_person(
        actor=SETUP, name="Nina Prado", username="nina", with_password=True, now=now
    )

    assert authenticate(username="nina", password=password).person == person
    assert kinds(person.stream) == ["person.registered", "account.added"]
    assert password not in str(audit.story(person.stream))
    assert password not in redaction.redact(f"someone logs {password}")


def test_a_taken_user_name_leaves_nobody_behind(now):
    a_person("Ana", username="ana")
    with pytest.raises(Invalid) as caught:
        services.admit_person(actor=SETUP, name="Anna", username="ANA", now=now)
    assert list(caught.value.fields) == ["username"]
    assert not Person.objects.filter(name="Anna").exists()


def test_a_password_without_a_user_name_is_refused_at_its_field(now):
    with pytest.raises(Invalid) as caught:
        services.admit_person(actor=SETUP, name="Anna", with_password=True, now=now)
    assert list(caught.value.fields) == ["username"]


def test_another_name_is_told_beside_the_chain_and_the_same_name_is_no_event(now):
    person = a_person("Ana Souza")
    for _ in range(2):
        services.rename_person(actor=SETUP, person_id=person.pk, name=" Ana  Reis ", email="ana@example.com", now=now)

    person.refresh_from_db()
    last = audit.story(person.stream)[-1]
    assert (person.name, person.email) == ("Ana Reis", "ana@example.com")
    assert kinds(person.stream).count("person.described") == 1
    assert last.text["name"] == "Ana Reis"
    assert "Ana" not in str(last.data)


def test_who_comes_back_has_no_role_of_before_and_no_open_account(now):
    person = a_person("Ana", Role.ENGINEER, Role.SEAT_SECURITY, username="ana", password=PASSWORD)
    services.deactivate(actor=SETUP, person_id=person.pk, now=now)

    for _ in range(2):
        services.reactivate(actor=SETUP, person_id=person.pk, now=now)

    assert queries.roles_of(person.pk) == frozenset()
    assert authenticate(username="ana", password=PASSWORD) is None
    assert kinds(person.stream)[-3:] == ["role.revoked", "role.revoked", "person.reactivated"]


def test_a_closed_account_signs_nobody_in_until_it_is_opened_again(now):
    person = a_person("Ana", username="ana", password=PASSWORD)
    account = User.objects.get(username="ana")
    for _ in range(2):
        services.close_account(actor=SETUP, account_id=account.pk, now=now)
    assert authenticate(username="ana", password=PASSWORD) is None

    for _ in range(2):
        services.reopen_account(actor=SETUP, account_id=account.pk, now=now)
    assert authenticate(username="ana", password=PASSWORD) == account
    assert kinds(person.stream)[-2:] == ["account.closed", "account.reopened"]


def test_a_new_password_takes_the_place_of_the_old_one_and_is_kept_nowhere(now):
    person = a_person("Ana", username="ana", password=PASSWORD)
    account = User.objects.get(username="ana")
    before = account.get_session_auth_hash()

    password = services.set_password(actor=an_actor(Role.OWNER), account_id=account.pk, now=now)

    account.refresh_from_db()
    assert authenticate(username="ana", password=PASSWORD) is None
    assert authenticate(username="ana", password=password) == account
    assert account.get_session_auth_hash() != before  # every session of the account ends with it
    assert password not in str(audit.story(person.stream))


def test_who_signed_in_long_ago_proves_who_they_are_before_they_make_a_password_for_somebody(now):
    account = User.objects.get(person=a_person("Ana", password=PASSWORD))
    late = actor_of(a_person("Olga", Role.OWNER), signed_in_at=now - timedelta(minutes=6))
    with pytest.raises(NotPermitted) as caught:
        services.set_password(actor=late, account_id=account.pk, now=now)
    assert [reason.code for reason in caught.value.reasons] == ["sign_in_again"]


def test_a_closed_account_gets_no_password_and_one_who_left_no_account(now):
    person = a_person("Ana", username="ana")
    account = User.objects.get(username="ana")
    services.close_account(actor=SETUP, account_id=account.pk, now=now)
    with pytest.raises(Refused):
        services.set_password(actor=an_actor(Role.OWNER), account_id=account.pk, now=now)
    services.deactivate(actor=SETUP, person_id=person.pk, now=now)
    with pytest.raises(Refused):
        services.reopen_account(actor=SETUP, account_id=account.pk, now=now)


def test_the_last_owner_keeps_a_way_in(now):
    a_person("Olga", Role.OWNER, username="olga")
    second = services.add_account(
        actor=SETUP, person_id=Person.objects.get(name="Olga").pk, username="olga.admin", now=now
    )
    services.close_account(actor=SETUP, account_id=User.objects.get(username="olga").pk, now=now)
    with pytest.raises(Refused, match="last owner"):
        services.close_account(actor=SETUP, account_id=second.pk, now=now)


def test_an_owner_who_cannot_sign_in_does_not_count_as_another_owner(now):
    olga = a_person("Olga", Role.OWNER)
    other = services.register_person(actor=SETUP, name="Otto", now=now)
    services.grant(actor=SETUP, person_id=other.pk, role=Role.OWNER, now=now)
    with pytest.raises(Refused, match="last owner"):
        services.revoke(actor=SETUP, person_id=olga.pk, role=Role.OWNER, now=now)


def test_a_team_is_described_joined_and_left(now):
    ana, team = a_person("Ana"), a_team("ledger")
    services.join_team(actor=SETUP, team_id=team.pk, person_id=ana.pk, now=now)
    for _ in range(2):
        services.leave_team(actor=SETUP, team_id=team.pk, person_id=ana.pk, now=now)
        services.describe_team(actor=SETUP, team_id=team.pk, name="payments", title="Payments", now=now)

    assert kinds(team.stream) == ["team.registered", "team.joined", "team.left", "team.described"]
    assert not Team.objects.get(name="payments").members.exists()


@pytest.mark.parametrize("name", ["cards", "The Ledger", ""])
def test_a_team_takes_no_name_that_is_taken_or_no_slug(now, name):
    a_team("cards")
    team = a_team("ledger")
    with pytest.raises(Invalid) as caught:
        services.describe_team(actor=SETUP, team_id=team.pk, name=name, now=now)
    assert list(caught.value.fields) == ["name"]


def test_a_team_that_must_be_new_is_not_the_one_of_that_name(now):
    a_team("cards")
    with pytest.raises(Invalid) as caught:
        services.register_team(actor=SETUP, name="cards", must_be_new=True, now=now)
    assert list(caught.value.fields) == ["name"]


def test_a_team_that_owns_something_stays_and_says_what(now):
    service = a_service("ledgerwriter")
    with pytest.raises(Refused, match="ledgerwriter"):
        services.remove_team(actor=SETUP, team_id=service.team_id, now=now)
    assert Team.objects.filter(pk=service.team_id).exists()


def test_a_team_without_anything_goes_and_its_people_stay(now):
    ana = a_person("Ana")
    team = a_team("ledger", ana)
    services.remove_team(actor=SETUP, team_id=team.pk, now=now)
    assert not Team.objects.filter(name="ledger").exists()
    assert Person.objects.filter(pk=ana.pk).exists()
    assert audit.story(team.stream)[-1].data["members"] == [str(ana.pk)]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_only_owners_edit_accounts_teams_and_machines(now, role):
    actor, person, team, (client, _token) = an_actor(role), a_person("Bruno"), a_team("ledger"), a_token()
    account = User.objects.get(person=person)
    for attempt in (
        lambda: services.admit_person(actor=actor, name="Eve", now=now),
        lambda: services.rename_person(actor=actor, person_id=person.pk, name="Eve", now=now),
        lambda: services.reactivate(actor=actor, person_id=person.pk, now=now),
        lambda: services.set_password(actor=actor, account_id=account.pk, now=now),
        lambda: services.close_account(actor=actor, account_id=account.pk, now=now),
        lambda: services.reopen_account(actor=actor, account_id=account.pk, now=now),
        lambda: services.leave_team(actor=actor, team_id=team.pk, person_id=person.pk, now=now),
        lambda: services.describe_team(actor=actor, team_id=team.pk, name="eves", now=now),
        lambda: services.remove_team(actor=actor, team_id=team.pk, now=now),
        lambda: services.rotate_token(actor=actor, client_id=client.pk, expires_at=client.expires_at, now=now),
        lambda: services.describe_machine(actor=actor, client_id=client.pk, name="eve", owner_id=person.pk, now=now),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    assert kinds(person.stream)[-1] == "account.added"
    assert kinds(client.stream) == ["token.issued"]


def test_what_does_not_exist_is_said(now):
    for attempt in (
        lambda: services.rename_person(actor=SETUP, person_id=uuid4(), name="Eve", now=now),
        lambda: services.set_password(actor=an_actor(Role.OWNER), account_id=uuid4(), now=now),
        lambda: services.remove_team(actor=SETUP, team_id=uuid4(), now=now),
        lambda: services.describe_team(actor=SETUP, team_id=uuid4(), name="x", now=now),
    ):
        with pytest.raises(Missing):
            attempt()
