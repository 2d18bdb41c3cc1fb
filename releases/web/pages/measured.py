"""What was measured of a release: traffic, health, and the last lines of its log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from releases.catalog import queries as catalog
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.health.ports import Measure
from releases.operations.queries import StepLine, Try
from releases.rollout.rules import idle_target, live_target
from releases.traffic import queries as traffic
from releases.web import curves
from releases.web.looks import Bar, Line, Look
from releases.web.pages.panels import share
from releases.web.pages.seen import LINES_OF_LOG, STEP_LOOKS, VERDICT, WATCH, Seen, shown_of

HEALTH: Mapping[str, Look] = {
    "healthy": Look("go", "✓", _("Healthy")),
    "unhealthy": Look("stop", "✕", _("Unhealthy")),
    "unknown": Look("wait", "?", _("Not known yet")),
}


def traffic_of(seen: Seen) -> tuple[tuple[Bar, ...], datetime | None]:
    """Return what was asked of each route beside what was seen there, as the share the reader hopes for."""
    asked = {shift.route_id: shift.asked for shift in traffic.of_change(seen.row.pk)}
    bars: list[Bar] = []
    moments: list[datetime] = []
    for item, one in zip(seen.row.items.all(), seen.card.items, strict=True):
        route = catalog.route_for(item.service_id, item.environment_id)
        if route is None:
            continue
        side = live_target(one.snapshot) if seen.is_back else idle_target(one.snapshot)
        reading = route.reading
        if reading:
            moments.append(reading.seen_at)
        version = one.back_version if seen.is_back else one.version
        observed = share(reading.weights, side) if reading else None
        tone = "undo" if seen.is_back else ""
        bars.append(Bar(one.service, share(asked.get(route.id, {}), side), observed, version, tone))
    return tuple(bars), min(moments, default=None)


def log_of(seen: Seen) -> tuple[Line, ...]:
    """Return the last lines of what was sent and how it ended, newest first."""
    lines: list[Line] = []
    for operation in seen.operations:
        parts = {"who": operation.begun_by, "what": operation.reason or operation.kind}
        lines.append(Line("", "▶", Sentence(mark("%(who)s: %(what)s"), parts), at=operation.begun_at))
        for step in operation.steps:
            lines += [_sent(step.name, one) for one in step.tries]
            if step.ended_at:
                look = STEP_LOOKS[step.state]
                lines.append(Line(look.tone, look.sign, step.name, detail=step.note or "", at=step.ended_at))
    ordered = sorted(lines, key=lambda line: line.at or seen.now, reverse=True)
    return tuple(ordered[:LINES_OF_LOG])


def _sent(name: str, one: Try) -> Line:
    return Line("", "→", name, detail=Sentence(mark("sent by %(worker)s"), {"worker": one.worker}), at=one.sent_at)


def _judged(seen: Seen) -> list[StepLine]:
    return [
        step
        for operation in shown_of(seen)
        for step in operation.steps
        if step.kind in {VERDICT, WATCH} and step.data.get("measures")
    ]


def health_of(seen: Seen) -> Look | None:
    """Return what the latest verdict says, ``None`` before the first measure."""
    judged = _judged(seen)
    return HEALTH.get(str(judged[-1].data.get("health"))) if judged else None


def curves_of(seen: Seen) -> tuple[curves.Curve, ...]:
    """Return one line per service: the measures of verdict and watch, one after the other."""
    values: dict[str, list[tuple[datetime, float]]] = {}
    limits: dict[str, float] = {}
    for step in _judged(seen):
        service = str(step.desired.get("service", ""))
        kept: Sequence[Mapping[str, Any]] = step.data.get("measures", ())
        measures = [Measure.from_json(one) for one in kept]
        values.setdefault(service, []).extend((one.seen_at, one.value) for one in measures if one.value is not None)
        limits[service] = float(step.desired["question"]["limit"])
    drawn = [
        curves.draw(
            Sentence(mark("Error rate, %(service)s"), {"service": service}),
            sorted(many),
            limit=limits[service],
            click=seen.current.begun_at if seen.is_back and seen.current else None,
        )
        for service, many in values.items()
    ]
    return tuple(curve for curve in drawn if curve)
