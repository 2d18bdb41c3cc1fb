"""Lay out a time axis: windows, freezes, bookings and the span somebody asks for, as percentages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Block:
    """One block on a lane, in percent of the width."""

    x: str
    width: str


@dataclass(frozen=True, slots=True)
class Lanes:
    """Everything on one axis; ``hours`` are the marks below it."""

    opens: tuple[Block, ...]
    freezes: tuple[Block, ...]
    booked: tuple[Block, ...]
    mine: tuple[Block, ...]
    clashes: tuple[Block, ...]
    hours: tuple[datetime, ...]


def lay_out(*, mine: Span, opens: Sequence[Span], freezes: Sequence[Span], booked: Sequence[Span]) -> Lanes:
    """Return the lanes around the asked span, with half its length (an hour at least) on both sides."""
    around = max((mine[1] - mine[0]) / 2, timedelta(hours=1))
    axis = (mine[0] - around, mine[1] + around)
    clashes = [overlap for other in (*freezes, *booked) if (overlap := _common(mine, other))]
    marks = tuple(axis[0] + (axis[1] - axis[0]) * part / 4 for part in range(5))
    return Lanes(
        opens=_blocks(opens or [axis], axis),
        freezes=_blocks(freezes, axis),
        booked=_blocks(booked, axis),
        mine=_blocks([mine], axis),
        clashes=_blocks(clashes, axis),
        hours=marks,
    )


def _common(one: Span, other: Span) -> Span | None:
    start, end = max(one[0], other[0]), min(one[1], other[1])
    return (start, end) if start < end else None


def _blocks(spans: Sequence[Span], axis: Span) -> tuple[Block, ...]:
    whole = (axis[1] - axis[0]).total_seconds()
    inside = [common for span in spans if (common := _common(span, axis))]
    return tuple(
        Block(
            f"{(start - axis[0]).total_seconds() / whole * 100:.2f}%",
            f"{(end - start).total_seconds() / whole * 100:.2f}%",
        )
        for start, end in inside
    )
