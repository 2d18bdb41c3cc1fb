"""Which customers were promised notice of a change, and every notice that was recorded of it."""

from dataclasses import dataclass
from datetime import datetime

from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, CustomerNotice
from releases.changes.promises import each_once, hurt_by, promises_in, told_digest
from releases.changes.rules import Promise


@dataclass(frozen=True, slots=True)
class NoticeCard:
    """One recorded notice; ``counts`` while the change still is what the customer was told."""

    customer: str
    told_at: datetime
    told_by: str
    evidence: str
    recorded_by: str
    recorded_at: datetime
    counts: bool


def told_of(change: ChangeRequest) -> str:
    """Return the digest of what customers are told of a change as it stands now: items and window."""
    return told_digest(change, items_of(change))


def promises_of(change: ChangeRequest) -> tuple[Promise, ...]:
    """Return everybody who must hear of a change before, and since when they know of it as it stands now."""
    items = items_of(change)
    return each_once(promises_in(change, items, hurt_by(items)).values())


def notices_of(change: ChangeRequest) -> list[NoticeCard]:
    """Return every notice recorded of a change, in the order of telling, also those that count no longer."""
    now_told = told_of(change)
    return [
        NoticeCard(
            customer=row.customer.name,
            told_at=row.told_at,
            told_by=row.told_by,
            evidence=row.evidence,
            recorded_by=row.recorded_by,
            recorded_at=row.recorded_at,
            counts=row.told_digest == now_told,
        )
        for row in CustomerNotice.objects.filter(change=change).select_related("customer")
    ]
