"""What happened and was not followed up: messages that were given up, for those who may have them tried again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.changes.models import ChangeRequest
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.operations import queries as operations
from releases.operations.queries import GivenUp

MAY = Right.ROLLBACK_BEGIN  # who takes releases back also has what is stuck go on
MOST = 12
PERMITS = mark("Open permits of %(name)s were not revoked. The gate decides again whenever one is redeemed.")
WORDS: Mapping[str, str] = {
    **dict.fromkeys((f"change.{verb}" for verb in ("cancel", "failed", "revise", "supersede", "withdraw")), PERMITS),
    "change.roll_back": PERMITS,
    "change.deployed": mark(
        "Nobody looked at the traffic after %(name)s: the next way back would start from old weights."
    ),
    "operation.failed": mark("Work on %(name)s failed and nobody heard of it: a build may still run."),
    "operation.needs_human": mark("Work on %(name)s waits for a person and nobody was told."),
    "operation.stopped": mark("Work on %(name)s was stopped and nobody heard of it: a build may still run."),
    "operation.succeeded": mark("Work on %(name)s is done and nobody heard of it: the change stays where it was."),
    "operation.superseded": mark("Work on %(name)s was taken over and nobody heard of it: a build may still run."),
}
OTHERWISE = mark("Nobody heard that this happened: %(kind)s.")


@dataclass(frozen=True, slots=True)
class Undelivered:
    """One message that was given up: what that means, since when, and the last error."""

    id: UUID
    sentence: Sentence
    href: str
    since_at: datetime
    error: str


def undelivered(actor: Actor) -> tuple[Undelivered, ...] | None:
    """Return what was given up, oldest first; ``None`` for who may do nothing about it."""
    if MAY not in accounts.rights_of(actor):
        return None
    found = operations.given_up(most=MOST)
    numbers = dict(ChangeRequest.objects.filter(pk__in=[_about(one) for one in found]).values_list("pk", "number"))
    return tuple(_shown(one, numbers.get(_about(one))) for one in found)


def _about(message: GivenUp) -> UUID:
    """Return the change a message is about, or whatever else it names."""
    return UUID(message.data["subject"]) if message.kind.startswith("operation.") else message.ref


def _shown(message: GivenUp, number: int | None) -> Undelivered:
    text = WORDS.get(message.kind, OTHERWISE) if number else OTHERWISE
    return Undelivered(
        id=message.id,
        sentence=Sentence(text, {"name": f"CHG-{number}", "kind": message.kind}),
        href=reverse("change", args=[number]) if number else "",
        since_at=message.dead_at,
        error=message.error.strip().splitlines()[0] if message.error.strip() else "",
    )
