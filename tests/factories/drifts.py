"""A route whose traffic we shifted, and what somebody made of it since: through the services, without a cluster."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.core.errors import Sentence
from releases.traffic import services
from releases.traffic.facts import Seen
from releases.traffic.services import Asked, Ended
from releases.traffic.states import ShiftState
from tests.factories.accounts import SETUP

WHOLE = {"stable": 100, "canary": 0}
WHY = Sentence("Somebody drives this route.")


def shifted(
    route_id: UUID,
    weights: Mapping[str, int | None],
    now: datetime,
    *,
    change_id: UUID | None = None,
    who: str = "Davi Nunes",
    counted: Mapping[str, int] | None = None,
    evidence: Sentence | None = None,
) -> None:
    """Write a shift that was asked for and confirmed, and seen as it stood then: ``counted``, where some are absent.

    ``evidence`` is what somebody counted of the requests.
    """
    asked = Asked(
        route_id,
        weights,
        op_key=f"{route_id}:{now.timestamp()}",
        change_id=change_id,
        asked_by=who,
        before=WHOLE,
        revision="41",
        uid="uid-1",
    )
    there = counted or {name: weight or 0 for name, weight in weights.items()}
    seen = Seen(weights=there, revision="42", uid="uid-1", writer="gmud", written_at=now)
    ended = Ended(
        ShiftState.CONFIRMED,
        after=weights,
        revision="42",
        uid="uid-1",
        verification="observed" if evidence else "held",
        detail=evidence,
        seen=seen,
    )
    with transaction.atomic(durable=True):
        services.end(asked=asked, ended=ended, actor=SETUP, now=now)


def refused(route_id: UUID, weights: Mapping[str, int], now: datetime, *, who: str = "Davi Nunes") -> None:
    """Write a shift that was asked for and failed: nothing of it was written."""
    asked = Asked(route_id, weights, op_key=f"{route_id}:{now.timestamp()}", asked_by=who, before=WHOLE)
    with transaction.atomic(durable=True):
        services.end(asked=asked, ended=Ended(ShiftState.FAILED, detail=WHY), actor=SETUP, now=now)


def seen(route_id: UUID, look: Seen, now: datetime, *, by: str = "clock") -> None:
    """Keep a look at a route."""
    with transaction.atomic(durable=True):
        services.keep(route_id=route_id, seen=look, by=by, now=now)
