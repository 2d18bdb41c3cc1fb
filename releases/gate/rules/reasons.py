"""The three weights of a reason: it stops, it waits, it warns."""

from datetime import datetime

from releases.core.errors import Reason, Sentence
from releases.gate.rules.facts import ChangeFacts
from releases.gate.states import ReasonCode


def stop(code: ReasonCode, message: Sentence, fix: Sentence) -> Reason:
    """Return what only a new act of people helps against."""
    return Reason(code, message, fix, severity="stop")


def wait(code: ReasonCode, message: Sentence, fix: Sentence, until: datetime | None = None) -> Reason:
    """Return what time or somebody's pending act helps against."""
    return Reason(code, message, fix, until, severity="wait")


def warn(code: ReasonCode, message: Sentence, fix: Sentence) -> Reason:
    """Return what goes on record and holds up nothing."""
    return Reason(code, message, fix, severity="warn")


def named(change: ChangeFacts) -> dict[str, object]:
    """Return how sentences name the change."""
    return {"change": f"CHG-{change.number}"}
