"""People who act at the same moment."""

from functools import partial

import pytest

from releases.accounts import queries, services
from releases.accounts.models import Grant, Person, User
from releases.accounts.roles import Role
from releases.core.errors import Invalid, Refused
from tests.factories.accounts import SETUP, a_person
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
