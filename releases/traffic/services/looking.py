"""Look at routes, on demand and by the clock, and keep what was seen."""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, OuterRef, Subquery

from releases.catalog import queries as catalog
from releases.catalog import services as catalog_services
from releases.catalog.cards import RouteCard
from releases.core.errors import External, GmudError, Refused, Unreachable
from releases.operations.trouble import tell
from releases.traffic.facts import Seen
from releases.traffic.models import Drift, Observation
from releases.traffic.ports import Reading, RouteRef, TrafficProvider
from releases.traffic.providers import provider_for, reference
from releases.traffic.services.drifting import compare, hold

Provide = Callable[..., TrafficProvider]
CLOCK = "clock"
AT_ONCE = 8  # connections that are looked at side by side
ROUND = timedelta(seconds=20)  # of one connection, and of all of them
JITTER = 0.2
SILENT_ROUNDS = 3  # after so many without a look, the next one begins a new span
MOST_KEPT = 2000  # spans of one route
_NEVER = datetime.min.replace(tzinfo=UTC)
_log = structlog.get_logger(__name__)


def look(*, route_id: UUID, now: datetime, provide: Provide = provider_for, by: str = "worker") -> Reading:
    """Look at a route and keep what was seen, or that nobody could see it; ``by`` caused the look.

    Runs outside any transaction.

    :raises Missing: there is no such route
    :raises Rejected: a clear no, as the adapter says
    :raises Unreachable: no answer
    :raises Refused: the connection's secret does not open
    """
    route = catalog.route(route_id)
    try:
        reading = provide(route).read(reference(route))
    except (External, Refused) as error:
        _keep_alone(route_id, Seen(why=error.detail), by=by, now=now)
        raise
    _keep_alone(route_id, Seen.in_reading(reading), by=by, now=now)
    return reading


def keep(*, route_id: UUID, seen: Seen, by: str, now: datetime) -> None:
    """Keep what was seen, and say whether it is what was asked for; inside the caller's transaction.

    An older look than the last one that was kept changes nothing.

    :raises Missing: there is no such route
    """
    hold(route_id)
    if not seen.why:
        catalog_services.note_reading(
            route_id=route_id, weights=seen.weights, version=seen.revision, healthy=None, now=now
        )
    last = Observation.objects.filter(route_id=route_id).order_by("-last_at", "-id").first()
    if last is not None and last.last_at > now:
        return
    if last is not None and _is_the_same(last, seen, by, now):
        last.last_at, last.looks = now, last.looks + 1
        last.revision, last.written_at = seen.revision, seen.written_at
        last.save(update_fields=("last_at", "looks", "revision", "written_at"))
    else:
        Observation.objects.create(
            route_id=route_id,
            weights=dict(seen.weights),
            revision=seen.revision,
            uid=seen.uid,
            owner=seen.owner,
            writer=seen.writer,
            written_at=seen.written_at,
            why=seen.why.as_json() if seen.why else {},
            seen_by=by,
            seen_at=now,
            last_at=now,
        )
    if not seen.why:
        compare(route_id=route_id, seen=seen, now=now)


def read_due(*, now: datetime, provide: Provide = provider_for) -> None:
    """Look at every route that nobody looked at for a while, those first that were seen longest ago.

    Connections that did not answer last time wait behind the others, and take turns among themselves: however many
    they are, they cannot fill the round.
    Connections are asked side by side, each for :data:`ROUND` at most and, once it does not answer, not again in this
    round: a dead control plane costs its own routes their turn, and nobody else's. Only the asking is done beside:
    the tables are this thread's.
    """
    turns, elapsed = _turns(now, provide), _elapsed_since(now)
    with ThreadPoolExecutor(AT_ONCE) as beside:
        rounds = [beside.submit(_asked, turn, elapsed, now + ROUND) for turn in turns]
        for done in as_completed(rounds):
            for route_id, seen, at in done.result():
                _keep_alone(route_id, seen, by=CLOCK, now=at)


def forget(*, now: datetime) -> None:
    """Forget what was seen long ago, and what is too much of one route; what was seen last stays, and the record."""
    long_ago = now - timedelta(days=settings.GMUD_READINGS_DAYS)
    newest = Observation.objects.filter(route_id=OuterRef("route_id")).order_by("-last_at", "-id").values("pk")
    Observation.objects.filter(last_at__lt=long_ago).exclude(pk=Subquery(newest[:1])).delete()
    Drift.objects.filter(ended_at__lt=long_ago).delete()
    counts = Observation.objects.values_list("route_id").annotate(number=Count("pk")).order_by()
    for route_id, _number in counts.filter(number__gt=MOST_KEPT):
        rows = Observation.objects.filter(route_id=route_id).order_by("-last_at", "-id")
        rows.filter(last_at__lt=rows[MOST_KEPT - 1].last_at).delete()


@dataclass(frozen=True, slots=True)
class _Way:
    """One route with what reads it."""

    route_id: UUID
    ref: RouteRef
    provider: TrafficProvider


def _turns(now: datetime, provide: Provide) -> list[list[_Way]]:
    """Return the routes whose turn it is, by connection; what cannot even be asked is kept as unseen at once."""
    turns: dict[UUID, list[_Way]] = {}
    routes = catalog.routes()
    looked = dict(Observation.objects.values_list("route_id").annotate(Max("last_at")).order_by())
    for route in _due(routes, looked, now):
        try:
            way = _Way(route.id, reference(route), provide(route))
        except GmudError as error:
            _keep_alone(route.id, Seen(why=error.detail), by=CLOCK, now=now)
            continue
        turns.setdefault(route.connection.id, []).append(way)
    last = {route.connection.id: route.id for route in sorted(routes, key=lambda one: looked.get(one.id, _NEVER))}
    silent = {one: looked.get(last[one], _NEVER) for one in turns if _was_silent(last[one])}
    return [turns[one] for one in sorted(turns, key=lambda one: silent.get(one, _NEVER))]


def _due(routes: Sequence[RouteCard], looked: Mapping[UUID, datetime], now: datetime) -> list[RouteCard]:
    waiting = [route for route in routes if _is_due(looked.get(route.id), route.id, now)]
    return sorted(waiting, key=lambda route: looked.get(route.id, _NEVER))


def _was_silent(route_id: UUID) -> bool:
    """Say whether the last look at a route saw nothing."""
    looks = Observation.objects.filter(route_id=route_id).order_by("-last_at", "-id")
    return any(looks.values_list("why", flat=True)[:1])


def _is_due(last: datetime | None, route_id: UUID, now: datetime) -> bool:
    """Say whether a route's turn has come: a little earlier or later each time, so that not all are asked in step."""
    if last is None:
        return True
    chance = zlib.crc32(f"{route_id} {last.isoformat()}".encode()) / 2**32
    patience = timedelta(seconds=settings.GMUD_READ_TRAFFIC_SECONDS * (1 + JITTER * (2 * chance - 1)))
    return now - last >= patience


def _asked(turn: Sequence[_Way], elapsed: Callable[[], datetime], until: datetime) -> list[tuple[UUID, Seen, datetime]]:
    """Ask one connection for its routes, outside of any table."""
    found: list[tuple[UUID, Seen, datetime]] = []
    for way in turn:
        if (at := elapsed()) >= until:
            break
        try:
            found.append((way.route_id, Seen.in_reading(way.provider.read(way.ref)), at))
        except (External, Refused) as error:
            _log.warning("route_not_read", route=str(way.route_id), why=str(error))
            found.append((way.route_id, Seen(why=error.detail), at))
            if isinstance(error, Unreachable):
                break
        except Exception as error:  # noqa: BLE001 - what nobody foresaw of one route is no reason to see no other
            tell("route_not_read", error, route=str(way.route_id))
    return found


def _elapsed_since(now: datetime) -> Callable[[], datetime]:
    began = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began)


def _keep_alone(route_id: UUID, seen: Seen, *, by: str, now: datetime) -> None:
    with transaction.atomic(durable=True):
        keep(route_id=route_id, seen=seen, by=by, now=now)


def _is_the_same(last: Observation, seen: Seen, by: str, now: datetime) -> bool:
    """Say whether a look saw what the last one did, for the same reason and without a long silence in between.

    Whoever writes the same weights again and again makes no new span each time.
    """
    said = seen.why.as_json() if seen.why else {}
    before = (last.weights, last.uid, last.owner, last.writer, last.why, last.seen_by)
    silence = timedelta(seconds=SILENT_ROUNDS * settings.GMUD_READ_TRAFFIC_SECONDS)
    there = (dict(seen.weights), seen.uid, seen.owner, seen.writer, said, by)
    return before == there and now - last.last_at <= silence
