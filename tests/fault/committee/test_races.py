"""Members who lose their seats at the same moment."""

from functools import partial

import pytest

from releases.accounts import queries
from releases.accounts.models import Grant, Person
from releases.accounts.roles import Role
from releases.committee import services
from releases.committee.models import Policy
from releases.core.errors import Refused
from tests.factories.accounts import SETUP, a_person
from tests.factories.committee import a_policy
from tests.factories.races import at_once
from tests.fault.harness import database


@pytest.fixture(scope="module", autouse=True)
def _house(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database(tmp_path_factory.mktemp("house")):
        yield


def test_two_last_holders_of_a_needed_seat_who_lose_it_at_once_leave_one(now):
    for _ in range(10):
        Policy.objects.all().delete()
        Person.objects.update(is_active=False)
        Grant.objects.all().delete()
        a_person("Bruno", Role.SEAT_ENGINEERING)
        leaving, losing = (a_person(f"Member {number}", Role.SEAT_SECURITY) for number in range(2))
        a_policy(now=now)
        said = at_once(
            [
                partial(services.deactivate_person, actor=SETUP, person_id=leaving.pk, now=now),
                partial(services.revoke_role, actor=SETUP, person_id=losing.pk, role=Role.SEAT_SECURITY, now=now),
            ]
        )
        assert len(queries.holders_of(Role.SEAT_SECURITY)) == 1
        assert [type(one) for one in said if isinstance(one, Exception)] == [Refused]
