"""The gate and its permits at the same moment as edits, revocations and each other."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from releases.accounts import services as accounts
from releases.audit.models import AuditEvent
from releases.audit.queries import states_from_events
from releases.changes import queries
from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.core.errors import GmudError
from releases.gate import services
from releases.gate.models import GateDecision, IdempotencyKey, Permit
from releases.gate.rules import Run
from releases.gate.services import Answer, Redeemed, Replayed
from releases.gate.states import Verdict
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_service
from tests.factories.changes import House, a_change, a_house, fields, inside
from tests.factories.gate import CI, RUN, a_permit, a_question
from tests.factories.races import at_once

ROUNDS = [pytest.param(12, id="12"), pytest.param(500, id="500", marks=pytest.mark.long)]


@pytest.fixture(scope="module")
def house(_database) -> House:
    return a_house()


@pytest.fixture(autouse=True)
def _nobody_waits(house):
    """Let each round have the place for itself: what the round before left is taken out of the way."""
    yield
    out_of_the_way()


def out_of_the_way() -> None:
    from releases.calendar.models import Booking

    Booking.objects.filter(released_at=None).delete()


def a_free_change(house: House) -> ChangeRequest:
    out_of_the_way()
    for number in ChangeRequest.objects.filter(state=State.IMPLEMENTING).values_list("pk", flat=True):
        changes.failed(change_id=number, actor=house.actor("manager"), now=house.now)
    return a_change(house, at=State.SCHEDULED)


def a_call(house: House, change: ChangeRequest, *, key: str = ""):
    return partial(services.ask, actor=CI, request=a_question(house, change), key=key, now=inside(change))


def an_edit(house: House, change: ChangeRequest):
    return partial(
        changes.revise,
        change_id=change.pk,
        actor=house.actor("engineer"),
        fields=fields(house, title="Edited meanwhile"),
        now=house.now,
    )


def withdraw_and_revoke(house: House, change: ChangeRequest, *, now: datetime) -> int:
    changes.withdraw(change_id=change.pk, actor=house.actor("engineer"), now=house.now)
    return services.revoke_for(change_id=change.pk, now=now)


def a_redemption(permit: Permit, number: int = 77):
    return partial(
        services.redeem,
        actor=CI,
        jti=permit.jti,
        run=Run(RUN.provider, f"team/app/deploy#{number}"),
        artifact_digest=permit.decision.digest,
        now=permit.issued_at,
    )


def unforeseen(said: list[object]) -> list[object]:
    return [one for one in said if isinstance(one, Exception) and not isinstance(one, GmudError)]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_an_edit_while_the_gate_decides_never_leaves_a_permit_that_is_good(house, rounds):
    for _ in range(rounds):
        change = a_free_change(house)
        decided, edited = at_once([a_call(house, change), an_edit(house, change)])

        assert isinstance(decided, Answer), decided
        assert isinstance(edited, ChangeRequest), edited
        if decided.decision.verdict == Verdict.ALLOW:
            assert decided.decision.content_digest == change.content_digest
            permit = Permit.objects.select_related("decision").get(decision=decided.decision)
            with pytest.raises(GmudError):
                a_redemption(permit)()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_of_six_runs_at_once_exactly_one_takes_the_permit(house, rounds):
    for _ in range(rounds):
        change = a_free_change(house)
        answer = services.ask(
            actor=CI, request=a_question(house, change), fuse=f"start-{change.number}", now=inside(change)
        )
        permit = Permit.objects.select_related("decision").get(decision=answer.decision)
        said = at_once([a_redemption(permit, number) for number in range(6)])

        assert not unforeseen(said)
        taken = [one for one in said if isinstance(one, Redeemed)]
        assert len(taken) == 1
        assert [type(one) for one in said if one is not taken[0]] == [Replayed] * 5
        permit.refresh_from_db()
        assert permit.redeemed_by == taken[0].run
        events = AuditEvent.objects.filter(stream=change.stream)
        assert [events.filter(kind=f"permit.{word}").count() for word in ("redeemed", "refused")] == [1, 5]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_of_two_permits_for_one_start_redeemed_at_once_exactly_one_is_good(house, rounds):
    for _ in range(rounds):
        change = a_free_change(house)
        question, fuse = a_question(house, change), f"start-{change.number}"
        answers = [services.ask(actor=CI, request=question, fuse=fuse, now=inside(change)) for _ in range(2)]
        decisions = [answer.decision for answer in answers]
        permits = list(Permit.objects.select_related("decision").filter(decision__in=decisions))
        said = at_once([a_redemption(one, number) for number, one in enumerate(permits)])

        assert not unforeseen(said)
        assert sorted(type(one).__name__ for one in said) == ["Redeemed", "Replayed"]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_same_run_six_times_at_once_gets_the_same_answer(house, rounds):
    for _ in range(rounds):
        permit = a_permit(house, a_free_change(house))
        said = at_once([a_redemption(permit)] * 6)

        assert not unforeseen(said)
        assert len(set(said)) == 1


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_redemption_and_an_edit_at_once_never_both_succeed(house, rounds):
    for _ in range(rounds):
        change = a_free_change(house)
        permit = a_permit(house, change)
        taken, edited = at_once([a_redemption(permit), an_edit(house, change)])

        assert not unforeseen([taken, edited])
        assert isinstance(taken, Redeemed) != isinstance(edited, ChangeRequest)
        state = ChangeRequest.objects.values_list("state", flat=True).get(pk=change.pk)
        assert state == (State.IMPLEMENTING if isinstance(taken, Redeemed) else State.DRAFT)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_redemption_and_a_revocation_at_once_never_both_succeed(house, rounds):
    for _ in range(rounds):
        change = a_free_change(house)
        permit = a_permit(house, change)
        taken, revoked = at_once(
            [a_redemption(permit), partial(withdraw_and_revoke, house, change, now=permit.issued_at)]
        )

        assert not unforeseen([taken, revoked])
        assert isinstance(taken, Redeemed) != (revoked == 1)
        permit.refresh_from_db()
        assert (permit.redeemed_at is None) == (permit.revoked_at is not None)


@pytest.mark.parametrize("rounds", [pytest.param(10, id="10"), pytest.param(200, id="200", marks=pytest.mark.long)])
def test_the_same_question_with_the_same_key_by_six_is_decided_once(house, rounds):
    other = a_service(f"without-a-change-{rounds}")
    for number in range(rounds):
        change = a_free_change(house)
        said = at_once([a_call(house, change, key=f"build-{rounds}-{number}")] * 6)
        assert not [one for one in said if isinstance(one, Exception)]
        assert len({(one.decision.pk, one.permit) for one in said}) == 1

        alone = partial(
            services.ask,
            actor=CI,
            request=a_question(house, service=other.name),
            key=f"alone-{rounds}-{number}",
            now=house.now,
        )
        said = at_once([alone] * 6)
        assert not [one for one in said if isinstance(one, Exception)]
        assert len({one.decision.pk for one in said}) == 1
    assert GateDecision.objects.filter(service=other.name).count() == rounds
    assert IdempotencyKey.objects.filter(key__startswith=f"alone-{rounds}-").count() == rounds


@pytest.mark.parametrize("rounds", [pytest.param(10, id="10"), pytest.param(200, id="200", marks=pytest.mark.long)])
def test_a_voter_who_leaves_while_a_permit_is_redeemed_counts_before_or_not_at_all(house, rounds):
    for number in range(rounds):
        there = a_house(service=f"leaving-{rounds}-{number}")
        change = a_change(there, at=State.SCHEDULED)
        permit = a_permit(there, change)
        taken, left = at_once(
            [
                a_redemption(permit),
                partial(accounts.deactivate, actor=SETUP, person_id=there.security.pk, now=there.now),
            ]
        )

        assert not unforeseen([taken, left])
        later = services.ask(
            actor=CI, request=a_question(there, change, change_number=change.number), now=inside(change)
        )
        assert later.decision.verdict == Verdict.DENY
        assert permit.expires_at - permit.issued_at == timedelta(seconds=300)


def test_after_all_of_this_the_record_tells_the_same_states_as_the_tables(house):
    told = {stream: data["state"] for stream, data in states_from_events().items() if stream.startswith("change:")}

    assert told == dict(queries.states())
