"""What a verification says."""

from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _


class Verdict(IntEnum):
    """How it went; also the exit code of ``manage.py audit``."""

    OK = 0
    FINDINGS = 1
    UNWITNESSED = 2
    CANNOT_RUN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written: the table, which row, which column (empty: the whole row), what.

    ``contradicts``: the record says something else than was sealed. What merely waits, lacks its guard or bears a
    strange time does not.
    """

    table: str
    row: str
    column: str
    message: Sentence
    contradicts: bool = True

    @property
    def place(self) -> str:
        """Return where it is."""
        return ", ".join(part for part in (self.table, self.row, self.column) if part)

    def __str__(self) -> str:
        """Return one line in English."""
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Lost:
    """Sealed events that a restored copy did not hold; ``first`` is unknown when their whole epoch was left."""

    epoch: int
    first: int | None
    last: int


@dataclass(slots=True)
class Report:
    """The whole record, looked at once. ``notes`` and what was ``lost`` and owned up to are no findings."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[Sentence] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    epoch: int = 1
    events: int = 0
    unsealed: int = 0
    sealed_size: int = 0
    witnessed_size: int = 0
    is_witnessed: bool = False

    @property
    def ok(self) -> bool:
        """Tell whether nothing was found and the witness agrees."""
        return self.verdict is Verdict.OK

    @property
    def contradiction(self) -> Sentence | None:
        """Return the first finding that says the record is not what was sealed, as a sentence."""
        first = next((one for one in self.findings if one.contradicts), None)
        return Sentence(_("The record is not as it was written: %(where)s."), {"where": first.place}) if first else None

    @property
    def verdict(self) -> Verdict:
        """Return how it went: without a witness it is never OK."""
        if self.findings:
            return Verdict.FINDINGS
        return Verdict.OK if self.is_witnessed else Verdict.UNWITNESSED

    @property
    def exit_code(self) -> int:
        """Return the verdict as an exit code."""
        return int(self.verdict)

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        counts = {key: value for key, value in asdict(self).items() if key not in {"findings", "notes"}}
        return {
            "verdict": self.verdict.name.lower(),
            **counts,
            "findings": [
                {"table": one.table, "row": one.row, "column": one.column, "message": str(one.message)}
                for one in self.findings
            ],
            "notes": [str(note) for note in self.notes],
        }
