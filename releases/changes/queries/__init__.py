"""Reads of change requests: frozen cards, checklists, buttons, differences."""

from releases.changes.facts import gather
from releases.changes.queries.differences import between
from releases.changes.queries.moves import Button, Check, buttons, checklist
from releases.changes.queries.reading import (
    ChangeCard,
    ItemCard,
    Page,
    by_id,
    by_number,
    card,
    page,
    rail,
    review_of,
    states,
)

__all__ = [
    "Button",
    "ChangeCard",
    "Check",
    "ItemCard",
    "Page",
    "between",
    "buttons",
    "by_id",
    "by_number",
    "card",
    "checklist",
    "gather",
    "page",
    "rail",
    "review_of",
    "states",
]
