"""A permit is good once, for one run and one artifact, while the gate would still open; every refusal is told."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from releases.accounts import services as accounts
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit.queries import story
from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.catalog import services as catalog
from releases.changes import services as changes
from releases.changes.states import ChangeType, State
from releases.core import clock
from releases.core.errors import Invalid, Missing, NotPermitted, Refused
from releases.gate import permits, services
from releases.gate.models import Permit
from releases.gate.rules import PERMIT_LIVES, Run
from releases.gate.services import Replayed
from releases.gate.states import Intent, Verdict
from releases.operations import services as operations
from releases.operations.models import OutboxMessage
from releases.worker.reactions import FOLLOWING
from tests.factories.accounts import SETUP, a_token
from tests.factories.catalog import a_budget, a_digest
from tests.factories.changes import a_change, a_house, approve, fields, inside
from tests.factories.gate import CI, OTHER_RUN, RUN, a_permit, a_question, ask, redeem

pytestmark = pytest.mark.django_db


@pytest.fixture
def change(house):
    return a_change(house, at=State.SCHEDULED)


@pytest.fixture
def permit(house, change):
    return a_permit(house, change)


def told(change, kind: str) -> list[dict]:
    return [entry.data for entry in story(change.stream) if entry.kind == kind]


def refused(permit, error=Refused, **how) -> set[str]:
    """Redeem in vain; return the reasons, having seen that nothing was taken and that it was told."""
    before = Permit.objects.values("redeemed_at", "redeemed_by", "revoked_at").get(pk=permit.pk)
    state = type(permit.change).objects.values_list("state", flat=True).get(pk=permit.change_id)
    count = len(told(permit.change, "permit.refused"))

    with pytest.raises(error) as raised:
        redeem(permit, **how)

    assert Permit.objects.values("redeemed_at", "redeemed_by", "revoked_at").get(pk=permit.pk) == before
    assert type(permit.change).objects.values_list("state", flat=True).get(pk=permit.change_id) == state
    events = told(permit.change, "permit.refused")
    assert len(events) == count + 1
    assert events[-1]["permit"] == str(permit.jti)
    assert events[-1]["reasons"] == [str(reason.code) for reason in raised.value.reasons]
    return {str(reason.code) for reason in raised.value.reasons}


def test_redeeming_starts_the_change_and_is_told(change, permit):
    taken = redeem(permit)

    change.refresh_from_db()
    assert change.state == State.IMPLEMENTING
    assert (taken.run, taken.change, taken.digest) == (
        "jenkins:team/app/deploy#77",
        change.name,
        permit.decision.digest,
    )
    assert [one["permit"] for one in told(change, "permit.redeemed")] == [str(permit.jti)]
    assert not told(change, "permit.refused")


def test_the_same_run_may_ask_twice_and_gets_the_same_answer(change, permit):
    first = redeem(permit)

    assert redeem(permit, now=permit.expires_at - timedelta(microseconds=1)) == first
    assert len(told(change, "permit.redeemed")) == 1


def test_the_same_run_may_not_come_back_when_the_permit_is_over(permit):
    redeem(permit)

    assert refused(permit, Replayed, now=permit.expires_at) == {"permit_replayed"}


def test_another_run_is_refused_once_the_permit_is_taken(permit):
    redeem(permit)

    assert refused(permit, Replayed, run=OTHER_RUN) == {"permit_replayed"}


def test_another_run_than_the_one_it_was_given_to_is_refused(permit):
    assert refused(permit, Replayed, run=OTHER_RUN) == {"permit_replayed"}


def test_a_permit_given_to_no_run_is_taken_by_the_first(house, change):
    permit = a_fused_permit(house, change, "deployment-1")

    assert redeem(permit, run=OTHER_RUN).run == "jenkins:team/app/deploy#78"
    assert refused(permit, Replayed, run=RUN) == {"permit_replayed"}


def test_of_two_permits_for_one_start_only_one_is_good_even_for_the_same_run(house, change):
    first, second = (a_fused_permit(house, change, "deployment-1") for _ in range(2))
    redeem(first)

    assert refused(second, Replayed, run=OTHER_RUN) == {"permit_replayed"}
    assert refused(second, Replayed, run=RUN) == {"permit_replayed"}


@pytest.mark.parametrize("fuses", [("", ""), ("", "deployment-1"), ("deployment-1", ""), ("one", "another")], ids=str)
def test_an_item_is_deployed_by_one_run_whoever_began_it(house, change, fuses):
    first, second = (a_fused_permit(house, change, fuse) for fuse in fuses)
    Permit.objects.filter(pk=second.pk).update(run="")  # as if it was asked for by the run that redeems it
    redeem(first)

    assert refused(second, Replayed, run=OTHER_RUN) == {"permit_replayed"}
    assert redeem(second).run == RUN.name


def test_a_permit_for_a_job_that_may_wait_in_a_queue_lives_until_its_step_or_the_window_is_over(house, change):
    early, late = change.ends_at - timedelta(minutes=1), change.ends_at + timedelta(hours=1)
    lives = {}
    for until in (inside(change), early, late):
        answer = services.ask(
            actor=CI, request=a_question(house, change), fuse=f"start-{until}", until=until, now=inside(change)
        )
        permit = Permit.objects.get(decision=answer.decision)
        claims = permits.told(answer.permit)
        assert claims["exp"] == int(permit.expires_at.timestamp())
        lives[until] = permit.expires_at

    assert lives == {
        inside(change): inside(change) + PERMIT_LIVES,
        early: early,
        late: change.ends_at,
    }


def test_going_back_may_be_tried_again_by_another_run(house):
    change = a_change(house, at=State.WATCHING)
    back = change.items.get().way_back.target_artifact.digest
    moment = change.watch_until_at - timedelta(seconds=1)
    first, second = (
        a_permit(house, change, intent=Intent.ROLLBACK, digest=back, run=run, now=moment) for run in (RUN, OTHER_RUN)
    )
    redeem(first, now=moment)

    assert redeem(second, run=OTHER_RUN, now=moment).run == OTHER_RUN.name


@pytest.mark.parametrize(("seconds", "good"), [(-1, False), (0, True), (299, True), (300, False)])
def test_a_permit_is_good_from_its_first_moment_to_before_its_last(permit, seconds, good):
    moment = permit.issued_at + timedelta(seconds=seconds)
    if good:
        assert redeem(permit, now=moment)
    else:
        assert refused(permit, Replayed, now=moment) == {"permit_replayed"}


def test_a_permit_is_good_to_the_last_microsecond(permit):
    assert refused(permit, Replayed, now=permit.expires_at) == {"permit_replayed"}
    assert redeem(permit, now=permit.expires_at - timedelta(microseconds=1))


def withdraw(house, change) -> None:
    changes.withdraw(change_id=change.pk, actor=house.actor("engineer"), now=house.now)


def submit_again(house, change, **edits) -> None:
    if edits:
        changed = fields(house, **edits)
        changes.revise(change_id=change.pk, actor=house.actor("engineer"), fields=changed, now=house.now)
    changes.submit(change_id=change.pk, actor=house.actor("engineer"), now=house.now)
    approve(house, change, "engineering")
    approve(house, change, "security")


def test_a_revoked_permit_is_refused(house, change, permit):
    withdraw(house, change)
    assert services.revoke_for(change_id=change.pk, now=permit.issued_at) == 1

    assert refused(permit, Replayed) == {"permit_replayed"}
    assert [one["permits"] for one in told(change, "permit.revoked")] == [1]


def test_a_revoked_permit_stays_refused_when_the_change_is_approved_anew(house, change, permit):
    withdraw(house, change)
    services.revoke_for(change_id=change.pk, now=permit.issued_at)
    submit_again(house, change)
    assert ask(house, change).verdict == Verdict.ALLOW

    assert refused(permit, Replayed) == {"permit_replayed"}


def test_only_open_permits_are_revoked(house, change, permit):
    second = a_permit(house, change)
    redeem(permit)
    changes.failed(change_id=change.pk, actor=house.actor("manager"), now=house.now)

    assert services.revoke_for(change_id=change.pk, now=permit.issued_at) == 1
    assert services.revoke_for(change_id=change.pk, now=permit.issued_at) == 0
    second.refresh_from_db()
    permit.refresh_from_db()
    assert second.revoked_at is not None
    assert permit.revoked_at is None


def test_a_message_that_comes_late_leaves_the_permit_given_since(house, change, permit, time_machine):
    items = [replace(fields(house).items[0], digest=permit.decision.digest)]
    submit_again(house, change, items=items, title="Something else")
    since = a_permit(house, change)
    time_machine.move_to(since.issued_at, tick=False)

    for message in OutboxMessage.objects.undone():
        operations.deliver(message_id=message.pk, worker="w", reactions=FOLLOWING, now=clock.now)

    permit.refresh_from_db()
    assert permit.revoked_at is not None
    assert redeem(since)


def lose_the_seat(house) -> None:
    accounts.revoke(actor=SETUP, person_id=house.security.pk, role=Role.SEAT_SECURITY, now=house.now)


def leave(house) -> None:
    accounts.deactivate(actor=SETUP, person_id=house.security.pk, now=house.now)


@pytest.mark.parametrize("lose", [leave, lose_the_seat])
def test_permits_are_revoked_with_the_vote_they_rest_on_and_no_others(house, now, change, permit, lose, time_machine):
    other, third = a_house(now, service="contacts"), a_house(now, service="frontend")
    untouched = a_permit(other, a_change(other, at=State.SCHEDULED))
    watched = a_change(third, at=State.WATCHING)
    back = watched.items.get().way_back.target_artifact.digest
    way_back = a_permit(third, watched, intent=Intent.ROLLBACK, digest=back)
    time_machine.move_to(permit.issued_at, tick=False)

    for one in (house, third):
        lose(one)
    for message in OutboxMessage.objects.undone():
        operations.deliver(message_id=message.pk, worker="w", reactions=FOLLOWING, now=clock.now)

    for one in (permit, untouched, way_back):
        one.refresh_from_db()
    assert [one.revoked_at is not None for one in (permit, untouched, way_back)] == [True, False, False]
    assert [one["permits"] for one in told(change, "permit.revoked")] == [1]


def a_fused_permit(house, change, fuse: str) -> Permit:
    answer = services.ask(actor=CI, request=a_question(house, change), fuse=fuse, now=inside(change))
    return Permit.objects.select_related("decision").get(decision=answer.decision)


def test_another_artifact_is_refused(permit):
    assert refused(permit, digest=a_digest()) == {"artifact_mismatch"}


def test_even_the_run_that_took_it_cannot_take_it_for_another_artifact(permit):
    redeem(permit)

    assert refused(permit, digest=a_digest()) == {"artifact_mismatch"}


def test_after_an_edit_it_is_refused(house, change, permit):
    changes.revise(
        change_id=change.pk,
        actor=house.actor("engineer"),
        fields=fields(house, title="Something else"),
        now=house.now,
    )

    assert refused(permit) == {"approval_void"}


def test_after_an_edit_that_was_approved_anew_it_is_refused(house, change, permit):
    items = [replace(fields(house).items[0], digest=permit.decision.digest)]
    submit_again(house, change, items=items, title="Something else")
    assert ask(house, change).verdict == Verdict.ALLOW

    assert refused(permit) == {"approval_void"}


@pytest.mark.parametrize("who", ["engineering", "security"])
def test_after_a_voter_was_deactivated_it_is_refused(house, permit, who):
    accounts.deactivate(actor=SETUP, person_id=getattr(house, who).pk, now=house.now)

    assert refused(permit) == {"approvals_missing"}


def test_after_a_freeze_began_it_is_refused(house, change, permit):
    calendar.set_window(
        kind=WindowKind.FREEZE,
        actor=house.actor("manager"),
        environment_id=house.environment.pk,
        title="Black Friday",
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        now=house.now,
    )

    assert refused(permit) == {"blackout"}


def test_while_a_lock_holds_it_is_refused_and_afterwards_good(house, permit):
    manager = house.actor("manager")
    lock = calendar.lock(actor=manager, reason="Stop", environment_id=house.environment.pk, now=house.now)
    assert refused(permit) == {"lock_active"}

    calendar.unlock(lock_id=lock.pk, actor=manager, now=house.now)
    assert redeem(permit)


def test_on_hold_it_is_refused(house, change, permit):
    changes.hold(change_id=change.pk, actor=house.actor("manager"), reason="Wait", now=house.now)

    assert refused(permit) == {"on_hold"}


@pytest.mark.parametrize("verb", ["cancel", "withdraw"])
def test_after_the_change_was_taken_back_it_is_refused(house, change, permit, verb):
    getattr(changes, verb)(change_id=change.pk, actor=house.actor("engineer"), now=house.now)

    codes = refused(permit)
    assert codes & {"approval_void", "not_authorized"}


def test_in_quarantine_it_is_refused(house, change, permit):
    artifact = change.items.get().artifact
    catalog.quarantine(actor=house.actor("on_call"), artifact_id=artifact.pk, reason="Broke", now=house.now)

    assert "quarantined_artifact" in refused(permit)


def test_a_machine_without_the_right_is_refused_and_told(permit, now):
    _client, plaintext = a_token(Right.GATE_ASK)
    actor = accounts.use_token(token=plaintext, now=now)

    assert refused(permit, NotPermitted, actor=actor) == set()


def test_a_permit_that_does_not_exist_is_missing(house):
    with pytest.raises(Missing):
        services.redeem(actor=CI, jti=UUID(int=7), run=RUN, artifact_digest=a_digest(), now=house.now)


def test_whoever_redeems_says_which_run(permit):
    with pytest.raises(Invalid) as raised:
        redeem(permit, run=Run("jenkins", ""))

    assert set(raised.value.fields) == {"run"}


def test_two_items_of_one_change_each_have_a_permit_and_both_are_good(house, now):
    other = a_house(now, service="contacts")
    items = (*fields(house).items, *fields(other).items)
    change = a_change(house, at=State.SCHEDULED, items=items)
    first = a_permit(house, change)
    second = a_permit(other, change, digest=items[1].digest)

    redeem(first)
    assert redeem(second).service == "contacts"


def test_a_permit_to_go_back_is_good_in_any_freeze_and_does_not_start_anything(house, now):
    change = a_change(house, at=State.WATCHING)
    calendar.lock(actor=house.actor("manager"), reason="Stop", environment_id=house.environment.pk, now=now)
    back = change.items.get().way_back.target_artifact.digest
    moment = change.watch_until_at - timedelta(seconds=1)
    permit = a_permit(house, change, intent=Intent.ROLLBACK, digest=back, now=moment)

    assert redeem(permit, now=moment).intent == "rollback"
    change.refresh_from_db()
    assert change.state == State.WATCHING


def test_what_refuses_a_permit_is_named_before_what_only_warns(house):
    a_budget(house.service, house.environment)
    change = a_change(house, at=State.SCHEDULED, type=ChangeType.EMERGENCY)
    a_budget(house.service, house.environment, left=-1, now=inside(change))
    permit = a_permit(house, change)
    changes.hold(change_id=change.pk, actor=house.actor("manager"), reason="The database moves", now=inside(change))

    with pytest.raises(Refused, match="is on hold: The database moves") as caught:
        redeem(permit)

    assert [one.severity for one in caught.value.reasons] == ["warn", "wait"]
