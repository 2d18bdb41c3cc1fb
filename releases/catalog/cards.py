"""Cards: what other rooms see of the catalogue, without tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from releases.catalog.kinds import ConnectionKind, DependencySource, EnvironmentKind, Purpose


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """A service; ``team`` is the team's name, ``criticality`` 1 (low) to 4."""

    id: UUID
    name: str
    title: str
    team: str
    tier: str
    criticality: int
    data_classes: tuple[str, ...]
    description: str
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class EnvironmentCard:
    """Where services run."""

    id: UUID
    name: str
    kind: EnvironmentKind
    rank: int


@dataclass(frozen=True, slots=True)
class ArtifactCard:
    """What is deployed."""

    id: UUID
    service_id: UUID
    version: str
    image: str
    digest: str
    is_quarantined: bool
    quarantine_reason: str
    quarantined_at: datetime | None
    quarantined_by: str


@dataclass(frozen=True, slots=True)
class RunningCard:
    """What runs, or ran, somewhere; ``ended_at`` is ``None`` while it runs."""

    service_id: UUID
    environment_id: UUID
    artifact: ArtifactCard
    change_number: int | None
    since_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Edge:
    """One service calls another; ``sources`` say where that was read, ``is_fact`` whether it is more than a hint.

    ``ids`` name the dependencies behind it, one per source.
    """

    ids: tuple[UUID, ...]
    caller_id: UUID
    callee_id: UUID
    caller: str
    callee: str
    sources: tuple[DependencySource, ...]
    is_confirmed: bool
    is_fact: bool


@dataclass(frozen=True, slots=True)
class Reached:
    """A service that may feel it; ``is_fact`` is false when only an unconfirmed hint leads there."""

    id: UUID
    name: str
    title: str
    tier: str
    criticality: int
    hops: int
    is_fact: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """Who calls the services directly, who through others, and the edges that say so."""

    direct: tuple[Reached, ...]
    indirect: tuple[Reached, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class CustomerCard:
    """A customer; ``services`` are the names of those asked for that serve it."""

    id: UUID
    name: str
    segment: str
    size: int
    notice_hours: int
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncidentCard:
    """Something that is wrong now."""

    id: UUID
    service_id: UUID
    environment_id: UUID
    title: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class ConnectionCard:
    """A connection without its secret."""

    id: UUID
    name: str
    kind: ConnectionKind
    origin: str
    account: str
    config: Mapping[str, object]
    has_secret: bool
    secret_last4: str
    config_digest: str


@dataclass(frozen=True, slots=True)
class BindingCard:
    """What a service in an environment uses a connection for."""

    id: UUID
    purpose: Purpose
    connection: ConnectionCard
    settings: Mapping[str, object]
    config_digest: str


BUDGET_HOLDS = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class BudgetCard:
    """The error budget of a service somewhere: through what it is read, and its last reading (``None``: never)."""

    binding: BindingCard
    left: float | None = None
    seen_at: datetime | None = None

    def known(self, now: datetime) -> float | None:
        """Return which share is left, ``None`` when nobody has looked lately: then it is not known."""
        is_fresh = self.seen_at is not None and now - self.seen_at <= BUDGET_HOLDS
        return self.left if is_fresh else None

    def is_spent(self, now: datetime) -> bool:
        """Say whether nothing is left, as far as anybody knows."""
        left = self.known(now)
        return left is not None and left <= 0


@dataclass(frozen=True, slots=True)
class ReadingCard:
    """The last look at a route."""

    weights: Mapping[str, int]
    version: str
    healthy: bool | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class RouteCard:
    """Where traffic is split; ``reading`` is ``None`` until somebody looked, ``label`` tells several there apart."""

    id: UUID
    service_id: UUID
    environment_id: UUID
    connection: ConnectionCard
    locator: Mapping[str, str]
    stable: str
    canary: str
    config_digest: str
    reading: ReadingCard | None
    label: str = ""

    def name(self, service: str) -> str:
        """Return what people call it, given the name of its service: one word."""
        return f"{service}/{self.label}" if self.label else service
