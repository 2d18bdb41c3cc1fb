"""Gather the facts of a decision, or of many on one change, from the write model; tables only, never a cache."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from releases.audit import queries as audit
from releases.calendar import queries as calendar
from releases.calendar.rules import Closure as Closed
from releases.catalog import queries as catalog
from releases.catalog.cards import EnvironmentCard, ServiceCard
from releases.catalog.kinds import Place
from releases.changes.document import is_intact, items_of
from releases.changes.models import ChangeRequest
from releases.changes.promises import promises_in
from releases.changes.queries import gather as gather_change
from releases.changes.rules import Facts as Whole
from releases.changes.rules import ItemFacts, Promise, has_rollback_plan
from releases.changes.services import excluded
from releases.changes.states import RUNNING, ChangeType, State
from releases.committee import queries as committee
from releases.committee.rules import Decision
from releases.core.errors import Invalid, Missing, Sentence
from releases.core.words import mark as _
from releases.gate.demands import Demand, demands_on, risk_of
from releases.gate.models import GateDecision
from releases.gate.rules import ChangeFacts, Closure, Facts, Request, Run
from releases.gate.states import Intent, ReasonCode

# Among several changes that name the same place, the one furthest along answers.
FURTHEST_FIRST = (*RUNNING, State.SCHEDULED, State.AUTHORIZING, State.ASSESSING, State.DRAFT)
CLOSURE_CODES = {
    "freeze": ReasonCode.BLACKOUT,
    "lock": ReasonCode.LOCK_ACTIVE,
    "window": ReasonCode.OUTSIDE_WINDOW,
    "customer": ReasonCode.CUSTOMER_FREEZE,
}


@dataclass(frozen=True, slots=True)
class _Scene:
    """One reading of the tables: what answers every question about one change in some places at one moment.

    ``change`` says what holds for the whole change, ``items`` what holds for each; ``against`` what speaks against the
    record. ``demands`` is ``None`` without a policy.
    """

    against: Sentence | None
    change: ChangeFacts | None
    items: tuple[ItemFacts, ...]
    demands: Mapping[Place, Demand] | None
    quarantined: frozenset[str]
    closed: Mapping[Place, tuple[Closed, ...]]
    booked: Mapping[Place, tuple[int, ...]]
    asked_for: Mapping[Place, tuple[Closed, ...]]
    promises: Mapping[Place, tuple[Promise, ...]]
    spent: frozenset[Place]


def gather(request: Request, *, now: datetime) -> tuple[Facts, ChangeRequest | None]:
    """Return the facts of a request, and the change that answers for it; for looking only, nothing is locked.

    :raises Invalid: the service or the environment does not exist, with the field's name
    """
    change = answering(request)
    return facts_of(request, change, now=now), change


def facts_of(request: Request, change: ChangeRequest | None, *, now: datetime) -> Facts:
    """Return the facts of a request; ``change`` is the one that answers for it, whose row the caller holds locked.

    :raises Invalid: the service or the environment does not exist, with the field's name
    """
    service, environment = _place(request)
    return facts_of_each([(request, (service.id, environment.id))], change, now=now)[0]


def facts_of_each(
    asked: Sequence[tuple[Request, Place]], change: ChangeRequest | None, *, now: datetime
) -> list[Facts]:
    """Return the facts of several requests that one change answers for, from one reading of the tables."""
    places = [place for _request, place in asked]
    whole = gather_change(change, now=now) if change else None
    against = audit.contradiction()
    hurt = catalog.customers_hurt(places)
    scene = _Scene(
        against=against.what if against else None,
        change=_change_facts(change, whole) if change and whole else None,
        items=whole.items if whole else (),
        demands=demands_on(change, asked),
        quarantined=catalog.quarantined(request.digest for request, _place in asked),
        closed=calendar.closures_in(places=places, at=now),
        booked=calendar.booked_before(subject=change.pk, places=places, at=now) if change else {},
        asked_for=calendar.asked_for_in(hurt, at=now),
        promises=promises_in(change, items_of(change), hurt) if change else {},
        spent=frozenset(place for place, one in catalog.budgets_in(places).items() if one.is_spent(now)),
    )
    return [_facts(request, place, scene) for request, place in asked]


def _facts(request: Request, place: Place, scene: _Scene) -> Facts:
    here = (request.service, request.environment)
    item = next((one for one in scene.items if (one.service, one.environment) == here), None)
    demand = (scene.demands or {}).get(place, Demand())
    return Facts(
        request=request,
        change=_for_item(scene.change, item) if scene.change and item else scene.change,
        contradiction=scene.against,
        has_policy=scene.demands is not None,
        is_quarantined=request.digest in scene.quarantined,
        closures=_closures(scene.closed[place]),
        asked_for=_closures(scene.asked_for[place]),
        promises=scene.promises.get(place, ()),
        is_budget_spent=place in scene.spent,
        highest_risk=demand.highest_risk,
        prerequisites=demand.prerequisites,
        released_there=item.busy_with if item else (),
        booked_there=scene.booked.get(place, ()),
    )


def _closures(found: Iterable[Closed]) -> tuple[Closure, ...]:
    return tuple(Closure(CLOSURE_CODES[one.kind], one.sentence, one.until) for one in found)


def _for_item(change: ChangeFacts, item: ItemFacts) -> ChangeFacts:
    return replace(
        change,
        approved_digest=item.digest,
        back_digest=item.back_digest,
        is_traffic_as_planned=item.is_traffic_as_planned,
    )


def _change_facts(change: ChangeRequest, whole: Whole) -> ChangeFacts:
    """Return what holds for every item of a change; without one, it approves no artifact."""
    return ChangeFacts(
        number=change.number,
        state=State(change.state),
        risk=risk_of(change),
        is_intact=is_intact(change),
        is_authorized=whole.has_quorum,
        missing_seats=tuple(reason.message for reason in whole.tally.missing) if whole.tally else (),
        self_voters=_self_voters(change),
        is_way_back_known=has_rollback_plan(whole) is None,
        has_evidence=whole.tests_passed is not None and not whole.tests_failed,
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        watch_until_at=change.watch_until_at,
        is_on_hold=change.is_on_hold,
        hold_reason=change.hold_reason,
        successor=whole.successor,
        is_emergency=change.type == ChangeType.EMERGENCY,
    )


def _self_voters(change: ChangeRequest) -> tuple[str, ...]:
    """Return who approved and may not, because they took part in the change."""
    if change.round is None:
        return ()
    barred = excluded(change)
    return tuple(
        one.name
        for one in committee.ballots_on(change.round)
        if str(one.person) in barred and one.decision is Decision.APPROVE
    )


def _place(request: Request) -> tuple[ServiceCard, EnvironmentCard]:
    wrong: dict[str, list[Sentence | str]] = {}
    try:
        service = catalog.service_named(request.service)
    except Missing as error:
        wrong["service"] = [error.detail]
    try:
        environment = catalog.environment_named(request.environment)
    except Missing as error:
        wrong["environment"] = [error.detail]
    if wrong:
        raise Invalid(Sentence(_("Some fields need your attention.")), fields=wrong)
    return service, environment


def asked_by(decision: GateDecision, *, change_number: int | None) -> Request:
    """Return the question that a stored answer was given to, to be asked again; about that change, if one is named."""
    return Request(
        service=decision.service,
        environment=decision.environment,
        artifact_name=decision.artifact_name,
        digest=decision.digest,
        intent=Intent(decision.intent),
        run=Run(**decision.run),
        change_number=change_number,
    )


def answering(request: Request) -> ChangeRequest | None:
    """Return the change that answers for a request: the one named, else the furthest along that fits.

    :raises Invalid: the service or the environment does not exist, with the field's name
    """
    service, environment = _place(request)
    if request.change_number is not None:
        return ChangeRequest.objects.filter(number=request.change_number).first()
    there = ChangeRequest.objects.filter(
        items__service_id=service.id, items__environment_id=environment.id, state__in=FURTHEST_FIRST
    ).distinct()
    field = (
        "items__way_back__target_artifact__digest" if request.intent is Intent.ROLLBACK else "items__artifact__digest"
    )
    fitting = there.filter(
        items__service_id=service.id, items__environment_id=environment.id, **{field: request.digest}
    )
    candidates = list(fitting.distinct()) or [one for one in there if one.state != State.DRAFT]
    candidates.sort(key=lambda one: (FURTHEST_FIRST.index(State(one.state)), -one.number))
    return candidates[0] if candidates else None
