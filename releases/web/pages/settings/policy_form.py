"""The form of a policy: every rule as fields, read into the document that the committee's services understand."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.committee.queries import Seen
from releases.committee.rules.policy import CEILINGS, KINDS, LEVELS, TYPES, Rule
from releases.committee.services.policies import LONGEST_NAME
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark
from releases.web.looks import RISKS, SEATS, Words
from releases.web.pages.settings.form import Input
from releases.web.pages.settings.policy_words import CHANGES, OR_LOWER
from releases.web.pages.settings.wires import ENVIRONMENTS
from releases.web.pages.settings.words import capitalized
from releases.web.tags import say

MOST_RULES = 40
MOST_DIGITS = 10
PLACE = re.compile(r"rules\[(\d+)\](?:\.when)?(?:\.seats)?(?:\.(\w+))?$")
# What the document calls a field, and what the form calls it.
FIELDS: Mapping[str, str] = {
    "environment_kind": "kinds",
    "type": "types",
    "risk_at_least": "level",
    "fresh_sign_in_minutes": "minutes",
    "second_factor": "factor",
    "highest_risk": "highest",
    "after_environment": "after",
    "soak_hours": "hours",
    **{seat: seat for seat in SEATS},
}
AT_LEAST_ONE = _("Choose at least one.")
LEVEL_WORDS: Mapping[str, Words] = {
    LEVELS[0]: _("Any risk"),
    **{level: Sentence(mark("%(risk)s or higher"), {"risk": RISKS[level].word}) for level in LEVELS[1:-1]},
    LEVELS[-1]: RISKS[LEVELS[-1]].word,
}
CEILING_WORDS: Mapping[str, Words] = {
    "": _("Any risk"),
    **{level: Sentence(OR_LOWER, {"risk": RISKS[level].word}) for level in reversed(CEILINGS)},
}


@dataclass(frozen=True, slots=True)
class Typed:
    """One rule as it was typed."""

    kinds: tuple[str, ...] = KINDS
    types: tuple[str, ...] = TYPES
    level: str = LEVELS[0]
    seats: Mapping[str, str] = field(default_factory=dict)
    minutes: str = ""
    factor: bool = False
    highest: str = ""
    after: str = ""
    hours: str = ""


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """The fields of one rule, ready to print."""

    index: int
    number: int
    when: tuple[Input, ...]
    seats: tuple[Input, ...]
    seats_errors: tuple[str, ...]
    proof: tuple[Input, ...]
    release: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class PolicyForm:
    """A policy as it was typed, what is wrong with it, and what its author knew of the others."""

    name: str
    rules: tuple[Typed, ...]
    seen: Seen
    wrong: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, rules: Sequence[Rule], seen: Seen) -> "PolicyForm":
        """Begin with what a policy says."""
        return cls(name, tuple(_typed(rule) for rule in rules) or (Typed(),), seen)

    @classmethod
    def posted(cls, data: QueryDict) -> "PolicyForm":
        """Read what was posted; nothing of it is judged here."""
        count = min(_number(data.get("rules", "")), MOST_RULES)
        seen = Seen(_number(data.get("seen_in_force", "")), _number(data.get("seen_latest", "")))
        return cls(data.get("name", ""), tuple(_read(data, index) for index in range(count)), seen)

    @property
    def document(self) -> list[dict[str, Any]]:
        """Return the rules as the services read them."""
        return [
            {
                "when": {
                    "environment_kind": list(one.kinds),
                    "risk_at_least": one.level,
                    "type": list(one.types),
                },
                "seats": {seat: _whole(said) for seat, said in one.seats.items() if said not in {"", "0"}},
                "fresh_sign_in_minutes": _whole(one.minutes) if one.minutes else None,
                "second_factor": one.factor,
                "highest_risk": one.highest or None,
                "after_environment": one.after or None,
                "soak_hours": _whole(one.hours) if one.hours else None,
            }
            for one in self.rules
        ]

    def with_one_more(self) -> "PolicyForm":
        """Add a rule that holds everywhere, to be narrowed."""
        return replace(self, rules=(*self.rules, Typed())[:MOST_RULES])

    def without(self, index: int) -> "PolicyForm":
        """Leave out a rule; the last one stays."""
        rest = tuple(one for at, one in enumerate(self.rules) if at != index)
        return replace(self, rules=rest or self.rules)

    def refused(self, error: Invalid) -> "PolicyForm":
        """Keep what the services say under the fields they name."""
        return replace(self, wrong=dict(_wrong(error)))

    def hidden(self) -> list[tuple[str, str]]:
        """Return everything that was typed, for a page that carries it along."""
        found = [("name", self.name), ("rules", str(len(self.rules)))]
        found += [("seen_in_force", str(self.seen.in_force)), ("seen_latest", str(self.seen.latest))]
        for index, one in enumerate(self.rules):
            found += [(f"rule-{index}-kinds", kind) for kind in one.kinds]
            found += [(f"rule-{index}-types", change_type) for change_type in one.types]
            found += [(f"rule-{index}-{seat}", said) for seat, said in one.seats.items()]
            found += [(f"rule-{index}-level", one.level), (f"rule-{index}-minutes", one.minutes)]
            found += [(f"rule-{index}-factor", "on")] if one.factor else []
            found += [(f"rule-{index}-{name}", getattr(one, name)) for name in ("highest", "after", "hours")]
        return found

    @property
    def name_input(self) -> Input:
        """Return the field of the name."""
        return Input(
            "name", "text", _("Name"), self.name, errors=tuple(self.wrong.get("name", ())), maxlength=str(LONGEST_NAME)
        )

    def inputs(self, environments: Sequence[str]) -> Iterator[RuleInputs]:
        """Return the fields of every rule; ``environments`` are those a version can come from."""
        for index, one in enumerate(self.rules):
            yield RuleInputs(
                index=index,
                number=index + 1,
                when=(
                    self._many(index, "kinds", _("Environments"), one.kinds, ENVIRONMENTS),
                    self._many(index, "types", _("Changes"), one.types, CHANGES),
                    self._one(index, "level", "select", _("Risk"), one.level, options=tuple(LEVEL_WORDS.items())),
                ),
                seats=tuple(
                    self._one(index, seat, "number", word, one.seats.get(seat, "")) for seat, word in SEATS.items()
                ),
                seats_errors=tuple(self.wrong.get(f"rule-{index}-seats", ())),
                proof=(
                    self._one(
                        index,
                        "minutes",
                        "number",
                        _("Signed in within minutes"),
                        one.minutes,
                        hint=_("Empty: no matter when, or five minutes where the risk is high."),
                        is_optional=True,
                    ),
                    self._one(
                        index,
                        "factor",
                        "select",
                        _("Second factor"),
                        "on" if one.factor else "",
                        options=(("", _("Not asked for")), ("on", _("Asked for"))),
                    ),
                ),
                release=self._release(index, one, environments),
            )

    def _release(self, index: int, one: Typed, environments: Sequence[str]) -> tuple[Input, ...]:
        """Return the fields of what the gate asks of the release itself."""
        known = [*environments, *({one.after} - {"", *environments})]
        return (
            self._one(
                index, "highest", "select", _("Risk that may go"), one.highest, options=tuple(CEILING_WORDS.items())
            ),
            self._one(
                index,
                "after",
                "select",
                _("Released before in"),
                one.after,
                options=(("", _("Not asked for")), *((name, name) for name in known)),
                hint=_("The same version, by a change whose watch ended well."),
            ),
            self._one(
                index,
                "hours",
                "number",
                _("Hours it must have stood there"),
                one.hours,
                hint=_("Empty: no matter how long."),
                is_optional=True,
            ),
        )

    def _one(self, index: int, name: str, kind: str, label: Words, value: str, **more: Any) -> Input:
        spelled = f"rule-{index}-{name}"
        return Input(spelled, kind, label, value, errors=tuple(self.wrong.get(spelled, ())), **more)

    def _many(
        self, index: int, name: str, label: Words, values: tuple[str, ...], words: Mapping[str, str | Promise]
    ) -> Input:
        spelled = f"rule-{index}-{name}"
        options = tuple((value, capitalized(word)) for value, word in words.items())
        return Input(
            spelled, "many", label, "", values=values, options=options, errors=tuple(self.wrong.get(spelled, ()))
        )


def _typed(rule: Rule) -> Typed:
    return Typed(
        kinds=tuple(kind for kind in KINDS if kind in rule.environment_kinds),
        types=tuple(one for one in TYPES if one in rule.types),
        level=rule.risk_at_least,
        seats={one.seat: str(one.people) for one in rule.seats},
        minutes=str(rule.fresh_sign_in_minutes or ""),
        factor=rule.second_factor,
        highest=rule.highest_risk,
        after=rule.after_environment,
        hours=str(rule.soak_hours or ""),
    )


def _read(data: QueryDict, index: int) -> Typed:
    return Typed(
        kinds=tuple(data.getlist(f"rule-{index}-kinds")),
        types=tuple(data.getlist(f"rule-{index}-types")),
        level=data.get(f"rule-{index}-level", ""),
        seats={seat: data.get(f"rule-{index}-{seat}", "").strip() for seat in SEATS},
        minutes=data.get(f"rule-{index}-minutes", "").strip(),
        factor=data.get(f"rule-{index}-factor") == "on",
        **{name: data.get(f"rule-{index}-{name}", "").strip() for name in ("highest", "after", "hours")},
    )


def _number(said: str) -> int:
    return int(said) if said.isdecimal() and len(said) < MOST_DIGITS else 0


def _whole(said: str) -> int | str:
    """Return the number that was typed, else what was typed: the reader of policies says what is wrong with it."""
    return int(said) if said.isdecimal() and len(said) < MOST_DIGITS else said


def _wrong(error: Invalid) -> Iterator[tuple[str, list[str]]]:
    for path, many in error.fields.items():
        said = [say(one) for one in many]
        place = PLACE.match(path)
        if place is None:
            yield path, said
            continue
        name = FIELDS.get(place[2], "seats") if place[2] else "seats"
        yield f"rule-{place[1]}-{name}", [say(AT_LEAST_ONE)] if name in {"kinds", "types"} else said
