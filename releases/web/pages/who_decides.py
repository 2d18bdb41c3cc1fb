"""Who decides on a service: what the policy in force asks for, in words, for each environment."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

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


def lines_of(needs: Mapping[tuple[str, str], Need | None]) -> Iterator[Line]:
    """Yield one line for each type of change and the levels of risk that are asked alike; keys are (type, level)."""
    for change_type in TYPES:
        asked = [(needs[change_type, level], level) for level in LEVELS]
        for need, some in groupby(asked, key=itemgetter(0)):
            levels = [level for _need, level in some]
            tone, sign = ("", "○") if need and need.is_pre_approved else ("", "→") if need else ("stop", "✕")
            yield Line(tone, sign, _which(change_type, levels), detail=_asked(need))


def _which(change_type: str, levels: list[str]) -> Words:
    """Return which changes a line speaks of: "Normal, from high risk"."""
    parts = {"type": looks.TYPES[change_type].word, "from": RISKS[levels[0]], "to": RISKS[levels[-1]]}
    if levels == list(LEVELS):
        return looks.TYPES[change_type].word
    if levels[0] == levels[-1]:
        return Sentence(mark("%(type)s, %(from)s"), parts)
    if levels[0] == LEVELS[0]:
        return Sentence(mark("%(type)s, up to %(to)s"), parts)
    if levels[-1] == LEVELS[-1]:
        return Sentence(mark("%(type)s, from %(from)s"), parts)
    return Sentence(mark("%(type)s, %(from)s to %(to)s"), parts)


def _asked(need: Need | None) -> Words:
    """Return what is asked in words: how many people on which seats, and how they must have signed in."""
    if need is None:
        return Sentence(mark("No rule covers it: the gate stays shut."))
    if need.is_pre_approved:
        return Sentence(mark("Nobody: approved beforehand."))
    seats = [
        Sentence(mark("%(n)s for %(seat)s"), {"n": people, "seat": looks.SEATS[seat]})
        for seat, people in need.seats.items()
    ]
    asked: list[Words] = [Sentence(PEOPLE, {"n": sum(need.seats.values()), "seats": both(seats)})]
    if need.fresh_sign_in_minutes:
        asked.append(Sentence(FRESH, {"n": need.fresh_sign_in_minutes}))
    if need.second_factor:
        asked.append(Sentence(mark("with a second factor")))
    return _in_a_row(asked)


def _in_a_row(many: list[Words]) -> Words:
    whole, *rest = many
    for one in rest:
        whole = Sentence(mark("%(first)s; %(then)s"), {"first": whole, "then": one})
    return whole


def _holders(seat: str) -> Fact:
    names = [one.name for one in accounts.holders_of(Role(seat))]
    return Fact(looks.SEATS[seat], either(names) if names else Sentence(mark("nobody yet")))
