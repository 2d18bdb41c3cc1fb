"""What health needs from the outside: one figure at a time, where less is better."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from releases.catalog.kinds import Figure
from releases.core.errors import Sentence


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask: a query or a path, and the figure that must not be exceeded.

    ``kind`` names the probe ("prometheus", "http"), ``connection`` the way to it, ``figure`` what is counted.
    """

    kind: str
    connection: str
    text: str
    limit: float
    figure: Figure = Figure.ERRORS

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        words = {"kind": self.kind, "connection": self.connection, "text": self.text, "figure": self.figure.value}
        return {**words, "limit": self.limit}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Question":
        """Read what :meth:`as_json` wrote."""
        figure = Figure(kept.get("figure", Figure.ERRORS))
        return cls(str(kept["kind"]), str(kept["connection"]), str(kept["text"]), float(kept["limit"]), figure)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure, when it was seen and by what; ``value`` is ``None`` when there was none, and ``why`` says so."""

    value: float | None
    seen_at: datetime
    source: str
    why: Sentence | None = None

    def __post_init__(self) -> None:
        """Refuse what is no number: it would pass every comparison.

        :raises ValueError: the value is not finite
        """
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError("A measure is a finite number, or none.")

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        why = {"text": self.why.text, "parts": dict(self.why.parts)} if self.why else None
        return {"value": self.value, "seen_at": self.seen_at.isoformat(), "source": self.source, "why": why}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Measure":
        """Read what :meth:`as_json` wrote."""
        why = kept.get("why")
        sentence = Sentence(why["text"], why["parts"]) if why else None
        return cls(kept["value"], datetime.fromisoformat(kept["seen_at"]), str(kept["source"]), sentence)


class Probe(Protocol):
    """Something that can be asked for a figure."""

    def measure(self, question: Question, *, at: datetime) -> Measure:
        """Return one figure; without a value when the answer holds none.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: the question cannot be asked like this
        """
