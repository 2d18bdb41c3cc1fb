"""How one policy differs from another: rule by rule, and in what it asks for in the end. Knows no table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any

from releases.committee.rules.policy import KINDS, LEVELS, TYPES, Need, Rule, required
from releases.core.errors import Refused

Cell = tuple[str, str, str]
"""Kind of environment, level of risk, type of change."""


class Direction(StrEnum):
    """Which way a policy moves somewhere."""

    MORE = "more"
    LESS = "less"
    OTHERWISE = "otherwise"


@dataclass(frozen=True, slots=True)
class Altered:
    """A rule before and after; ``None`` where there is none."""

    before: Rule | None
    after: Rule | None

    @property
    def stays(self) -> bool:
        """Say whether nothing of it changes."""
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked before and after, wherever it is the same; ``None`` where no rule holds.

    Of a difference only what differs: seats that stay are left out on both sides, and so is a sign-in that stays, and
    what is asked of the release.
    """

    kinds: tuple[str, ...]
    levels: tuple[str, ...]
    types: tuple[str, ...]
    before: Need | None
    after: Need | None

    @property
    def cells(self) -> frozenset[Cell]:
        """Return every place this speaks of."""
        return frozenset(product(self.kinds, self.levels, self.types))

    @property
    def way(self) -> Direction:
        """Say whether more is asked than before, less, or something else."""
        return direction(self.before, self.after)


def altered(before: Iterable[Rule], after: Iterable[Rule]) -> list[Altered]:
    """Return every rule, those of ``after`` first and in their order; one that speaks of the same is the same rule."""
    old, new = list(before), list(after)
    was: dict[int, Rule] = {}
    for same in (_is, _speaks_of_the_same):
        for index, rule in enumerate(new):
            found = None if index in was else next((one for one in old if same(one, rule)), None)
            if found is not None:
                was[index] = found
                old.remove(found)
    return [*(Altered(was.get(index), rule) for index, rule in enumerate(new)), *(Altered(rule, None) for rule in old)]


def _is(one: Rule, other: Rule) -> bool:
    return one == other


def _speaks_of_the_same(one: Rule, other: Rule) -> bool:
    return _speaks_of(one) == _speaks_of(other)


def _speaks_of(rule: Rule) -> tuple[object, ...]:
    return rule.environment_kinds, rule.risk_at_least, rule.types


def asked(after: Iterable[Rule], before: Iterable[Rule] | None = None) -> list[Asked]:
    """Return what is asked everywhere, in few lines; with ``before`` only where that was otherwise."""
    new, old = tuple(after), None if before is None else tuple(before)
    lines = []
    for cell in product(KINDS, LEVELS, TYPES):
        was, now = _need(old, cell) if old is not None else None, _need(new, cell)
        if old is None or was != now:
            kind, level, change_type = cell
            told = (was, now) if old is None else _what_differs(was, now)
            lines.append(Asked((kind,), (level,), (change_type,), *told))
    for part in ("types", "levels", "kinds"):
        lines = _joined(lines, part)
    return lines


def _what_differs(before: Need | None, after: Need | None) -> tuple[Need | None, Need | None]:
    if before is None or after is None:
        return before, after
    if before.seats == after.seats:
        before, after = replace(before, seats={}), replace(after, seats={})
    if _sign_in(before) == _sign_in(after):
        same: dict[str, Any] = {"fresh_sign_in_minutes": None, "second_factor": False}
        before, after = replace(before, **same), replace(after, **same)
    if _release(before) == _release(after):
        nothing: dict[str, Any] = {"highest_risk": "", "after": {}}
        before, after = replace(before, **nothing), replace(after, **nothing)
    return before, after


def _sign_in(need: Need) -> tuple[int | None, bool]:
    return need.fresh_sign_in_minutes, need.second_factor


def _release(need: Need) -> tuple[str, Mapping[str, int]]:
    return need.highest_risk, need.after


def _need(rules: tuple[Rule, ...], cell: Cell) -> Need | None:
    kind, level, change_type = cell
    try:
        return required(rules, environment_kinds=[kind], level=level, change_type=change_type)
    except Refused:
        return None


def _joined(lines: Iterable[Asked], part: str) -> list[Asked]:
    """Return the lines, with those made one that differ in this part only."""
    found: dict[int, Asked] = {}
    for index, one in enumerate(lines):
        nothing: dict[str, Any] = {part: ()}
        bare = replace(one, **nothing)
        twin = next((at for at, line in found.items() if replace(line, **nothing) == bare), index)
        before: tuple[str, ...] = getattr(found[twin], part) if twin in found else ()
        longer: dict[str, Any] = {part: before + getattr(one, part)}
        found[twin] = replace(one, **longer)
    return list(found.values())


def direction(before: Need | None, after: Need | None) -> Direction:
    """Say whether ``after`` asks for more than ``before``, for less, or for something else."""
    more, less = _asks_beyond(after, before), _asks_beyond(before, after)
    if more and not less:
        return Direction.MORE
    return Direction.LESS if less and not more else Direction.OTHERWISE


def _asks_beyond(one: Need | None, other: Need | None) -> bool:
    """Say whether ``one`` asks for something that ``other`` does not; where no rule holds, nothing passes at all."""
    if one is None or other is None:
        return one is None and other is not None
    never = float("inf")
    return (
        any(people > other.seats.get(seat, 0) for seat, people in one.seats.items())
        or (one.fresh_sign_in_minutes or never) < (other.fresh_sign_in_minutes or never)
        or (one.second_factor and not other.second_factor)
        or LEVELS.index(one.highest_risk or LEVELS[-1]) < LEVELS.index(other.highest_risk or LEVELS[-1])
        or any(hours > other.after.get(first, -1) for first, hours in one.after.items())
    )
