"""When changes may go: spans, what closes a place, which bookings clash, when it opens. Knows no table.

Every span is half-open, ``[starts_at, ends_at)``, in instants; local time is a matter of display. A *place* is one
service in one environment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from releases.catalog.kinds import Place
from releases.core.errors import Sentence
from releases.core.words import mark as _

END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Span(Protocol):
    """Anything that starts and ends."""

    @property
    def starts_at(self) -> datetime:
        """Return the first instant inside."""

    @property
    def ends_at(self) -> datetime:
        """Return the first instant after it."""


def overlaps(a_start: datetime, a_end: datetime, b_start: datetime, b_end: datetime) -> bool:
    """Say whether two spans share an instant; touching ends share none, and neither does an empty span."""
    return max(a_start, b_start) < min(a_end, b_end)


def contains(window: Span, at: datetime) -> bool:
    """Say whether the instant lies inside: the start does, the end does not."""
    return window.starts_at <= at < window.ends_at


@dataclass(frozen=True, slots=True)
class Scope:
    """What a window or a lock speaks of; what is left open means all.

    A freeze that a customer or a segment asked for speaks of them, and of no place.
    """

    environment: UUID | None = None
    service: UUID | None = None
    environment_name: str = ""
    service_name: str = ""
    customer: UUID | None = None
    segment: str = ""
    customer_name: str = ""

    @property
    def is_of_customers(self) -> bool:
        """Say whether it speaks of customers, not of places."""
        return self.customer is not None or bool(self.segment)

    def covers(self, place: Place) -> bool:
        """Say whether the place is inside."""
        service, environment = place
        is_there = self.environment in {None, environment} and self.service in {None, service}
        return is_there and not self.is_of_customers

    def serves(self, customer: UUID, segment: str) -> bool:
        """Say whether it was asked for by this customer, or for everybody of its segment."""
        return self.customer == customer or (bool(self.segment) and self.segment == segment)


@dataclass(frozen=True, slots=True)
class WindowCard:
    """An open window or a freeze."""

    id: UUID
    title: str
    scope: Scope
    starts_at: datetime
    ends_at: datetime
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class LockCard:
    """A lock in force: who stopped the line, why, until when (``None``: until somebody releases it)."""

    id: UUID
    scope: Scope
    reason: str
    locked_by: str
    locked_at: datetime
    until_at: datetime | None = None

    @property
    def starts_at(self) -> datetime:
        """Return when it was set."""
        return self.locked_at

    @property
    def ends_at(self) -> datetime:
        """Return when it ends by itself."""
        return self.until_at or END_OF_TIME


@dataclass(frozen=True, slots=True)
class Booked:
    """The places and the span one change takes; ``booked_at`` is ``None`` while it only asks."""

    subject: UUID
    number: int
    places: frozenset[Place]
    starts_at: datetime
    ends_at: datetime
    booked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another booking of the same place at the same time; ``is_ahead`` when it was there first."""

    subject: UUID
    number: int
    places: tuple[Place, ...]
    starts_at: datetime
    ends_at: datetime
    is_ahead: bool


@dataclass(frozen=True, slots=True)
class Closure:
    """Something that closes a place at a moment: its kind is ``freeze``, ``lock``, ``window`` or ``customer``."""

    kind: str
    sentence: Sentence
    until: datetime | None


@dataclass(frozen=True, slots=True)
class CalendarFacts:
    """What the calendar says of some places for a span.

    ``freezes`` overlap the span, ``opens`` are the open windows that do, ``conflicts`` are the other bookings;
    ``opens_at`` is the first moment from now on, inside the span, at which nothing closes a place and nobody ahead has
    booked it: ``None`` when there is none.
    """

    freezes: tuple[WindowCard, ...]
    conflicts: tuple[Conflict, ...]
    opens: tuple[WindowCard, ...]
    opens_at: datetime | None


def conflicts(mine: Booked, others: Iterable[Booked]) -> tuple[Conflict, ...]:
    """Return every other booking that takes one of these places at the same time, in the order of their start."""
    found = [
        Conflict(
            other.subject, other.number, tuple(sorted(shared)), other.starts_at, other.ends_at, _ahead(other, mine)
        )
        for other in others
        if other.subject != mine.subject
        and (shared := other.places & mine.places)
        and overlaps(mine.starts_at, mine.ends_at, other.starts_at, other.ends_at)
    ]
    return tuple(sorted(found, key=lambda one: (one.starts_at, one.number)))


def _ahead(other: Booked, mine: Booked) -> bool:
    """Say who was first; a number breaks the tie, so that of two exactly one is ahead."""
    if mine.booked_at is None or other.booked_at is None:
        return other.booked_at is not None
    return (other.booked_at, other.number) < (mine.booked_at, mine.number)


def closures(
    *,
    places: Iterable[Place],
    at: datetime,
    freezes: Iterable[WindowCard],
    locks: Iterable[LockCard],
    opens: Sequence[WindowCard],
) -> tuple[Closure, ...]:
    """Return everything that closes any of the places at the moment: locks, then freezes, then shut windows.

    ``opens`` must hold every open window of the places, also past ones: a place with none is always open, a place
    with some is open inside them only.
    """
    places = tuple(places)
    shut = [lock for lock in locks if contains(lock, at) and _touches(lock.scope, places)]
    frozen = [freeze for freeze in freezes if contains(freeze, at) and _touches(freeze.scope, places)]
    return (
        *(_locked(lock) for lock in shut),
        *(_frozen(freeze) for freeze in frozen),
        *_outside(places, at, opens),
    )


def asked_for(freezes: Iterable[WindowCard], *, at: datetime) -> tuple[Closure, ...]:
    """Return a closure for every freeze of customers that holds at the moment."""
    return tuple(Closure("customer", _asked(freeze), freeze.ends_at) for freeze in freezes if contains(freeze, at))


def opens_at(
    *,
    places: Iterable[Place],
    after: datetime,
    before: datetime,
    freezes: Iterable[WindowCard],
    locks: Iterable[LockCard],
    opens: Sequence[WindowCard],
    taken: Iterable[Span] = (),
) -> datetime | None:
    """Return the first moment in ``[after, before)`` at which every place is open, or ``None``.

    ``taken`` are spans that close them all, whatever they speak of. Only the beginning and the ends of spans can be
    that moment, so only these are tried.
    """
    places = tuple(places)
    closing: list[Span] = [freeze for freeze in freezes if _touches(freeze.scope, places)]
    closing += [lock for lock in locks if _touches(lock.scope, places)]
    closing += taken
    moments = {after, *(span.ends_at for span in closing), *(window.starts_at for window in opens)}
    for moment in sorted(one for one in moments if after <= one < before):
        if not any(contains(span, moment) for span in closing) and not _outside(places, moment, opens):
            return moment
    return None


def _touches(scope: Scope, places: Iterable[Place]) -> bool:
    return any(scope.covers(place) for place in places)


def _outside(places: Iterable[Place], at: datetime, opens: Sequence[WindowCard]) -> tuple[Closure, ...]:
    """Return a closure for each environment in which a place has open windows and none of them is open now."""
    shut: dict[UUID, Closure] = {}
    for place in places:
        mine = [window for window in opens if window.scope.covers(place)]
        if mine and not any(contains(window, at) for window in mine):
            ahead = min((window.starts_at for window in mine if window.starts_at > at), default=None)
            sentence = Sentence(
                _("No window is open in %(environment)s now."), {"environment": mine[0].scope.environment_name}
            )
            shut.setdefault(place[1], Closure("window", sentence, ahead))
    return tuple(shut.values())


def _locked(lock: LockCard) -> Closure:
    parts = {"who": lock.locked_by, "reason": lock.reason, "where": where(lock.scope)}
    return Closure("lock", Sentence(_("%(who)s locked %(where)s: %(reason)s"), parts), lock.until_at)


def _frozen(freeze: WindowCard) -> Closure:
    parts = {"title": freeze.title, "where": where(freeze.scope)}
    return Closure("freeze", Sentence(_("Frozen, %(where)s: %(title)s"), parts), freeze.ends_at)


def _asked(freeze: WindowCard) -> Sentence:
    parts = {"customer": freeze.scope.customer_name, "segment": freeze.scope.segment, "title": freeze.title}
    if freeze.scope.segment:
        return Sentence(_("A freeze for every customer of %(segment)s: %(title)s"), parts)
    return Sentence(_("%(customer)s asked for a freeze: %(title)s"), parts)


def where(scope: Scope) -> Sentence:
    """Say what a scope speaks of."""
    names = {"environment": scope.environment_name, "service": scope.service_name}
    if scope.is_of_customers:
        named = Sentence("%(customer)s", {"customer": scope.customer_name})
        return named if scope.customer else Sentence(_("customers of %(segment)s"), {"segment": scope.segment})
    if scope.environment is None and scope.service is None:
        return Sentence(_("everything"))
    if scope.service is None:
        return Sentence("%(environment)s", names)
    if scope.environment is None:
        return Sentence("%(service)s", names)
    return Sentence(_("%(service)s in %(environment)s"), names)
