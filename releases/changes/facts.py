"""Gather what the guards, the assessment and the committee need to know of a change, from the write model."""

from collections.abc import Sequence
from datetime import datetime

from releases.calendar import queries as calendar
from releases.catalog import queries as catalog
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item, Review
from releases.changes.rules import Facts, ItemFacts
from releases.changes.states import RUNNING, ChangeType, MigrationClass, State
from releases.committee import queries as committee
from releases.committee.rules import Tally
from releases.core.errors import Sentence
from releases.operations import queries as operations


def gather(change: ChangeRequest, *, now: datetime) -> Facts:
    """Return the facts of a change at one moment; reads tables only."""
    items = items_of(change)
    tally = tally_of(change, now=now)
    review = Review.objects.filter(change=change).first()
    return Facts(
        now=now,
        type=ChangeType(change.type),
        title=change.title,
        why=change.why,
        plan=change.plan,
        items=tuple(_item(item) for item in items),
        tests_passed=change.test_evidence.get("passed"),
        tests_failed=change.test_evidence.get("failed"),
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        is_on_hold=change.is_on_hold,
        hold_reason=change.hold_reason,
        is_assessed=change.assessment_id is not None,
        is_pre_approved=tally is not None and tally.is_pre_approved,
        has_quorum=tally is not None and tally.approved,
        is_traffic_as_planned=all(traffic_as_planned(item) for item in items),
        closures=closures(change, items, now=now),
        twins=_twins(change, items),
        busy_with=busy_with(change, items),
        overdue_reviews=_overdue_reviews(change, now=now),
        has_active_operation=operations.has_active(change.pk),
        has_review=bool(review and review.written_at),
        successor=change.superseded_by.number if change.superseded_by else None,
        warrant_until=change.watch_until_at if change.state == State.WATCHING else None,
    )


def tally_of(change: ChangeRequest, *, now: datetime) -> Tally | None:
    """Return the committee's tally on exactly the present content, or ``None`` when no round is on it."""
    if change.round is None or change.round.content_digest != change.content_digest:
        return None
    return committee.tally_of(change.round, now)


def closures(change: ChangeRequest, items: Sequence[Item], *, now: datetime) -> tuple[Sentence, ...]:
    """Return one sentence for each freeze or lock that closes a place of this change right now."""
    found = calendar.closures(places=[(item.service_id, item.environment_id) for item in items], at=now)
    return tuple(closure.sentence for closure in found)


def traffic_as_planned(item: Item) -> bool:
    """Say whether going back would still mean what was approved: the last reading equals the plan's snapshot."""
    snapshot = item.way_back.traffic_snapshot
    route = catalog.route_for(item.service_id, item.environment_id)
    if route is None or route.reading is None:
        return not snapshot
    return bool(snapshot) and dict(route.reading.weights) == snapshot["weights"]


def busy_with(change: ChangeRequest, items: Sequence[Item]) -> tuple[int, ...]:
    """Return the numbers of other changes being released or watched in the same places."""
    return _others(change, items, states=list(RUNNING))


def _twins(change: ChangeRequest, items: Sequence[Item]) -> tuple[int, ...]:
    numbers: set[int] = set()
    for item in items:
        twins = (
            ChangeRequest.objects.filter(
                items__service_id=item.service_id,
                items__environment_id=item.environment_id,
                items__artifact_id=item.artifact_id,
                state__in=[State.ASSESSING, State.AUTHORIZING, State.SCHEDULED, *RUNNING],
            )
            .exclude(pk=change.pk)
            .values_list("number", flat=True)
        )
        numbers.update(twins)
    return tuple(sorted(numbers))


def _others(change: ChangeRequest, items: Sequence[Item], *, states: Sequence[State]) -> tuple[int, ...]:
    numbers: set[int] = set()
    for item in items:
        others = ChangeRequest.objects.filter(
            items__service_id=item.service_id, items__environment_id=item.environment_id, state__in=states
        )
        numbers.update(others.exclude(pk=change.pk).values_list("number", flat=True))
    return tuple(sorted(numbers))


def _overdue_reviews(change: ChangeRequest, *, now: datetime) -> tuple[int, ...]:
    overdue = Review.objects.filter(
        written_at__isnull=True, due_at__lte=now, change__type=ChangeType.EMERGENCY, change__state=State.REVIEWING
    )
    return tuple(overdue.exclude(change=change).order_by("change__number").values_list("change__number", flat=True))


def _item(item: Item) -> ItemFacts:
    back = item.way_back.target_artifact
    return ItemFacts(
        service=item.service.name,
        environment=item.environment.name,
        version=item.artifact.version,
        digest=item.artifact.digest,
        is_quarantined=item.artifact.is_quarantined,
        back_version=back.version if back else "",
        back_digest=back.digest if back else "",
        back_is_quarantined=bool(back and back.is_quarantined),
        migration_class=MigrationClass(item.way_back.migration_class),
    )
