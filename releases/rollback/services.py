"""Go back: begin, take over, and follow the operation to its end."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.catalog import services as catalog_services
from releases.catalog.kinds import Purpose
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item
from releases.changes.services import locked, move
from releases.changes.states import State
from releases.core.errors import Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.delivery import services as delivery
from releases.health import steps as health
from releases.health.services import has_question
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.ports import StepPlan
from releases.operations.states import ACTIVE, OperationState
from releases.rollback.models import Rollback
from releases.rollback.rules import ranks
from releases.rollout.rules import STABLE, idle_target
from releases.traffic import steps as shifts

KIND = "rollback"
LASTS_AT_MOST = timedelta(hours=1)
TRAFFIC_STAGE = 1
FIRST_REDEPLOY_STAGE = 2
WAITS = frozenset({OperationState.FAILED, OperationState.NEEDS_HUMAN})


class AlreadyRolledBack(Refused):
    """The change was rolled back before: rolling forward again is a new decision."""

    code = "already_rolled_back"


@transaction.atomic(durable=True)
def begin(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Rollback:
    """Carry out the approved way back: all traffic at once, then redeploys, then verification.

    Whatever else is active on the change is taken over in the same transaction. Asking again joins the same rollback.

    :raises AlreadyRolledBack: it was rolled back before
    :raises Refused: it cannot go back, with every reason
    :raises NotPermitted: the actor may not roll back
    """
    change = locked(change_id)  # closes the race of two clicks
    require(actor, Right.ROLLBACK_BEGIN)
    row = Rollback.objects.filter(change=change).first()
    if row is not None and row.ended_at is not None:
        sentence = Sentence(_("%(name)s was already rolled back."), {"name": change.name})
        raise AlreadyRolledBack(sentence, reasons=[Reason(AlreadyRolledBack.code, sentence)])
    if row is not None and change.state == State.ROLLING_BACK:
        return row
    _hold_work_on(change)
    move(change, "roll_back", actor=actor, now=now, text={"reason": reason} if reason else {})
    operation = _begin(change, actor=actor, now=now, reason=reason, turn=1)
    row = Rollback.objects.create(
        change=change, operation=operation.pk, reason=reason, begun_by=actor.name, begun_at=now
    )
    _tell(Kind.ROLLBACK_BEGUN, change, actor)
    return row


@transaction.atomic(durable=True)
def take_over(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Rollback:
    """Begin the rollback anew when it is stuck or failed: the old operation is superseded in the same transaction.

    :raises Refused: no rollback of this change is under way
    :raises NotPermitted: the actor may not roll back
    """
    change = locked(change_id)
    require(actor, Right.ROLLBACK_BEGIN)
    row = Rollback.objects.filter(change=change, ended_at__isnull=True).first()
    if row is None or change.state != State.ROLLING_BACK:
        sentence = Sentence(_("No rollback of %(name)s is under way."), {"name": change.name})
        raise Refused(sentence, reasons=[Reason("no_rollback", sentence)])
    _hold_work_on(change)
    turn = 1 + sum(one.kind == KIND for one in operations_queries.operations_of(change.pk))
    row.operation, row.outcome = _begin(change, actor=actor, now=now, reason=reason, turn=turn).pk, ""
    row.save()
    _tell(Kind.ROLLBACK_TAKEN_OVER, change, actor, reason=reason)
    return row


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
        _tell(Kind.ROLLBACK_WAITS, change, system("rollback"), outcome=state)
    elif state == OperationState.SUCCEEDED and change.state == State.ROLLING_BACK:
        _back(change, row, now=now)


def _back(change: ChangeRequest, row: Rollback, *, now: datetime) -> None:
    actor = system("rollback")
    for item in items_of(change):
        _close(item, change, actor=actor, now=now)
    row.ended_at, row.outcome = now, OperationState.SUCCEEDED
    row.save()
    move(change, "rolled_back", actor=actor, now=now)
    _tell(Kind.ROLLBACK_ENDED, change, actor, outcome=row.outcome)


def _close(item: Item, change: ChangeRequest, *, actor: Actor, now: datetime) -> None:
    """Refuse the artifact everywhere, and write down what runs again."""
    catalog_services.quarantine(
        actor=actor, artifact_id=item.artifact_id, reason=f"{change.name} was rolled back", now=now
    )
    target = item.way_back.target_artifact_id
    if target is not None:
        catalog_services.note_running(
            actor=actor,
            service_id=item.service_id,
            environment_id=item.environment_id,
            artifact_id=target,
            now=now,
        )


def _hold_work_on(change: ChangeRequest) -> None:
    """Lock what is active on the change before its story is written.

    A worker that ends a step locks the operation, then the change's story. Whoever takes the operation over has to
    take both in that order, else the two wait for each other.
    """
    list(Operation.objects.select_for_update().filter(target=change.stream, state__in=ACTIVE))


def _begin(change: ChangeRequest, *, actor: Actor, now: datetime, reason: str, turn: int) -> Operation:
    return operations.begin(
        kind=KIND,
        target=change.stream,
        subject=change.pk,
        steps=_backward(change, actor=actor, now=now),
        actor=actor,
        deadline=now + LASTS_AT_MOST,
        key=f"rollback:{change.pk}:{turn}",
        now=now,
        urgent=True,
        supersede=True,
        reason=reason,
    )


def _backward(change: ChangeRequest, *, actor: Actor, now: datetime) -> list[StepPlan]:
    items = items_of(change)
    order = ranks([item.service.name for item in items], _calls(items))
    verify = FIRST_REDEPLOY_STAGE + max(order.values()) + 1
    return [
        step
        for item in items
        for step in _steps(
            item,
            change,
            redeploy_stage=FIRST_REDEPLOY_STAGE + order[item.service.name],
            verify_stage=verify,
            actor=actor,
            now=now,
        )
    ]


def _steps(
    item: Item, change: ChangeRequest, *, redeploy_stage: int, verify_stage: int, actor: Actor, now: datetime
) -> list[StepPlan]:
    """Return the steps of one item: its traffic, its redeploy, its verification."""
    back, name = item.way_back, item.service.name
    weights = back.traffic_snapshot.get("weights", {})
    route = catalog.route_for(item.service_id, item.environment_id) if weights else None
    steps: list[StepPlan] = []
    if route is not None:
        restore = {"route": route, "weights": weights, "change_id": change.pk, "asked_by": actor.name, "literal": True}
        steps.append(shifts.plan(**restore, name=f"traffic {name}", stage=TRAFFIC_STAGE))
    if back.target_artifact_id is not None and back.job:
        deployment = delivery.request(
            change_id=change.pk,
            item_id=item.pk,
            service_id=item.service_id,
            environment_id=item.environment_id,
            artifact_id=back.target_artifact_id,
            slot=idle_target(weights) if weights else STABLE,
            actor=actor,
            now=now,
            intent="rollback",
            approved_job=back.job,
        )
        steps.append(delivery.step_for(deployment, name=f"redeploy {name}", stage=redeploy_stage))
    if route is not None:
        steps.append(shifts.plan(**restore, name=f"verify weights {name}", stage=verify_stage))
    binding = catalog.binding_for(item.service_id, item.environment_id, Purpose.HEALTH)
    if binding is not None and has_question(binding):
        steps.append(
            health.plan(
                binding=binding,
                kind="verdict",
                service=name,
                environment=item.environment.name,
                version=back.target_artifact.version if back.target_artifact else "",
                change_id=change.pk,
                seconds=settings.GMUD_VERIFY_SECONDS,
                name=f"verify health {name}",
                stage=verify_stage,
            )
        )
    return steps


def _calls(items: list[Item]) -> list[tuple[str, str]]:
    reach = catalog.dependents([item.service_id for item in items])
    return [(edge.caller, edge.callee) for edge in reach.edges if edge.is_fact]


def _tell(kind: Kind, change: ChangeRequest, actor: Actor, *, reason: str = "", outcome: str = "") -> None:
    data = {"number": change.number, "state": change.state, **({"outcome": outcome} if outcome else {})}
    audit.record(stream=change.stream, kind=kind, actor=actor, data=data, text={"reason": reason} if reason else {})
