"""Catalog: what we have, who owns it, what runs of it and who is hurt when it breaks."""

from dataclasses import dataclass

from releases.web.looks import Fact, Line, Look, Words
from releases.web.pages.changes import Row


@dataclass(frozen=True, slots=True)
class Place:
    """What runs of a service in one environment."""

    environment: str
    version: str
    digest: str
    since: Words
    change: str = ""
    change_href: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One service in the list."""

    name: str
    title: str
    href: str
    team: str
    tier: str
    criticality: int
    running: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """The page of one service."""

    name: str
    title: str
    headline: Words
    description: str
    facts: tuple[Fact, ...]
    callers: tuple[Line, ...]
    callees: tuple[Line, ...]
    places: tuple[Place, ...]
    policy: tuple[Line, ...]
    policy_note: Words
    changes: tuple[Row, ...]
    quarantined: tuple[Line, ...]
    badges: tuple[Look, ...] = ()
