"""Start a release, advance it, stop it, and follow what its operations report."""

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
from releases.catalog.kinds import Purpose
from releases.changes import queries as changes_queries
from releases.changes import services as changes
from releases.changes.document import items_of
from releases.changes.facts import traffic_as_planned
from releases.changes.models import ChangeRequest, Item
from releases.changes.services import locked, move
from releases.changes.states import State
from releases.core.errors import Reason, Refused, Sentence, leading
from releases.core.words import mark as _
from releases.delivery import services as delivery
from releases.gate import queries as gate
from releases.gate.states import Verdict
from releases.health import steps as health
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.ports import StepPlan
from releases.operations.queries import OperationView
from releases.operations.states import OperationState
from releases.rollout import steps as own
from releases.rollout.models import Rollout
from releases.rollout.rules import STABLE, idle_target, split
from releases.rollout.states import ALL_PERCENT, CANARY_PERCENT, Stage, Work
from releases.traffic import services as traffic
from releases.traffic import steps as shifts
from releases.traffic.providers import provider_for
from releases.traffic.services import Provide

LASTS_AT_MOST = timedelta(hours=2)
WATCH_ENDS_WITHIN = timedelta(minutes=10)


def start(*, change_id: UUID, actor: Actor, now: datetime, provide: Provide = provider_for) -> Rollout:
    """Begin the release of a scheduled change: deploy, 10 %, verdict, 100 %; the watch follows by itself.

    The traffic is looked at first: what somebody moved since the approval refuses the start. Then the change is moved,
    the gate asked whether it would open for every item, the operation written down and the workers called, all in one
    transaction. Each deployment asks the gate for its own permit when it is sent.

    :raises Refused: it may not begin now, with every reason; an item has no deploy job
    :raises NotPermitted: the actor may not release
    :raises External: the traffic cannot be seen
    :raises Contradicted: the record contradicts its witness, so nothing begins
    """
    audit.agree()
    require(actor, Right.CHANGE_RELEASE)
    change = changes_queries.by_id(change_id)
    if change.state == State.SCHEDULED:
        look_at_traffic(change, now=now, provide=provide)
    return _start(change_id, actor=actor, now=now)


def look_at_traffic(change: ChangeRequest, *, now: datetime, provide: Provide = provider_for) -> None:
    """Look at the route of every item and keep the readings, for the guards and the gate; outside any transaction.

    :raises External: a route cannot be read
    """
    for item in items_of(change):
        route = catalog.route_for(item.service_id, item.environment_id)
        if route is not None:
            traffic.look(route_id=route.id, now=now, provide=provide)


def look_before_deploying(
    change: ChangeRequest, *, item_id: UUID, now: datetime, provide: Provide = provider_for
) -> None:
    """Look at an item's route just before its deployment is sent; outside any transaction.

    :raises Refused: somebody moved the traffic: the side to deploy to may serve customers
    :raises External: the route cannot be read
    """
    look_at_traffic(change, now=now, provide=provide)
    item = next(one for one in items_of(change) if one.pk == item_id)
    if not traffic_as_planned(item):
        parts = {"service": item.service.name}
        text = _("Somebody moved the traffic of %(service)s since the release began. Put it back, then try again.")
        raise _refused("traffic", Sentence(text, parts))


@transaction.atomic(durable=True)
def _start(change_id: UUID, *, actor: Actor, now: datetime) -> Rollout:
    change = locked(change_id)
    move(change, "start", actor=actor, now=now)
    _ask_the_gate(change, now=now)
    operation = operations.begin(
        kind=Work.ROLLOUT,
        target=change.stream,
        subject=change.pk,
        steps=_forward(change, actor=actor, now=now),
        actor=actor,
        deadline=now + LASTS_AT_MOST + timedelta(seconds=settings.GMUD_VERDICT_SECONDS),
        key=f"rollout:{change.pk}",
        now=now,
    )
    row = Rollout.objects.create(change=change, operation=operation.pk, started_by=actor.name, started_at=now)
    _tell(Kind.ROLLOUT_STARTED, change, actor)
    return row


def _ask_the_gate(change: ChangeRequest, *, now: datetime) -> None:
    """Ask for what each deployment will be asked for, so that a start that comes too early moves nothing.

    :raises Refused: the gate would not open for an item, with every reason
    """
    decisions = [one.decision for one in gate.outlooks(change, now=now)]
    reasons = [reason for one in decisions if one.verdict is not Verdict.ALLOW for reason in one.reasons]
    if reasons:
        raise Refused(leading(reasons).message, reasons=reasons)


@transaction.atomic(durable=True)
def advance(*, change_id: UUID, actor: Actor, now: datetime) -> Rollout:
    """Go on to all traffic without waiting for the rest of the verdict; what is unhealthy still stops it.

    :raises Refused: there is no verdict to cut short now, or the change is on hold
    :raises NotPermitted: the actor may not release
    :raises Contradicted: the record contradicts its witness, so nothing goes on by hand
    """
    audit.agree()
    change = locked(change_id)
    require(actor, Right.CHANGE_RELEASE)
    row, operation = _running(change)
    if operation.stage != Stage.VERDICT:
        raise _refused("not_waiting", Sentence(_("The rollout is not waiting for a verdict now.")))
    if change.is_on_hold:
        raise _refused("on_hold", Sentence(_("On hold: %(reason)s"), {"reason": change.hold_reason}))
    row.advanced_by, row.advanced_at = actor.name, now
    row.save()
    operations.nudge(operation_id=operation.id, now=now)  # before the story: workers lock in that order, too
    _tell(Kind.ROLLOUT_ADVANCED, change, actor)
    return row


@transaction.atomic(durable=True)
def stop(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Rollout:
    """Stop a rollout where it stands: nothing more is sent; traffic stays as it is until somebody goes back.

    A watch can be stopped, too; the change stays watched until its time is over, and the way back stays open.

    :raises Refused: no rollout is running
    :raises NotPermitted: the actor may not release
    """
    change = locked(change_id)
    require(actor, Right.CHANGE_RELEASE)
    row, operation = _running(change, Work.ROLLOUT, Work.WATCH)
    operations.stop(operation_id=operation.id, actor=actor, now=now, reason=reason)
    _tell(Kind.ROLLOUT_STOPPED, change, actor, reason=reason)
    return row


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
    _tell(Kind.ROLLOUT_WAITS if waits else Kind.ROLLOUT_ENDED, change, system("rollout"), outcome=state)


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
    steps = [step for item in items for step in _health(item, "watch", stage=1, seconds=lasts)]
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


def _forward(change: ChangeRequest, *, actor: Actor, now: datetime) -> list[StepPlan]:
    steps: list[StepPlan] = []
    for item in items_of(change):
        name = item.service.name
        weights = item.way_back.traffic_snapshot.get("weights", {})
        deployment = delivery.request(
            change_id=change.pk,
            item_id=item.pk,
            service_id=item.service_id,
            environment_id=item.environment_id,
            artifact_id=item.artifact_id,
            slot=idle_target(weights) if weights else STABLE,
            actor=actor,
            now=now,
            parameters=change.parameters,
        )
        steps.append(delivery.step_for(deployment, name=f"deploy {name}", stage=Stage.DEPLOY))
        route = catalog.route_for(item.service_id, item.environment_id)
        if route is None or not weights:
            continue
        before = weights
        for stage, percent in ((Stage.CANARY, CANARY_PERCENT), (Stage.ALL, ALL_PERCENT)):
            steps.append(
                shifts.plan(
                    route=route,
                    weights=split(weights, percent),
                    change_id=change.pk,
                    asked_by=actor.name,
                    name=f"{percent} % {name}",
                    stage=stage,
                    expect=before,
                )
            )
            before = split(weights, percent)
        judge = _health(item, "verdict", stage=Stage.VERDICT, seconds=settings.GMUD_VERDICT_SECONDS)
        steps += judge or [own.pause(name=f"pause {name}", stage=Stage.VERDICT)]
    return steps


def _health(item: Item, kind: str, *, stage: int, seconds: float) -> list[StepPlan]:
    """Return the step that judges an item, or nothing when no health question is bound to it."""
    binding = catalog.binding_for(item.service_id, item.environment_id, Purpose.HEALTH)
    if binding is None:
        return []
    return [
        health.plan(
            binding=binding,
            kind=kind,
            service=item.service.name,
            environment=item.environment.name,
            version=item.artifact.version,
            change_id=item.change_id,
            seconds=seconds,
            name=f"{kind} {item.service.name}",
            stage=stage,
        )
    ]


def _has_shifted(change: ChangeRequest) -> bool:
    """Say whether any weight may have been written for this change."""
    return any(
        step.kind == shifts.STEP_KIND and step.sent_at is not None
        for operation in operations_queries.operations_of(change.pk)
        for step in operation.steps
    )


def _running(change: ChangeRequest, *kinds: Work) -> tuple[Rollout, OperationView]:
    row = Rollout.objects.filter(change=change).first()
    operation = operations_queries.active_on(change.stream)
    if row is None or operation is None or operation.kind not in (kinds or (Work.ROLLOUT,)):
        raise _refused("no_rollout", Sentence(_("No rollout of %(name)s is running."), {"name": change.name}))
    return row, operation


def _tell(kind: Kind, change: ChangeRequest, actor: Actor, *, reason: str = "", outcome: str = "") -> None:
    data = {"number": change.number, "state": change.state, "outcome": outcome}
    audit.record(stream=change.stream, kind=kind, actor=actor, data=data, text={"reason": reason} if reason else {})


def _refused(code: str, sentence: Sentence) -> Refused:
    return Refused(sentence, reasons=[Reason(code, sentence)])
