"""Which edges close a circle, in time that grows with the graph and not with its square. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping

Pair = tuple[str, ...]
MOST = 20


def ways_round(edges: Iterable[Pair], suspects: Collection[Pair]) -> Iterator[tuple[Pair, list[str]]]:
    """Yield those suspects that lie on a circle of the edges, each with the shortest way round; of many, the first."""
    calls: dict[str, list[str]] = {}
    for caller, callee in edges:
        calls.setdefault(caller, []).append(callee)
        calls.setdefault(callee, [])
    knot = _knots(calls)
    told = 0
    for caller, callee in suspects:
        if told < MOST and caller in knot and knot[caller] == knot.get(callee):
            told += 1
            yield (caller, callee), [caller, *_way(callee, caller, calls)]


def _knots(calls: Mapping[str, list[str]]) -> dict[str, int]:
    """Return the number of the knot (strongly connected component) that each service lies in, by Tarjan's way.

    Without recursion: a chain of ten thousand services is deeper than Python's stack.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    knot: dict[str, int] = {}
    waiting: list[str] = []
    for root in calls:
        work = [] if root in index else [(root, iter(calls[root]))]
        while work:
            node, rest = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                waiting.append(node)
            for callee in rest:
                if callee not in index:
                    work.append((callee, iter(calls[callee])))
                    break
                if callee not in knot:
                    low[node] = min(low[node], index[callee])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    while True:
                        inside = waiting.pop()
                        knot[inside] = index[node]
                        if inside == node:
                            break
    return knot


def _way(start: str, goal: str, calls: Mapping[str, list[str]]) -> list[str]:
    """Return the shortest way from one service to another, both included; there is one."""
    came: dict[str, str] = {start: ""}
    edge = [start]
    while edge and goal not in came:
        following = []
        for node in edge:
            for callee in sorted(calls[node]):
                if callee not in came:
                    came[callee] = node
                    following.append(callee)
        edge = following
    way = [goal]
    while came[way[-1]]:
        way.append(came[way[-1]])
    return way[::-1]
