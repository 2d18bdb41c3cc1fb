"""When and where a notice goes: quiet hours on the reader's own clock, digests, and what is said of many at once."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from releases.notify.facts import Preferences, QuietHours
from releases.notify.kinds import Digest, Sink, Topic, Urgency
from releases.notify.rules.manners import MANNERS

STORM = 5
"""So many notices to one addressee within one ``STORM_SPAN`` go one by one; the others wait for its end."""
STORM_SPAN = timedelta(minutes=5)
SPANS = {Digest.QUARTER: timedelta(minutes=15), Digest.HOUR: timedelta(hours=1)}
MORNING = time(9)
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DAYS = 4  # whoever is quiet for all but the hour that a change of clocks leaves out waits a day longer


def where(topic: Topic, *, wanted: Preferences, services: Iterable[UUID]) -> Sink:
    """Return where a notice goes: a page always out, what was left out or is about muted services stays here."""
    about = frozenset(services)
    if MANNERS[topic].is_page or topic is Topic.TEST:
        return wanted.sink
    if wanted.topics is not None and topic not in wanted.topics:
        return Sink.HERE
    return Sink.HERE if about and about <= wanted.muted else wanted.sink


def when(topic: Topic, *, wanted: Preferences, now: datetime, lately: int) -> datetime:
    """Return when a notice is sent; ``lately`` counts what the same addressee was told in this ``STORM_SPAN``."""
    urgency = MANNERS[topic].urgency
    if urgency is Urgency.PAGE:
        return now
    at = storm_slot(now) if lately >= STORM else now
    if urgency is Urgency.NOW:
        return at
    zone = ZoneInfo(wanted.zone)
    return quiet_until(_gathered_at(at, wanted.digest, zone), wanted.quiet, zone)


def storm_slot(now: datetime) -> datetime:
    """Return the end of the ``STORM_SPAN`` that is running."""
    return _next(now, STORM_SPAN)


def is_quiet(at: datetime, hours: QuietHours | None, zone: ZoneInfo) -> bool:
    """Say whether a moment falls into somebody's quiet hours."""
    return quiet_until(at, hours, zone) > at


def quiet_until(at: datetime, hours: QuietHours | None, zone: ZoneInfo) -> datetime:
    """Return the first moment from ``at`` on that is not in the quiet hours; ``at`` itself when it is not.

    The hours of each day are spans between two moments, so that a day on which clocks change has its hours, too.
    """
    if hours is None or hours.starts == hours.ends:
        return at
    end, day = at, at.astimezone(zone).date() - _DAY
    for _turn in range(_MOST_DAYS):
        over = hours.ends if hours.ends > hours.starts else None
        first = _moment(datetime.combine(day, hours.starts), zone)
        last = _moment(datetime.combine(day if over else day + _DAY, hours.ends), zone)
        if first <= end < last:
            end = last
        day += _DAY
    return end


def is_zone(name: str) -> bool:
    """Say whether this names a time zone."""
    return name in available_timezones()


def _gathered_at(at: datetime, digest: Digest, zone: ZoneInfo) -> datetime:
    """Return the next moment at which a digest goes out, at or after ``at``."""
    if span := SPANS.get(digest):
        return _next(at - timedelta(microseconds=1), span)
    if digest is Digest.DAY:
        day = at.astimezone(zone).date()
        mornings = (_moment(datetime.combine(day + _DAY * later, MORNING), zone) for later in range(3))
        return next(morning for morning in mornings if morning >= at)
    return at


def _next(at: datetime, span: timedelta) -> datetime:
    return at + span - (at - _EPOCH) % span


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment at which a clock of the zone shows this; what it never shows comes an hour later."""
    return wall.replace(tzinfo=zone).astimezone(UTC)
