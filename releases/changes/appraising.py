"""Build what the assessment starts from: facts of the catalogue, the calendar and the past, each with its source."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from releases.calendar import queries as calendar
from releases.catalog import queries as catalog
from releases.catalog.cards import CustomerCard, RunningCard
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item
from releases.changes.states import MigrationClass, Outcome, State
from releases.core.words import mark as _
from releases.impact.facts import ChangeFacts, Customers, History, ItemFacts, Known, Reach, Tests, Timing, Unknown

LOOKS_BACK = timedelta(days=90)
CATALOG, CALENDAR, REQUEST, RECORD = _("catalogue"), _("calendar"), _("this request"), _("past changes")
BUDGET = _("error budget")
WORST_FIRST = (MigrationClass.IRREVERSIBLE, MigrationClass.CONTRACT, MigrationClass.EXPAND, MigrationClass.NONE)


def facts_of(change: ChangeRequest, *, now: datetime) -> ChangeFacts:
    """Return the facts of a change for its assessment; reads tables only."""
    items = items_of(change)
    running = catalog.running_in(item.place for item in items)
    services = [item.service_id for item in items]
    reach = catalog.dependents(services)
    reached = [*reach.direct, *reach.indirect]
    customers = catalog.customers_of([*services, *(one.id for one in reached)])
    incidents = catalog.open_incidents([*services, *(one.id for one in reached)], [i.environment_id for i in items])
    return ChangeFacts(
        type=change.type,
        items=tuple(_item(item, running.get(item.place), now=now) for item in items),
        reach=Known(
            Reach(len(reach.direct), len(reach.indirect), sum(not one.is_fact for one in reached)), CATALOG, now
        ),
        customers=Known(
            Customers(
                by_segment=tuple(sorted(catalog.customers_by_segment(services).items())),
                notice_hours=max((one.notice_hours for one in customers), default=0),
            ),
            CATALOG,
            now,
        )
        if customers
        else Unknown(CATALOG),
        incidents=Known(len(incidents), CATALOG, now),
        budget=_budget(items, now=now),
        tests=_tests(change),
        migration_class=Known(_worst(items), REQUEST),
        rehearsal=Known(_standing(items), REQUEST),
        timing=_timing(change, items, now=now),
        history=Known(_history(change, items, now=now), RECORD, now),
    )


def _item(item: Item, running: RunningCard | None, *, now: datetime) -> ItemFacts:
    return ItemFacts(
        service=item.service.name,
        environment_kind=item.environment.kind,
        to_version=item.artifact.version,
        criticality=Known(item.service.criticality, CATALOG, now),
        data_classes=Known(tuple(item.service.data_classes), CATALOG, now),
        from_version=Known(running.artifact.version, CATALOG, running.since_at) if running else Unknown(CATALOG),
        tier=item.service.tier,
    )


def _budget(items: Sequence[Item], *, now: datetime) -> Known[float | None] | Unknown:
    """Return the least that is left of an error budget of any item; not known when one is not, or is too old."""
    cards = list(catalog.budgets_in(item.place for item in items).values())
    left = [one.known(now) for one in cards]
    if None in left:
        return Unknown(BUDGET)
    seen = [one.seen_at for one in cards if one.seen_at is not None]
    return Known(min((one for one in left if one is not None), default=None), BUDGET, min(seen, default=None))


def _tests(change: ChangeRequest) -> Known[Tests] | Unknown:
    passed = change.test_evidence.get("passed")
    if passed is None:
        return Unknown(REQUEST)
    return Known(Tests(passed, change.test_evidence.get("failed", 0)), REQUEST)


def _timing(change: ChangeRequest, items: Sequence[Item], *, now: datetime) -> Known[Timing] | Unknown:
    if change.starts_at is None or change.ends_at is None:
        return Unknown(REQUEST)
    found = calendar.constraints(
        places=[item.place for item in items],
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        now=now,
        subject=change.pk,
        customers=_hurt(items),
    )
    return Known(Timing(change.starts_at, len(found.conflicts), len(found.freezes)), CALENDAR, now)


def _hurt(items: Sequence[Item]) -> set[CustomerCard]:
    return {one for many in catalog.customers_hurt(item.place for item in items).values() for one in many}


def _history(change: ChangeRequest, items: Sequence[Item], *, now: datetime) -> History:
    past = ChangeRequest.objects.filter(
        items__service_id__in=[item.service_id for item in items],
        state__in=[State.REVIEWING, State.CLOSED],
        updated_at__gte=now - LOOKS_BACK,
    ).exclude(pk=change.pk)
    outcomes = list(past.distinct().values_list("pk", "outcome"))
    bad = {Outcome.FAILED, Outcome.ROLLED_BACK}
    return History(len(outcomes), sum(outcome in bad for _pk, outcome in outcomes))


def _standing(items: Sequence[Item]) -> str:
    """Say how far the way back is known: assumed when every item has one, since nobody has rehearsed it."""
    return "assumed" if all(item.way_back.target_artifact_id for item in items) else "impossible"


def _worst(items: Sequence[Item]) -> str:
    classes = {item.way_back.migration_class for item in items}
    return next((one.value for one in WORST_FIRST if one in classes), MigrationClass.NONE.value)
