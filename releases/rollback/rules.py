"""The order of going back: whoever calls is redeployed before whom it calls. Knows no table."""

from collections.abc import Iterable, Sequence


def ranks(services: Sequence[str], calls: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return when each service is redeployed, counted from 0; services in a circle share a rank.

    ``calls`` are pairs of caller and callee; calls of others do not matter.
    """
    members = set(services)
    callers: dict[str, set[str]] = {name: set() for name in services}
    for caller, callee in calls:
        if caller in members and callee in members and caller != callee:
            callers[callee].add(caller)
    rank: dict[str, int] = {}
    turn = 0
    while left := [name for name in services if name not in rank]:
        ready = [name for name in left if callers[name] <= rank.keys()] or left
        rank |= dict.fromkeys(ready, turn)
        turn += 1
    return rank
