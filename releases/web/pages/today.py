"""Today: what waits for me, and what is about to happen."""

from dataclasses import dataclass
from datetime import datetime

from releases.web.looks import Line, Look, Words


@dataclass(frozen=True, slots=True)
class Ask:
    """One change that waits for this person's decision."""

    number: int
    name: str
    title: str
    why: str
    href: str
    badges: tuple[Look, ...]
    meta: tuple[Words, ...]
    seats: tuple[Line, ...]
    approve: Words
    digest: str
    opens_first: bool
    waits_since: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class NotYours:
    """One change that needs a seat this person holds, but not this person."""

    name: str
    href: str
    why: Words


@dataclass(frozen=True, slots=True)
class Mine:
    """One change this person asked for or runs, and the next thing to do about it."""

    name: str
    title: str
    href: str
    badges: tuple[Look, ...]
    meta: tuple[Words, ...]
    act: Words
    act_href: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One stop of the next 24 hours; ``kind`` is run, now, window, point or freeze."""

    at: datetime
    kind: str
    title: Words
    lines: tuple[Words, ...] = ()
    hours: int = 0
    href: str = ""


@dataclass(frozen=True, slots=True)
class Today:
    """The whole page."""

    now: datetime
    decide: tuple[Ask, ...]
    not_yours: tuple[NotYours, ...]
    asked: tuple[Mine, ...]
    run: tuple[Mine, ...]
    day: tuple[Moment, ...]
