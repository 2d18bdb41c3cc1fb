"""Draw a health line: values over time into a 300 × 70 box, with the limit and the moment of the click."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from releases.core.errors import Sentence
from releases.core.words import mark
from releases.web.looks import Words

WIDTH, TOP, BOTTOM = 296, 10, 54


@dataclass(frozen=True, slots=True)
class Curve:
    """One health line, ready for an SVG."""

    title: Words
    was: Words
    now: Words
    points: str
    dot_x: int
    dot_y: int
    label: Words
    limit_y: int | None
    limit: Words
    click_x: int | None
    click: str
    starts: str


def draw(
    title: Words,
    values: Sequence[tuple[datetime, float]],
    *,
    limit: float | None,
    say: Callable[[float], Words],
    click: datetime | None = None,
) -> Curve | None:
    """Return the line of these values, oldest first; ``None`` without any. ``say`` is how a value reads."""
    if not values:
        return None
    first, last = values[0][0], values[-1][0]
    whole = max((last - first).total_seconds(), 1.0)
    highest = max([value for _at, value in values] + ([limit * 1.5] if limit else []) + [0.0001])

    def place(at: datetime, value: float) -> tuple[int, int]:
        x = round((at - first).total_seconds() / whole * WIDTH) if len(values) > 1 else WIDTH
        return x, round(BOTTOM - value / highest * (BOTTOM - TOP))

    dots = [place(at, value) for at, value in values]
    x, y = dots[-1]
    was, now = say(values[0][1]), say(values[-1][1])
    is_inside = click is not None and first <= click <= last
    return Curve(
        title=title,
        was=was if was != now else "",
        now=now,
        points=" ".join(f"{dot_x},{dot_y}" for dot_x, dot_y in dots),
        dot_x=x,
        dot_y=y,
        label=Sentence(mark("%(title)s: %(was)s at first, %(now)s now"), {"title": title, "was": was, "now": now}),
        limit_y=place(first, limit)[1] if limit else None,
        limit=say(limit) if limit else "",
        click_x=place(click, 0)[0] if click and is_inside else None,
        click=_hour(click) if click and is_inside else "",
        starts=_hour(first),
    )


def _hour(at: datetime) -> str:
    return timezone.localtime(at).strftime("%H:%M:%S")
