"""Gate log: every answer, and why it was what it was."""

from dataclasses import dataclass
from datetime import datetime

from releases.web.looks import Chip, Fact, Line, Look, Words


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer the gate gave."""

    id: str
    at: datetime
    look: Look
    what: str
    doing: Words
    summary: Words
    change: str
    asker: str
    run: str
    lines: tuple[Line, ...]
    facts: tuple[Fact, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class GateLog:
    """The whole page; ``older`` is the address of the next part, empty at the end."""

    rows: tuple[Answered, ...]
    chips: tuple[Chip, ...]
    total: int
    older: str = ""
