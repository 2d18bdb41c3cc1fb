"""What refuses a rollback, and what must not."""

from datetime import timedelta

import pytest

from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.changes import services as changes
from releases.core import clock
from releases.core.errors import NotPermitted, Refused
from releases.operations import services as operations
from releases.operations.models import Operation, Step
from releases.operations.ports import Done
from releases.operations.services import journal
from releases.rollback import services
from releases.rollback.models import Rollback
from tests.factories.rollback import go_back
from tests.factories.rollout import scheduled, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def codes(error):
    return [str(reason.code) for reason in error.value.reasons]


def test_when_the_watch_is_over_the_warrant_is_over(bank):
    change = bank.released()
    late = change.watch_until_at

    with pytest.raises(Refused) as refused:
        services.begin(change_id=change.pk, actor=bank.on_call, now=late)

    assert codes(refused) == ["warrant"]
    assert not Rollback.objects.exists()
    services.begin(change_id=change.pk, actor=bank.on_call, now=late - timedelta(microseconds=1))


def test_data_that_cannot_be_undone_refuses_the_one_click_with_its_sentence(bank):
    change = scheduled(bank.house, migration_class="irreversible")
    bank.start(change)
    bank.until_state(change, "watching")

    with pytest.raises(Refused) as refused:
        go_back(bank, change)

    assert codes(refused) == ["way_back"]
    assert "cannot be undone" in str(refused.value.detail)


def test_before_the_start_there_is_nothing_to_go_back_from(bank):
    change = scheduled(bank.house)

    with pytest.raises(Refused) as refused:
        go_back(bank, change)

    assert codes(refused) == ["wrong_state"]


def test_who_may_not_go_back_is_refused_and_leaves_no_trace(bank):
    change = bank.released()
    story = told(change)

    with pytest.raises(NotPermitted):
        services.begin(change_id=change.pk, actor=bank.house.actor("engineer"), now=clock.now())
    with pytest.raises(NotPermitted):
        services.take_over(change_id=change.pk, actor=bank.house.actor("engineer"), now=clock.now())

    assert told(change) == story


def test_neither_freeze_nor_lock_nor_hold_keeps_anybody_from_going_back(bank):
    change = bank.released()
    now = clock.now()
    place = bank.house.environment.pk
    calendar.set_window(
        kind=WindowKind.FREEZE,
        actor=bank.releaser,
        environment_id=place,
        title="Closing",
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        now=now,
    )
    calendar.lock(actor=bank.releaser, reason="Stop the line.", environment_id=place, now=now)
    changes.hold(change_id=change.pk, actor=bank.releaser, reason="The bank waits.", now=now)

    go_back(bank, change)
    bank.until_state(change, "reviewing")

    assert bank.weights() == {"stable": 100, "canary": 0}


def test_a_late_worker_of_the_superseded_rollout_cannot_write_any_more(bank):
    change = scheduled(bank.house)
    row = bank.start(change)
    held = journal.claim(operation_id=row.operation, worker="late", now=clock.now())

    go_back(bank, change)

    step = Step.objects.get(pk=held.step_id)
    assert (step.state, step.fence) == ("skipped", held.fence + 1)
    with pytest.raises(journal.LostLease):
        journal.intent(held, now=clock.now())
    with pytest.raises(journal.LostLease):
        journal.end(held, Done(), handler=None, now=clock.now())
    operations.run(operation_id=row.operation, worker="late", handlers=bank.handlers, now=clock.now)
    assert Operation.objects.get(pk=row.operation).state == "superseded"
    assert bank.orders() == []


def test_taking_over_needs_a_rollback_under_way(bank):
    change = bank.released()

    with pytest.raises(Refused) as refused:
        services.take_over(change_id=change.pk, actor=bank.on_call, now=clock.now())

    assert codes(refused) == ["no_rollback"]


def test_the_end_of_a_rollback_may_be_heard_twice_and_late(bank):
    change = bank.released()
    row = go_back(bank, change)
    bank.until_state(change, "reviewing")
    story = told(change)

    for state in ("succeeded", "failed", "needs_human", "superseded"):
        services.ended(operation_id=row.operation, state=state, now=clock.now())

    change.refresh_from_db()
    row.refresh_from_db()
    assert (told(change), change.state, row.outcome) == (story, "reviewing", "succeeded")
