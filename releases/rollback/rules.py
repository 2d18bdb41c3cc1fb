"""The order of going back: whoever calls is redeployed before whom it calls. Knows no table."""

from collections.abc import Iterable, Mapping, Sequence


def ranks(services: Sequence[str], calls: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return when each service is redeployed, counted from 0; services in a circle share a rank.

    ``calls`` are pairs of caller and callee; calls of others do not matter.
    """
    above = _callers(services, calls)
    rank: dict[str, int] = {}
    while left := [name for name in services if name not in rank]:
        turn = max(rank.values(), default=-1) + 1
        # Its turn has come when whoever calls it had theirs, or is called by it in turn: a circle.
        ready = [name for name in left if all(one in rank or name in above[one] for one in above[name])]
        rank |= dict.fromkeys(ready, turn)
    return rank


def _callers(services: Sequence[str], calls: Iterable[tuple[str, str]]) -> Mapping[str, set[str]]:
    """Return whoever calls each service, directly or through others of them."""
    above: dict[str, set[str]] = {name: set() for name in services}
    for caller, callee in calls:
        if caller in above and callee in above and caller != callee:
            above[callee].add(caller)
    for through in services:
        for name in services:
            if through in above[name]:
                above[name] |= above[through]
    return above
