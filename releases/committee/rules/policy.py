"""What a policy says: a list of rules, each with when it holds and what it asks for. Knows no table.

::

    [{"when": {"environment_kind": ["production"], "risk_at_least": "high", "type": ["normal"]},
      "seats": {"seat_engineering": 1, "seat_security": 1},
      "fresh_sign_in_minutes": 5, "second_factor": true,
      "highest_risk": "high", "after_environment": "staging", "soak_hours": 24}]

A part of ``when`` that is left out holds always. Every rule that holds counts, and the strictest wins. High risk asks
for a sign-in of the last five minutes, also where no rule does.

Seats and sign-in are asked of people, before authorization. The last three are asked of the release, by the gate: the
highest risk that passes at all, where the same version must have been released before, and how many hours it must have
stood there. Left out they ask nothing, and are left out of what is stored: a policy without them is the same text, and
has the same digest, as before there were any.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any
from uuid import UUID

from releases.accounts.rules import is_slug
from releases.catalog.kinds import EnvironmentKind
from releases.committee.rules.matching import Seating
from releases.committee.seats import SEATS, title_of
from releases.core.errors import Invalid, Reason, Refused, Sentence
from releases.core.words import mark as _

KINDS = tuple(kind.value for kind in EnvironmentKind)
LEVELS = ("low", "moderate", "high", "very_high")
HIGH_RISK = LEVELS[2:]
FRESH_FOR_HIGH_RISK_MINUTES = 5
TYPES = ("standard", "normal", "emergency")
PRE_APPROVABLE = frozenset({"standard"})
MOST_PEOPLE = 20
MOST_MINUTES = 24 * 60
MOST_HOURS = 90 * 24
CEILINGS = LEVELS[:-1]
"""What can be the highest risk that passes: below the highest there is, which asks nothing."""
PARTS = (
    *("when", "seats", "fresh_sign_in_minutes", "second_factor"),
    *("highest_risk", "after_environment", "soak_hours"),
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """So many people on one seat."""

    seat: str
    people: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: when it holds, whom it asks, how they sign in, and what it asks of the release; empty asks nothing."""

    environment_kinds: frozenset[str]
    risk_at_least: str
    types: frozenset[str]
    seats: tuple[Requirement, ...]
    fresh_sign_in_minutes: int | None = None
    second_factor: bool = False
    highest_risk: str = ""
    after_environment: str = ""
    soak_hours: int | None = None

    @property
    def asks_of_a_release(self) -> bool:
        """Say whether it asks anything of the release itself."""
        return bool(self.highest_risk or self.after_environment)

    def holds(self, *, environment_kind: str, level: str, change_type: str) -> bool:
        """Say whether the rule speaks of this."""
        return (
            environment_kind in self.environment_kinds
            and LEVELS.index(level) >= LEVELS.index(self.risk_at_least)
            and change_type in self.types
        )


@dataclass(frozen=True, slots=True)
class Need:
    """What the rules that hold ask for together; nobody at all only where a rule says so (pre-approved).

    ``highest_risk`` is empty where any risk passes. ``after`` maps each environment that comes first to the hours that
    a version must have stood there.
    """

    seats: Mapping[str, int]
    fresh_sign_in_minutes: int | None = None
    second_factor: bool = False
    highest_risk: str = ""
    after: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_pre_approved(self) -> bool:
        """Say whether the rules ask nobody."""
        return not self.seats


def strictest(requirements: Iterable[Requirement]) -> dict[str, int]:
    """Return, for every seat, the highest number of people any requirement asks for."""
    needed: dict[str, int] = {}
    for requirement in requirements:
        needed[requirement.seat] = max(needed.get(requirement.seat, 0), requirement.people)
    return dict(sorted(needed.items()))


def required(rules: Iterable[Rule], *, environment_kinds: Iterable[str], level: str, change_type: str) -> Need:
    """Return the union of what is asked over every kind of environment touched.

    :raises Refused: (``policy_error``) some of it is not covered by any rule
    """
    rules, kinds = tuple(rules), sorted(set(environment_kinds))
    holding: list[Rule] = []
    for kind in kinds:
        found = [
            r for r in rules if level in LEVELS and r.holds(environment_kind=kind, level=level, change_type=change_type)
        ]
        if not found:
            raise _uncovered(kind, level, change_type)
        holding += found
    if not holding:
        raise _uncovered("", level, change_type)
    return _together(holding, level)


def hardest(rules: Iterable[Rule], *, change_type: str = "normal") -> Need:
    """Return what a change of the highest risk that touches everything needs: nothing needs more.

    An edit of the policy itself needs what the hardest normal change needs.
    """
    return required(rules, environment_kinds=KINDS, level=LEVELS[-1], change_type=change_type)


def _together(rules: Iterable[Rule], level: str) -> Need:
    """Return what several rules ask for at once; high risk asks for a fresh sign-in, whatever they say."""
    rules = tuple(rules)
    minutes = [rule.fresh_sign_in_minutes for rule in rules if rule.fresh_sign_in_minutes is not None]
    if level in HIGH_RISK:
        minutes.append(FRESH_FOR_HIGH_RISK_MINUTES)
    after: dict[str, int] = {}
    for rule in rules:
        if first := rule.after_environment:
            after[first] = max(after.get(first, 0), rule.soak_hours or 0)
    return Need(
        seats=strictest(requirement for rule in rules for requirement in rule.seats),
        fresh_sign_in_minutes=min(minutes) if minutes else None,
        second_factor=any(rule.second_factor for rule in rules),
        highest_risk=min((rule.highest_risk for rule in rules if rule.highest_risk), key=LEVELS.index, default=""),
        after=dict(sorted(after.items())),
    )


def _uncovered(kind: str, level: str, change_type: str) -> Refused:
    sentence = Sentence(
        _("No rule of the policy covers a %(type)s change of %(level)s risk in %(kind)s: add one."),
        {"type": change_type, "level": level.replace("_", " "), "kind": kind or "—"},
    )
    return Refused(sentence, reasons=[Reason("policy_error", sentence)])


def holes(rules: Iterable[Rule]) -> list[Refused]:
    """Return a refusal for every kind of change that no rule covers."""
    rules, found = tuple(rules), []
    for kind, level, change_type in product(KINDS, LEVELS, TYPES):
        try:
            required(rules, environment_kinds=[kind], level=level, change_type=change_type)
        except Refused as refused:
            found.append(refused)
    return found


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A seat that cannot be filled by distinct people, and how many are missing."""

    seat: str
    needed: int
    missing: int

    @property
    def reason(self) -> Reason:
        """Say it to a person."""
        sentence = Sentence(
            _(
                "Nobody could ever satisfy this policy: %(seat)s asks for %(needed)s, and %(missing)s more "
                "must hold that seat (one person fills one seat)."
            ),
            {"seat": title_of(self.seat), "needed": self.needed, "missing": self.missing},
        )
        return Reason("unsatisfiable", sentence, Sentence(_("Give the seat to more people, or ask for fewer.")))

    def reason_naming(self, holders: Iterable[str]) -> Reason:
        """Say it with who holds the seat now."""
        names, seat = ", ".join(sorted(holders)), title_of(self.seat)
        if not names:
            fix = Sentence(_("Nobody holds the seat %(seat)s: give it to somebody, or ask for fewer."), {"seat": seat})
        else:
            fix = Sentence(
                _("The seat %(seat)s is held by %(people)s: give it to more people, or ask for fewer."),
                {"seat": seat, "people": names},
            )
        return replace(self.reason, fix=fix)


def shortfalls(rules: Iterable[Rule], holders: Mapping[UUID, frozenset[str]]) -> list[Shortfall]:
    """Return every seat that active people, one seat each, cannot fill for the hardest change of some type."""
    rules = tuple(rules)
    worst: dict[str, Shortfall] = {}
    for change_type in TYPES:
        need = hardest(rules, change_type=change_type)
        for seat, missing in _missing(need.seats, holders).items():
            if seat not in worst or worst[seat].missing < missing:
                worst[seat] = Shortfall(seat, need.seats[seat], missing)
    return [worst[seat] for seat in sorted(worst)]


def _missing(seats: Mapping[str, int], holders: Mapping[UUID, frozenset[str]]) -> dict[str, int]:
    seating = Seating(seats)
    for index, person in enumerate(sorted(holders, key=lambda one: (len(holders[one]), str(one)))):
        seating.add(index, sorted(holders[person]))
    return seating.missing()


def canonical_form(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """Return the rules as the document that is stored and hashed: complete, in order, nothing implied.

    What is asked of the release stands there only where something is.
    """
    return [
        {
            "when": {
                "environment_kind": sorted(rule.environment_kinds),
                "risk_at_least": rule.risk_at_least,
                "type": sorted(rule.types),
            },
            "seats": {requirement.seat: requirement.people for requirement in rule.seats},
            "fresh_sign_in_minutes": rule.fresh_sign_in_minutes,
            "second_factor": rule.second_factor,
            **_of_the_release(rule),
        }
        for rule in rules
    ]


def _of_the_release(rule: Rule) -> dict[str, Any]:
    asked = {
        "highest_risk": rule.highest_risk,
        "after_environment": rule.after_environment,
        "soak_hours": rule.soak_hours,
    }
    return {name: value for name, value in asked.items() if value}


def parse(document: object) -> tuple[Rule, ...]:
    """Read a policy's rules strictly.

    :raises Invalid: something is unknown, missing or out of bounds, with the name of every such field
    """
    reader = _Reader({})
    rules = tuple(reader.rules(document))
    if reader.wrong:
        raise Invalid(Sentence(_("These rules cannot be read: mend the fields named.")), fields=reader.wrong)
    return rules


@dataclass
class _Reader:
    """Reads and keeps what is wrong, by the name of the field."""

    wrong: dict[str, list[Sentence]]

    def say(self, field: str, sentence: str, **parts: object) -> None:
        self.wrong.setdefault(field, []).append(Sentence(sentence, parts))

    def rules(self, document: object) -> Iterator[Rule]:
        if not isinstance(document, list) or not document:
            self.say("rules", _("Give a list with at least one rule."))
            return
        for index, one in enumerate(document):
            if isinstance(one, dict):
                yield self.rule(f"rules[{index}]", one)
            else:
                self.say(f"rules[{index}]", _("Give an object."))

    def mapping(self, field: str, value: object, allowed: Iterable[str]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.say(field, _("Give an object."))
            return {}
        allowed = tuple(allowed)
        for name in value:
            if name not in allowed:
                self.say(f"{field}.{name}", _("Unknown field; known are: %(known)s."), known=", ".join(allowed))
        return {name: value[name] for name in value if name in allowed}

    def rule(self, field: str, value: object) -> Rule:
        parts = self.mapping(field, value, PARTS)
        when = self.mapping(f"{field}.when", parts.get("when", {}), ("environment_kind", "risk_at_least", "type"))
        level = when.get("risk_at_least", LEVELS[0])
        if level not in LEVELS:
            self.say(f"{field}.when.risk_at_least", _("Choose one of: %(known)s."), known=", ".join(LEVELS))
            level = LEVELS[0]
        types = self.some_of(f"{field}.when.type", when.get("type"), TYPES)
        return Rule(
            environment_kinds=self.some_of(f"{field}.when.environment_kind", when.get("environment_kind"), KINDS),
            risk_at_least=level,
            types=types,
            seats=self.seats(f"{field}.seats", parts.get("seats"), may_be_empty=types <= PRE_APPROVABLE),
            fresh_sign_in_minutes=self.minutes(f"{field}.fresh_sign_in_minutes", parts.get("fresh_sign_in_minutes")),
            second_factor=self.yes_or_no(f"{field}.second_factor", parts.get("second_factor", False)),
            highest_risk=self.ceiling(f"{field}.highest_risk", parts.get("highest_risk"), level),
            after_environment=self.environment(f"{field}.after_environment", parts.get("after_environment")),
            soak_hours=self.hours(f"{field}.soak_hours", parts.get("soak_hours"), after=parts.get("after_environment")),
        )

    def some_of(self, field: str, value: object, known: tuple[str, ...]) -> frozenset[str]:
        if value is None:
            return frozenset(known)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one in known for one in value):
            self.say(field, _("Give a list of some of: %(known)s."), known=", ".join(known))
            return frozenset(known)
        return frozenset(value)

    def seats(self, field: str, value: object, *, may_be_empty: bool) -> tuple[Requirement, ...]:
        given = self.mapping(field, value, sorted(SEATS))
        if isinstance(value, dict) and not value and not may_be_empty:
            self.say(field, _("Ask for at least one person; only standard changes can be pre-approved."))
        for seat, people in given.items():
            if not isinstance(people, int) or isinstance(people, bool) or not 1 <= people <= MOST_PEOPLE:
                self.say(f"{field}.{seat}", _("Give a whole number from 1 to %(most)s."), most=MOST_PEOPLE)
        return tuple(
            Requirement(seat, people)
            for seat, people in sorted(given.items())
            if isinstance(people, int) and people > 0
        )

    def yes_or_no(self, field: str, value: object) -> bool:
        if not isinstance(value, bool):
            self.say(field, _("Give true or false."))
            return False
        return value

    def minutes(self, field: str, value: object) -> int | None:
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_MINUTES:
            self.say(field, _("Give whole minutes from 1 to %(most)s, or nothing."), most=MOST_MINUTES)
            return None
        return value

    def ceiling(self, field: str, value: object, level: str) -> str:
        if value is None:
            return ""
        if value not in CEILINGS:
            self.say(field, _("Choose one of: %(known)s, or nothing."), known=", ".join(CEILINGS))
            return ""
        highest = str(value)
        if LEVELS.index(highest) < LEVELS.index(level):
            self.say(field, _("Nothing this rule speaks of could pass: choose a higher risk."))
        return highest

    def environment(self, field: str, value: object) -> str:
        if value is None:
            return ""
        if not isinstance(value, str) or not is_slug(value):
            self.say(field, _("Give the name of an environment, or nothing."))
            return ""
        return value

    def hours(self, field: str, value: object, *, after: object) -> int | None:
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_HOURS:
            self.say(field, _("Give whole hours from 1 to %(most)s, or nothing."), most=MOST_HOURS)
            return None
        if after is None:
            self.say(field, _("Say in after_environment where it must have stood for so long, or leave this out."))
        return value
