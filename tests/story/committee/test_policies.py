"""The first policy is in force at once; every later one is decided by the committee that the one in force asks for."""

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from releases.accounts import services as accounts
from releases.accounts.models import Person
from releases.accounts.roles import Role
from releases.audit.models import AuditEvent
from releases.audit.queries import story
from releases.catalog.kinds import EnvironmentKind
from releases.committee import queries, services
from releases.committee.models import Policy, Round, Vote
from releases.committee.rules import Decision
from releases.core import canonical
from releases.core.errors import Invalid, Missing, NotPermitted, Refused, Stale
from releases.operations.models import OutboxMessage
from tests.factories.accounts import NOW, SETUP, a_person, actor_of
from tests.factories.catalog import an_environment
from tests.factories.committee import TWO_SEATS, a_member, a_policy, a_round, a_vote, person_of

pytestmark = pytest.mark.django_db
WEAKER = [{"seats": {"seat_engineering": 1}}]


@pytest.fixture
def bruno():
    return a_member("Bruno Lima", "engineering")


@pytest.fixture
def rita():
    return a_member("Rita Alves", "security")


@pytest.fixture
def helena():
    return actor_of(a_person("Helena Costa", Role.RELEASE_MANAGER))


@pytest.fixture
def policy(bruno, rita):
    return a_policy()


def vote(proposed, actor, decision=Decision.APPROVE, **more):
    return services.vote_on_policy(
        policy_id=proposed.pk,
        actor=actor,
        decision=decision,
        now=NOW,
        **{"seen_digest": proposed.digest, **more},
    )


def test_the_first_policy_is_in_force_at_once_and_on_the_record(bruno, rita, helena):
    saved = a_policy(actor=helena)
    assert queries.current_policy() == saved
    assert (saved.version, saved.is_current, saved.in_force_at) == (1, True, NOW)
    kinds = list(AuditEvent.objects.filter(stream=saved.stream).values_list("kind", flat=True))
    assert sorted(kinds) == ["policy.proposed", "policy.saved"]
    assert OutboxMessage.objects.filter(kind="policy.saved", ref=saved.pk).exists()


def test_the_digest_names_the_exact_text(policy):
    assert policy.digest == canonical.digest(json.loads(policy.rules))
    assert canonical.encode(json.loads(policy.rules)).decode() == policy.rules


def test_who_may_not_edit_policies_cannot_save_one(bruno, rita):
    with pytest.raises(NotPermitted):
        a_policy(actor=bruno)
    assert not Policy.objects.exists()


def test_a_policy_that_nobody_can_satisfy_is_refused_with_the_seat_and_the_number(bruno):
    with pytest.raises(Refused) as caught:
        a_policy()
    assert [reason.code for reason in caught.value.reasons] == ["unsatisfiable"]
    assert "Security asks for 1, and 1 more must hold that seat" in str(caught.value)
    assert not Policy.objects.exists()


def test_somebody_who_left_fills_no_seat(bruno, rita):
    accounts.deactivate(actor=SETUP, person_id=person_of(rita), now=NOW)
    with pytest.raises(Refused):
        a_policy()


def test_one_person_with_both_seats_satisfies_no_policy_of_two():
    a_member("Lia Prado", "engineering", "security")
    with pytest.raises(Refused) as caught:
        a_policy()
    assert "one person fills one seat" in str(caught.value)


def test_a_policy_with_a_hole_is_refused(bruno):
    with pytest.raises(Refused) as caught:
        a_policy([{"when": {"environment_kind": ["production"]}, "seats": {"seat_engineering": 1}}])
    assert {reason.code for reason in caught.value.reasons} == {"policy_error"}


@pytest.mark.parametrize(("name", "rules", "field"), [(" ", list(TWO_SEATS), "name"), ("House", [], "rules")])
def test_what_cannot_be_read_is_refused_by_field(bruno, rita, name, rules, field):
    with pytest.raises(Invalid) as caught:
        services.save_policy(actor=SETUP, name=name, rules=rules, now=NOW)
    assert list(caught.value.fields) == [field]


AFTER_STAGING = [
    *TWO_SEATS,
    {"when": {"environment_kind": ["production"]}, **TWO_SEATS[0], "after_environment": "staging", "soak_hours": 24},
]


def test_a_policy_that_waits_for_what_can_never_come_is_refused_by_field(bruno, rita):
    an_environment("production")
    with pytest.raises(Invalid) as caught:
        a_policy(AFTER_STAGING)
    assert list(caught.value.fields) == ["rules[1].after_environment"]

    an_environment("staging", EnvironmentKind.PRODUCTION)
    with pytest.raises(Invalid, match="Nobody could ever satisfy this policy") as caught:
        a_policy(AFTER_STAGING)
    assert "cannot come before itself" in str(caught.value.fields["rules[1].after_environment"][0])
    assert not Policy.objects.exists()


def test_a_policy_whose_environment_went_before_the_last_vote_does_not_come_into_force(policy, bruno, rita, helena):
    staging = an_environment("staging", EnvironmentKind.STAGING)
    proposed = a_policy(AFTER_STAGING, actor=helena)
    vote(proposed, bruno)
    staging.delete()  # as by hand in the database: no page lets it go

    with pytest.raises(Invalid):
        vote(proposed, rita)
    assert queries.current_policy() == policy


def test_a_later_policy_waits_for_everybody_the_one_in_force_asks_for(policy, bruno, rita, helena):
    proposed = a_policy(WEAKER, actor=helena)
    assert queries.current_policy() == policy
    assert proposed.in_force_at is None
    assert Round.objects.get().needed == {"seat_engineering": 1, "seat_security": 1}

    assert not vote(proposed, bruno).is_settled
    assert queries.current_policy() == policy

    assert vote(proposed, rita, reason="fine").approved
    assert queries.current_policy() == proposed
    assert not Policy.objects.filter(in_force_at=None).exists()
    assert Round.objects.get().outcome == "approved"
    assert not Policy.objects.get(pk=policy.pk).is_current
    assert AuditEvent.objects.filter(stream=proposed.stream, kind="policy.voted").count() == 2


def test_the_author_of_a_policy_cannot_vote_it_in(policy, bruno, rita, helena):
    for role in (Role.SEAT_ENGINEERING, Role.SEAT_SECURITY):
        accounts.grant(actor=SETUP, person_id=person_of(helena), role=role, now=NOW)
    proposed = a_policy(WEAKER, actor=helena)
    with pytest.raises(NotPermitted) as caught:
        vote(proposed, helena)
    assert [reason.code for reason in caught.value.reasons] == ["self_approval"]
    told = story(proposed.stream)[-1]
    assert (told.kind, told.actor_id, told.data["reasons"]) == ("policy.vote_refused", helena.id, ["self_approval"])


def test_a_later_policy_is_proposed_by_a_person(policy):
    with pytest.raises(NotPermitted):
        a_policy(WEAKER)


def test_a_rejected_policy_never_comes_into_force(policy, bruno, rita, helena):
    proposed = a_policy(WEAKER, actor=helena)
    assert vote(proposed, rita, Decision.REJECT, reason="One person is too few.").rejected
    with pytest.raises(Refused):
        vote(proposed, bruno)
    assert queries.current_policy() == policy
    assert Round.objects.get().outcome == "rejected"


def test_other_rules_than_those_seen_are_not_voted_on(policy, bruno, helena):
    proposed = a_policy(WEAKER, actor=helena)
    with pytest.raises(Stale):
        vote(proposed, bruno, seen_digest=policy.digest)
    assert not Vote.objects.exists()


def test_a_proposal_is_stale_when_another_policy_came_into_force(policy, bruno, rita, helena):
    one, other = a_policy(WEAKER, actor=helena), a_policy([{"seats": {"seat_security": 1}}], actor=helena)
    vote(one, bruno)
    vote(one, rita)
    with pytest.raises(Stale):
        vote(other, rita)
    assert queries.current_policy() == one


def test_a_policy_in_force_is_not_voted_on_again(policy, bruno):
    with pytest.raises(Refused):
        vote(policy, bruno)
    with pytest.raises(Missing):
        services.vote_on_policy(
            policy_id=person_of(bruno), actor=bruno, decision=Decision.APPROVE, seen_digest="", now=NOW
        )


def test_a_policy_whose_people_left_meanwhile_does_not_come_into_force(policy, bruno, rita, helena):
    two = [{"seats": {"seat_engineering": 2, "seat_security": 1}}]
    second = a_member("Davi Nunes", "engineering")
    proposed = a_policy(two, actor=helena)
    vote(proposed, bruno)
    accounts.deactivate(actor=SETUP, person_id=person_of(second), now=NOW)
    with pytest.raises(Refused):
        vote(proposed, rita)
    assert queries.current_policy() == policy
    assert Vote.objects.count() == 1


def test_a_weaker_policy_does_not_reach_a_round_that_is_open(policy, bruno, rita, helena):
    call = a_round(policy)
    a_vote(call, bruno)
    proposed = a_policy(WEAKER, actor=helena)
    vote(proposed, bruno)
    vote(proposed, rita)
    assert queries.current_policy() == proposed
    assert not queries.tally_of(call, NOW).approved


def test_a_policy_text_changed_behind_its_digest_is_not_followed(policy):
    Policy.objects.update(rules=policy.rules.replace('"seat_security":1', '"seat_security":0'))
    policy.refresh_from_db()
    with pytest.raises(Refused) as caught:
        a_round(policy)
    assert [reason.code for reason in caught.value.reasons] == ["policy_error"]


def test_two_policies_are_never_in_force(policy, bruno, rita, helena):
    a_policy(WEAKER, actor=helena)
    with pytest.raises(IntegrityError), transaction.atomic():
        Policy.objects.update(is_current=True, in_force_at=NOW)


def test_a_vote_on_a_policy_needs_the_fresh_sign_in_the_one_in_force_asks_for(bruno, rita, helena):
    a_policy([{"seats": {"seat_engineering": 1, "seat_security": 1}, "fresh_sign_in_minutes": 5}])
    proposed = a_policy(WEAKER, actor=helena)
    stale = actor_of(Person.objects.get(pk=bruno.id), signed_in_at=NOW - timedelta(minutes=6))
    with pytest.raises(NotPermitted) as caught:
        vote(proposed, stale)
    assert [reason.code for reason in caught.value.reasons] == ["sign_in_again"]
