"""Gather the facts of one decision from the write model; reads tables only, never a cache."""

from datetime import datetime, timedelta
from uuid import UUID

from releases.calendar import queries as calendar
from releases.calendar.rules import Place
from releases.catalog import queries as catalog
from releases.catalog.cards import EnvironmentCard, ServiceCard
from releases.changes.document import digest_of, items_of
from releases.changes.facts import busy_with, tally_of, traffic_as_planned
from releases.changes.models import ChangeRequest, Item
from releases.changes.queries import gather as gather_change
from releases.changes.rules import has_rollback_plan
from releases.changes.services import excluded
from releases.changes.states import RUNNING, State
from releases.committee import queries as committee
from releases.committee.rules import Decision
from releases.core.errors import Invalid, Missing, Sentence
from releases.core.words import mark as _
from releases.gate.rules import ChangeFacts, Closure, Facts, Request
from releases.gate.states import Intent, ReasonCode

# Among several changes that name the same place, the one furthest along answers.
FURTHEST_FIRST = (*RUNNING, State.SCHEDULED, State.AUTHORIZING, State.ASSESSING, State.DRAFT)
CLOSURE_CODES = {
    "freeze": ReasonCode.BLACKOUT,
    "lock": ReasonCode.LOCK_ACTIVE,
    "window": ReasonCode.OUTSIDE_WINDOW,
}


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
    item = _item(change, service_id=service.id, environment_id=environment.id) if change else None
    places = [(service.id, environment.id)]
    return Facts(
        request=request,
        change=_change_facts(change, item, now=now) if change else None,
        has_policy=committee.current_policy() is not None,
        is_quarantined=catalog.is_quarantined(request.digest),
        closures=tuple(
            Closure(CLOSURE_CODES[one.kind], one.sentence, one.until)
            for one in calendar.closures(places=places, at=now)
        ),
        released_there=busy_with(change, [item]) if change and item else (),
        booked_there=_booked_before(change, places, now=now) if change else (),
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


def _booked_before(change: ChangeRequest, places: list[Place], *, now: datetime) -> tuple[int, ...]:
    """Return the changes that booked this moment in this place before this one did."""
    found = calendar.constraints(
        places=places, starts_at=now, ends_at=now + timedelta(microseconds=1), now=now, subject=change.pk
    )
    return tuple(one.number for one in found.conflicts if one.is_ahead)


def _item(change: ChangeRequest, *, service_id: UUID, environment_id: UUID) -> Item | None:
    here = (service_id, environment_id)
    return next((item for item in items_of(change) if (item.service_id, item.environment_id) == here), None)


def _change_facts(change: ChangeRequest, item: Item | None, *, now: datetime) -> ChangeFacts:
    tally = tally_of(change, now=now)
    whole = gather_change(change, now=now)
    back = item.way_back if item else None
    barred = excluded(change)
    ballots = committee.ballots_on(change.round) if change.round else []
    return ChangeFacts(
        number=change.number,
        state=State(change.state),
        is_intact=digest_of(change) == change.content_digest,
        is_authorized=tally is not None and tally.approved,
        missing_seats=tuple(reason.message for reason in tally.missing) if tally else (),
        self_voters=tuple(
            one.name for one in ballots if str(one.person) in barred and one.decision is Decision.APPROVE
        ),
        approved_digest=item.artifact.digest if item else "",
        back_digest=back.target_artifact.digest if back and back.target_artifact else "",
        is_way_back_known=has_rollback_plan(whole) is None,
        is_traffic_as_planned=item is None or traffic_as_planned(item),
        has_evidence=whole.tests_passed is not None and not whole.tests_failed,
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        watch_until_at=change.watch_until_at,
        is_on_hold=change.is_on_hold,
        hold_reason=change.hold_reason,
        successor=change.superseded_by.number if change.superseded_by else None,
    )
