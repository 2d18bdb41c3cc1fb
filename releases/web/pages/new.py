"""New change: ask well."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from releases.web.lanes import Lanes
from releases.web.looks import Fact, Line, Look, Words
from releases.web.reach import Graph


@dataclass(frozen=True, slots=True)
class ItemForm:
    """One item as it stands in the form; ``running`` says what the way back was proposed from."""

    index: int
    values: Mapping[str, str]
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    running: Words = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """Who may feel it."""

    graph: Graph
    headline: Words
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Back:
    """The proposed way back of one item."""

    index: int
    title: Words
    look: Look
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """What is still missing, who feels it, and who will decide."""

    lines: tuple[Line, ...]
    done: int
    total: int
    reach: Reach | None
    backs: tuple[Back, ...]
    lanes: Lanes | None
    clash: Words
    risk: Look | None
    deciders: tuple[Line, ...]
    deciders_note: Words

    @property
    def missing(self) -> int:
        """Return how many checks still fail."""
        return self.total - self.done


@dataclass(frozen=True, slots=True)
class New:
    """The whole page; ``number`` is empty until the draft is saved."""

    number: int | None
    name: str
    action: str
    values: Mapping[str, str]
    errors: Mapping[str, list[str]]
    items: tuple[ItemForm, ...]
    services: tuple[tuple[str, str], ...]
    environments: tuple[tuple[str, str], ...]
    types: tuple[tuple[str, Look], ...]
    migrations: tuple[tuple[str, Words], ...]
    ready: Ready
    saved_at: datetime | None = None
    seen_digest: str = ""
    voids_votes: bool = False
