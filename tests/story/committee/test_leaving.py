"""Nobody takes the last holder of a seat away while the policy in force asks for it."""

import pytest

from releases.accounts import queries
from releases.accounts import services as accounts
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.committee import services
from releases.committee.models import Policy
from releases.core.errors import NotPermitted, Refused
from tests.factories.accounts import NOW, SETUP, a_person, an_actor
from tests.factories.committee import a_policy

pytestmark = pytest.mark.django_db


def revoke(person, role):
    services.revoke_role(actor=SETUP, person_id=person.pk, role=role, now=NOW)


def deactivate(person):
    services.deactivate_person(actor=SETUP, person_id=person.pk, now=NOW)


def test_the_last_holder_of_a_seat_that_the_policy_asks_for_keeps_it():
    bruno, rita = a_person("Bruno", Role.SEAT_ENGINEERING), a_person("Rita", Role.SEAT_SECURITY)
    a_policy()

    with pytest.raises(Refused) as caught:
        revoke(rita, Role.SEAT_SECURITY)
    with pytest.raises(Refused, match="Bruno"):
        deactivate(bruno)

    assert [reason.code for reason in caught.value.reasons] == ["seat_needed"]
    assert "Rita" in str(caught.value)
    assert "somebody else first" in str(caught.value.reasons[0].fix)
    assert Role.SEAT_SECURITY in queries.roles_of(rita.pk)
    assert Role.SEAT_ENGINEERING in queries.roles_of(bruno.pk)
    assert "role.revoked" not in [one.kind for one in audit.story(rita.stream)]


def test_with_another_holder_the_seat_can_be_taken():
    rita, second = a_person("Rita", Role.SEAT_SECURITY), a_person("Sara", Role.SEAT_SECURITY)
    a_person("Bruno", Role.SEAT_ENGINEERING)
    a_policy()

    revoke(rita, Role.SEAT_SECURITY)

    assert queries.holders_of(Role.SEAT_SECURITY)[0].id == second.pk
    with pytest.raises(Refused):
        deactivate(second)


def test_one_person_on_two_seats_does_not_count_for_both():
    both = a_person("Rita", Role.SEAT_SECURITY, Role.SEAT_ENGINEERING)
    bruno = a_person("Bruno", Role.SEAT_ENGINEERING)
    a_policy()

    with pytest.raises(Refused):
        revoke(bruno, Role.SEAT_ENGINEERING)
    revoke(both, Role.SEAT_ENGINEERING)

    assert queries.roles_of(both.pk) == {Role.SEAT_SECURITY}


def test_a_seat_that_no_rule_asks_for_and_a_role_that_is_none_go_freely():
    a_person("Bruno", Role.SEAT_ENGINEERING)
    rita = a_person("Rita", Role.SEAT_SECURITY, Role.SEAT_BUSINESS, Role.ENGINEER)
    a_policy()

    revoke(rita, Role.SEAT_BUSINESS)
    revoke(rita, Role.ENGINEER)

    assert queries.roles_of(rita.pk) == {Role.SEAT_SECURITY}


def test_before_the_first_policy_every_seat_can_be_taken():
    rita = a_person("Rita", Role.SEAT_SECURITY)
    revoke(rita, Role.SEAT_SECURITY)
    assert queries.roles_of(rita.pk) == frozenset()


def test_a_policy_that_lacks_people_already_keeps_nobody_from_leaving():
    bruno, rita = a_person("Bruno", Role.SEAT_ENGINEERING), a_person("Rita", Role.SEAT_SECURITY)
    a_policy()
    accounts.deactivate(actor=SETUP, person_id=rita.pk, now=NOW)  # as if by hand, past the committee
    other = a_person("Olga", Role.SEAT_BUSINESS)

    deactivate(other)

    assert not queries.roles_of(other.pk)
    with pytest.raises(Refused, match="Bruno"):
        deactivate(bruno)


def test_a_policy_that_cannot_be_read_keeps_nobody_from_leaving():
    a_person("Bruno", Role.SEAT_ENGINEERING)
    rita = a_person("Rita", Role.SEAT_SECURITY)
    a_policy()
    Policy.objects.update(rules='[{"seats":{"seat_security":1}}]')

    deactivate(rita)

    assert queries.roles_of(rita.pk) == frozenset()


def test_the_last_owner_stays_here_too():
    olga = a_person("Olga", Role.OWNER)
    with pytest.raises(Refused, match="last owner"):
        revoke(olga, Role.OWNER)
    with pytest.raises(Refused, match="last owner"):
        deactivate(olga)


def test_only_owners_take_roles():
    rita, actor = a_person("Rita", Role.SEAT_SECURITY), an_actor(Role.RELEASE_MANAGER)
    with pytest.raises(NotPermitted):
        services.revoke_role(actor=actor, person_id=rita.pk, role=Role.SEAT_SECURITY, now=NOW)
    with pytest.raises(NotPermitted):
        services.deactivate_person(actor=actor, person_id=rita.pk, now=NOW)
