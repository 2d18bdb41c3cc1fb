"""Lay out who calls whom, left to right, as plain numbers for an SVG."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, GAP_X, GAP_Y, EDGE = 148, 30, 52, 12, 4
MOST = 7


@dataclass(frozen=True, slots=True)
class Node:
    """One service: where its box stands and how it is touched (``hit`` or ``near``)."""

    name: str
    kind: str
    x: int
    y: int
    label: str

    @property
    def middle_x(self) -> int:
        """Return where its name is written."""
        return self.x + WIDTH // 2

    @property
    def middle_y(self) -> int:
        """Return the height of its middle."""
        return self.y + HEIGHT // 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """One call, as an SVG path and the tip at its end."""

    path: str
    tip: str
    kind: str


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole picture; ``hidden`` services did not fit and are only counted."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    hidden: int

    @property
    def box(self) -> str:
        """Return the view box."""
        return f"0 0 {self.width} {self.height}"


def lay_out(
    *, touched: Sequence[str], direct: Collection[str], indirect: Collection[str], edges: Collection[tuple[str, str]]
) -> Graph:
    """Return the picture of callers (left) of the services that change (right); edges are (caller, callee)."""
    columns = [sorted(set(names)) for names in (set(indirect) - set(direct) - set(touched), set(direct) - set(touched))]
    columns = [column for column in columns if column] + [list(dict.fromkeys(touched))]
    hidden = sum(max(0, len(column) - MOST) for column in columns)
    shown = [column[:MOST] for column in columns]
    rows = max(len(column) for column in shown)
    height = rows * (HEIGHT + GAP_Y) - GAP_Y + 2 * EDGE
    nodes: dict[str, Node] = {}
    for at, column in enumerate(shown):
        top = (height - (len(column) * (HEIGHT + GAP_Y) - GAP_Y)) // 2
        for row, name in enumerate(column):
            label = name if len(name) <= 20 else name[:19] + "…"
            kind = "hit" if name in touched else "near"
            nodes[name] = Node(name, kind, EDGE + at * (WIDTH + GAP_X), top + row * (HEIGHT + GAP_Y), label)
    arrows = [_arrow(nodes[a], nodes[b]) for a, b in sorted(edges) if a in nodes and b in nodes and a != b]
    loops = any(nodes[a].x == nodes[b].x for a, b in edges if a in nodes and b in nodes)
    width = len(shown) * (WIDTH + GAP_X) - GAP_X + 2 * EDGE + (24 if loops else 0)
    return Graph(width, height, tuple(nodes.values()), tuple(arrows), hidden)


def _arrow(caller: Node, callee: Node) -> Arrow:
    kind = "hot" if callee.kind == "hit" else ""
    y0, y1 = caller.middle_y, callee.middle_y
    if caller.x == callee.x:  # same column: around the right side
        right = caller.x + WIDTH
        return Arrow(
            f"M{right} {y0}C{right + 22} {y0} {right + 22} {y1} {right + 7} {y1}", f"M{right} {y1}l9 -4.5v9z", kind
        )
    start, end = caller.x + WIDTH, callee.x
    if caller.x > callee.x:  # a call back to the left ends at the callee's right side
        start, end = caller.x, callee.x + WIDTH
        return Arrow(f"M{start} {y0}C{start - 46} {y0} {end + 46} {y1} {end + 8} {y1}", f"M{end} {y1}l9 -4.5v9z", kind)
    return Arrow(f"M{start} {y0}C{start + 46} {y0} {end - 46} {y1} {end - 8} {y1}", f"M{end} {y1}l-9 -4.5v9z", kind)
