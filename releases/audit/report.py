"""What a verification says."""

from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from releases.core.errors import Sentence


class Verdict(IntEnum):
    """How it went; also the exit code of ``manage.py audit``."""

    OK = 0
    FINDINGS = 1
    UNWITNESSED = 2
    CANNOT_RUN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written: the table, which row, which column (empty: the whole row), what."""

    table: str
    row: str
    column: str
    message: Sentence

    def __str__(self) -> str:
        """Return one line in English."""
        place = ", ".join(part for part in (self.table, self.row, self.column) if part)
        return f"{place}: {self.message}"


@dataclass(slots=True)
class Report:
    """The whole record, looked at once. ``notes`` is worth knowing and no finding."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[Sentence] = field(default_factory=list)
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
