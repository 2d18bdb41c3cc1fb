"""How a rollback ends: by its operation, or by the word of a person where it cannot end by itself."""

from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.catalog import services as catalog_services
from releases.changes import queries as changes
from releases.changes.back import splits_of
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item
from releases.changes.services import locked, move
from releases.changes.states import State
from releases.core.errors import GmudError, Invalid, NotPermitted, Sentence
from releases.core.words import mark as _
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.states import OperationState
from releases.rollback.models import Rollback
from releases.rollback.services.beginning import under_way
from releases.rollback.services.telling import hold_work_on, tell
from releases.rollback.states import ByHand
from releases.traffic import services as traffic
from releases.traffic.ports import Reading

WAITS = frozenset({OperationState.FAILED, OperationState.NEEDS_HUMAN})


@transaction.atomic(durable=True)
def ended(*, operation_id: UUID, state: str, now: datetime) -> None:
    """Follow the rollback's operation; safe to repeat.

    Succeeded: close the loop (the change, what runs, the quarantine). Failed or in need of a human: the change stays
    ``rolling_back``, its story says so, and somebody tries the step again or takes over.
    """
    row = Rollback.objects.filter(operation=operation_id).first()
    if row is None:
        return
    change = locked(row.change_id)
    row.refresh_from_db()
    if row.operation != operation_id or row.ended_at is not None or row.outcome == state:
        return
    if state in WAITS:
        row.outcome = state
        row.save()
        tell(Kind.ROLLBACK_WAITS, change, system("rollback"), outcome=state)
    elif state == OperationState.SUCCEEDED and change.state == State.ROLLING_BACK:
        _back(change, row, now=now)


def _back(change: ChangeRequest, row: Rollback, *, now: datetime) -> None:
    actor = system("rollback")
    for item in items_of(change):
        _close(item, change, actor=actor, now=now)
    row.ended_at, row.outcome = now, OperationState.SUCCEEDED
    row.save()
    move(change, "rolled_back", actor=actor, now=now)
    tell(Kind.ROLLBACK_ENDED, change, actor, outcome=row.outcome)


def _close(item: Item, change: ChangeRequest, *, actor: Actor, now: datetime) -> None:
    """Refuse the artifact everywhere, and write down what runs again."""
    catalog_services.quarantine(
        actor=actor, artifact_id=item.artifact_id, reason=f"{change.name} was rolled back", now=now
    )
    target = item.way_back.target_artifact_id
    if target is not None:
        _note(item, target, actor=actor, now=now)


def _note(item: Item, artifact_id: UUID, *, actor: Actor, now: datetime, change_number: int | None = None) -> None:
    catalog_services.note_running(
        actor=actor,
        service_id=item.service_id,
        environment_id=item.environment_id,
        artifact_id=artifact_id,
        change_number=change_number,
        now=now,
    )


def end_by_hand(*, change_id: UUID, how: ByHand, actor: Actor, reason: str, evidence: str, now: datetime) -> Rollback:
    """End a rollback that does not end by itself, on the word of a person who says why and what shows it.

    What still runs of it is let go and called off. What the mesh says at this moment is kept beside what was approved,
    whatever it is: the review sees both, and from now on it is what was asked for. Runs outside any transaction,
    because it looks outside first.

    :raises Invalid: reason or evidence is missing
    :raises Refused: no rollback is under way, or it goes on by itself
    :raises NotPermitted: the actor may not roll back, or is no person
    """
    require(actor, Right.ROLLBACK_BEGIN)
    if actor.person_id is None:
        raise NotPermitted(Sentence(_("Only a person can say how a rollback was ended by hand.")))
    _ask_for(reason=reason, evidence=evidence)
    seen, stand = _look(changes.by_id(change_id), now=now)
    with transaction.atomic(durable=True):
        change = locked(change_id)
        require(actor, Right.ROLLBACK_BEGIN)
        row = under_way(change)
        hold_work_on(change)
        for route_id in sorted(route_id for route_id, _reading in stand):
            traffic.hold(route_id)  # before the story is written: whoever asks for a shift locks in that order, too
        move(
            change,
            how,
            actor=actor,
            now=now,
            data={"seen": seen},
            text={"reason": reason, "evidence": evidence},
            known=_work_that_is_done(row, how),
        )
        if held := operations_queries.active_on(change.stream):
            operations.take_over(operation_id=held.id, actor=actor, reason=reason, now=now)
        for item in items_of(change):
            if how is ByHand.BACK:
                _close(item, change, actor=actor, now=now)
            else:
                _note(item, item.artifact_id, actor=actor, now=now, change_number=change.number)
        for route_id, reading in stand:
            traffic.accept(route_id=route_id, change_id=change.pk, reading=reading, actor=actor, reason=reason, now=now)
        row.ended_at, row.outcome = now, how
        row.save()
        tell(Kind.ROLLBACK_ENDED, change, actor, outcome=how)
    return row


def _work_that_is_done(row: Rollback, how: ByHand) -> dict[str, Any]:
    """Return as work under way a rollback that succeeded and is not told yet: nobody says then that all stayed."""
    done = OperationState.SUCCEEDED
    is_back = how is ByHand.STAY and operations_queries.operation(row.operation).state == done
    return {"work": done} if is_back else {}


def _ask_for(**given: str) -> None:
    missing = {name: [Sentence(_("This is needed."))] for name, text in given.items() if not text.strip()}
    if missing:
        raise Invalid(Sentence(_("Say why the rollback ends by hand, and what shows how it stands.")), fields=missing)


def _look(change: ChangeRequest, *, now: datetime) -> tuple[list[dict[str, Any]], list[tuple[UUID, Reading]]]:
    """Return what each route carries now beside what was approved, ``None`` where it cannot be seen, and the looks."""
    found, stand = [], list[tuple[UUID, Reading]]()
    for item in items_of(change):
        splits = splits_of(item.way_back.traffic_snapshot)
        for route in catalog.routes_for(item.service_id, item.environment_id):
            weights: dict[str, int] | None = None
            # No answer, or no way to ask: a secret that does not open must not keep a rollback open.
            with suppress(GmudError):
                reading = traffic.look(route_id=route.id, now=now)
                weights = reading.weights
                stand.append((route.id, reading))
            approved = splits.get(route.id, {})
            found.append({"service": route.name(item.service.name), "approved": approved, "weights": weights})
    return found, stand
