"""A lent seat: by who holds it, to who sits in the committee, never on, and one person still counts once."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from releases.accounts import services as accounts
from releases.audit.models import AuditEvent
from releases.committee import queries, services
from releases.committee.models import Delegation, Vote
from releases.committee.rules import Decision
from releases.core.errors import Invalid, Missing, NotPermitted, Refused
from releases.operations.models import OutboxMessage
from tests.factories.accounts import NOW, SETUP
from tests.factories.committee import a_member, a_policy, a_round, a_vote, person_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def bruno():
    return a_member("Bruno Lima", "engineering")


@pytest.fixture
def rita():
    return a_member("Rita Alves", "security")


@pytest.fixture
def caio():
    return a_member("Caio Dias", "business")


@pytest.fixture
def call(bruno, rita, caio):
    return a_round(a_policy())


def lend(lender, borrower, seat="seat_security", *, starts=NOW - DAY, ends=NOW + DAY, now=NOW):
    return services.delegate(
        actor=lender, to_person=person_of(borrower), seat=seat, starts_at=starts, ends_at=ends, now=now
    )


def codes(caught):
    return [reason.code for reason in caught.value.reasons]


def test_who_borrowed_a_seat_votes_on_it_in_the_name_of_its_holder(call, bruno, rita, caio):
    lend(rita, caio)
    a_vote(call, bruno)
    tally = a_vote(call, caio)
    assert tally.approved
    vote = Vote.objects.get(person_id=caio.id)
    assert (vote.seat, str(vote.for_person_id)) == ("seat_security", rita.id)


def test_a_loan_is_on_the_record_and_announced(bruno, rita, caio):
    lent = lend(rita, caio)
    assert AuditEvent.objects.filter(stream=f"person:{rita.id}", kind="delegation.given").count() == 1
    assert OutboxMessage.objects.filter(kind="delegation.given", ref=lent.pk).count() == 1
    assert [one.to_name for one in queries.delegations_of(person_of(rita), NOW)] == ["Caio Dias"]
    assert [one.from_name for one in queries.delegations_of(person_of(caio), NOW)] == ["Rita Alves"]


def test_without_a_loan_or_after_it_nobody_votes_on_a_seat_of_others(call, rita, caio):
    lend(rita, caio, ends=NOW + DAY)
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, caio, now=NOW + DAY, for_person=person_of(rita))
    assert codes(caught) == ["not_lent"]
    assert not Vote.objects.exists()


def test_a_vote_cast_while_the_seat_was_lent_counts_after_the_loan_is_over(call, bruno, rita, caio):
    lend(rita, caio)
    a_vote(call, caio)
    a_vote(call, bruno)
    assert queries.tally_of(call, NOW + 2 * DAY).approved


def test_a_loan_taken_back_takes_its_votes_along(call, bruno, rita, caio):
    lent = lend(rita, caio)
    a_vote(call, caio)
    a_vote(call, bruno)
    services.revoke_delegation(delegation_id=lent.pk, actor=rita, now=NOW)
    services.revoke_delegation(delegation_id=lent.pk, actor=rita, now=NOW + DAY)
    assert not queries.tally_of(call, NOW).approved
    assert Delegation.objects.get().revoked_at == NOW
    assert AuditEvent.objects.filter(kind="delegation.revoked").count() == 1


def test_only_the_lender_takes_a_seat_back(rita, caio):
    lent = lend(rita, caio)
    with pytest.raises(NotPermitted):
        services.revoke_delegation(delegation_id=lent.pk, actor=caio, now=NOW)
    with pytest.raises(Missing):
        services.revoke_delegation(delegation_id=person_of(rita), actor=rita, now=NOW)


def test_the_holder_may_still_vote_in_person_and_then_only_that_counts(call, bruno, rita, caio):
    lend(rita, caio)
    a_vote(call, caio)
    tally = a_vote(call, rita, Decision.REJECT, reason="Not while I am away.")
    assert tally.rejected


def test_once_the_holder_has_voted_nobody_votes_for_them(call, bruno, rita, caio):
    lend(rita, caio)
    a_vote(call, rita)
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, caio, for_person=person_of(rita))
    assert codes(caught) == ["represented"]


def test_when_the_lender_leaves_the_borrowed_vote_counts_no_more(call, bruno, rita, caio):
    lend(rita, caio)
    a_vote(call, bruno)
    assert a_vote(call, caio).approved
    accounts.deactivate(actor=SETUP, person_id=person_of(rita), now=NOW)
    assert not queries.tally_of(call, NOW).approved


def test_the_requester_cannot_lend_their_way_around_the_exclusion(bruno, rita, caio):
    call = a_round(a_policy(), excluded={rita.id: "requester"})
    lend(rita, caio)
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, caio, for_person=person_of(rita))
    assert codes(caught) == ["self_approval"]


def test_the_requester_cannot_borrow_their_way_around_it_either(bruno, rita, caio):
    call = a_round(a_policy(), excluded={caio.id: "requester"})
    lend(rita, caio)
    with pytest.raises(NotPermitted) as caught:
        a_vote(call, caio)
    assert codes(caught) == ["self_approval"]


def test_what_was_lent_cannot_be_lent_on(rita, caio, bruno):
    lend(rita, caio)
    with pytest.raises(NotPermitted) as caught:
        lend(caio, bruno)
    assert codes(caught) == ["no_seat"]


def test_a_seat_goes_only_to_somebody_else_who_sits_in_the_committee(rita):
    outsider = a_member("Ana Reis")
    for borrower in (outsider, rita):
        with pytest.raises(Refused) as caught:
            lend(rita, borrower)
        assert codes(caught) == ["no_seat"]


def test_a_seat_is_lent_once_at_a_time(rita, caio, bruno):
    lend(rita, caio)
    with pytest.raises(Refused) as caught:
        lend(rita, bruno, starts=NOW + DAY - timedelta(microseconds=1), ends=NOW + 2 * DAY)
    assert codes(caught) == ["lent_already"]
    lend(rita, bruno, starts=NOW + DAY, ends=NOW + 2 * DAY)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"seat": "seat_parking"}, "seat"),
        ({"seat": "owner"}, "seat"),
        ({"starts": NOW - DAY, "ends": NOW}, "ends_at"),
        ({"starts": NOW + DAY, "ends": NOW + DAY}, "ends_at"),
    ],
)
def test_a_loan_that_makes_no_sense_is_refused_by_field(rita, caio, more, field):
    with pytest.raises(Invalid) as caught:
        lend(rita, caio, **more)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize("values", [{"seat": "owner"}, {"ends_at": NOW - DAY}])
def test_the_table_refuses_what_the_rules_forbid(rita, caio, values):
    lend(rita, caio)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delegation.objects.update(**values)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delegation.objects.update(to_person_id=person_of(rita))
