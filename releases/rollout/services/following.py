"""Follow what the operations of a release report."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.changes import services as changes
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest
from releases.changes.services import locked, move
from releases.changes.states import State
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.states import OperationState
from releases.rollout.models import Rollout
from releases.rollout.services.planning import question_of
from releases.rollout.services.telling import tell
from releases.rollout.states import Work
from releases.traffic import steps as shifts

WATCH_ENDS_WITHIN = timedelta(minutes=10)


@transaction.atomic(durable=True)
def ended(*, operation_id: UUID, state: str, now: datetime) -> None:
    """Follow a rollout's operation to its end, or until it needs a human; safe to repeat.

    Succeeded: the change is watched, what runs is written down, the watch begins. Failed or stopped before any
    traffic: the change goes to its review. After traffic it stays, and somebody goes back. Superseded: a rollback has
    taken over, and the change is its business.
    """
    row = Rollout.objects.filter(operation=operation_id).first()
    if row is None:
        return
    change = locked(row.change_id)
    row.refresh_from_db()
    if row.ended_at is not None or row.outcome == state:
        return
    row.outcome = state
    waits = state == OperationState.NEEDS_HUMAN
    if not waits:
        row.ended_at = now
    if change.state == State.IMPLEMENTING and not waits:
        if state == OperationState.SUCCEEDED:
            _reached(change, row, now=now)
        elif not _has_shifted(change):
            move(change, "failed", actor=system("rollout"), now=now)
    row.save()
    tell(Kind.ROLLOUT_WAITS if waits else Kind.ROLLOUT_ENDED, change, system("rollout"), outcome=state)


@transaction.atomic(durable=True)
def watched(*, operation_id: UUID, state: str, now: datetime) -> None:
    """Follow the end of a watch: when it succeeded, the change goes to its review; safe to repeat.

    Otherwise the change stays watched, and the way back open, until the time of the watch is over.
    """
    row = Rollout.objects.filter(watch_operation=operation_id).first()
    if row is None or state != OperationState.SUCCEEDED:
        return
    change = locked(row.change_id)
    if change.state == State.WATCHING:
        changes.settle(change, now=now)


def _reached(change: ChangeRequest, row: Rollout, *, now: datetime) -> None:
    """All traffic is on the new version: watch it."""
    items = items_of(change)
    move(change, "deployed", actor=system("rollout"), now=now)
    lasts = settings.GMUD_WATCH_SECONDS
    steps = [step for item in items if (step := question_of(item, "watch", stage=1, seconds=lasts))]
    if steps:
        row.watch_operation = operations.begin(
            kind=Work.WATCH,
            target=change.stream,
            subject=change.pk,
            steps=steps,
            actor=system("rollout"),
            deadline=now + timedelta(seconds=lasts) + WATCH_ENDS_WITHIN,
            key=f"watch:{change.pk}",
            now=now,
        ).pk


def _has_shifted(change: ChangeRequest) -> bool:
    """Say whether any weight may have been written for this change, by us or by whoever drives its routes."""
    return any(
        step.kind == shifts.STEP_KIND and (step.sent_at is not None or "driver" in (step.prev or {}))
        for operation in operations_queries.operations_of(change.pk)
        for step in operation.steps
    )
