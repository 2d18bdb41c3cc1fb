"""What the gate decides on, and what it answers."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from releases.changes.rules import Promise, Stay
from releases.changes.states import State
from releases.core.errors import Reason, Sentence
from releases.gate.states import Intent, ReasonCode, Verdict
from releases.impact.lenses import Level


@dataclass(frozen=True, slots=True)
class Run:
    """The run that asks: who runs it, its id there, where to look at it."""

    provider: str = ""
    id: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        """Return what permits call it, empty for a run that is not known."""
        return f"{self.provider}:{self.id}" if self.id else ""


@dataclass(frozen=True, slots=True)
class Request:
    """The question: may this artifact do that, there."""

    service: str
    environment: str
    artifact_name: str
    digest: str
    intent: Intent
    run: Run = Run()
    change_number: int | None = None


@dataclass(frozen=True, slots=True)
class Closure:
    """A freeze or a lock over the place, until when (``None``: until somebody lifts it)."""

    code: ReasonCode
    sentence: Sentence
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Where the artifact must have been released well before, how long it must have stood there, and how it stood."""

    environment: str
    soak: timedelta = timedelta(0)
    stays: tuple[Stay, ...] = ()

    def is_met(self, now: datetime) -> bool:
        """Say whether it stood there long enough, at one go."""
        return any((stay.ended_at or now) - stay.since_at >= self.soak for stay in self.stays)

    def will_be_met_at(self) -> datetime | None:
        """Return when it will have stood there long enough, ``None`` when it stands there no more."""
        return next((stay.since_at + self.soak for stay in self.stays if stay.ended_at is None), None)


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """What the write model says of the change request that covers the place."""

    number: int
    state: State
    is_intact: bool
    is_authorized: bool
    risk: Level = Level.LOW
    missing_seats: tuple[Sentence, ...] = ()
    self_voters: tuple[str, ...] = ()
    approved_digest: str = ""
    back_digest: str = ""
    is_way_back_known: bool = True
    is_traffic_as_planned: bool = True
    has_evidence: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    watch_until_at: datetime | None = None
    is_on_hold: bool = False
    hold_reason: str = ""
    successor: int | None = None
    is_emergency: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the decision looks at."""

    request: Request
    change: ChangeFacts | None = None
    contradiction: Sentence | None = None
    has_policy: bool = True
    is_quarantined: bool = False
    closures: tuple[Closure, ...] = ()
    asked_for: tuple[Closure, ...] = ()
    promises: tuple[Promise, ...] = ()
    is_budget_spent: bool = False
    highest_risk: Level = Level.VERY_HIGH
    prerequisites: tuple[Prerequisite, ...] = ()
    released_there: tuple[int, ...] = ()
    booked_there: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict with every reason; an allow says until when it holds, a wait when to ask again."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    valid_until: datetime | None = None
    retry_after: timedelta | None = None
    passed: tuple[ReasonCode, ...] = field(default=())
