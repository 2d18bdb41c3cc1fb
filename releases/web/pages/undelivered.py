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
# What it means that a reaction of the worker failed, by its name.
WORDS: Mapping[str, str] = {
    "revoke_permits": mark("Open permits of %(name)s were not revoked. The gate decides again when one is redeemed."),
    "revoke_broken_permits": mark(
        "Open permits that somebody's leaving breaks were not revoked. The gate decides again when one is redeemed."
    ),
    "look_at_traffic": mark("Nobody looked at the traffic after %(name)s: the next way back starts from old weights."),
    "follow_operation": mark("Work on %(name)s moved on and the change did not hear of it: it stays where it was."),
    "hold_together": mark("Nobody looked whether every route of %(name)s made the step: look at the traffic of each."),
    "call_off": mark("What still runs of %(name)s was not called off: look at the CI system."),
    "close_ledger": mark("The ledger of traffic lacks how a shift of %(name)s ended."),
    "call_back": mark("Who waits for the gate was not called: they ask again by themselves, or wait in vain."),
    "tell_of_second_person": mark(
        "Nobody was called to go back with %(name)s as the second person. Call somebody who may."
    ),
}
TELLING = "tell_"
NOT_TOLD = mark("People were not told what happened to %(name)s.")
OTHERWISE = mark("Nobody heard that this happened: %(kind)s.")


@dataclass(frozen=True, slots=True)
class Undelivered:
    """One message that was given up: what that means, since when, and the last errors."""

    id: UUID
    sentences: tuple[Sentence, ...]
    href: str
    since_at: datetime
    errors: tuple[str, ...]


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
    errors = tuple(line for line in message.error.splitlines() if line.strip())
    texts = dict.fromkeys(_text(line.partition(":")[0]) if number else OTHERWISE for line in errors or ("",))
    parts = {"name": f"CHG-{number}", "kind": message.kind}
    return Undelivered(
        id=message.id,
        sentences=tuple(Sentence(text, parts) for text in texts),
        href=reverse("change", args=[number]) if number else "",
        since_at=message.dead_at,
        errors=errors,
    )


def _text(reaction: str) -> str:
    return WORDS.get(reaction, NOT_TOLD if reaction.startswith(TELLING) else OTHERWISE)
