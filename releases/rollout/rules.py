"""Where the next version goes: a route's two targets take turns. Knows no table."""

from collections.abc import Mapping

STABLE, CANARY = "stable", "canary"


def live_target(weights: Mapping[str, int]) -> str:
    """Return the target that carries the traffic; with nothing known it is the stable one."""
    return CANARY if weights.get(CANARY, 0) > weights.get(STABLE, 0) else STABLE


def idle_target(weights: Mapping[str, int]) -> str:
    """Return the other target: the next version is deployed there."""
    return STABLE if live_target(weights) == CANARY else CANARY


def split(weights: Mapping[str, int], percent: int) -> dict[str, int]:
    """Return the split that gives the idle target so many percent."""
    return {idle_target(weights): percent, live_target(weights): 100 - percent}
