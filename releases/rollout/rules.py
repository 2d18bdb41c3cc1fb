"""Where the next version goes, a route's two targets take turns, and in which order services go. Knows no table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from releases.operations.states import IN_FLIGHT, StepState

STABLE, CANARY = "stable", "canary"


def live_target(*splits: Mapping[str, int]) -> str:
    """Return the target that carries the traffic of all these routes; with nothing known it is the stable one."""
    return CANARY if splits and all(_is_on_canary(weights) for weights in splits) else STABLE


def idle_target(*splits: Mapping[str, int]) -> str:
    """Return the other target: the next version is deployed there; without a route there is one side only."""
    return STABLE if not splits or live_target(*splits) == CANARY else CANARY


def _is_on_canary(weights: Mapping[str, int]) -> bool:
    return weights.get(CANARY, 0) > weights.get(STABLE, 0)


def split(weights: Mapping[str, int], percent: int) -> dict[str, int]:
    """Return the split that gives the idle target so many percent."""
    return {idle_target(weights): percent, live_target(weights): 100 - percent}


@dataclass(frozen=True, slots=True)
class Order:
    """Whom each service comes after, directly or through others of them; those in a circle with it go beside it."""

    after: Mapping[str, frozenset[str]]
    beside: Mapping[str, frozenset[str]]

    @property
    def circles(self) -> list[tuple[str, ...]]:
        """Return every circle once, by name: no order serves all of its services."""
        return sorted({tuple(sorted({name, *others})) for name, others in self.beside.items() if others})


def order(services: Sequence[str], pairs: Iterable[tuple[str, str]]) -> Order:
    """Return the order of services, from pairs of one that goes first and one that goes after it.

    Pairs that name others do not matter.
    """
    before: dict[str, set[str]] = {name: set() for name in services}
    for first, then in pairs:
        if first in before and then in before:
            before[then].add(first)
    for through in services:
        for name in services:
            if through in before[name]:
                before[name] |= before[through]
    beside = {name: frozenset(one for one in before[name] if name in before[one]) - {name} for name in services}
    return Order({name: frozenset(before[name] - beside[name] - {name}) for name in services}, beside)


@dataclass(frozen=True, slots=True)
class Leg:
    """How one route of a release stands in a move: ``may_have_moved`` when a write was sent that nobody took back."""

    name: str
    state: StepState
    may_have_moved: bool


@dataclass(frozen=True, slots=True)
class Torn:
    """A move that some routes made and others did not: those to be put back, and those that stand where they stood."""

    moved: tuple[str, ...]
    unmoved: tuple[str, ...]


def torn(legs: Sequence[Leg]) -> Torn | None:
    """Return how a move is torn, or ``None``: it is whole, nothing of it was made, or it is still under way.

    What is in flight is waited for: it may still arrive. What was not begun never will be.
    """
    states = {leg.state for leg in legs}
    if not states & {StepState.FAILED, StepState.NEEDS_HUMAN} or states & IN_FLIGHT:
        return None
    moved = tuple(leg.name for leg in legs if leg.state is StepState.CONFIRMED or leg.may_have_moved)
    unmoved = tuple(leg.name for leg in legs if leg.name not in moved)
    return Torn(moved, unmoved) if moved and len(legs) > 1 else None
