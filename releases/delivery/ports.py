"""What delivery needs from a CI system, in our words; no word of a vendor is here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from releases.core.errors import Sentence
from releases.delivery.states import State


@dataclass(frozen=True, slots=True)
class Target:
    """A job and the parameters it gets; two of its parameters carry our key and the permit."""

    job: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    key_parameter: str = "GMUD_CORRELATION"
    permit_parameter: str = "GMUD_PERMIT"


@dataclass(frozen=True, slots=True)
class Order:
    """Start this target once: ``key`` finds it again, whatever happens to the answer."""

    key: str
    target: Target
    permit: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Handle:
    """Where an order stands at the remote; complete enough to look after a restart of ours."""

    key: str
    job: str
    key_parameter: str = "GMUD_CORRELATION"
    queue_id: int | None = None
    build_number: int | None = None
    stop_asked: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Handle":
        """Read what :meth:`as_json` wrote; fields of a later version are ignored."""
        return cls(**{name: kept[name] for name in cls.__slots__ if name in kept})

    def moved(self, **changes: Any) -> "Handle":
        """Return it with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage of the run: its name, its state, seconds it took so far (0 when not known)."""

    name: str
    state: State
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"name": self.name, "state": self.state.value, "seconds": self.seconds}


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one look saw; ``progress`` is 0–0.99 while it runs, ``None`` when nobody can tell."""

    state: State
    handle: Handle
    url: str = ""
    stages: tuple[StageView, ...] = ()
    why: Sentence | None = None
    progress: float | None = None
    is_stuck: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the CI system tells of it afterwards: what it was really started with, and how it ended.

    ``ended_at`` is by the CI system's clock, ``None`` while it is under way.
    """

    number: int
    state: State
    parameters: Mapping[str, str]
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Say whether nothing more comes of it."""
        return self.ended_at is not None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a job can take our orders, with every reason why not."""

    reasons: tuple[Sentence, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Say whether nothing stands against it."""
        return not self.reasons


class DeliveryProvider(Protocol):
    """A CI system. Every failure is ``Unreachable`` (look before trying again) or ``Rejected`` (a clear no)."""

    def preflight(self, target: Target) -> Readiness:
        """Say whether the job exists, can be built and takes our parameters."""

    def start(self, order: Order) -> Sighting:
        """Start the job once; safe to repeat with the same key."""

    def find(self, target: Target, key: str) -> Sighting:
        """Look for an order by its key; ``NOT_FOUND`` only when it is certainly not there."""

    def look(self, handle: Handle) -> Sighting:
        """Look at an order once."""

    def runs(self, target: Target) -> Sequence[Run]:
        """Return the newest runs of the job, whoever started them, newest first."""

    def stop(self, handle: Handle) -> Sighting:
        """Ask it to end, and look; whether it ended is for the next looks to say."""
