"""Members who lose their seats, and policies that are voted in and proposed, at the same moment."""

from functools import partial

import pytest
from django.db import transaction

from releases.accounts import queries
from releases.accounts.models import Grant, Person
from releases.accounts.roles import Role
from releases.committee import services
from releases.committee.models import Policy, Round, Vote
from releases.committee.seats import Decision
from releases.core.errors import NotPermitted, Refused, Stale
from tests.factories.accounts import SETUP, a_person, actor_of
from tests.factories.committee import a_member, a_policy
from tests.factories.races import at_once
from tests.fault.harness import database


@pytest.fixture(scope="module", autouse=True)
def _house(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database(tmp_path_factory.mktemp("house")):
        yield


def _nobody_yet() -> None:
    """Begin again: no policy, and nobody who holds anything."""
    Vote.objects.all().delete()
    Round.objects.all().delete()
    Policy.objects.update(based_on=None)
    Policy.objects.all().delete()
    Person.objects.update(is_active=False)
    Grant.objects.all().delete()


def test_two_last_holders_of_a_needed_seat_who_lose_it_at_once_leave_one(now):
    for _ in range(10):
        _nobody_yet()
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


def test_what_is_proposed_while_a_policy_is_voted_in_never_skips_its_votes(now):
    _nobody_yet()
    bruno, rita = a_member("Bruno Lima", "engineering"), a_member("Rita Alves", "security")
    owner = actor_of(a_person("Olga Dias", Role.OWNER))
    a_policy(now=now)
    for minutes in range(5, 15):
        proposed, other = (
            [{"seats": {"seat_engineering": 1, "seat_security": 1}, "fresh_sign_in_minutes": one}]
            for one in (minutes, minutes + 100)
        )
        mine = a_policy(proposed, actor=owner, now=now)
        vote = partial(
            services.vote_on_policy,
            policy_id=mine.pk,
            decision=Decision.APPROVE,
            seen_digest=mine.digest,
            now=now,
        )
        vote(actor=bruno)
        _tally, meanwhile = at_once([partial(vote, actor=rita), partial(a_policy, other, actor=owner, now=now)])
        assert Policy.objects.get(is_current=True) == mine
        assert meanwhile.in_force_at is None


def among_others(**policy):
    """Write a policy as one of many things, as a configuration is applied."""
    with transaction.atomic(durable=True):
        return services.policies.put_forward(**policy)


@pytest.mark.parametrize("save", [services.save_policy, among_others])
def test_of_two_first_policies_at_once_one_is_in_force_and_the_other_is_told(now, save):
    _nobody_yet()
    a_member("Rita Prado", "engineering")
    rules = [{"seats": {"seat_engineering": 1}}]
    said = at_once([partial(save, actor=SETUP, name=name, rules=rules, now=now) for name in "AB"])
    (first,) = Policy.objects.all()
    assert first.is_current
    # Who comes a moment later finds it in force, and SETUP is no person who could propose another.
    assert next(type(one) for one in said if one != first) in {Stale, NotPermitted}


@pytest.mark.postgres
def test_a_first_policy_that_came_between_looking_and_writing_is_not_replaced_without_a_vote(now, monkeypatch):
    _nobody_yet()
    a_member("Rita Prado", "engineering")
    save = partial(services.save_policy, actor=SETUP, rules=[{"seats": {"seat_engineering": 1}}], now=now)
    look = services.policies.locked_current

    def look_while_another_saves():
        found = look()
        monkeypatch.setattr(services.policies, "locked_current", look)
        at_once([partial(save, name="A")])
        return found

    monkeypatch.setattr(services.policies, "locked_current", look_while_another_saves)
    with pytest.raises(Stale):
        save(name="B")

    assert [(one.name, one.is_current) for one in Policy.objects.all()] == [("A", True)]
