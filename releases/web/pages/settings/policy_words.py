"""Policies in words: what a rule says, what the rules come to, and what another policy would change."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.committee.rules.differing import Altered, Asked, Direction, altered, asked
from releases.committee.rules.policy import KINDS, LEVELS, TYPES, Need, Rule, strictest
from releases.core.errors import Sentence
from releases.core.words import mark, plural
from releases.web.looks import RISKS, SEATS, Look
from releases.web.pages.settings.wires import ENVIRONMENTS
from releases.web.tags import both, say

CHANGES: Mapping[str, str | Promise] = {
    "standard": pgettext_lazy("changes", "standard"),
    "normal": pgettext_lazy("changes", "normal"),
    "emergency": pgettext_lazy("changes", "emergency"),
}
WAYS: Mapping[Direction, Look] = {
    Direction.MORE: Look("go", "▲", _("asks for more")),
    Direction.LESS: Look("wait", "▼", _("asks for less")),
    Direction.OTHERWISE: Look("info", "→", _("asks otherwise")),
}
ADDED, REMOVED = Look("go", "+", _("is added")), Look("stop", "−", _("is removed"))
CHANGED = Look("wait", "→", _("changes"))
NOBODY = _("Nobody: approved beforehand")
NO_RULE = _("No rule: nothing may pass")
ANY_SIGN_IN = pgettext_lazy("sign-in", "Any")
ANY_RELEASE = pgettext_lazy("release", "Anything")
OR_LOWER = mark("%(risk)s or lower")
AFTER = mark("After %(environment)s")
AFTER_HOURS = plural("After %(hours)s hour in %(environment)s", "After %(hours)s hours in %(environment)s", by="hours")
PEOPLE = plural("%(n)s person", "%(n)s people", by="n")
WITHIN = plural("At most %(minutes)s minute old", "At most %(minutes)s minutes old", by="minutes")
WITHIN_TWICE = plural(
    "At most %(minutes)s minute old, with a second factor",
    "At most %(minutes)s minutes old, with a second factor",
    by="minutes",
)


@dataclass(frozen=True, slots=True)
class Said:
    """Where something holds and what it asks for, ready to print."""

    where: str
    risk: str
    changes: str
    who: str
    people: str
    sign_in: str
    release: str


@dataclass(frozen=True, slots=True)
class Told:
    """One line of a difference: where, how it looks, and what was asked before; empty where nothing changes."""

    look: Look
    said: Said
    who_before: str = ""
    sign_in_before: str = ""
    release_before: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """What another policy changes: rule by rule, how many rules stay, and what comes of it."""

    rules: tuple[Told, ...]
    kept: int
    outcome: tuple[Told, ...]
    name_before: str = ""
    name: str = ""


def rules_in_words(rules: Iterable[Rule]) -> list[Said]:
    """Return every rule as it is written."""
    return [_rule(rule) for rule in rules]


def outcome_in_words(rules: Iterable[Rule]) -> list[Said]:
    """Return what the rules ask for together, everywhere."""
    return [_asked(one, one.after) for one in asked(rules)]


def difference(before: Sequence[Rule], after: Sequence[Rule], *, names: tuple[str, str] = ("", "")) -> Difference:
    """Return what ``after`` changes."""
    told = altered(before, after)
    was, is_now = names if names[0] != names[1] else ("", "")
    return Difference(
        rules=tuple(line for one in told if not one.stays for line in _altered(one)),
        kept=sum(one.stays for one in told),
        outcome=tuple(_outcome(one) for one in asked(after, before)),
        name_before=was,
        name=is_now,
    )


def _rule(rule: Rule) -> Said:
    asks = Need(
        strictest(rule.seats),
        rule.fresh_sign_in_minutes,
        rule.second_factor,
        rule.highest_risk,
        {rule.after_environment: rule.soak_hours or 0} if rule.after_environment else {},
    )
    return _said(rule.environment_kinds, LEVELS[LEVELS.index(rule.risk_at_least) :], rule.types, asks)


def _asked(one: Asked, need: Need | None) -> Said:
    return _said(one.kinds, one.levels, one.types, need)


def _altered(one: Altered) -> Iterator[Told]:
    if one.before and one.after:
        before, after = _rule(one.before), _rule(one.after)
        yield Told(CHANGED, after, *_if_otherwise(before, after))
    elif one.after:
        yield Told(ADDED, _rule(one.after))
    elif one.before:
        yield Told(REMOVED, _rule(one.before))


def _outcome(one: Asked) -> Told:
    before, after = _asked(one, one.before), _asked(one, one.after)
    told = _if_otherwise(before, after)
    who, sign_in, release = told
    only = replace(
        after,
        who=after.who if who else "",
        sign_in=after.sign_in if sign_in else "",
        release=after.release if release else "",
    )
    return Told(WAYS[one.way], only, *told)


def _if_otherwise(before: Said, after: Said) -> tuple[str, str, str]:
    return (
        before.who if before.who != after.who else "",
        before.sign_in if before.sign_in != after.sign_in else "",
        before.release if before.release != after.release else "",
    )


def _said(kinds: Iterable[str], levels: Iterable[str], types: Iterable[str], need: Need | None) -> Said:
    people = sum(need.seats.values()) if need else 0
    return Said(
        where=_where(kinds),
        risk=_risk(tuple(levels)),
        changes=_changes(types),
        who=_who(need),
        people=say(Sentence(PEOPLE, {"n": people})) if people > 1 else "",
        sign_in=_sign_in(need),
        release=_release(need),
    )


def _where(kinds: Iterable[str]) -> str:
    held = set(kinds)
    return now("Everywhere") if held == set(KINDS) else both([ENVIRONMENTS[one] for one in KINDS if one in held])


def _risk(levels: tuple[str, ...]) -> str:
    first, last = LEVELS.index(levels[0]), LEVELS.index(levels[-1])
    if levels == LEVELS:
        return now("Any risk")
    if len(levels) > 1 and levels == LEVELS[first:]:
        return say(Sentence(mark("%(risk)s or higher"), {"risk": RISKS[levels[0]].word}))
    if len(levels) > 1 and levels == LEVELS[: last + 1]:
        return say(Sentence(OR_LOWER, {"risk": RISKS[levels[-1]].word}))
    return both([RISKS[one].word for one in levels])


def _changes(types: Iterable[str]) -> str:
    held = set(types)
    return now("Every change") if held == set(TYPES) else capfirst(both([CHANGES[one] for one in TYPES if one in held]))


def _who(need: Need | None) -> str:
    if need is None:
        return say(NO_RULE)
    if not need.seats:
        return say(NOBODY)
    return both(
        [f"{people} × {say(SEATS[seat])}" if people > 1 else SEATS[seat] for seat, people in need.seats.items()]
    )


def _sign_in(need: Need | None) -> str:
    if need is None or not (need.fresh_sign_in_minutes or need.second_factor):
        return say(ANY_SIGN_IN)
    if need.fresh_sign_in_minutes is None:
        return now("With a second factor")
    text = WITHIN_TWICE if need.second_factor else WITHIN
    return say(Sentence(text, {"minutes": need.fresh_sign_in_minutes}))


def _release(need: Need | None) -> str:
    if need is None or not (need.highest_risk or need.after):
        return say(ANY_RELEASE)
    asked = [Sentence(OR_LOWER, {"risk": RISKS[need.highest_risk].word})] if need.highest_risk else []
    asked += [
        Sentence(AFTER_HOURS if hours else AFTER, {"environment": first, "hours": hours})
        for first, hours in need.after.items()
    ]
    return "; ".join(say(one) for one in asked)
