"""Changes: find one."""

from dataclasses import dataclass
from datetime import datetime

from releases.web.looks import Chip, Look, Words


@dataclass(frozen=True, slots=True)
class Row:
    """One change in the list."""

    name: str
    title: str
    href: str
    requester: str
    services: str
    environments: str
    state: Look
    risk: Look | None
    starts_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """The whole page; ``older`` is the address of the next part, empty at the end."""

    rows: tuple[Row, ...]
    chips: tuple[Chip, ...]
    search: str
    total: int
    older: str = ""
    note: Words = ""
