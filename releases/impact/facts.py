"""What an assessment starts from: facts with their source and age, or the plain word that something is not known."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Known(Generic[Value]):
    """A fact: its value, where it was read, and when that was seen (``None``: it is part of the request itself)."""

    value: Value
    source: str
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact nobody knows, and where one would look for it."""

    source: str


@dataclass(frozen=True, slots=True)
class Reach:
    """How many other services may feel it: callers, callers of callers; how many only by an unconfirmed edge."""

    direct: int
    indirect: int
    unconfirmed: int = 0


@dataclass(frozen=True, slots=True)
class Customers:
    """Whom the services serve: people by segment, and the longest notice anybody was promised, in hours."""

    by_segment: tuple[tuple[str, int], ...] = ()
    notice_hours: int = 0

    @property
    def total(self) -> int:
        """Return how many people that is."""
        return sum(size for _segment, size in self.by_segment)


@dataclass(frozen=True, slots=True)
class Tests:
    """What the test report says; nothing passed and nothing failed means that nothing was tested."""

    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Timing:
    """The window, and how many other bookings and freezes it meets."""

    starts_at: datetime
    conflicts: int = 0
    freezes: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """How many changes of these services there were lately, and how many of them failed or went back."""

    changes: int
    failures: int


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """One service that gets a new version somewhere.

    ``from_version`` is what runs there now; a known empty text means that nothing does: a first deployment.
    """

    service: str
    environment_kind: str
    to_version: str
    criticality: Known[int] | Unknown
    data_classes: Known[tuple[str, ...]] | Unknown
    from_version: Known[str] | Unknown
    tier: str = ""


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """Everything that is known of a change when it is assessed.

    ``incidents`` counts the open ones of the services touched and of those they reach; ``budget`` is the least that is
    left of an error budget, 1 for all of it (``None``: none is kept); ``migration_class`` is the
    worst of the items, one of none, expand, contract, irreversible; ``rehearsal`` the weakest proof of the way back,
    one of proved, assumed, impossible.
    """

    type: str
    items: tuple[ItemFacts, ...]
    reach: Known[Reach] | Unknown
    customers: Known[Customers] | Unknown
    incidents: Known[int] | Unknown
    budget: Known[float | None] | Unknown
    tests: Known[Tests] | Unknown
    migration_class: Known[str] | Unknown
    rehearsal: Known[str] | Unknown
    timing: Known[Timing] | Unknown
    history: Known[History] | Unknown
