"""Lay out a service between those that call it and those it calls, as plain numbers for an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from releases.web.looks import Words
from releases.web.reach import Arrow

WIDTH, HEIGHT, GAP_X, GAP_Y, EDGE, TIP = 184, 42, 56, 12, 4, 9
MOST, LONGEST = 6, 24


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another service: where it was read that one calls the other, and whether an owner confirmed it."""

    name: str
    source: Words
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Box:
    """One service of the picture with a line below its name; ``kind`` is ``hit`` for the one in the middle."""

    name: str
    note: Words
    kind: str
    x: int
    y: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def middle_x(self) -> int:
        """Return where its lines are centred."""
        return self.x + WIDTH // 2

    @property
    def middle_y(self) -> int:
        """Return the height of its middle."""
        return self.y + HEIGHT // 2

    @property
    def name_y(self) -> int:
        """Return the height of its name: in the middle when nothing stands below."""
        return self.middle_y - 8 if self.note else self.middle_y

    @property
    def note_y(self) -> int:
        """Return the height of the line below."""
        return self.middle_y + 9


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole picture; ``hidden`` neighbours did not fit and are only counted."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    hidden: int
    has_dashed: bool

    @property
    def box(self) -> str:
        """Return the view box."""
        return f"0 0 {self.width} {self.height}"


def lay_out(name: str, *, callers: Sequence[Neighbour], callees: Sequence[Neighbour]) -> Picture | None:
    """Return callers at the left, callees at the right; ``None`` for a service that stands alone."""
    if not callers and not callees:
        return None
    shown = [callers[:MOST], callees[:MOST]]
    rows = max(len(column) for column in shown)
    height = rows * (HEIGHT + GAP_Y) - GAP_Y + 2 * EDGE
    step = WIDTH + GAP_X
    middle = Box(_cut(name), "", "hit", EDGE + (step if callers else 0), (height - HEIGHT) // 2)
    lefts = _column(shown[0], EDGE, height)
    rights = _column(shown[1], middle.x + step, height)
    arrows = [_arrow(box, middle) for box in lefts] + [_arrow(middle, box) for box in rights]
    columns = 1 + bool(callers) + bool(callees)
    return Picture(
        width=columns * step - GAP_X + 2 * EDGE,
        height=height,
        boxes=(*lefts, middle, *rights),
        arrows=tuple(arrows),
        hidden=len(callers) + len(callees) - len(lefts) - len(rights),
        has_dashed=any(not one.is_confirmed for one in (*callers, *callees)),
    )


def _column(neighbours: Sequence[Neighbour], x: int, height: int) -> list[Box]:
    top = (height - (len(neighbours) * (HEIGHT + GAP_Y) - GAP_Y)) // 2
    return [
        Box(_cut(one.name), one.source, "" if one.is_confirmed else "open", x, top + row * (HEIGHT + GAP_Y))
        for row, one in enumerate(neighbours)
    ]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _arrow(caller: Box, callee: Box) -> Arrow:
    start, end, bend = caller.x + WIDTH, callee.x, GAP_X // 2
    y0, y1 = caller.middle_y, callee.middle_y
    kind = "open" if "open" in {caller.kind, callee.kind} else ""
    curve = f"M{start} {y0}C{start + bend} {y0} {end - bend} {y1} {end - TIP} {y1}"
    return Arrow(curve, f"M{end} {y1}l-{TIP} -4.5v9z", kind)
