"""Facts to assess."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from releases.impact.facts import ChangeFacts, Customers, History, ItemFacts, Known, Reach, Timing
from releases.impact.facts import Tests as Report  # pytest takes every Test… for its own
from tests.factories.accounts import NOW

SEEN = NOW - timedelta(hours=3)


def known(value: Any) -> Known[Any]:
    """Return a fact of the catalogue, seen three hours ago."""
    return Known(value, "catalogue", SEEN)


def an_item(**more: Any) -> ItemFacts:
    """Return a harmless item in production."""
    calm = ItemFacts(
        service="ledgerwriter",
        environment_kind="production",
        to_version="v1.5.0",
        criticality=known(1),
        data_classes=known(()),
        from_version=known("v1.4.2"),
    )
    return replace(calm, **more)


def some_facts(**more: Any) -> ChangeFacts:
    """Return the facts of a harmless change."""
    calm = ChangeFacts(
        type="normal",
        items=(an_item(),),
        reach=known(Reach(0, 0)),
        customers=known(Customers()),
        incidents=known(0),
        budget=known(None),
        tests=known(Report(318, 0)),
        migration_class=known("none"),
        rehearsal=known("proved"),
        timing=known(Timing(NOW + timedelta(days=1))),
        history=known(History(20, 0)),
    )
    return replace(calm, **more)
