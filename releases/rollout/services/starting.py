"""Begin the release of a scheduled change."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from django.conf import settings
from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.changes import queries as changes_queries
from releases.changes.document import items_of
from releases.changes.facts import traffic_as_planned
from releases.changes.models import ChangeRequest
from releases.changes.pace import lasts, pace_of
from releases.changes.services import locked, move
from releases.changes.states import State
from releases.core.errors import Refused, Sentence, leading
from releases.core.words import mark as _
from releases.gate import queries as gate
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.ports import StepPlan
from releases.rollout.models import Rollout
from releases.rollout.services.planning import USUAL_PACE, forward, onward
from releases.rollout.services.putting_back import torn_move
from releases.rollout.services.telling import refused, tell
from releases.rollout.states import Work
from releases.traffic import services as traffic
from releases.traffic.drivers.ports import Move
from releases.traffic.ports import Reading
from releases.traffic.providers import Drive, drivers_for, provider_for
from releases.traffic.services import Provide
from releases.traffic.services.choosing import require_choices
from releases.traffic.states import Choice

LASTS_AT_MOST = timedelta(hours=2)


def start(
    *,
    change_id: UUID,
    actor: Actor,
    now: datetime,
    choice: Choice | None = None,
    reason: str = "",
    provide: Provide = provider_for,
) -> Rollout:
    """Begin the release of a scheduled change: deploy, 10 %, verdict, 100 %; the watch follows by itself.

    The traffic is looked at first: what somebody moved since the approval refuses the start, and so does a route that
    Git or a chart holds, until somebody chose what becomes of it; ``choice`` is this actor's for every such route that
    has none, ``reason`` why. Then the change is moved, the gate asked whether it would open for every item, the
    operation written down and the workers called, all in one transaction. Each deployment asks the gate for its own
    permit when it is sent.

    :raises Refused: it may not begin now, with every reason; an item has no deploy job
    :raises NotPermitted: the actor may not release
    :raises External: the traffic cannot be seen
    :raises Contradicted: the record contradicts its witness, so nothing begins
    """
    audit.agree()
    require(actor, Right.CHANGE_RELEASE)
    change = changes_queries.by_id(change_id)
    if change.state == State.SCHEDULED:
        readings = look_at_traffic(change, now=now, provide=provide)
        require_choices(change_id, readings, choice, actor=actor, reason=reason, now=now)
    return _start(change_id, actor=actor, now=now)


def look_at_traffic(change: ChangeRequest, *, now: datetime, provide: Provide = provider_for) -> dict[UUID, Reading]:
    """Look at the routes of every item and keep the readings, for the guards and the gate; outside any transaction.

    :raises External: a route cannot be read
    """
    return {
        route.id: traffic.look(route_id=route.id, now=now, provide=provide)
        for item in items_of(change)
        for route in catalog.routes_for(item.service_id, item.environment_id)
    }


def look_before_deploying(
    change: ChangeRequest,
    *,
    item_id: UUID,
    now: datetime,
    provide: Provide = provider_for,
    drive: Drive = drivers_for,
) -> None:
    """Look at an item's routes just before its deployment is sent; outside any transaction.

    Whoever drives a route begins with the deployment, so it has to wait where the change does.

    :raises Refused: somebody moved the traffic: the side to deploy to may serve customers; or whoever drives it would
        go past a share of the change
    :raises External: the route cannot be read
    """
    look_at_traffic(change, now=now, provide=provide)
    item = next(one for one in items_of(change) if one.pk == item_id)
    if not traffic_as_planned(item):
        parts = {"service": item.service.name}
        text = _("Somebody moved the traffic of %(service)s since the release began. Put it back, then try again.")
        raise refused("traffic", Sentence(text, parts))
    shares = [0, *(step.percent for step in pace_of(change.steps) or USUAL_PACE)]
    for route in catalog.routes_for(*item.place):
        for driver in drive(route):
            for before, percent in pairwise(shares):
                if mismatch := driver.progress(Move(before, percent)).mismatch:
                    raise refused("driver", mismatch)


@transaction.atomic(durable=True)
def _start(change_id: UUID, *, actor: Actor, now: datetime) -> Rollout:
    change = locked(change_id)
    move(change, "start", actor=actor, now=now)
    _ask_the_gate(change, now=now)
    return begin(change, actor=actor, now=now)


def begin(change: ChangeRequest, *, actor: Actor, now: datetime, is_reported: bool = False) -> Rollout:
    """Write the release of a change that has started down and call the workers. Runs inside the caller's transaction.

    One that ``is_reported`` waits for others to deploy every item, and moves the traffic then.
    """
    steps = forward(change, actor=actor, now=now, is_reported=is_reported)
    operation = _begin(change, steps, key=f"rollout:{change.pk}", actor=actor, now=now)
    row = Rollout.objects.create(change=change, operation=operation.pk, started_by=actor.name, started_at=now)
    tell(Kind.ROLLOUT_STARTED, change, actor)
    return row


@transaction.atomic(durable=True)
def resume(*, change_id: UUID, actor: Actor, now: datetime) -> Rollout:
    """Try the move again whose routes were put back, and go on from there; what is deployed already stays.

    :raises Refused: nothing was put back, or the gate would not open, with every reason
    :raises NotPermitted: the actor may not release
    :raises Contradicted: the record contradicts its witness, so nothing goes on by hand
    """
    audit.agree()
    change = locked(change_id)
    require(actor, Right.CHANGE_RELEASE)
    row = Rollout.objects.filter(change=change).first()
    move_to_repeat = torn_move(change, row) if row else None
    if row is None or move_to_repeat is None:
        raise refused("not_put_back", Sentence(_("No step of %(name)s was put back."), {"name": change.name}))
    _ask_the_gate(change, now=now)
    turn = 1 + sum(one.kind == Work.ROLLOUT for one in operations_queries.operations_of(change.pk))
    steps = onward(change, asked_by=actor.name, move=move_to_repeat)
    row.operation = _begin(change, steps, key=f"rollout:{change.pk}:{turn}", actor=actor, now=now).pk
    row.outcome, row.ended_at, row.advanced_move = "", None, None
    row.save()
    tell(Kind.ROLLOUT_RESUMED, change, actor)
    return row


def _begin(change: ChangeRequest, steps: Sequence[StepPlan], *, key: str, actor: Actor, now: datetime) -> Operation:
    return operations.begin(
        kind=Work.ROLLOUT,
        target=change.stream,
        subject=change.pk,
        steps=steps,
        actor=actor,
        deadline=now + LASTS_AT_MOST + timedelta(seconds=settings.GMUD_VERDICT_SECONDS) + lasts(pace_of(change.steps)),
        key=key,
        now=now,
    )


def _ask_the_gate(change: ChangeRequest, *, now: datetime) -> None:
    """Ask for what each deployment will be asked for, its permit included, so that a start too early moves nothing.

    :raises Refused: the gate would not open for an item, with every reason
    """
    if reasons := gate.shut_by(gate.would_open(change, now=now)):
        raise Refused(leading(reasons).message, reasons=reasons)
