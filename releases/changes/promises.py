"""Whom a change may hurt, how long before they were promised to hear of it, and who was told of exactly this change.

What a customer is told is what goes where, and when. So a notice counts for the items (service, environment, artifact)
and the window it was given for: an edit of either voids it, and an edit of anything else leaves it good.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from releases.catalog import queries as catalog
from releases.catalog.cards import CustomerCard
from releases.catalog.kinds import Place
from releases.changes.models import ChangeRequest, CustomerNotice, Item
from releases.changes.rules import Promise
from releases.core import canonical


def told_digest(change: ChangeRequest, items: Iterable[Item]) -> str:
    """Return the digest of what a customer is told: what goes where, and the window."""
    goes = sorted([str(item.service_id), str(item.environment_id), item.artifact.digest] for item in items)
    window = [canonical.microseconds(one) if one else None for one in (change.starts_at, change.ends_at)]
    return canonical.digest({"items": goes, "window": window})


def promises_in(
    change: ChangeRequest, items: Sequence[Item], hurt: Mapping[Place, Iterable[CustomerCard]]
) -> dict[Place, tuple[Promise, ...]]:
    """Return, place by place, who must hear of it before, and since when they know of this change as it stands now."""
    if not any(card.notice_hours for many in hurt.values() for card in many):
        return dict.fromkeys(hurt, ())
    told: dict[UUID, CustomerNotice] = {}
    for notice in CustomerNotice.objects.filter(change=change, told_digest=told_digest(change, items)):
        told.setdefault(notice.customer_id, notice)  # whoever was told first: they are in the order of telling
    return {
        place: tuple(_promise(card, told.get(card.id)) for card in many if card.notice_hours)
        for place, many in hurt.items()
    }


def hurt_by(items: Iterable[Item]) -> dict[Place, tuple[CustomerCard, ...]]:
    """Return, place by place, the customers whom these items may hurt."""
    return catalog.customers_hurt(item.place for item in items)


def each_once(many: Iterable[Iterable[Promise]]) -> tuple[Promise, ...]:
    """Return the promises of several places, each customer's once."""
    return tuple(dict.fromkeys(one for some in many for one in some))


def _promise(card: CustomerCard, notice: CustomerNotice | None) -> Promise:
    if notice is None:
        return Promise(card.id, card.name, card.notice_hours)
    return Promise(card.id, card.name, card.notice_hours, notice.told_at, notice.told_by, notice.evidence)
