"""What the pages and the floors above read of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from releases.core.errors import Sentence
from releases.traffic.models import Shift
from releases.traffic.states import ShiftState

RECENT = 50


@dataclass(frozen=True, slots=True)
class ShiftCard:
    """One shift, ready to print; ``why`` says what went wrong, if anything did."""

    id: UUID
    route_id: UUID
    service: str
    environment: str
    asked: Mapping[str, int | None]
    before: Mapping[str, int | None]
    observed: Mapping[str, int | None]
    state: ShiftState
    verification: str
    asked_by: str
    asked_at: datetime
    confirmed_at: datetime | None
    why: Sentence | None


def of_change(change_id: UUID) -> list[ShiftCard]:
    """Return every shift a change asked for, oldest first."""
    return [_card(row) for row in _rows().filter(change_id=change_id)]


def ledger(route_id: UUID, *, limit: int = RECENT) -> list[ShiftCard]:
    """Return the latest shifts of a route, newest first."""
    return [_card(row) for row in _rows().filter(route_id=route_id).order_by("-asked_at", "-id")[:limit]]


def latest() -> dict[UUID, ShiftCard]:
    """Return, by route, the latest shift that was asked for."""
    newest = Shift.objects.filter(route_id=OuterRef("route_id")).order_by("-asked_at", "-id").values("pk")[:1]
    return {row.route_id: _card(row) for row in _rows().filter(pk=Subquery(newest))}


def of_key(op_key: str) -> ShiftCard | None:
    """Return the shift of one step, or ``None``."""
    row = _rows().filter(op_key=op_key).first()
    return _card(row) if row else None


def _rows() -> QuerySet[Shift]:
    return Shift.objects.select_related("route__service", "route__environment")


def _card(row: Shift) -> ShiftCard:
    why = Sentence.from_json(row.detail) if row.detail else None
    return ShiftCard(
        id=row.pk,
        route_id=row.route_id,
        service=row.route.service.name,
        environment=row.route.environment.name,
        asked=row.asked,
        before=row.before,
        observed=row.observed,
        state=ShiftState(row.state),
        verification=row.verification,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        confirmed_at=row.confirmed_at,
        why=why,
    )
