"""Draw what was asked of a route and what was seen there: the share of one side over time, in a 640 × 160 box."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from releases.core.errors import Sentence
from releases.core.words import mark
from releases.traffic.queries import DriftCard, ObservationCard, ShiftCard
from releases.traffic.states import ShiftState
from releases.web.looks import Words
from releases.web.pages.panels import share

LEFT, RIGHT, TOP, BOTTOM = 44, 632, 12, 128
ASKED = mark("%(who)s asked for %(n)s %%, %(at)s")
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Dot:
    """One shift that was asked for: its place, and who asked for which share."""

    x: str
    y: str
    said: Words


@dataclass(frozen=True, slots=True)
class Band:
    """One drift, from when to when."""

    x: str
    width: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture, ready for an SVG: steps asked for (dashed), spans seen (solid), drifts (tinted), shifts (dots)."""

    title: Words
    said: Words
    asked: str
    seen: tuple[str, ...]
    drifts: tuple[Band, ...]
    dots: tuple[Dot, ...]
    starts: datetime
    ends: datetime


def draw(
    shifts: Sequence[ShiftCard],
    seen: Sequence[ObservationCard],
    drifts: Sequence[DriftCard],
    *,
    side: str,
    title: str,
    now: datetime,
) -> Picture | None:
    """Return the picture of these, each newest first; ``None`` when nothing was asked and nothing seen."""
    moments = [one.asked_at for one in shifts] + [one.seen_at for one in seen]
    if not moments:
        return None
    first = min(moments)
    whole = max((now - first).total_seconds(), 1.0)

    def x(at: datetime) -> float:
        passed = min(max((at - first).total_seconds(), 0.0), whole)
        return round(LEFT + passed / whole * (RIGHT - LEFT), 1)

    def y(weights: Mapping[str, int | None]) -> float | None:
        known = share(weights, side)
        return None if known is None else round(BOTTOM - known / 100 * (BOTTOM - TOP), 1)

    confirmed = [(x(one.asked_at), y(one.counted)) for one in reversed(shifts) if one.state is ShiftState.CONFIRMED]
    stood = [(x(one.seen_at), x(one.last_at), y(one.weights)) for one in reversed(seen)]
    asked = [(at, height) for at, height in confirmed if height is not None]
    parts = {"name": title, "shifts": len(shifts), "drifts": len(drifts), "from": first}
    text = mark(
        "Since %(from)s: %(shifts)s shifts asked for, %(drifts)s drifts. The table below says the same in words."
    )
    return Picture(
        title=Sentence(mark("Share on %(name)s, asked for and seen"), {"name": title}),
        said=Sentence(text, parts),
        asked=_path(_steps([*asked, (float(RIGHT), asked[-1][1])])) if asked else "",
        seen=tuple(_lines(stood)),
        drifts=tuple(_band(x(one.raised_at), x(one.ended_at or now)) for one in drifts),
        dots=tuple(
            Dot(f"{x(one.asked_at):g}", f"{height:g}", Sentence(ASKED, _words(one, side)))
            for one in shifts
            if (height := y(one.counted)) is not None
        ),
        starts=first,
        ends=now,
    )


def _words(one: ShiftCard, side: str) -> dict[str, object]:
    return {"who": one.asked_by, "n": share(one.counted, side), "at": one.asked_at}


def _lines(stood: Sequence[tuple[float, float, float | None]]) -> Iterator[str]:
    """Yield one line for each stretch without a gap; where nobody could see anything, there is none."""
    line: list[Place] = []
    for begins, ends, height in stood:
        if height is None:
            if line:
                yield _path(line)
            line = []
            continue
        line += [(begins, height), (max(ends, begins + 1), height)]
    if line:
        yield _path(line)


def _steps(places: Sequence[Place]) -> list[Place]:
    """Return the corners of a line that keeps its height until the next place."""
    corners: list[Place] = []
    for at, height in places:
        if corners:
            corners.append((at, corners[-1][1]))
        corners.append((at, height))
    return corners


def _path(places: Sequence[Place]) -> str:
    return " ".join(f"{at:g},{height:g}" for at, height in places)


def _band(begins: float, ends: float) -> Band:
    return Band(f"{begins:g}", f"{max(round(ends - begins, 1), 2):g}")
