"""Who may vote on a change, and what a vote that may not be cast leaves behind: that it was refused."""

from datetime import timedelta

import pytest

from releases.accounts import services as accounts
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit.models import AuditEvent
from releases.audit.queries import story
from releases.changes import services
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.committee import services as committee
from releases.committee.models import Vote
from releases.committee.rules import Decision
from releases.core.errors import GmudError, NotPermitted, Refused, Stale
from tests.factories.accounts import SETUP, a_person, a_token, actor_of
from tests.factories.changes import a_change, a_house, approve, fields
from tests.factories.committee import another_account

pytestmark = pytest.mark.django_db


@pytest.fixture
def house(db, now):
    return a_house(now)


@pytest.fixture
def change(house):
    return a_change(house, at=State.AUTHORIZING)


def refused(
    change, actor, error: type[GmudError], *, digest: str = "", now=None, decision=Decision.APPROVE
) -> GmudError:
    """Vote in vain; nothing of it is kept, neither as a vote nor as a state, but the record tells of the refusal."""
    votes, events = Vote.objects.count(), AuditEvent.objects.count()
    state = ChangeRequest.objects.values_list("state", flat=True).get(pk=change.pk)
    with pytest.raises(error) as raised:
        services.vote(
            change_id=change.pk,
            actor=actor,
            decision=decision,
            seen_digest=digest or change.content_digest,
            now=now or change.created_at,
        )
    assert (Vote.objects.count(), AuditEvent.objects.count()) == (votes, events + 1)
    assert ChangeRequest.objects.values_list("state", flat=True).get(pk=change.pk) == state
    told = story(change.stream)[-1]
    assert (told.kind, told.actor_kind, told.actor_id) == ("change.vote_refused", actor.kind, actor.id)
    assert (told.data["code"], told.data["reasons"]) == (
        raised.value.code,
        [str(reason.code) for reason in raised.value.reasons],
    )
    return raised.value


def codes(error: GmudError) -> set[str]:
    return {str(reason.code) for reason in error.reasons}


@pytest.mark.parametrize("through", ["the same account", "a second account"])
def test_the_requester_cannot_approve_whatever_account_and_seat_they_use(house, change, through):
    accounts.grant(actor=SETUP, person_id=house.engineer.pk, role=Role.SEAT_SECURITY, now=house.now)
    actor = house.actor("engineer") if through == "the same account" else another_account(house.engineer, "ana.private")

    assert codes(refused(change, actor, NotPermitted)) == {"self_approval"}


def test_whoever_wrote_any_revision_cannot_approve_a_later_one(house):
    otto = a_person("Otto", Role.ENGINEER, Role.RELEASE_MANAGER, Role.SEAT_SECURITY)
    change = a_change(house)
    services.revise(change_id=change.pk, actor=actor_of(otto), fields=fields(house, title="By Otto"), now=house.now)
    services.revise(change_id=change.pk, actor=house.actor("engineer"), fields=fields(house), now=house.now)
    services.submit(change_id=change.pk, actor=house.actor("engineer"), now=house.now)
    change.refresh_from_db()

    assert codes(refused(change, actor_of(otto), NotPermitted)) == {"self_approval"}


@pytest.mark.parametrize(
    ("part", "why"), [("implementers", "You carry out this change"), ("committers", "You committed code")]
)
def test_whoever_carries_it_out_or_wrote_its_code_cannot_approve_it_from_any_account(house, part, why):
    nina = a_person("Nina", Role.SEAT_SECURITY, username="nina")
    change = a_change(house, at=State.AUTHORIZING, **{part: ["nina"]})

    for actor in (actor_of(nina), another_account(nina, "nina.private")):
        error = refused(change, actor, NotPermitted)
        assert codes(error) == {"self_approval"}
        assert why in str(error.detail)


@pytest.mark.parametrize("part", ["implementers", "committers"])
def test_who_took_part_in_an_earlier_revision_stays_excluded(house, part):
    nina = a_person("Nina", Role.SEAT_SECURITY, username="nina")
    change = a_change(house, at=State.AUTHORIZING, **{part: ["nina"]})

    services.revise(
        change_id=change.pk, actor=house.actor("engineer"), fields=fields(house, **{part: []}), now=house.now
    )
    services.submit(change_id=change.pk, actor=house.actor("engineer"), now=house.now)

    change.refresh_from_db()
    assert not getattr(change, part).exists()
    assert codes(refused(change, actor_of(nina), NotPermitted)) == {"self_approval"}


def test_one_person_votes_once_from_any_account(house, change):
    approve(house, change, "security")

    assert codes(refused(change, another_account(house.security, "helena.private"), Refused)) == {"already_voted"}
    assert codes(refused(change, house.actor("security"), Refused, decision=Decision.REJECT)) == {"already_voted"}
    change.refresh_from_db()
    assert change.state == State.AUTHORIZING


def test_neither_a_token_nor_the_system_can_vote(house, change):
    _row, plaintext = a_token(Right.CHANGE_FILE, Right.CHANGE_RELEASE)
    machine = accounts.use_token(token=plaintext, now=house.now)

    for actor in (machine, SETUP):
        refused(change, actor, NotPermitted)


@pytest.mark.parametrize("who", ["engineer", "manager", "on_call", "operations"])
def test_nobody_votes_without_a_seat_that_is_asked_for(house, change, who):
    refused(change, house.actor(who), NotPermitted)


def test_a_vote_on_what_was_edited_meanwhile_is_stale_and_says_what_changed(house, change):
    seen = change.content_digest
    services.revise(
        change_id=change.pk, actor=house.actor("engineer"), fields=fields(house, why="Another reason."), now=house.now
    )

    error = refused(change, house.actor("security"), Stale, digest=seen)

    assert any("Another reason." in str(reason.message) for reason in error.reasons)


def test_votes_on_the_old_content_count_for_nothing_after_an_edit_and_stay_in_the_record(house, change):
    approve(house, change, "engineering")
    services.revise(
        change_id=change.pk, actor=house.actor("engineer"), fields=fields(house, plan="Another."), now=house.now
    )
    services.submit(change_id=change.pk, actor=house.actor("engineer"), now=house.now)
    approve(house, change, "security")

    change.refresh_from_db()
    assert change.state == State.AUTHORIZING
    assert Vote.objects.filter(subject=change.pk).count() == 2
    approve(house, change, "engineering")
    change.refresh_from_db()
    assert change.state == State.SCHEDULED


@pytest.mark.parametrize("state", [State.DRAFT, State.SCHEDULED, State.IMPLEMENTING, State.WATCHING, State.REVIEWING])
def test_a_change_takes_votes_only_while_it_is_before_the_committee(house, state):
    change = a_change(house, at=state)
    late = actor_of(a_person("Late", Role.SEAT_SECURITY))

    assert codes(refused(change, late, Refused)) == {"wrong_state"}


def test_one_rejection_ends_it_with_its_reason(house, change):
    approve(house, change, "engineering")
    services.vote(
        change_id=change.pk,
        actor=house.actor("security"),
        decision=Decision.REJECT,
        seen_digest=change.content_digest,
        reason="Nobody tested the migration.",
        now=house.now,
    )

    change.refresh_from_db()
    assert change.state == State.REJECTED
    assert refused(change, actor_of(a_person("Late", Role.SEAT_ENGINEERING)), Refused)


def test_a_rejection_without_a_reason_is_not_taken(house, change):
    assert codes(refused(change, house.actor("security"), Refused, decision=Decision.REJECT)) == {"reason_missing"}


@pytest.mark.parametrize(("step", "counts"), [(timedelta(microseconds=-1), True), (timedelta(0), False)])
def test_a_lent_seat_is_gone_at_the_very_moment_the_loan_ends(house, change, step, counts):
    ends_at = house.now + timedelta(minutes=10)
    friend = a_person("Friend", Role.SEAT_BUSINESS)
    committee.delegate(
        actor=house.actor("security"),
        to_person=friend.pk,
        seat="seat_security",
        starts_at=house.now,
        ends_at=ends_at,
        now=house.now,
    )
    if not counts:
        refused(change, actor_of(friend), NotPermitted, now=ends_at + step)
        return
    tally = services.vote(
        change_id=change.pk,
        actor=actor_of(friend),
        decision=Decision.APPROVE,
        seen_digest=change.content_digest,
        now=ends_at + step,
    )
    assert tally.given == 1
