"""People who act at the same moment."""

from functools import partial

import pytest

from releases.accounts import queries, services
from releases.accounts.limits import Proof, TooMany
from releases.accounts.models import Grant, Person, SignInAttempt, User
from releases.accounts.roles import Role
from releases.accounts.rules import Visitor
from releases.accounts.services.proving import Unproved
from releases.core.errors import Invalid, Refused
from tests.factories.accounts import SETUP, a_person
from tests.factories.factors import an_app, code_at, fresh
from tests.factories.races import at_once
from tests.fault.harness import database


@pytest.fixture(scope="module", autouse=True)
def _house(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database(tmp_path_factory.mktemp("house")):
        yield


def test_two_owners_who_end_each_other_leave_one(now):
    for _ in range(10):
        Person.objects.update(is_active=False)
        Grant.objects.all().delete()
        owners = [a_person(f"Owner {number}", Role.OWNER) for number in range(2)]
        said = at_once([partial(services.deactivate, actor=SETUP, person_id=one.pk, now=now) for one in owners])
        assert len(queries.holders_of(Role.OWNER)) == 1
        assert sorted(type(one) for one in said if isinstance(one, Exception)) == [Refused]


def test_an_owner_who_leaves_while_the_other_loses_the_role_is_not_the_last(now):
    for _ in range(10):
        Person.objects.update(is_active=False)
        Grant.objects.all().delete()
        leaving, losing = (a_person(f"Owner {number}", Role.OWNER) for number in range(2))
        at_once(
            [
                partial(services.deactivate, actor=SETUP, person_id=leaving.pk, now=now),
                partial(services.revoke, actor=SETUP, person_id=losing.pk, role=Role.OWNER, now=now),
            ]
        )
        assert len(queries.holders_of(Role.OWNER)) == 1


def test_a_user_name_asked_for_by_six_goes_to_one(now):
    people = [a_person() for _ in range(6)]
    calls = [partial(services.add_account, actor=SETUP, person_id=one.pk, username="Ana", now=now) for one in people]
    said = at_once(calls)
    assert User.objects.filter(username="ana").count() == 1
    assert [type(one) for one in said if isinstance(one, Exception)] == [Invalid] * 5


def test_a_role_given_by_six_is_given_once(now):
    person = a_person()
    said = at_once(
        [partial(services.grant, actor=SETUP, person_id=person.pk, role=Role.ENGINEER, now=now) for _ in range(6)]
    )
    assert not [one for one in said if isinstance(one, Exception)]
    assert Grant.objects.filter(person=person).count() == 1


def test_a_code_typed_in_six_browsers_at_once_opens_one(now):
    account = User.objects.get(person=a_person())
    an_app(account, now)
    visitors = [Visitor(address=f"192.0.2.{number}") for number in range(6)]
    calls = [partial(services.prove_code, account=account, code=code_at(now), visitor=one, now=now) for one in visitors]
    said = at_once(calls)
    assert sorted(str(one) for one in said if not isinstance(one, Exception)) == ["totp"]
    assert {type(one) for one in said if isinstance(one, Exception)} == {Unproved}


def test_a_recovery_code_typed_in_six_browsers_at_once_opens_one(now):
    account = User.objects.get(person=a_person())
    codes = an_app(account, now)
    visitors = [Visitor(address=f"192.0.2.{number}") for number in range(6)]
    calls = [partial(services.prove_code, account=account, code=codes[0], visitor=one, now=now) for one in visitors]
    said = at_once(calls)
    assert len([one for one in said if not isinstance(one, Exception)]) == 1


def test_of_twelve_guesses_at_once_no_more_are_looked_at_than_the_limit_says(now):
    SignInAttempt.objects.all().delete()
    visitor = Visitor(address="192.0.2.77")
    call = partial(services.begin_attempt, proof=Proof.PASSWORD, account="x", visitor=visitor, now=now)
    said = at_once([call] * 12)
    assert len([one for one in said if not isinstance(one, Exception)]) <= 5
    assert {type(one) for one in said if isinstance(one, Exception)} == {TooMany}


def test_an_identity_linked_by_six_accounts_at_once_signs_in_to_one(now):
    accounts = [User.objects.get(person=a_person()) for _ in range(6)]
    calls = [
        partial(
            services.link_identity,
            actor=fresh(one, now),
            account_id=one.pk,
            issuer="https://id.example",
            subject=f"raced-{now:%s}",
            now=now,
        )
        for one in accounts
    ]
    said = at_once(calls)
    assert [type(one) for one in said if isinstance(one, Exception)] == [Refused] * 5


def test_somebody_admitted_twice_at_once_becomes_one_person(now):
    call = partial(
        services.admit,
        issuer="https://id.example",
        subject="twice-at-once",
        name="Twice",
        email="",
        username="",
        now=now,
    )
    said = at_once([call] * 4)
    assert Person.objects.filter(name="Twice").count() == 1
    assert [type(one) for one in said] == [User] * 4
    assert len(set(said)) == 1
