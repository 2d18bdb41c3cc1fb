"""What may be asked of a system that drives the weights itself, and how it stands."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from releases.core.errors import Sentence
from releases.traffic.ports import Outcome, Owner


class Wish(StrEnum):
    """What is asked for. Abort takes the traffic back; undo takes the version back too.

    Rollback is what Flagger asks us: it is told yes while we go back. Analyse ends that versions go without analysis.
    """

    ABORT = "abort"
    RETRY = "retry"
    PROMOTE = "promote"
    PROMOTE_FULLY = "promote_fully"
    PAUSE = "pause"
    RESUME = "resume"
    ROLLBACK = "rollback"
    UNDO = "undo"
    ANALYSE = "analyse"


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands: its own phase, the canary's share of ``whole``, what may be asked of it now, and what to know.

    ``patience_seconds`` is how long its traffic may take to come back once it was asked. ``version`` names what serves
    as stable. ``is_moving``: another version is on its way to people; ``is_promoting``: so far that nothing calls it
    back.
    ``is_at_rest``: it has seen its object as it is, and nothing is on its way; a version that is put there is noticed
    within ``notices_seconds``. ``is_untidy``: what :meth:`Driver.tidying` takes away stands there.
    """

    owner: Owner
    phase: str
    canary: int | None
    whole: int
    wishes: tuple[Wish, ...]
    warnings: tuple[Sentence, ...] = ()
    patience_seconds: float = 60.0
    version: str = ""
    is_moving: bool = False
    is_promoting: bool = False
    is_at_rest: bool = False
    notices_seconds: float = 0.0
    is_untidy: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """A move of a release: from so many percent to so many. ``version`` had all traffic before it."""

    before: int
    percent: int
    version: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How a driver stands in a move.

    ``has_arrived``: it waits at that share, or has promoted another version than the one before. ``mismatch`` says why
    it would not stop where the change does, ``obstacle`` why it does not get there now. ``wish`` takes it on; none as
    long as it goes on by itself, or has nothing new (``is_moving``). ``following`` is the share it would go to next, in
    percent.
    """

    has_arrived: bool
    is_moving: bool
    mismatch: Sentence | None = None
    obstacle: Sentence | None = None
    wish: Wish | None = None
    following: int = 100
    patience_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Granted:
    """A wish that was taken, or that stood already."""

    outcome: Outcome
    standing: Standing


class Driver(Protocol):
    """One object of a system that drives weights."""

    @property
    def owner(self) -> Owner:
        """Say who it is."""

    def look(self) -> Standing:
        """Look how it stands.

        :raises NotEditable: it is gone
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """

    def ask(self, wish: Wish) -> Granted:
        """Ask for something, once; what stands already is not asked for again.

        :raises NotEditable: it cannot be asked for as things stand
        :raises Conflict: it moved since it was read
        :raises NotApplied: no answer, and it does not stand
        :raises Rejected: another clear no
        :raises Unreachable: whether it was taken is not known
        """

    def progress(self, move: Move) -> Progress:
        """Look how it stands in a move; raises what :meth:`look` does."""

    def finishing(self) -> tuple[Wish, ...]:
        """Return what is asked of it, in this order, so that a version gets all traffic without waiting."""

    def tidying(self) -> tuple[Wish, ...]:
        """Return what is asked of it afterwards, so that the next version goes as usual."""

    def go_back(self) -> Granted:
        """Ask for all traffic back, in whatever way it takes that; raises what :meth:`ask` does."""
