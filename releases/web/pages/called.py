"""Pages somebody was called for: said on Today and among the notices, with the button that takes one on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from releases.audit.actor import Actor
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.notify import queries
from releases.notify.queries import Page
from releases.web.looks import Words
from releases.web.tags import both


@dataclass(frozen=True, slots=True)
class Called:
    """One page that nobody has taken."""

    id: UUID
    title: Words
    lines: Sequence[Words]
    href: str
    since_at: datetime
    whom: Words


def pages_of(actor: Actor) -> tuple[Called, ...]:
    """Return the pages this person was called for, oldest first."""
    return tuple(_called(page) for page in queries.open_pages(person_id=actor.person_id)) if actor.person_id else ()


def _called(page: Page) -> Called:
    card = page.card
    whom = Sentence(mark("called: %(names)s"), {"names": both(page.called)})
    return Called(card.id, card.reason, card.lines, card.link, card.told_at, whom)
