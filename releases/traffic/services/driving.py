"""Ask whoever drives the weights of a route: take them back, go on, wait; every wish stands in the record."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import queries as audit_queries
from releases.audit import services as audit
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.changes import queries as changes
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item
from releases.changes.services import locked
from releases.changes.states import RUNNING
from releases.core.errors import External, Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.gate import queries as gate_queries
from releases.gate import services as gate
from releases.gate.rules import OPEN_FOR, Request, Run
from releases.gate.states import Intent
from releases.operations.ports import StepView
from releases.traffic.drivers.ports import Driver, Granted, Wish
from releases.traffic.ports import outcome_of
from releases.traffic.providers import Drive, drivers_for

WORKER = system("worker")
# Who may ask for what: one of these rights is enough.
RIGHTS: Mapping[Wish, tuple[Right, ...]] = {
    Wish.ABORT: (Right.ROLLBACK_BEGIN,),
    Wish.UNDO: (Right.ROLLBACK_BEGIN,),
    Wish.ROLLBACK: (Right.ROLLBACK_BEGIN,),
    Wish.PAUSE: (Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN),
    Wish.RESUME: (Right.CHANGE_RELEASE,),
    Wish.RETRY: (Right.CHANGE_RELEASE,),
    Wish.PROMOTE: (Right.CHANGE_RELEASE,),
    Wish.PROMOTE_FULLY: (Right.CHANGE_RELEASE,),
    Wish.ANALYSE: (Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN),
}
# These bring the new version to more people: the gate decides once more, as before any shift.
FORWARD = frozenset({Wish.RESUME, Wish.RETRY, Wish.PROMOTE, Wish.PROMOTE_FULLY})


def wish(
    *,
    change_id: UUID,
    route_id: UUID,
    driver: str,
    wish: Wish,
    actor: Actor,
    now: datetime,
    reason: str = "",
    drive: Drive = drivers_for,
) -> Granted:
    """Ask the driver of one route of a change for something, once; ``driver`` is its name there.

    What goes forward passes the gate first. That it is asked is recorded before it is sent, and what came of it after.

    :raises NotPermitted: the actor may not ask for that
    :raises Refused: the change is not under way or does not touch the route, nobody of that name drives it, the gate
        does not open, or going back is asked of Flagger, which asks by itself
    :raises External: the driver refuses, or does not answer
    """
    first, *others = RIGHTS[wish]
    require(actor, first, *others)
    change, route = changes.by_id(change_id), catalog.route(route_id)
    item = next((one for one in items_of(change) if one.place == (route.service_id, route.environment_id)), None)
    if item is None or change.state not in RUNNING:
        raise _refused("not_under_way", Sentence(_("No release of %(name)s is under way here."), {"name": change.name}))
    if wish is Wish.ROLLBACK:
        text = _("Flagger asks GMUD whether to roll back. Go back with this change, and it is told so.")
        raise _refused("asks_by_itself", Sentence(text))
    found = [one for one in drive(route, urgent=wish not in FORWARD) if one.owner.name == driver]
    if len(found) != 1:
        raise _refused("no_driver", Sentence(_("Nobody called %(name)s drives this route."), {"name": driver}))
    if wish in FORWARD:
        _pass_the_gate(change, item, wish, now=now)
    return _asked(change, item, found[0], wish, actor=actor, reason=reason)


def ask_in_a_move(step: StepView, driver: Driver, wish: Wish) -> Granted:
    """Ask the driver of a route to go on in a move of a release, on the record; the step has passed the gate itself.

    :raises Refused: the change is not being released any more
    :raises External: the driver refuses, or does not answer
    """
    change, item = _place_of(step)
    return _asked(change, item, driver, wish, actor=WORKER, reason="")


def ask_going_back(step: StepView, driver: Driver, wish: Wish) -> Granted:
    """Ask the driver of a route to bring the version that was put back to everybody, on the record; no gate is asked.

    :raises External: the driver refuses, or does not answer
    """
    change, item = _place_of(step)
    return _asked(change, item, driver, wish, actor=WORKER, reason="", is_back=True)


def was_asked(step: StepView, driver: Driver, wishes: Collection[Wish]) -> bool:
    """Say whether work of ours has asked a driver for one of these before, going back with the same change."""
    story = audit_queries.story(changes.by_id(UUID(step.desired["change"])).stream)
    told = (one.data for one in story if one.kind == Kind.DRIVER_ASKED and one.actor_name == WORKER.name)
    return any(one["driver"] == driver.owner.name and one["wish"] in wishes for one in told)


def _place_of(step: StepView) -> tuple[ChangeRequest, Item]:
    change, route = changes.by_id(UUID(step.desired["change"])), catalog.route(UUID(step.desired["route"]))
    return change, next(one for one in items_of(change) if one.place == (route.service_id, route.environment_id))


def _asked(
    change: ChangeRequest,
    item: Item,
    driver: Driver,
    wish: Wish,
    *,
    actor: Actor,
    reason: str,
    is_back: bool = False,
) -> Granted:
    told = {
        "number": change.number,
        "service": item.service.name,
        "environment": item.environment.name,
        "system": driver.owner.system,
        "driver": driver.owner.name,
        "wish": wish.value,
    }
    _begun(change, actor, told, reason, is_forward=wish in FORWARD and not is_back)
    try:
        granted = driver.ask(wish)
    except External as error:
        outcome = {"outcome": outcome_of(error).value, "why": error.detail.as_json()}
        _record(Kind.DRIVER_ANSWERED, change, actor, told | outcome)
        raise
    _record(Kind.DRIVER_ANSWERED, change, actor, told | {"outcome": granted.outcome.value})
    return granted


@transaction.atomic(durable=True)
def _begun(change: ChangeRequest, actor: Actor, data: Mapping[str, object], reason: str, *, is_forward: bool) -> None:
    """Record what is about to be asked. Somebody may have gone back since the gate opened: then nothing goes forward.

    :raises Refused: the change is not being released or watched any more
    """
    if is_forward and locked(change.pk).state not in OPEN_FOR[Intent.PROMOTE]:
        raise _refused("not_under_way", Sentence(_("No release of %(name)s is under way here."), {"name": change.name}))
    _tell(Kind.DRIVER_ASKED, change, actor, data, reason)


@transaction.atomic(durable=True)
def _record(kind: Kind, change: ChangeRequest, actor: Actor, data: Mapping[str, object]) -> None:
    _tell(kind, change, actor, data)


def _tell(kind: Kind, change: ChangeRequest, actor: Actor, data: Mapping[str, object], reason: str = "") -> None:
    audit.record(stream=change.stream, kind=kind, actor=actor, data=data, text={"reason": reason} if reason else {})


def _pass_the_gate(change: ChangeRequest, item: Item, wish: Wish, *, now: datetime) -> None:
    """Ask the gate on the present facts and take the permit at once: the decision stands in its log.

    :raises Refused: the gate does not open, with every reason
    """
    run = Run("gmud", f"{wish}:{uuid4()}")
    request = Request(
        service=item.service.name,
        environment=item.environment.name,
        artifact_name=item.service.name,
        digest=item.artifact.digest,
        intent=Intent.PROMOTE,
        run=run,
        change_number=change.number,
    )
    decision = gate.ask(actor=WORKER, request=request, now=now).decision
    permit = gate_queries.permit_of(decision)
    if permit is None:
        reasons = gate_queries.card(decision).reasons
        text = _("The gate does not open for %(service)s, so nothing was asked: %(why)s")
        why = Sentence.of_all([one.message for one in reasons])
        raise Refused(Sentence(text, {"service": item.service.name, "why": why}), reasons=reasons)
    gate.redeem(actor=WORKER, jti=permit, run=run, artifact_digest=decision.digest, now=now)


def _refused(code: str, sentence: Sentence) -> Refused:
    return Refused(sentence, reasons=[Reason(code, sentence)])
