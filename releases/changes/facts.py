"""Gather what the guards, the assessment and the committee need to know of a change, from the write model.

Everything is read once for all items: a change of twenty costs the queries of a change of one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.calendar import queries as calendar
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.catalog.kinds import Place
from releases.changes.back import is_divided, splits_of
from releases.changes.document import items_of
from releases.changes.drafts import ChangeDraft, KnownItem
from releases.changes.models import ChangeRequest, Item, Review
from releases.changes.promises import each_once, hurt_by, promises_in
from releases.changes.rules import Facts, ItemFacts
from releases.changes.states import RUNNING, ChangeType, MigrationClass, State
from releases.committee import queries as committee
from releases.committee.queries import Counted
from releases.committee.rules import Tally
from releases.operations import queries as operations

SUBMITTED = (State.ASSESSING, State.AUTHORIZING, State.SCHEDULED, *RUNNING)


def gather(change: ChangeRequest, *, now: datetime) -> Facts:
    """Return the facts of a change at one moment; reads tables only."""
    items = items_of(change)
    places = [item.place for item in items]
    routes, others = catalog.routes_in(places), _others_in(places, but=change)
    hurt, budgets = hurt_by(items), catalog.budgets_in(places)
    customers = {one for many in hurt.values() for one in many}
    closures = (*calendar.closures(places=places, at=now), *calendar.asked_for(customers=customers, at=now))
    review = Review.objects.filter(change=change).first()
    return Facts(
        now=now,
        type=ChangeType(change.type),
        title=change.title,
        why=change.why,
        plan=change.plan,
        items=tuple(_item(item, routes[item.place], others) for item in items),
        tests_passed=change.test_evidence.get("passed"),
        tests_failed=change.test_evidence.get("failed"),
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        is_on_hold=change.is_on_hold,
        hold_reason=change.hold_reason,
        is_assessed=change.assessment_id is not None,
        tally=tally_of(change, now=now),
        closures=tuple(one.sentence for one in closures),
        promises=each_once(promises_in(change, items, hurt).values()),
        is_budget_spent=any(one.is_spent(now) for one in budgets.values()),
        twins=_twins(((item.place, item.artifact.digest) for item in items), others),
        overdue_reviews=_overdue_reviews(change, now=now),
        work=operations.state_on(change.stream),
        has_review=bool(review and review.written_at),
        successor=change.superseded_by.number if change.superseded_by else None,
        warrant_until=change.watch_until_at if change.state == State.WATCHING else None,
    )


def draft_facts(draft: ChangeDraft, found: Sequence[KnownItem], *, saved: ChangeRequest | None, now: datetime) -> Facts:
    """Return the facts of what is written in the form: what the guards of a complete request look at.

    ``found`` are its lines that name what exists; ``saved`` is the same change as last saved, if it is.
    """
    others = _others_in([one.place for one in found], but=saved)
    quarantined = catalog.quarantined(digest for one in found for digest in (one.draft.digest, one.back_digest))
    return Facts(
        now=now,
        type=ChangeType(draft.type),
        title=draft.title,
        why=draft.why,
        plan=draft.plan,
        items=tuple(_drafted(one, quarantined) for one in found),
        tests_passed=draft.tests_passed,
        tests_failed=draft.tests_failed,
        starts_at=draft.starts_at,
        ends_at=draft.ends_at,
        twins=_twins(((one.place, one.draft.digest) for one in found), others),
    )


def counts_of(changes: Iterable[ChangeRequest], *, now: datetime) -> dict[UUID, Counted]:
    """Return, by change, how the committee's round on exactly its present content stands; without one, nothing."""
    rounds = {
        change.pk: change.round
        for change in changes
        if change.round is not None and change.round.content_digest == change.content_digest
    }
    counts = committee.counts_of(rounds.values(), now)
    return {change_id: counts[round_.pk] for change_id, round_ in rounds.items()}


def tally_of(change: ChangeRequest, *, now: datetime) -> Tally | None:
    """Return the committee's tally on exactly the present content, or ``None`` when no round is on it."""
    count = counts_of([change], now=now).get(change.pk)
    return count.tally if count else None


def traffic_as_planned(item: Item) -> bool:
    """Say whether going back would still mean what was approved: the last reading equals the plan's snapshot."""
    return _as_planned(item.way_back.traffic_snapshot, catalog.routes_for(*item.place))


def _as_planned(snapshot: Mapping[str, Any], routes: Iterable[RouteCard]) -> bool:
    return splits_of(snapshot) == {one.id: dict(one.reading.weights) for one in routes if one.reading}


@dataclass(frozen=True, slots=True)
class _Other:
    """An item of another change that was submitted and has not ended."""

    number: int
    state: str
    place: Place
    digest: str


def _others_in(places: Iterable[Place], *, but: ChangeRequest | None) -> list[_Other]:
    """Return what others have submitted for any of these places."""
    wanted = frozenset(places)
    rows = Item.objects.filter(
        service_id__in={place[0] for place in wanted},
        environment_id__in={place[1] for place in wanted},
        change__state__in=SUBMITTED,
    ).values_list("change_id", "change__number", "change__state", "service_id", "environment_id", "artifact__digest")
    mine: UUID | None = but.pk if but else None
    return [
        _Other(number, state, (service_id, environment_id), digest)
        for change_id, number, state, service_id, environment_id, digest in rows
        if change_id != mine and (service_id, environment_id) in wanted
    ]


def _busy(place: Place, others: Iterable[_Other]) -> tuple[int, ...]:
    """Return the changes that are being released or watched in the place."""
    return tuple(sorted({one.number for one in others if one.place == place and one.state in RUNNING}))


def _twins(wanted: Iterable[tuple[Place, str]], others: Iterable[_Other]) -> tuple[int, ...]:
    """Return the changes that ask for the same artifact in the same place."""
    asked = set(wanted)
    return tuple(sorted({one.number for one in others if (one.place, one.digest) in asked}))


def _overdue_reviews(change: ChangeRequest, *, now: datetime) -> tuple[int, ...]:
    overdue = Review.objects.filter(
        written_at__isnull=True, due_at__lte=now, change__type=ChangeType.EMERGENCY, change__state=State.REVIEWING
    )
    return tuple(overdue.exclude(change=change).order_by("change__number").values_list("change__number", flat=True))


def _item(item: Item, routes: Sequence[RouteCard], others: Iterable[_Other]) -> ItemFacts:
    plan = item.way_back
    back = plan.target_artifact
    return ItemFacts(
        service=item.service.name,
        environment=item.environment.name,
        version=item.artifact.version,
        digest=item.artifact.digest,
        is_quarantined=item.artifact.is_quarantined,
        back_version=back.version if back else "",
        back_digest=back.digest if back else "",
        back_is_quarantined=bool(back and back.is_quarantined),
        migration_class=MigrationClass(plan.migration_class),
        is_traffic_unread=bool(routes) and not plan.traffic_snapshot,
        is_traffic_divided=is_divided(plan.traffic_snapshot),
        is_traffic_as_planned=_as_planned(plan.traffic_snapshot, routes),
        is_way_back_wired=bool(plan.job) or bool(plan.traffic_snapshot and routes),
        busy_with=_busy(item.place, others),
    )


def _drafted(one: KnownItem, quarantined: frozenset[str]) -> ItemFacts:
    return ItemFacts(
        service=one.service.name,
        environment=one.environment.name,
        version=one.draft.version,
        digest=one.draft.digest,
        is_quarantined=one.draft.digest in quarantined,
        back_version=one.back_version,
        back_digest=one.back_digest,
        back_is_quarantined=one.back_digest in quarantined,
        migration_class=MigrationClass(one.draft.migration_class),
        is_traffic_unread=one.way.is_traffic_unread,
        is_traffic_divided=is_divided(one.way.traffic_snapshot),
    )
