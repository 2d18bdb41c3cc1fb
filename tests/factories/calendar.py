"""Windows, freezes and locks, made through the real services."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from releases.calendar import services
from releases.calendar.kinds import WindowKind
from releases.calendar.models import Booking, Lock, Window
from releases.catalog.kinds import Place
from releases.catalog.models import Environment
from tests.factories.accounts import NOW, SETUP

HOUR = timedelta(hours=1)


def a_freeze(environment: Environment, *, starts: float = -1, ends: float = 1, **more: Any) -> Window:
    """Freeze an environment, in hours from now."""
    span = {"starts_at": NOW + starts * HOUR, "ends_at": NOW + ends * HOUR}
    usual = {"actor": SETUP, "environment_id": environment.pk, "title": "Black Friday", "now": NOW, **span}
    return services.set_window(kind=WindowKind.FREEZE, **{**usual, **more})


def a_freeze_for(*, starts: float = -1, ends: float = 1, **more: Any) -> Window:
    """Freeze what hurts a customer or a segment, in hours from now."""
    span = {"starts_at": NOW + starts * HOUR, "ends_at": NOW + ends * HOUR}
    return services.freeze_for(**{"actor": SETUP, "title": "Payroll day", "now": NOW, **span, **more})


def a_window(environment: Environment, *, starts: float = -1, ends: float = 1, **more: Any) -> Window:
    """Open an environment, in hours from now."""
    span = {"starts_at": NOW + starts * HOUR, "ends_at": NOW + ends * HOUR}
    usual = {"actor": SETUP, "environment_id": environment.pk, "title": "Tuesday night", "now": NOW, **span}
    return services.set_window(kind=WindowKind.OPEN, **{**usual, **more})


def a_lock(**more: Any) -> Lock:
    """Stop the line."""
    return services.lock(**{"actor": SETUP, "reason": "The ledger is on fire.", "now": NOW, **more})


def a_booking(
    number: int,
    places: Iterable[Place],
    *,
    starts: float = 0,
    ends: float = 2,
    subject: UUID | None = None,
    now: datetime = NOW,
) -> Booking:
    """Book places as the change's room does, in hours from now."""
    with transaction.atomic():
        return services.book(
            subject=subject or uuid4(),
            number=number,
            places=places,
            starts_at=NOW + starts * HOUR,
            ends_at=NOW + ends * HOUR,
            now=now,
        )
