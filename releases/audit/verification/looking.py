"""What one look keeps while it goes from table to table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from releases.audit import notes
from releases.audit.epochs import Lineage
from releases.audit.report import Finding, Report
from releases.core.errors import Sentence
from releases.core.words import mark as _

AHEAD_US = 2_000_000  # the clocks of two machines may differ by this much


@dataclass(slots=True)
class Look:
    """What was signed and when, how far the tree is known to be right, and what was found so far.

    ``roots`` holds, by size of the tree, who says which root (table, row, root); ``times`` the size and the time of
    every checkpoint, growing; up to the size ``right`` the tree is known to be right.
    """

    keys: Sequence[Ed25519PublicKey]
    report: Report = field(default_factory=Report)
    lineage: Lineage = field(default_factory=Lineage)
    roots: dict[int, list[tuple[str, str, str]]] = field(default_factory=dict)
    times: list[tuple[int, int]] = field(default_factory=list)
    right: int = 0
    now: int = 0

    def find(self, table: str, row: str, column: str, message: str | Sentence, *, contradicts: bool = True) -> None:
        """Write down that something is not as it was written."""
        sentence = message if isinstance(message, Sentence) else Sentence(message)
        self.report.findings.append(Finding(table, row, column, sentence, contradicts))

    def said(self, table: str, row: str, note: str) -> notes.Statement | None:
        """Return what a signed note says, or ``None`` after writing down that nobody of ours signed it."""
        try:
            return notes.read(note, self.keys)
        except notes.BadNote:
            self.find(table, row, "note", _("The note is not signed by our key, or was changed."))
            return None


def differing(columns: Sequence[str], stored: Sequence[object], said: notes.Statement) -> list[str]:
    """Return the columns (epoch, size, root under whatever names) that do not say what was signed."""
    signed = (said.epoch, said.size, said.root)
    return [column for column, here, there in zip(columns, stored, signed, strict=True) if here != there]
