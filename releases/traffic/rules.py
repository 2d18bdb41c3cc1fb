"""Weights as integers: shares, scales, equality, and what else must not have changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from releases.core.canonical import digest
from releases.core.errors import Sentence
from releases.core.words import mark as _

LARGEST = 2**31 - 1
BASIS_POINTS = 10_000
_SCALES = (100, 1_000, BASIS_POINTS)


def problem(weights: Mapping[str, object], *, largest: int = LARGEST, absent: int = 0) -> Sentence | None:
    """Return why these weights cannot be asked for, or ``None``.

    ``None`` as a weight means "remove it"; it counts as ``absent`` then.
    """
    numbers = [weight for weight in weights.values() if weight is not None]
    if not all(isinstance(weight, int) and not isinstance(weight, bool) for weight in numbers):
        return Sentence(_("Weights are whole numbers."))
    whole = [weight for weight in numbers if isinstance(weight, int)]
    if any(weight < 0 or weight > largest for weight in whole):
        return Sentence(_("A weight lies between 0 and %(largest)s."), {"largest": largest})
    if sum(whole) + absent * (len(weights) - len(whole)) == 0:
        return Sentence(_("At least one weight must be above zero, or the traffic has nowhere to go."))
    return None


def same_shares(one: Sequence[int], other: Sequence[int]) -> bool:
    """Say whether two splits mean the same: 9/1 equals 90/10. Compared by cross products, without rounding."""
    if len(one) != len(other):
        return False
    total_one, total_other = sum(one), sum(other)
    if not total_one or not total_other:
        return total_one == total_other
    return all(a * total_other == b * total_one for a, b in zip(one, other, strict=True))


def drift(asked: Mapping[str, int | None], observed: Mapping[str, int | None]) -> float:
    """Return the largest difference between the shares asked for and those observed, from 0 to 1.

    A target that is not named has no share; when either side has no weight at all there is nothing to compare: 0.
    """
    wanted, seen = _shares(asked), _shares(observed)
    if not wanted or not seen:
        return 0.0
    return float(max(abs(wanted.get(name, Fraction(0)) - seen.get(name, Fraction(0))) for name in {*wanted, *seen}))


def share_of(name: str, weights: Mapping[str, int | None]) -> Fraction:
    """Return which share of the traffic a target gets, from 0 to 1."""
    return _shares(weights).get(name, Fraction(0))


def _shares(weights: Mapping[str, int | None]) -> dict[str, Fraction]:
    known = {name: weight for name, weight in weights.items() if weight}
    return {name: Fraction(weight, sum(known.values())) for name, weight in known.items()}


def scale_for(shares: Sequence[int], existing: int) -> int:
    """Return the sum to express shares in: the object's own when it divides well, else 100 and finer as needed."""
    total = sum(shares)
    for scale in (existing, *_SCALES):
        if scale > 0 and all(share * scale % total == 0 for share in shares):
            return scale
    smallest = min(share for share in shares if share)
    return next((scale for scale in _SCALES if smallest * scale >= total), BASIS_POINTS)


def apportion(shares: Sequence[int], scale: int) -> list[int]:
    """Return whole weights that sum to ``scale``, by largest remainder.

    A share above zero never becomes 0 and, when it is not alone, never the whole scale.
    """
    total = sum(shares)
    weights = [share * scale // total for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda place: -(shares[place] * scale % total))
    for place in by_remainder[: scale - sum(weights)]:
        weights[place] += 1
    for place, share in enumerate(shares):
        if share and not weights[place]:
            weights[weights.index(max(weights))] -= 1
            weights[place] = 1
    return weights


def in_scale(shares: Sequence[int], existing: int) -> list[int]:
    """Return shares as the weights to write, in the scale that fits the object."""
    return apportion(shares, scale_for(shares, existing))


def as_asked(weights: Sequence[int], shares: Sequence[int]) -> bool:
    """Say whether weights are what these shares come to: exactly, or rounded as we round."""
    if not any(shares):
        return False
    return same_shares(weights, shares) or list(weights) == in_scale(shares, sum(weights))


def stands(there: Mapping[str, int], asked: Mapping[str, int | None]) -> bool:
    """Say whether what stands there is what was asked for: every target that was named, by its share."""
    shares = [asked.get(name) or 0 for name in there]
    return asked.keys() <= there.keys() and as_asked(list(there.values()), shares)


def follows(counted: float, *, percent: int, before: int) -> bool:
    """Say whether a share of the requests, from 0 to 1, is the one asked for in per cent, and not the one before.

    Of the smaller side a quarter may be missing or too much, or half a per cent of everything where it is to get none.
    """
    asked, was = percent / 100, before / 100
    off = abs(counted - asked)
    return off <= (min(asked, 1 - asked) / 4 or 0.005) and (was == asked or off < abs(counted - was))


def printed(weights: Mapping[str, int | None]) -> str:
    """Return weights as they stand in a sentence: "stable 90, canary 10"; a dash where none is to stand."""
    said = {name: "–" if weight is None else weight for name, weight in weights.items()}
    return ", ".join(f"{name} {weight}" for name, weight in sorted(said.items(), reverse=True))


@dataclass(frozen=True, slots=True)
class Layout:
    """How a control plane writes routes: the field of their targets, and that of what they match."""

    entries: str
    match: str


ISTIO = Layout("route", "match")
GATEWAY = Layout("backendRefs", "matches")


def without_weights(route: Mapping[str, Any], layout: Layout = ISTIO) -> dict[str, Any]:
    """Return a route with every weight of its targets removed."""
    entries = [
        {key: value for key, value in entry.items() if key != "weight"} for entry in route.get(layout.entries, ())
    ]
    return {**route, layout.entries: entries} if layout.entries in route else dict(route)


def shape(route: Mapping[str, Any], layout: Layout = ISTIO) -> str:
    """Return what a route without a name is known by: its match and the order of its targets."""
    entries = [entry.get("destination", entry) for entry in without_weights(route, layout).get(layout.entries, ())]
    return digest({"match": route.get(layout.match), "destinations": entries, "delegate": route.get("delegate")})


def fingerprint(routes: Sequence[Mapping[str, Any]], chosen: int, layout: Layout = ISTIO) -> str:
    """Return the digest of a route without its weights and of what stands before and after it.

    The same fingerprint means that only weights differ. Siblings count by name and match: the first match wins, so
    their order decides what reaches the route.
    """
    siblings = [{"name": route.get("name"), "match": route.get(layout.match)} for route in routes]
    return digest({"route": without_weights(routes[chosen], layout), "siblings": siblings, "place": chosen})
