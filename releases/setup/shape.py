"""What a configuration file may say, on one screen: its sections, their fields, and what those refer to."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.accounts.rules import folded, is_slug, is_username, one_line, visible
from releases.catalog.kinds import ConnectionKind, DataClass, DependencySource, EnvironmentKind, Purpose
from releases.catalog.rules import normal_origin, origin_problem
from releases.committee.rules import policy as policies
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _
from releases.setup.document import Problem, Read

FORMAT = 1
POLICY = "policy"
LARGEST_COUNT = 2**31 - 1
LARGEST_RANK = 2**15 - 1
LEVELS = (1, 4)

Key = tuple[str, ...]


class Is(StrEnum):
    """What a field holds."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    SLUG = "slug"
    USERNAME = "username"
    ORIGIN = "origin"
    NUMBER = "number"
    YES_NO = "yes_no"
    NAMES = "names"
    MAPPING = "mapping"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``must`` be there when something is added; ``refers`` to a section by name; ``grows``: only adds.

    ``drops_empty``: an empty text says nothing, because the house makes one up.
    """

    holds: Is = Is.TEXT
    must: bool = False
    refers: str = ""
    one_of: tuple[str, ...] = ()
    most: int = 120
    least: int = 0
    grows: bool = False
    drops_empty: bool = False
    default: Any = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One section: which fields name a thing, and all its fields in the order they are written."""

    key: Key
    fields: Mapping[str, Field]


def _names(refers: str = "", *, one_of: Collection[str] = (), grows: bool = False) -> Field:
    return Field(Is.NAMES, refers=refers, one_of=tuple(one_of), grows=grows, default=())


SLUG = Field(Is.SLUG, must=True, most=63)
_MAPPING = Field(Is.MAPPING, default=MappingProxyType({}))
_COUNT = Field(Is.NUMBER, most=LARGEST_COUNT, default=0)

# Written in this order: what refers to something comes after it.
SECTIONS: Mapping[str, Section] = {
    "people": Section(
        ("username",),
        {
            "username": Field(Is.USERNAME, must=True, most=64),
            "name": Field(must=True),
            "email": Field(most=254),
            "language": Field(most=10),
            "roles": _names(one_of=[one.value for one in Role], grows=True),
        },
    ),
    "teams": Section(
        ("name",),
        {"name": SLUG, "title": Field(drops_empty=True), "members": _names("people", grows=True)},
    ),
    "machines": Section(
        ("name",),
        {
            "name": Field(must=True),
            "owner": Field(Is.USERNAME, refers="people", most=64),
            "scopes": _names(one_of=[one.value for one in Right]),
            "team": Field(Is.SLUG, refers="teams", most=63),
        },
    ),
    "environments": Section(
        ("name",),
        {
            "name": SLUG,
            "kind": Field(must=True, one_of=tuple(EnvironmentKind)),
            "rank": Field(Is.NUMBER, most=LARGEST_RANK, default=0),
        },
    ),
    "services": Section(
        ("name",),
        {
            "name": SLUG,
            "title": Field(drops_empty=True),
            "team": Field(Is.SLUG, must=True, refers="teams", most=63),
            "tier": Field(most=32),
            "criticality": Field(Is.NUMBER, least=LEVELS[0], most=LEVELS[1], default=2),
            "data_classes": _names(one_of=tuple(DataClass)),
            "description": Field(Is.LONG_TEXT, most=20_000),
        },
    ),
    "dependencies": Section(
        ("caller", "callee", "source"),
        {
            "caller": Field(Is.SLUG, must=True, refers="services", most=63),
            "callee": Field(Is.SLUG, must=True, refers="services", most=63),
            "source": Field(must=True, one_of=tuple(DependencySource)),
            "detail": Field(most=250),
            "confirmed": Field(Is.YES_NO, default=False),
        },
    ),
    "customers": Section(
        ("name",),
        {
            "name": Field(must=True),
            "segment": Field(Is.SLUG, must=True, most=32),
            "size": Field(Is.NUMBER, most=LARGEST_COUNT, default=1),
            "notice_hours": _COUNT,
            "services": _names("services"),
        },
    ),
    "connections": Section(
        ("name",),
        {
            "name": SLUG,
            "kind": Field(must=True, one_of=tuple(ConnectionKind)),
            "origin": Field(Is.ORIGIN, must=True, most=250),
            "config": _MAPPING,
            "account": Field(),
        },
    ),
    "bindings": Section(
        ("service", "environment", "purpose"),
        {
            "service": Field(Is.SLUG, must=True, refers="services", most=63),
            "environment": Field(Is.SLUG, must=True, refers="environments", most=63),
            "purpose": Field(must=True, one_of=tuple(Purpose)),
            "connection": Field(Is.SLUG, must=True, refers="connections", most=63),
            "settings": _MAPPING,
        },
    ),
    "routes": Section(
        ("service", "environment", "label"),
        {
            "service": Field(Is.SLUG, must=True, refers="services", most=63),
            "environment": Field(Is.SLUG, must=True, refers="environments", most=63),
            "label": Field(Is.SLUG, most=63),
            "connection": Field(Is.SLUG, must=True, refers="connections", most=63),
            "locator": Field(Is.MAPPING, must=True),
            "stable": Field(must=True, most=63),
            "canary": Field(must=True, most=63),
        },
    ),
}
THE_POLICY = Section((), {"name": Field(must=True), "rules": Field(Is.RULES, must=True)})
EVERY = {**SECTIONS, POLICY: THE_POLICY}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing the file speaks of: where it stands, its name, and what is said of it (what is not, is not there)."""

    section: str
    path: str
    line: int
    key: Key
    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Return how people call it."""
        return name_of(self.section, self.key)

    def complete(self, found: Mapping[str, Mapping[Key, Mapping[str, Any]]]) -> dict[str, Any]:
        """Return it with every field: what is here, else what goes without saying, where the file says nothing."""
        here = found[self.section].get(key_of(self.section, self.values), {})
        made_up = {name: rule.default for name, rule in EVERY[self.section].fields.items()}
        return {**made_up, **here, **self.values}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file asks for: the sections it has, in our order, each with its things in the order of the file."""

    sections: Mapping[str, tuple[Item, ...]]
    read: Read

    def __iter__(self) -> Iterator[Item]:
        """Go through every thing, in the order it is written."""
        for items in self.sections.values():
            yield from items


def name_of(section: str, key: Key) -> str:
    """Return how people call a thing: "cart → pricing (manual)", "cart, production"."""
    if section == "dependencies":
        return f"{key[0]} → {key[1]} ({key[2]})"
    return ", ".join(filter(None, key))


def key_of(section: str, values: Mapping[str, Any]) -> Key:
    """Return what two things of a section may not share; customers differ by more than case."""
    parts = tuple(str(values.get(part, "")) for part in EVERY[section].key)
    return tuple(folded(part) for part in parts) if section == "customers" else parts


def understand(read: Read) -> tuple[Wanted, list[Problem]]:
    """Return what a file asks for, and everything in it that has another shape."""
    reader = _Shape(read)
    return Wanted(reader.document(), read), reader.problems


@dataclass
class _Shape:
    """Reads and keeps what is wrong, with its path and line."""

    read: Read
    problems: list[Problem] = field(default_factory=list)

    def say(self, path: str, sentence: str, **parts: object) -> None:
        self.problems.append(Problem(path, self.read.line(path), Sentence(sentence, parts)))

    def document(self) -> dict[str, tuple[Item, ...]]:
        said = self.read.said
        if not isinstance(said, dict):
            self.say("file", _("This is no configuration: begin it with gmud: 1."))
            return {}
        if said.get("gmud") != FORMAT or isinstance(said.get("gmud"), bool):
            self.say("gmud", _("Say which form this file has: gmud: 1."))
        self.known("", said, ("gmud", *EVERY))
        found: dict[str, tuple[Item, ...]] = {}
        for name in EVERY:
            if (here := said.get(name)) is None:
                continue
            if name == POLICY:
                found[name] = tuple(self.item(name, name, here))
            elif isinstance(here, list):
                found[name] = tuple(self.items(name, here))
            else:
                self.say(name, _("Write a list here: each line begins with a hyphen."))
        return found

    def items(self, section: str, here: Sequence[Any]) -> Iterator[Item]:
        first: dict[Key, Item] = {}
        for index, one in enumerate(here):
            for item in self.item(section, f"{section}[{index}]", one):
                before = first.setdefault(key_of(section, item.values), item)
                if before is not item:
                    text = _("%(name)s stands on line %(line)s already: keep one of them.")
                    self.say(item.path, text, name=item.name, line=before.line)
                yield item

    def item(self, section: str, path: str, here: Any) -> Iterator[Item]:
        """Yield the one thing, unless what names it cannot be read."""
        shape = EVERY[section]
        if not isinstance(here, dict):
            self.say(path, _("Write name: value here, one for each of: %(known)s."), known=", ".join(shape.fields))
            return
        self.known(path, here, tuple(shape.fields))
        values: dict[str, Any] = {}
        for name, one in here.items():
            rule = shape.fields.get(name)
            if rule is None or one is None:
                continue
            value = self.value(f"{path}.{name}", rule, one)
            if value is not None:
                values[name] = value
        unnamed = [part for part in shape.key if shape.fields[part].must and not values.get(part)]
        for part in unnamed:
            if here.get(part) in (None, ""):
                self.say(path, _("“%(field)s” is missing: write it."), field=part)
        if not unnamed:
            key = tuple(str(values.get(part, "")) for part in shape.key)
            yield Item(section, path, self.read.line(path), key, values)

    def known(self, path: str, here: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in here:
            if name not in known:
                inner = f"{path}.{name}" if path else str(name)
                self.say(
                    inner, _("This name is not known: take it out, or use one of %(known)s."), known=", ".join(known)
                )

    def value(self, path: str, rule: Field, here: Any) -> Any:
        """Return a value in its one spelling, ``None`` when it is not what the field holds."""
        if rule.holds is Is.NUMBER:
            return self.number(path, rule, here)
        if rule.holds is Is.YES_NO:
            return self.kind(path, here, bool, _("Write true or false."))
        if rule.holds is Is.MAPPING:
            return self.kind(path, here, dict, _("Write name: value here."))
        if rule.holds is Is.RULES:
            return self.rules(path, here)
        if rule.holds is Is.NAMES:
            return self.names(path, rule, here)
        return self.text(path, rule, here)

    def kind(self, path: str, here: Any, kind: type, otherwise: str) -> Any:
        if isinstance(here, kind):
            return here
        self.say(path, otherwise)
        return None

    def rules(self, path: str, here: Any) -> list[dict[str, Any]] | None:
        """Return the rules of a policy in full, as they are stored."""
        try:
            return policies.canonical_form(policies.parse(here))
        except Invalid as error:
            for inner, many in error.fields.items():
                for one in many:
                    self.say(f"{path}{inner.removeprefix('rules')}", one.text, **one.parts)
        return None

    def number(self, path: str, rule: Field, here: Any) -> int | None:
        if isinstance(here, int) and not isinstance(here, bool) and rule.least <= here <= rule.most:
            return here
        text = _("Write a whole number from %(least)s to %(most)s.")
        self.say(path, text, least=rule.least, most=rule.most)
        return None

    def names(self, path: str, rule: Field, here: Any) -> tuple[str, ...] | None:
        if not isinstance(here, list):
            self.say(path, _("Write a list of names here, like [one, two]."))
            return None
        single = Field(Is.USERNAME if rule.refers == "people" else Is.TEXT, one_of=rule.one_of)
        found = [self.text(f"{path}[{index}]", single, one) for index, one in enumerate(here)]
        named = sorted({one for one in found if one})
        return tuple(named) if None not in found else None

    def text(self, path: str, rule: Field, here: Any) -> str | None:
        if not isinstance(here, str):
            self.say(path, _("Write a text here; quote it when it looks like something else."))
            return None
        if rule.one_of and here not in rule.one_of:
            self.say(path, _("“%(said)s” is not one of them: %(known)s."), said=here[:80], known=", ".join(rule.one_of))
            return None
        if len(here) > rule.most:
            self.say(path, _("This is longer than %(most)s characters: shorten it."), most=rule.most)
            return None
        spelled, problem = _SPELLINGS[rule.holds](here)
        if problem is not None and (spelled or rule.must):
            self.say(path, problem.text, **problem.parts)
            return None
        return None if rule.drops_empty and not spelled else spelled


Spelled = tuple[str, Sentence | None]


def _slug(text: str) -> Spelled:
    sentence = Sentence(_("A name has lower-case letters a to z, digits and hyphens only, up to 63 of them."))
    return text, None if is_slug(text) else sentence


def _username(text: str) -> Spelled:
    sentence = Sentence(_("A user name has plain letters, digits and . _ - @ only, up to 64 of them."))
    return folded(text), None if is_username(folded(text)) else sentence


def _origin(text: str) -> Spelled:
    problem = origin_problem(text)
    return (text, problem) if problem else (normal_origin(text), None)


_SPELLINGS: Mapping[Is, Callable[[str], Spelled]] = {
    Is.TEXT: lambda text: (one_line(text), None),
    Is.LONG_TEXT: lambda text: (visible(text), None),
    Is.SLUG: _slug,
    Is.USERNAME: _username,
    Is.ORIGIN: _origin,
}
