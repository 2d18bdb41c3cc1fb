"""What traffic is not as asked for, for those who may put it back."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.traffic import queries
from releases.traffic.rules import printed
from releases.web.looks import Words

MAY_RESTORE = frozenset({Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN})


@dataclass(frozen=True, slots=True)
class Drifted:
    """One drift: where, what stands there instead of what, who did it, and what the owner does with a restore."""

    drift_id: UUID
    route_id: UUID
    service: str
    environment: str
    said: Words
    who: Words
    consequence: Words
    raised_at: datetime


def drifted(actor: Actor) -> tuple[Drifted, ...] | None:
    """Return what drifted, oldest first; ``None`` for who may do nothing about it."""
    if not MAY_RESTORE & accounts.rights_of(actor):
        return None
    return tuple(
        Drifted(
            drift_id=one.id,
            route_id=one.route_id,
            service=one.service,
            environment=one.environment,
            said=Sentence(
                mark("%(found)s instead of %(wanted)s"),
                {"found": printed(one.observed), "wanted": printed(one.asked)},
            ),
            who=queries.who_did_it(one),
            consequence=one.consequence or "",
            raised_at=one.raised_at,
        )
        for one in queries.drifts()
    )
