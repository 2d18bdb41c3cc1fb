"""One change: whether it may go, and how we got here."""

from dataclasses import dataclass
from datetime import datetime

from releases.web.looks import Bar, Fact, Line, Look, Stop, Told, Words


@dataclass(frozen=True, slots=True)
class Lens:
    """One of the four lenses: what was found, each with its points, source and age."""

    title: Words
    factors: tuple[Line, ...]
    points: int


@dataclass(frozen=True, slots=True)
class WayBack:
    """The way back of one item: what will be done, step by step, and how sure that is."""

    title: Words
    look: Look
    steps: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person may do here, or why not; ``weight`` is main, soft, stop or nothing."""

    verb: str
    word: Words
    refusals: tuple[Line, ...] = ()
    weight: str = ""
    needs_reason: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The panel of the committee's decision."""

    sentence: Words
    seats: tuple[Line, ...]
    acts: tuple[Act, ...]
    digest: str
    notes: tuple[Words, ...] = ()
    refusals: tuple[Line, ...] = ()
    sign_in_again: str = ""
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class GateNow:
    """What the gate would say right now; nothing is stored, no permit is given."""

    look: Look
    lines: tuple[Line, ...]
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """The whole page."""

    number: int
    name: str
    title: str
    by: Words
    href: str
    badges: tuple[Look, ...]
    rail: tuple[Stop, ...]
    hold: str
    why: str
    plan: str
    facts: tuple[Fact, ...]
    impact: Words
    lenses: tuple[Lens, ...]
    ways_back: tuple[WayBack, ...]
    traffic: tuple[Bar, ...]
    traffic_note: Words
    story: tuple[Told, ...]
    decision: Decision
    gate: GateNow | None
    acts: tuple[Act, ...]
    live_href: str = ""
