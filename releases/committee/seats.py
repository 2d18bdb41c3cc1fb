"""The words of the committee: decisions, outcomes of a round, how somebody took part, and the titles of the seats."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from releases.accounts.roles import Role
from releases.core.errors import Sentence
from releases.core.words import mark as _


class Decision(StrEnum):
    """One person's act."""

    APPROVE = "approve"
    REJECT = "reject"
    REQUEST_CHANGES = "request_changes"
    ABSTAIN = "abstain"


class RoundOutcome(StrEnum):
    """How a round ended; ``void`` when the content was withdrawn or edited before it settled."""

    APPROVED = "approved"
    REJECTED = "rejected"
    RETURNED = "returned"
    VOID = "void"


class Relation(StrEnum):
    """How a person took part in what is decided; whoever did cannot vote on it."""

    REQUESTER = "requester"
    AUTHOR = "author"
    COMMITTER = "committer"
    IMPLEMENTER = "implementer"


NEEDS_REASON = frozenset({Decision.REJECT, Decision.REQUEST_CHANGES})
SEATS = frozenset(role.value for role in Role if role.is_seat)
SEAT_TITLES: Mapping[str, str] = MappingProxyType(
    {
        Role.SEAT_BUSINESS.value: _("Business"),
        Role.SEAT_ENGINEERING.value: _("Engineering"),
        Role.SEAT_OPERATIONS.value: _("Operations"),
        Role.SEAT_SECURITY.value: _("Security"),
    }
)
WHY_EXCLUDED: Mapping[str, str] = MappingProxyType(
    {
        Relation.REQUESTER.value: _("You asked for this change, so you cannot vote on it."),
        Relation.AUTHOR.value: _("You wrote a revision of this, so you cannot vote on it."),
        Relation.COMMITTER.value: _("You committed code that this change releases, so you cannot vote on it."),
        Relation.IMPLEMENTER.value: _("You carry out this change, so you cannot vote on it."),
    }
)
WHY_EXCLUDED_OTHERWISE = _("You took part in this change, so you cannot vote on it.")


def title_of(seat: str) -> Sentence:
    """Return the seat's title for people, translatable."""
    return Sentence(SEAT_TITLES.get(seat, seat))
