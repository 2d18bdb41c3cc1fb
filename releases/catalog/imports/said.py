"""What files say, whatever their form: one thing after the other, each with its place, and what is wrong. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _

MOST_FLAWS = 50
Key = tuple[str, ...]


class Section(StrEnum):
    """The kinds of things that files speak of, in the order they are written."""

    TEAMS = "teams"
    ENVIRONMENTS = "environments"
    SERVICES = "services"
    DEPENDENCIES = "dependencies"
    CUSTOMERS = "customers"
    ARTIFACTS = "artifacts"


class Origin(StrEnum):
    """The form in which something was said; the record keeps it beside what an import wrote."""

    MANIFEST = "manifest"
    BACKSTAGE = "backstage"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file, and its row (the header is row 1) or its document (the first is 1)."""

    file: str
    row: int = 0
    document: int = 0

    @property
    def told(self) -> Sentence:
        """Return it in words."""
        if self.row:
            return Sentence(_("%(file)s, row %(n)s"), {"file": self.file, "n": self.row})
        if self.document:
            return Sentence(_("%(file)s, document %(n)s"), {"file": self.file, "n": self.document})
        return Sentence("%(file)s", {"file": self.file})


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong, where, in which field or column, and how to mend it."""

    place: Place
    field: str
    sentence: Sentence

    @property
    def told(self) -> Sentence:
        """Say it with its place and field."""
        parts = {"place": self.place.told, "field": self.field, "problem": self.sentence}
        return Sentence(_("%(place)s, %(field)s: %(problem)s"), parts)


class Unfit(Invalid):
    """The files cannot be taken over, and nothing of them was; ``flaws`` stand in the order they were found."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        """Name every flaw by its place and field; of very many, the first, and how many there are."""
        self.flaws, self.count = tuple(flaws[:MOST_FLAWS]), len(flaws)
        fields: dict[str, list[Sentence | str]] = {}
        for one in self.flaws:
            fields.setdefault(f"{one.place.told}, {one.field}", []).append(one.sentence)
        text = _("Nothing was imported. First problem: %(problem)s")
        super().__init__(Sentence(text, {"problem": self.flaws[0].told}), fields=fields)


@dataclass(frozen=True, slots=True)
class Said:
    """What a file says of one thing: what names it, and the values it gives. What it leaves out is not there.

    ``names`` maps a field to what the file calls it, for those it calls otherwise.
    """

    section: Section
    key: Key
    values: Mapping[str, Any]
    place: Place
    origin: Origin
    names: Mapping[str, str] = field(default_factory=dict)

    def flaw(self, about: str, sentence: Sentence) -> Flaw:
        """Return what is wrong with one of its fields."""
        return Flaw(self.place, self.names.get(about, about), sentence)

    @property
    def name(self) -> str:
        """Return how people call it."""
        if self.section is Section.DEPENDENCIES:
            return f"{self.key[0]} → {self.key[1]}"
        return str(self.values.get("name", self.key[0]))


@dataclass
class Reading:
    """What was read of some files: the things, how each file was read, what is left alone, and what is wrong."""

    said: list[Said] = field(default_factory=list)
    forms: list[Sentence] = field(default_factory=list)
    left: list[Sentence] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)

    def add(self, other: "Reading") -> None:
        """Take in what was read of another file."""
        self.said += other.said
        self.forms += other.forms
        self.left += other.left
        self.flaws += other.flaws
