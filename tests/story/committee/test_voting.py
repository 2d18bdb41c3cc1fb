"""Votes are a person's act on exactly one content; whether they count is asked again every time."""

import dataclasses
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from releases.accounts import services as accounts
from releases.accounts.models import Person
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit.actor import Actor, ActorKind, system
from releases.committee import queries, services
from releases.committee.models import Round, Vote
from releases.committee.rules import Decision
from releases.core.errors import Invalid, NotPermitted, Refused, Stale
from tests.factories.accounts import NOW, SETUP, a_token, actor_of
from tests.factories.catalog import a_digest
from tests.factories.committee import a_member, a_policy, a_round, a_vote, another_account, person_of

pytestmark = pytest.mark.django_db
FRESH = [{"seats": {"seat_engineering": 1, "seat_security": 1}, "fresh_sign_in_minutes": 5}]


@pytest.fixture
def bruno():
    return a_member("Bruno Lima", "engineering")


@pytest.fixture
def rita():
    return a_member("Rita Alves", "security")


@pytest.fixture
def policy(bruno, rita):
    return a_policy()


def codes(caught):
    return [reason.code for reason in caught.value.reasons]


def test_two_people_on_their_seats_authorize(policy, bruno, rita):
    call = a_round(policy)
    first = a_vote(call, bruno)
    assert (first.given, first.needed, first.is_settled) == (1, 2, False)
    assert [str(reason.message) for reason in first.missing] == ["Security: 1 more must approve."]
    assert a_vote(call, rita).approved


def test_one_person_with_two_accounts_votes_once(policy, bruno):
    call = a_round(policy)
    a_vote(call, bruno)
    with pytest.raises(Refused) as caught:
        a_vote(call, another_account(person_of(bruno), "bruno.second"))
    assert codes(caught) == ["already_voted"]
    assert Vote.objects.count() == 1


def test_the_requester_cannot_approve_through_a_second_account(policy, bruno):
    call = a_round(policy, excluded={bruno.id: "requester"})
    for account in (bruno, another_account(person_of(bruno), "bruno.second")):
        with pytest.raises(NotPermitted) as caught:
            a_vote(call, account)
        assert codes(caught) == ["self_approval"]
        assert str(caught.value) == "You asked for this change, so you cannot vote on it."
    assert queries.tally_of(call, NOW).given == 0


@pytest.mark.parametrize("kind", [ActorKind.MACHINE, ActorKind.SYSTEM])
def test_machines_and_the_system_never_vote(policy, bruno, kind):
    call = a_round(policy)
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, Actor(kind=kind, id=bruno.id, name=bruno.name))
    assert codes(caught) == ["machine"]
    assert not Vote.objects.exists()


def test_no_token_can_be_issued_that_votes():
    with pytest.raises((Refused, Invalid, NotPermitted)):
        a_token(Right.CHANGE_VOTE)


def test_the_system_cannot_vote_under_any_name(policy):
    with pytest.raises(NotPermitted):
        a_vote(a_round(policy), system("committee"))


def test_a_vote_on_another_content_is_stale_and_leaves_no_trace(policy, bruno):
    call = a_round(policy)
    with pytest.raises(Stale):
        a_vote(call, bruno, digest=a_digest())
    assert not Vote.objects.exists()


def test_the_table_itself_refuses_a_second_vote_of_a_person(policy, bruno, rita):
    call = a_round(policy)
    a_vote(call, bruno)
    row = Vote.objects.get()
    row.pk, row.account, row.seat = None, "bruno.second", "seat_security"
    row._state.adding = True
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)
    for table_rule in ({"decision": "whatever"}, {"for_person_id": person_of(bruno)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Vote.objects.update(**table_rule)


def test_the_same_person_may_vote_on_another_content_of_the_same_subject(policy, bruno):
    first = a_round(policy)
    a_vote(first, bruno)
    second = a_round(policy, subject=first.subject)
    assert a_vote(second, bruno).given == 1
    assert queries.tally_of(first, NOW).given == 1


def test_a_new_round_ends_the_open_one_of_the_same_subject(policy, bruno):
    first = a_round(policy)
    a_round(policy, subject=first.subject)
    with pytest.raises(Refused) as caught:
        a_vote(first, bruno)
    assert codes(caught) == ["round_closed"]
    assert Round.objects.get(pk=first.pk).outcome == "void"


def test_a_closed_round_takes_no_vote_and_stays_as_it_ended(policy, bruno, rita):
    call = a_round(policy)
    services.close_round(round=call, outcome="approved", now=NOW)
    services.close_round(round=call, outcome="rejected", now=NOW + timedelta(hours=1))
    with pytest.raises(Refused) as caught:
        a_vote(call, bruno)
    assert codes(caught) == ["round_closed"]
    ended = Round.objects.get()
    assert (ended.outcome, ended.closed_at) == ("approved", NOW)


def test_the_same_content_again_finds_its_earlier_votes(policy, bruno, rita):
    first = a_round(policy)
    a_vote(first, bruno)
    again = a_round(policy, subject=first.subject, digest=first.content_digest)
    assert queries.tally_of(again, NOW).given == 1
    assert queries.round_of(first.subject, first.content_digest) == again


@pytest.mark.parametrize("decision", [Decision.REJECT, Decision.REQUEST_CHANGES])
def test_who_refuses_says_why(policy, bruno, decision):
    call = a_round(policy)
    with pytest.raises(Refused) as caught:
        a_vote(call, bruno, decision, reason="  ")
    assert codes(caught) == ["reason_missing"]
    tally = a_vote(call, bruno, decision, reason=" The way back is missing. ")
    assert tally.is_settled
    assert not tally.approved
    assert Vote.objects.get().reason == "The way back is missing."


def test_text_that_a_database_cannot_keep_is_refused(policy, bruno):
    with pytest.raises(Invalid) as caught:
        a_vote(a_round(policy), bruno, Decision.REJECT, reason="no\x00")
    assert list(caught.value.fields) == ["reason"]


def test_a_decision_that_does_not_exist_is_not_stored(policy, bruno):
    with pytest.raises(ValueError, match="maybe"):
        a_vote(a_round(policy), bruno, "maybe")
    assert not Vote.objects.exists()


# Who people are now


def test_who_left_counts_no_more_in_an_open_round_or_a_closed_one(policy, bruno, rita):
    call = a_round(policy)
    a_vote(call, bruno)
    assert a_vote(call, rita).approved
    services.close_round(round=call, outcome="approved", now=NOW)

    accounts.deactivate(actor=SETUP, person_id=person_of(rita), now=NOW)

    tally = queries.tally_of(call, NOW)
    assert not tally.approved
    assert [(view.ballot.name, view.counts) for view in tally.ballots] == [("Bruno Lima", True), ("Rita Alves", False)]


def test_who_loses_the_seat_counts_no_more_and_who_gets_it_back_does(policy, bruno, rita):
    call = a_round(policy)
    a_vote(call, bruno)
    a_vote(call, rita)
    accounts.revoke(actor=SETUP, person_id=person_of(rita), role=Role.SEAT_SECURITY, now=NOW)
    assert not queries.tally_of(call, NOW).approved
    accounts.grant(actor=SETUP, person_id=person_of(rita), role=Role.SEAT_SECURITY, now=NOW)
    assert queries.tally_of(call, NOW).approved


def test_who_lost_the_seat_cannot_vote(policy, bruno):
    call = a_round(policy)
    accounts.revoke(actor=SETUP, person_id=person_of(bruno), role=Role.SEAT_ENGINEERING, now=NOW)
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, bruno)
    assert codes(caught) == ["no_seat"]


def test_who_took_part_since_the_round_was_opened_is_excluded_and_stays_so(policy, bruno, rita):
    call = a_round(policy)
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, bruno, excluded={bruno.id: "implementer"})
    assert codes(caught) == ["self_approval"]
    tally = a_vote(call, rita, excluded={bruno.id: "implementer"})
    assert tally.seats[0].may_decide == ()
    assert Round.objects.get().excluded == {bruno.id: "implementer"}


def test_a_member_with_two_seats_moves_over_for_one_with_one(rita, bruno):
    both = a_member("Lia Prado", "engineering", "security")
    call = a_round(a_policy())
    a_vote(call, both)
    assert Vote.objects.get().seat == "seat_engineering"
    assert a_vote(call, bruno).approved


def test_a_seat_can_be_chosen(policy, bruno):
    both = a_member("Lia Prado", "engineering", "security")
    a_vote(a_round(policy), both, seat="seat_security")
    assert Vote.objects.get().seat == "seat_security"


def test_a_seat_that_is_not_asked_for_cannot_be_chosen(policy, bruno):
    with pytest.raises(NotPermitted) as caught:
        a_vote(a_round(policy), bruno, seat="seat_business")
    assert str(caught.value) == "The seat Business is not asked for here."


# Fresh sign-in


@pytest.mark.parametrize(
    ("age", "may"),
    [(timedelta(minutes=5), True), (timedelta(minutes=5, microseconds=1), False), (timedelta(seconds=-1), False)],
)
def test_where_the_risk_is_high_a_voter_has_just_signed_in(bruno, rita, age, may):
    call = a_round(a_policy(FRESH))
    voter = actor_of(Person.objects.get(pk=bruno.id), signed_in_at=NOW - age)
    if may:
        assert a_vote(call, voter).given == 1
        assert Vote.objects.get().signed_in_at == NOW - age
    else:
        with pytest.raises(NotPermitted) as caught:
            a_vote(call, voter)
        assert codes(caught) == ["sign_in_again"]
        assert not Vote.objects.exists()


def test_who_may_not_vote_at_all_is_not_sent_to_sign_in_first(bruno, rita):
    call = a_round(a_policy(FRESH), excluded={bruno.id: "author"})
    voter = actor_of(Person.objects.get(pk=bruno.id), signed_in_at=NOW - timedelta(days=1))
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, voter)
    assert codes(caught) == ["self_approval"]


@pytest.mark.parametrize(
    ("methods", "may_vote"),
    [
        (("password",), False),
        (("oidc",), False),
        ((), False),
        (("password", "totp"), True),
        (("password", "recovery"), True),
        (("passkey",), True),
        (("oidc", "mfa"), True),
    ],
)
def test_where_the_policy_asks_for_a_second_factor_a_sign_in_without_one_votes_on_nothing(
    bruno, rita, methods, may_vote
):
    call = a_round(a_policy([{**FRESH[0], "second_factor": True}]))
    voter = dataclasses.replace(bruno, methods=methods)
    if may_vote:
        assert a_vote(call, voter).given == 1
        return
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, voter)
    assert codes(caught) == ["sign_in_again"]
    assert not Vote.objects.exists()


# Asking


def test_a_round_awaits_who_can_help_and_the_buttons_say_the_rest(policy, bruno, rita):
    call = a_round(policy)
    other = a_member("Lia Prado", "business")
    assert queries.awaits(person_of(bruno), NOW) == [call.subject]
    assert queries.awaits(person_of(other), NOW) == []
    assert queries.may_vote(call, person_of(bruno), NOW) is None
    assert queries.may_vote(call, person_of(other), NOW).code == "no_seat"

    a_vote(call, bruno)

    assert queries.awaits(person_of(bruno), NOW) == []
    assert queries.may_vote(call, person_of(bruno), NOW).code == "already_voted"
    services.close_round(round=call, outcome="void", now=NOW)
    call.refresh_from_db()
    assert queries.may_vote(call, person_of(rita), NOW).code == "round_closed"


def test_what_the_policy_approves_beforehand_needs_nobody_and_that_is_on_the_round(bruno, rita):
    free = {"when": {"type": ["standard"]}, "seats": {}}
    asked = {"when": {"type": ["normal", "emergency"]}, "seats": {"seat_engineering": 1}}
    call = a_round(a_policy([free, asked]), change_type="standard")
    assert call.is_pre_approved
    assert queries.tally_of(call, NOW).approved
    assert queries.tally_of(call, NOW).seats == ()


@pytest.mark.parametrize("values", [{"needed": {}}, {"is_pre_approved": True}, {"outcome": "approved"}])
def test_a_round_cannot_be_bent_into_asking_nobody(policy, values):
    a_round(policy)
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.update(**values)


def test_the_record_of_a_voter_cannot_be_deleted(policy, bruno):
    a_vote(a_round(policy), bruno)
    with pytest.raises(ProtectedError):
        Person.objects.get(pk=bruno.id).delete()
