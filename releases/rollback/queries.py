"""What pages read of a rollback."""

from uuid import UUID

from releases.rollback.models import Rollback
from releases.rollback.states import ByHand


def by_hand(change_id: UUID) -> ByHand | None:
    """Return how a person ended the rollback of a change, ``None`` when nobody did."""
    outcome = Rollback.objects.filter(change_id=change_id, outcome__in=list(ByHand)).values_list("outcome", flat=True)
    return next(map(ByHand, outcome), None)
