"""What was measured of a release: traffic, health, and the last lines of its log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from releases.catalog import queries as catalog
from releases.catalog.kinds import Figure
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.delivery.services import CALL_OFF
from releases.health.ports import Measure, Question
from releases.health.rules import shown
from releases.operations.queries import StepLine, Try
from releases.rollback import services as rollback
from releases.rollout.queries import led
from releases.rollout.rules import idle_target, live_target
from releases.rollout.states import Work
from releases.traffic import queries as traffic
from releases.web import curves
from releases.web.looks import Bar, Line, Look, Words
from releases.web.pages.panels import seen_on, share
from releases.web.pages.phases import words_of
from releases.web.pages.seen import JUDGES, LINES_OF_LOG, STEP_LOOKS, Seen, shown_of

HEALTH: Mapping[str, Look] = {
    "healthy": Look("go", "✓", _("Healthy")),
    "unhealthy": Look("stop", "✕", _("Unhealthy")),
    "unknown": Look("wait", "?", _("Not known yet")),
}

# How a figure is called, and how its value reads.
FIGURES: Mapping[Figure, tuple[str, str]] = {
    Figure.ERRORS: (mark("Error rate, %(service)s"), mark("%(n)s %%")),
    Figure.SECONDS: (mark("Response time, %(service)s"), mark("%(n)s ms")),
    Figure.NUMBER: (mark("Measured, %(service)s"), "%(n)s"),
    Figure.ANSWER: (mark("Says it is ill (1) or well (0), %(service)s"), "%(n)s"),
}
EVERYBODY = 100  # percent
BEGUN: Mapping[str, str] = {
    Work.ROLLOUT: mark("%(who)s began the release"),
    Work.PUT_BACK: mark("Not every route made the step: those that did are put back"),
    Work.WATCH: mark("The watch began"),
    rollback.KIND: mark("%(who)s began to go back"),
    CALL_OFF: mark("What still runs is called off"),
}


def traffic_of(seen: Seen) -> tuple[tuple[Bar, ...], tuple[Words, ...], datetime | None]:
    """Return what was asked of each route beside what was seen there, as the share the reader hopes for.

    After the bars, who counted the requests after the last shift of a route and what it saw; then the oldest look.
    """
    shifts = {shift.route_id: shift for shift in traffic.of_change(seen.row.pk)}
    asked = {route_id: shift.asked for route_id, shift in shifts.items()}
    counted = {str(shift.evidence): shift.evidence for shift in shifts.values() if shift.evidence}
    items = list(seen.row.items.all())
    routes, driven = catalog.routes_in(item.place for item in items), led(seen.row.pk)
    bars: list[Bar] = []
    moments: list[datetime] = []
    for item, one in zip(items, seen.card.items, strict=True):
        splits = one.splits.values()
        live, idle = live_target(*splits), idle_target(*splits)
        version = one.back_version if seen.is_back else one.version
        tone = "undo" if seen.is_back else ""
        for route in routes[item.place]:
            if route.reading:
                moments.append(route.reading.seen_at)
            led_by = driven.get(route.id)
            has_all = bool(led_by and led_by.serves_all)
            # Where the new version was promoted it is the stable one, and the old one goes out on the idle side.
            side = live if has_all != seen.is_back else idle
            wanted = share(asked.get(route.id, {}), side)
            if led_by and seen.is_back:
                wanted = EVERYBODY
            elif led_by and not led_by.is_promoted:
                wanted = led_by.percent
            bars.append(Bar(route.name(one.service), wanted, seen_on(route, side), version, tone))
    return tuple(bars), tuple(counted.values()), min(moments, default=None)


def log_of(seen: Seen) -> tuple[Line, ...]:
    """Return the last lines of what was sent and how it ended, newest first."""
    lines: list[Line] = []
    for operation in (*seen.operations, *seen.aside):
        begun = Sentence(BEGUN[operation.kind], {"who": operation.begun_by})
        lines.append(Line("", "▶", begun, detail=operation.reason, at=operation.begun_at))
        for step in operation.steps:
            _phase, name = words_of(operation, step, seen)
            lines += [_sent(name, one) for one in step.tries]
            if step.ended_at:
                look = STEP_LOOKS[step.state]
                lines.append(Line(look.tone, look.sign, name, detail=step.note or "", at=step.ended_at))
    ordered = sorted(lines, key=lambda line: line.at or seen.now, reverse=True)
    return tuple(ordered[:LINES_OF_LOG])


def _sent(name: Words, one: Try) -> Line:
    return Line("", "→", name, detail=Sentence(mark("sent by %(worker)s"), {"worker": one.worker}), at=one.sent_at)


def _judged(seen: Seen) -> list[StepLine]:
    return [
        step
        for operation in shown_of(seen)
        for step in operation.steps
        if step.kind in JUDGES and step.data.get("measures")
    ]


def health_of(seen: Seen) -> Look | None:
    """Return what the latest verdict says, ``None`` before the first measure."""
    judged = _judged(seen)
    return HEALTH.get(str(judged[-1].data.get("health"))) if judged else None


def curves_of(seen: Seen) -> tuple[curves.Curve, ...]:
    """Return one line per service: the measures of verdict and watch, one after the other."""
    values: dict[str, list[tuple[datetime, float]]] = {}
    questions: dict[str, Question] = {}
    for step in _judged(seen):
        service = str(step.desired.get("service", ""))
        kept: Sequence[Mapping[str, Any]] = step.data.get("measures", ())
        measures = [Measure.from_json(one) for one in kept]
        values.setdefault(service, []).extend((one.seen_at, one.value) for one in measures if one.value is not None)
        questions[service] = Question.from_json(step.desired["question"])
    click = seen.current.begun_at if seen.is_back and seen.current else None
    drawn = [_curve(service, sorted(many), questions[service], click) for service, many in values.items()]
    return tuple(curve for curve in drawn if curve)


def _curve(
    service: str, values: Sequence[tuple[datetime, float]], question: Question, click: datetime | None
) -> curves.Curve | None:
    title, unit = FIGURES[question.figure]
    limit = None if question.figure is Figure.ANSWER else question.limit

    def say(value: float) -> Words:
        return Sentence(unit, {"n": shown(value, question.figure)})

    return curves.draw(Sentence(title, {"service": service}), values, limit=limit, say=say, click=click)
