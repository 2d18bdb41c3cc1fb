"""Votes, edits and new drafts at the same moment: nobody counts twice, nothing is approved that nobody saw."""

from functools import partial

import pytest

from releases.audit.queries import states_from_events
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.committee.models import Vote
from releases.committee.rules import Decision, Tally
from releases.core.errors import GmudError, Refused, Stale
from tests.factories.changes import House, a_change, a_house, approve, fields
from tests.factories.committee import another_account
from tests.factories.races import at_once

ROUNDS = [pytest.param(12, id="12"), pytest.param(500, id="500", marks=pytest.mark.long)]
EDITOR = "engineer"


@pytest.fixture(scope="module")
def house(_database) -> House:
    return a_house()


def vote(house: House, change: ChangeRequest, who: str):
    return partial(
        services.vote,
        change_id=change.pk,
        actor=house.actor(who),
        decision=Decision.APPROVE,
        seen_digest=change.content_digest,
        now=house.now,
    )


def edit(house: House, change: ChangeRequest):
    return partial(
        services.revise,
        change_id=change.pk,
        actor=house.actor(EDITOR),
        fields=fields(house, title="Edited meanwhile"),
        now=house.now,
    )


def unforeseen(said: list[object]) -> list[object]:
    return [one for one in said if isinstance(one, Exception) and not isinstance(one, GmudError)]


def state_of(change: ChangeRequest) -> str:
    return ChangeRequest.objects.values_list("state", flat=True).get(pk=change.pk)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_last_two_votes_at_once_authorize_exactly_once(house, rounds):
    for _ in range(rounds):
        change = a_change(house, at=State.AUTHORIZING)
        said = at_once([vote(house, change, "engineering"), vote(house, change, "security")])

        assert [type(one) for one in said] == [Tally, Tally]
        assert state_of(change) == State.SCHEDULED
        assert Vote.objects.filter(subject=change.pk).count() == 2


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_vote_and_an_edit_at_once_never_leave_an_approval_of_unseen_content(house, rounds):
    firsts = set()
    for _ in range(rounds):
        change = a_change(house, at=State.AUTHORIZING)
        approve(house, change, "engineering")
        change.refresh_from_db()
        voted, edited = at_once([vote(house, change, "security"), edit(house, change)])

        assert not unforeseen([voted, edited])
        assert isinstance(edited, ChangeRequest)  # an edit is possible before and after the last vote
        assert isinstance(voted, (Tally, Stale))
        firsts.add(type(voted))
        now = ChangeRequest.objects.get(pk=change.pk)
        assert now.state == State.DRAFT
        assert now.title == "Edited meanwhile"
        assert not Vote.objects.filter(subject=change.pk, content_digest=now.content_digest).exists()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_one_person_through_two_accounts_at_once_votes_once(house, rounds):
    other = another_account(house.security, f"helena{rounds}")
    for _ in range(rounds):
        change = a_change(house, at=State.AUTHORIZING)
        mine = vote(house, change, "security")
        said = at_once([mine, partial(mine.func, **{**mine.keywords, "actor": other})])

        assert not unforeseen(said)
        assert sorted(type(one).__name__ for one in said) == ["Refused", "Tally"]
        assert Vote.objects.filter(subject=change.pk).count() == 1
        assert state_of(change) == State.AUTHORIZING


@pytest.mark.parametrize("rounds", ROUNDS)
def test_two_submissions_at_once_make_one_revision(house, rounds):
    for _ in range(rounds):
        change = a_change(house)
        call = partial(services.submit, change_id=change.pk, actor=house.actor(EDITOR), now=house.now)
        said = at_once([call, call])

        assert not unforeseen(said)
        assert sorted(type(one).__name__ for one in said) == ["ChangeRequest", "Refused"]
        assert ChangeRequest.objects.get(pk=change.pk).revisions.count() == 1


@pytest.mark.parametrize("rounds", ROUNDS)
def test_drafts_filed_at_once_each_get_a_number_of_their_own(house, rounds):
    for _ in range(rounds):
        call = partial(services.draft, actor=house.actor(EDITOR), fields=fields(house), now=house.now)
        said = at_once([call, call, call])

        assert [one for one in said if isinstance(one, Exception)] == []
        assert len({one.number for one in said}) == 3


@pytest.mark.parametrize("rounds", ROUNDS)
def test_an_approval_and_a_rejection_at_once_end_in_one_of_the_two(house, rounds):
    for _ in range(rounds):
        change = a_change(house, at=State.AUTHORIZING)
        approve(house, change, "engineering")
        change.refresh_from_db()
        yes = vote(house, change, "security")
        no = partial(
            services.vote,
            **{**yes.keywords, "actor": house.actor("manager"), "decision": Decision.REJECT, "reason": "No"},
        )
        withdrawn = partial(services.withdraw, change_id=change.pk, actor=house.actor(EDITOR), now=house.now)
        said = at_once([yes, no, withdrawn])

        assert not unforeseen(said)
        assert state_of(change) == State.DRAFT or not isinstance(said[2], ChangeRequest)
        assert not isinstance(said[0], Refused) or isinstance(said[2], ChangeRequest)


def test_after_all_of_this_the_record_tells_the_same_states_as_the_tables(house):
    told = {stream: data["state"] for stream, data in states_from_events().items() if stream.startswith("change:")}

    assert told == dict(queries.states())
