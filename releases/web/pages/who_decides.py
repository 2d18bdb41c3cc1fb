"""Who decides on a service: what the policy in force asks for, in words, for each environment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.accounts import queries as accounts
from releases.accounts.roles import Role
from releases.catalog.cards import EnvironmentCard
from releases.committee import queries as committee
from releases.committee.models import Policy
from releases.committee.rules import Need, Rule, required
from releases.core.errors import Invalid, Refused, Sentence
from releases.core.words import mark, plural
from releases.web import looks
from releases.web.looks import Fact, Line, Words
from releases.web.names import small
from releases.web.tags import both, either

TYPES = ("normal", "emergency", "standard")
LEVELS = ("low", "moderate", "high", "very_high")
RISKS: Mapping[str, str | Promise] = {
    "low": _("low risk"),
    "moderate": _("moderate risk"),
    "high": _("high risk"),
    "very_high": _("very high risk"),
}
PEOPLE = plural("%(n)s person: %(seats)s", "%(n)s people: %(seats)s", by="n")
FRESH = plural("signed in within the last minute", "signed in within the last %(n)s minutes", by="n")


People = tuple[tuple[tuple[str, int], ...], bool]
"""How many people on which seats, and whether with a second factor."""
Needs = Mapping[tuple[str, str], Need | None]


@dataclass(frozen=True, slots=True)
class Row:
    """What is asked of some levels of risk; no ``people`` where no rule holds.

    The sign-in may not be older than ``minutes``: from the level ``fresh_from`` on, or on all of them.
    """

    levels: tuple[str, ...]
    people: People | None
    minutes: int | None
    fresh_from: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What is asked in some environments, alike in all of them."""

    environments: Words
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Deciding:
    """The policy in force as a service's page tells it; without one ``note`` says so and the rest is empty."""

    places: tuple[Place, ...]
    seats: tuple[Fact, ...]
    note: Words


def deciding(environments: Iterable[EnvironmentCard]) -> Deciding:
    """Return what the policy asks for, production first, and who holds the seats."""
    policy = committee.current_policy()
    if policy is None:
        return Deciding((), (), Sentence(mark("There is no policy yet: nothing can be approved.")))
    try:
        needs = {one.kind.value: _needs(policy, one.kind.value) for one in environments}
    except (Refused, Invalid) as error:
        return Deciding((), (), error.detail)
    later = sorted(environments, key=lambda one: (-one.rank, one.name))
    places = tuple(
        Place(both([one.name for one in later if one.kind.value == kind]), tuple(lines_of(needs[kind])))
        for kind in dict.fromkeys(one.kind.value for one in later)
    )
    seats = sorted({seat for asked in needs.values() for need in asked.values() if need for seat in need.seats})
    note = Sentence(mark("%(name)s, version %(version)s."), {"name": policy.name, "version": policy.version})
    return Deciding(places, tuple(_holders(seat) for seat in seats), note)


def _needs(policy: Policy, kind: str) -> dict[tuple[str, str], Need | None]:
    rules = committee.rules_of(policy)
    return {(one, level): _need(rules, kind, one, level) for one in TYPES for level in LEVELS}


def _need(rules: Iterable[Rule], kind: str, change_type: str, level: str) -> Need | None:
    """Return what is asked of such a change, ``None`` where no rule covers it."""
    try:
        need = required(rules, environment_kinds=[kind], level=level, change_type=change_type)
    except Refused:
        return None
    return Need({}) if need.is_pre_approved else need


def lines_of(needs: Needs) -> Iterator[Line]:
    """Yield a line for each set of changes of which the same is asked; the keys of ``needs`` are (type, level)."""
    alike: dict[tuple[Row, ...], list[str]] = {}
    for change_type in TYPES:
        rows = tuple(_rows([(level, needs[change_type, level]) for level in LEVELS]))
        alike.setdefault(rows, []).append(change_type)
    for rows, types in alike.items():
        for row in rows:
            yield _line(types, row)


def _rows(asked: Sequence[tuple[str, Need | None]]) -> Iterator[Row]:
    """Yield what is asked of one type of change, levels of risk together that are asked the same people."""
    for people, some in groupby(asked, key=lambda one: _people(one[1])):
        levels = list(some)
        spans = [(minutes, [level for level, _need in part]) for minutes, part in groupby(levels, key=_minutes)]
        if len(spans) == 2 and spans[0][0] is None:
            yield Row(tuple(level for level, _need in levels), people, spans[1][0], fresh_from=spans[1][1][0])
        else:
            yield from (Row(tuple(span), people, minutes) for minutes, span in spans)


def _people(need: Need | None) -> People | None:
    return None if need is None else (tuple(need.seats.items()), need.second_factor)


def _minutes(one: tuple[str, Need | None]) -> int | None:
    return one[1].fresh_sign_in_minutes if one[1] else None


def _line(types: list[str], row: Row) -> Line:
    if row.people is None:
        tone, sign = "stop", "✕"
    else:
        tone, sign = "", "→" if row.people[0] else "○"
    return Line(tone, sign, _which(types, row.levels), detail=_asked(row))


def _which(types: list[str], levels: Sequence[str]) -> Words:
    """Return which changes a line speaks of: "Normal, from high risk"."""
    if len(types) == len(TYPES):
        whole: Words = Sentence(mark("Every change"))
    else:
        whole = both([looks.TYPES[types[0]].word, *(small(looks.TYPES[one].word) for one in types[1:])])
    parts = {"type": whole, "from": RISKS[levels[0]], "to": RISKS[levels[-1]]}
    if len(levels) == len(LEVELS):
        return whole
    if levels[0] == levels[-1]:
        return Sentence(mark("%(type)s, %(from)s"), parts)
    if levels[0] == LEVELS[0]:
        return Sentence(mark("%(type)s, up to %(to)s"), parts)
    if levels[-1] == LEVELS[-1]:
        return Sentence(mark("%(type)s, from %(from)s"), parts)
    return Sentence(mark("%(type)s, %(from)s to %(to)s"), parts)


def _asked(row: Row) -> Words:
    """Return what is asked in words: how many people on which seats, and how they must have signed in."""
    if row.people is None:
        return Sentence(mark("No rule covers it: the gate stays shut."))
    asked_for, second_factor = row.people
    if not asked_for:
        return Sentence(mark("Nobody: approved beforehand."))
    seats = [Sentence(mark("%(n)s for %(seat)s"), {"n": n, "seat": looks.SEATS[seat]}) for seat, n in asked_for]
    said: list[Words] = [Sentence(PEOPLE, {"n": sum(n for _seat, n in asked_for), "seats": both(seats)})]
    if row.minutes:
        fresh = Sentence(FRESH, {"n": row.minutes})
        above = Sentence(mark("from %(from)s %(asked)s"), {"from": RISKS.get(row.fresh_from, ""), "asked": fresh})
        said.append(above if row.fresh_from else fresh)
    if second_factor:
        said.append(Sentence(mark("with a second factor")))
    return _in_a_row(said)


def _in_a_row(many: list[Words]) -> Words:
    whole, *rest = many
    for one in rest:
        whole = Sentence(mark("%(first)s; %(then)s"), {"first": whole, "then": one})
    return whole


def _holders(seat: str) -> Fact:
    names = [one.name for one in accounts.holders_of(Role(seat))]
    return Fact(looks.SEATS[seat], either(names) if names else Sentence(mark("nobody yet")))
