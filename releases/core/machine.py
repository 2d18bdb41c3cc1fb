"""Transition tables: a life is data, one row per move.

A guard is a function over facts that returns ``None`` or one :class:`Sentence` a person can act on; **all** guards
of a move run, so that a page can show a checklist.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from releases.core.errors import Reason, Sentence

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Guard(Generic[Facts]):
    """A condition of a move: what it checks in a few words, and the function that looks."""

    code: str
    title: str
    check: Callable[[Facts], Sentence | None]

    def reason(self, facts: Facts) -> Reason | None:
        """Return why the move is refused, or ``None``."""
        sentence = self.check(facts)
        return Reason(self.code, sentence) if sentence else None


@dataclass(frozen=True, slots=True)
class Move(Generic[Facts]):
    """One row: a verb, where it starts, where it ends, the right it needs, its guards."""

    verb: str
    sources: frozenset[StrEnum]
    target: StrEnum
    right: str
    guards: tuple[Guard[Facts], ...] = ()

    def refusals(self, facts: Facts) -> tuple[Reason, ...]:
        """Return every reason against the move; empty means go."""
        return tuple(reason for guard in self.guards if (reason := guard.reason(facts)))


@dataclass(frozen=True, slots=True)
class Machine(Generic[Facts]):
    """A whole life: its moves in reading order."""

    moves: tuple[Move[Facts], ...]

    def __iter__(self) -> Iterator[Move[Facts]]:
        """Iterate the moves in the order they were written."""
        return iter(self.moves)

    def find(self, verb: str, state: str) -> Move[Facts] | None:
        """Return the move with that verb that starts here, or ``None``."""
        return next((move for move in self.moves if move.verb == verb and state in move.sources), None)

    def leaving(self, state: str) -> Iterable[Move[Facts]]:
        """Return the moves that start here."""
        return [move for move in self.moves if state in move.sources]

    def diagram(self) -> str:
        """Return the life as a Mermaid state diagram, in reading order."""
        lines = ["stateDiagram-v2"]
        for move in self.moves:
            lines += [f"    {source.value} --> {move.target.value}: {move.verb}" for source in sorted(move.sources)]
        return "\n".join(lines) + "\n"
