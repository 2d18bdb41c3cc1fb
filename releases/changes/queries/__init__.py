"""Reads of change requests: frozen cards, checklists, buttons, differences."""

from releases.changes.drafts import known_items
from releases.changes.facts import counts_of, draft_facts, gather
from releases.changes.queries.differences import between
from releases.changes.queries.moves import Button, Check, buttons, checklist
from releases.changes.queries.placing import PlacedCard, on_the_way, taken_back
from releases.changes.queries.reading import (
    ChangeCard,
    ItemCard,
    Page,
    authorizing,
    by_id,
    by_number,
    card,
    names_of_streams,
    page,
    review_of,
    states,
)
from releases.changes.queries.standing import stays_of
from releases.changes.queries.telling import NoticeCard, notices_of, promises_of, told_of

__all__ = [
    "Button",
    "ChangeCard",
    "Check",
    "ItemCard",
    "NoticeCard",
    "Page",
    "PlacedCard",
    "authorizing",
    "between",
    "buttons",
    "by_id",
    "by_number",
    "card",
    "checklist",
    "counts_of",
    "draft_facts",
    "gather",
    "known_items",
    "names_of_streams",
    "notices_of",
    "on_the_way",
    "page",
    "promises_of",
    "review_of",
    "states",
    "stays_of",
    "taken_back",
    "told_of",
]
