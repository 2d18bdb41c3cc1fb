"""A proposed policy: who may take it back, what two authors know of one another, and what it does to others."""

from dataclasses import replace
from uuid import uuid4

import pytest

from releases.accounts import services as accounts
from releases.accounts.roles import Role
from releases.audit.actor import Actor, ActorKind
from releases.audit.queries import story
from releases.committee import queries, services
from releases.committee.models import Policy, Round, Vote
from releases.committee.rules import Decision
from releases.core.errors import Invalid, Missing, NotPermitted, Refused, Stale
from releases.operations.models import OutboxMessage
from tests.factories.accounts import NOW, SETUP, a_person, actor_of
from tests.factories.committee import TWO_SEATS, a_member, a_policy, person_of

pytestmark = pytest.mark.django_db
WEAKER = [{"seats": {"seat_engineering": 1}}]
OTHER = [{"seats": {"seat_security": 1}}]


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
def olga():
    return actor_of(a_person("Olga Dias", Role.OWNER))


@pytest.fixture
def policy(bruno, rita):
    return a_policy()


def vote(proposed, actor, decision=Decision.APPROVE, **more):
    return services.vote_on_policy(
        policy_id=proposed.pk, actor=actor, decision=decision, seen_digest=proposed.digest, now=NOW, **more
    )


def withdraw(proposed, actor, reason=""):
    return services.withdraw_policy(policy_id=proposed.pk, actor=actor, reason=reason, now=NOW)


def kinds_of(policy):
    return [one.kind for one in story(policy.stream)]


# --- withdrawing ---


def test_who_proposed_a_policy_withdraws_it_and_nobody_votes_on_it_any_more(policy, bruno, rita, helena):
    proposed = a_policy(WEAKER, actor=helena)
    vote(proposed, bruno)
    withdraw(proposed, helena, "One more week.")

    assert Round.objects.get().outcome == "void"
    told = story(proposed.stream)[-1]
    assert (told.kind, told.actor_name, told.text["reason"]) == ("policy.withdrawn", "Helena Costa", "One more week.")
    assert OutboxMessage.objects.filter(kind="policy.withdrawn", ref=proposed.pk).exists()
    assert queries.proposed_policies() == []
    assert queries.calls_for_votes(NOW) == []
    with pytest.raises(Refused, match="withdrawn"):
        vote(proposed, rita)
    assert queries.current_policy() == policy
    assert Vote.objects.count() == 1


def test_nobody_else_withdraws_it_not_even_an_owner(policy, bruno, helena, olga):
    proposed = a_policy(WEAKER, actor=helena)
    with pytest.raises(NotPermitted) as caught:
        withdraw(proposed, olga)
    assert [reason.code for reason in caught.value.reasons] == ["not_yours"]
    with pytest.raises(NotPermitted):
        withdraw(proposed, bruno)  # no right to edit policies at all
    assert queries.proposed_policies() == [proposed]


def test_who_lost_the_right_does_not_withdraw(policy, helena):
    proposed = a_policy(WEAKER, actor=helena)
    accounts.revoke(actor=SETUP, person_id=person_of(helena), role=Role.RELEASE_MANAGER, now=NOW)
    with pytest.raises(NotPermitted):
        withdraw(proposed, helena)
    assert queries.proposed_policies() == [proposed]


def test_what_is_decided_is_not_withdrawn(policy, bruno, rita, helena):
    proposed = a_policy(WEAKER, actor=helena)
    vote(proposed, rita, Decision.REJECT, reason="One is too few.")
    with pytest.raises(Refused):
        withdraw(proposed, helena)
    with pytest.raises(Refused):
        withdraw(policy, helena)
    with pytest.raises(Missing):
        services.withdraw_policy(policy_id=person_of(bruno), actor=helena, now=NOW)
    assert "policy.withdrawn" not in kinds_of(proposed)


def test_a_reason_that_cannot_be_kept_is_refused_by_its_field(policy, helena):
    proposed = a_policy(WEAKER, actor=helena)
    with pytest.raises(Invalid) as caught:
        withdraw(proposed, helena, "no\x00thing")
    assert list(caught.value.fields) == ["reason"]
    assert queries.proposed_policies() == [proposed]


def test_a_machine_neither_proposes_nor_votes_nor_withdraws(policy, helena):
    proposed = a_policy(WEAKER, actor=helena)
    machine = Actor(kind=ActorKind.MACHINE, id=str(uuid4()), name="CI", account="ci")
    with pytest.raises(NotPermitted) as caught:
        vote(proposed, machine)
    assert [reason.code for reason in caught.value.reasons] == ["machine"]
    with pytest.raises(NotPermitted):
        withdraw(proposed, machine)
    with pytest.raises(NotPermitted):
        a_policy(OTHER, actor=machine)
    assert not Vote.objects.exists()
    assert queries.proposed_policies() == [proposed]


# --- two authors at once ---


def test_the_second_of_two_authors_is_told_who_was_first_and_goes_on_when_they_looked(policy, helena, olga):
    seen = queries.seen_now()
    a_policy(WEAKER, actor=helena)
    mine = {"actor": olga, "name": "House policy", "rules": OTHER, "now": NOW}
    with pytest.raises(Stale) as caught:
        services.save_policy(**mine, seen=seen)
    assert [str(reason.message) for reason in caught.value.reasons] == ["Helena Costa proposed version 2."]
    assert Policy.objects.count() == 2

    assert services.save_policy(**mine, seen=queries.seen_now()).version == 3


def test_an_author_is_told_that_another_policy_came_into_force(policy, bruno, rita, helena, olga):
    proposed = a_policy(WEAKER, actor=helena)
    seen = queries.seen_now()
    vote(proposed, bruno)
    vote(proposed, rita)
    with pytest.raises(Stale) as caught:
        services.save_policy(actor=olga, name="House policy", rules=OTHER, now=NOW, seen=seen)
    assert [str(reason.message) for reason in caught.value.reasons] == ["Version 2 is in force now."]


def test_what_is_in_force_or_waits_already_is_not_proposed_again(policy, helena, olga):
    with pytest.raises(Refused, match="in force already"):
        a_policy(actor=helena)
    a_policy(WEAKER, actor=helena)
    with pytest.raises(Refused, match="Version 2 says exactly this already"):
        a_policy(WEAKER, actor=olga)
    assert Policy.objects.count() == 2


def test_a_new_name_alone_is_an_edit(policy, helena):
    services.save_policy(actor=helena, name="Another name", rules=list(TWO_SEATS), now=NOW)
    assert [one.name for one in queries.proposed_policies()] == ["Another name"]


def test_what_else_was_proposed_waits_no_longer_when_a_policy_comes_into_force(policy, bruno, rita, helena, olga):
    one, other = a_policy(WEAKER, actor=helena), a_policy(OTHER, actor=olga)
    vote(one, bruno)
    vote(one, rita)
    assert queries.proposed_policies() == []
    assert story(other.stream)[-1].data == {"version": 3, "successor": 2}
    assert kinds_of(other) == ["policy.proposed", "policy.superseded"]
    with pytest.raises(Stale):
        vote(other, rita)


# --- checking without saving ---


def test_checking_refuses_what_saving_would_and_writes_nothing(policy, bruno, helena):
    check = {"actor": helena, "name": "House policy"}
    assert len(services.check_policy(**check, rules=WEAKER)) == 1
    with pytest.raises(Refused, match="in force already"):
        services.check_policy(**check, rules=list(TWO_SEATS))
    with pytest.raises(Invalid):
        services.check_policy(**check, rules=[{"seats": {"seat_engineering": 21}}])
    with pytest.raises(NotPermitted):
        services.check_policy(actor=bruno, name="House policy", rules=WEAKER)
    assert Policy.objects.count() == 1


@pytest.mark.parametrize("name", ["  ", "x" * 121, "Poli\u202ecy", "nul\x00"])
def test_a_name_that_is_none_is_refused(policy, helena, name):
    with pytest.raises(Invalid) as caught:
        services.save_policy(actor=helena, name=name, rules=WEAKER, now=NOW)
    assert list(caught.value.fields) == ["name"]


def test_an_unsatisfiable_policy_is_refused_with_the_seat_and_who_holds_it(policy, helena):
    a_member("Ivo Nunes", "security")
    asks = [{"seats": {"seat_security": 3, "seat_business": 1, "seat_engineering": 1}}]
    with pytest.raises(Refused) as caught:
        a_policy(asks, actor=helena)
    assert [str(reason.fix) for reason in caught.value.reasons] == [
        "Nobody holds the seat Business: give it to somebody, or ask for fewer.",
        "The seat Security is held by Ivo Nunes, Rita Alves: give it to more people, or ask for fewer.",
    ]


# --- what pages ask ---


def test_whose_voices_an_edit_needs_leaves_its_author_out(policy, bruno, rita):
    held = queries.voices_for(person_of(rita), NOW)
    seats = {seat.seat: [one.name for one in seat.may_decide] for seat in held.seats}
    assert seats == {"seat_engineering": ["Bruno Lima"], "seat_security": []}
    assert held.needed == 2


def test_before_the_first_policy_no_voice_is_needed(db):
    assert queries.voices_for(None, NOW) is None
    assert queries.seen_now() == queries.Seen(0, 0)


def test_a_proposal_knows_its_author_and_its_votes(policy, bruno, helena):
    proposed = a_policy(WEAKER, actor=helena)
    vote(proposed, bruno)
    (found,) = queries.proposals_of([policy, proposed], NOW)
    assert (found.policy, found.author, found.is_open) == (proposed, person_of(helena), True)
    assert (found.tally.given, found.tally.needed) == (1, 2)
    withdraw(proposed, helena)
    assert not queries.proposals_of([proposed], NOW)[0].is_open


def test_a_version_is_found_by_its_number(policy):
    assert queries.policy_of(1) == policy
    with pytest.raises(Missing):
        queries.policy_of(2)


def test_a_person_without_that_name_is_not_the_author(policy, helena, olga):
    proposed = a_policy(WEAKER, actor=helena)
    namesake = replace(olga, name=helena.name)
    with pytest.raises(NotPermitted):
        withdraw(proposed, namesake)
