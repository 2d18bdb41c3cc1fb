"""What closes a place, what is booked, when it opens: read from the write model each time."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from releases.calendar import rules
from releases.calendar.kinds import WindowKind
from releases.calendar.models import Booking, Lock, Window
from releases.calendar.rules import Booked, CalendarFacts, Closure, LockCard, Scope, WindowCard
from releases.catalog.cards import CustomerCard
from releases.catalog.kinds import Place


def constraints(
    *,
    places: Iterable[Place],
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    subject: UUID | None = None,
    customers: Iterable[CustomerCard] = (),
) -> CalendarFacts:
    """Return what the calendar says of these places for a span, and of the customers who would be hurt.

    ``subject`` names who asks: their own booking is no conflict, and says who was first.
    """
    places = frozenset(places)
    freezes, opens, locks = _freezes(places), _opens(places), _locks(places, now)
    asked = freezes_of(customers)
    mine = _mine(subject, places, starts_at, ends_at)
    clashes = rules.conflicts(mine, _booked(starts_at, ends_at))
    return CalendarFacts(
        freezes=tuple(
            one for one in (*freezes, *asked) if rules.overlaps(starts_at, ends_at, one.starts_at, one.ends_at)
        ),
        conflicts=clashes,
        opens=tuple(one for one in opens if rules.overlaps(starts_at, ends_at, one.starts_at, one.ends_at)),
        opens_at=rules.opens_at(
            places=places,
            after=max(now, starts_at),
            before=ends_at,
            freezes=freezes,
            locks=locks,
            opens=opens,
            taken=[*(clash for clash in clashes if clash.is_ahead), *asked],
        ),
    )


def closures_in(*, places: Iterable[Place], at: datetime) -> dict[Place, tuple[Closure, ...]]:
    """Return, place by place, every lock, freeze and shut window that closes it at one moment."""
    places = frozenset(places)
    freezes, locks, opens = _freezes(places), _locks(places, at), _opens(places)
    return {place: rules.closures(places=[place], at=at, freezes=freezes, locks=locks, opens=opens) for place in places}


def closures(*, places: Iterable[Place], at: datetime) -> tuple[Closure, ...]:
    """Return every lock, freeze and shut window that closes any of the places at one moment, each once."""
    places = frozenset(places)
    return rules.closures(
        places=places, at=at, freezes=_freezes(places), locks=_locks(places, at), opens=_opens(places)
    )


def freezes_of(customers: Iterable[CustomerCard]) -> list[WindowCard]:
    """Return every freeze that any of these customers asked for, or everybody of its segment, by its start."""
    customers = tuple(customers)
    if not customers:
        return []
    rows = _windows(WindowKind.FREEZE).filter(environment=None)
    cards = (_window(row) for row in rows)
    return [card for card in cards if any(card.scope.serves(one.id, one.segment) for one in customers)]


def asked_for(*, customers: Iterable[CustomerCard], at: datetime) -> tuple[Closure, ...]:
    """Return every freeze of these customers that holds at one moment."""
    return rules.asked_for(freezes_of(customers), at=at)


def asked_for_in(hurt: Mapping[Place, Collection[CustomerCard]], *, at: datetime) -> dict[Place, tuple[Closure, ...]]:
    """Return, place by place, every freeze of those who would be hurt there that holds at one moment."""
    everybody = freezes_of({one for many in hurt.values() for one in many})
    return {
        place: rules.asked_for(
            (one for one in everybody if any(one.scope.serves(who.id, who.segment) for who in many)), at=at
        )
        for place, many in hurt.items()
    }


def booked_before(*, subject: UUID, places: Iterable[Place], at: datetime) -> dict[Place, tuple[int, ...]]:
    """Return, place by place, the numbers of those who booked this moment there before the subject did."""
    just_then = (at, at + timedelta(microseconds=1))
    others = _booked(*just_then)
    mine = _mine(subject, frozenset(), *just_then)
    return {
        place: tuple(
            one.number for one in rules.conflicts(replace(mine, places=frozenset([place])), others) if one.is_ahead
        )
        for place in places
    }


def freezes_between(starts_at: datetime, ends_at: datetime) -> list[WindowCard]:
    """Return every freeze that overlaps a span, by its start."""
    rows = _windows(WindowKind.FREEZE).filter(starts_at__lt=ends_at, ends_at__gt=starts_at)
    return [_window(row) for row in rows]


def windows_between(starts_at: datetime, ends_at: datetime) -> list[WindowCard]:
    """Return every open window that overlaps a span, by its start."""
    rows = _windows(WindowKind.OPEN).filter(starts_at__lt=ends_at, ends_at__gt=starts_at)
    return [_window(row) for row in rows]


def booking_of(subject: UUID) -> Booked | None:
    """Return what a subject has booked now."""
    row = Booking.objects.filter(subject=subject, released_at=None).first()
    return _booking(row) if row else None


def _mine(subject: UUID | None, places: frozenset[Place], starts_at: datetime, ends_at: datetime) -> Booked:
    """Return what a subject asks for, with the turn its own booking gives it."""
    own = booking_of(subject) if subject else None
    return Booked(
        subject=own.subject if own else UUID(int=0),
        number=own.number if own else 0,
        places=places,
        starts_at=starts_at,
        ends_at=ends_at,
        booked_at=own.booked_at if own else None,
    )


def _freezes(places: frozenset[Place]) -> list[WindowCard]:
    return _touching(places, _windows(WindowKind.FREEZE))


def _opens(places: frozenset[Place]) -> list[WindowCard]:
    """Return also past windows: that there are any is what shuts a place outside them."""
    return _touching(places, _windows(WindowKind.OPEN))


def _touching(places: frozenset[Place], rows: QuerySet[Window]) -> list[WindowCard]:
    environments = {place[1] for place in places}
    cards = (_window(row) for row in rows.filter(environment_id__in=environments))
    return [card for card in cards if any(card.scope.covers(place) for place in places)]


def _locks(places: frozenset[Place], now: datetime) -> list[LockCard]:
    locks = (_lock(row) for row in _living_locks(now))
    return [lock for lock in locks if any(lock.scope.covers(place) for place in places)]


def _living_locks(now: datetime) -> QuerySet[Lock]:
    living = Lock.objects.filter(Q(until_at=None) | Q(until_at__gt=now), released_at=None)
    return living.select_related("environment", "service")


def _windows(kind: WindowKind) -> QuerySet[Window]:
    return Window.objects.filter(kind=kind, lifted_at=None).select_related("environment", "service", "customer")


def _booked(starts_at: datetime, ends_at: datetime) -> list[Booked]:
    rows = Booking.objects.filter(released_at=None, starts_at__lt=ends_at, ends_at__gt=starts_at)
    return [_booking(row) for row in rows]


def _booking(row: Booking) -> Booked:
    places = frozenset((UUID(service), UUID(environment)) for service, environment in row.places)
    return Booked(row.subject, row.number, places, row.starts_at, row.ends_at, row.booked_at)


def _window(row: Window) -> WindowCard:
    scope = Scope(
        row.environment_id,
        row.service_id,
        row.environment.name if row.environment else "",
        row.service.name if row.service else "",
        row.customer_id,
        row.segment,
        row.customer.name if row.customer else "",
    )
    return WindowCard(row.pk, row.title, scope, row.starts_at, row.ends_at, row.created_by)


def _lock(row: Lock) -> LockCard:
    scope = Scope(
        row.environment_id,
        row.service_id,
        row.environment.name if row.environment else "",
        row.service.name if row.service else "",
    )
    return LockCard(row.pk, scope, row.reason, row.locked_by, row.locked_at, row.until_at)
