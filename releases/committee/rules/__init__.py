"""The committee's rules, split by question: who may decide, what a policy asks for, when it is decided."""

from releases.committee.rules.eligibility import (
    Ballot,
    Lent,
    Member,
    Standing,
    eligibility,
    signed_in_freshly,
    signed_in_twice,
)
from releases.committee.rules.policy import Need, Requirement, Rule, required, strictest
from releases.committee.rules.quorum import BallotView, Decider, SeatTally, Tally, Way, tally, ways, why_no_way
from releases.committee.seats import Decision, Relation, RoundOutcome

__all__ = [
    "Ballot",
    "BallotView",
    "Decider",
    "Decision",
    "Lent",
    "Member",
    "Need",
    "Relation",
    "Requirement",
    "RoundOutcome",
    "Rule",
    "SeatTally",
    "Standing",
    "Tally",
    "Way",
    "eligibility",
    "required",
    "signed_in_freshly",
    "signed_in_twice",
    "strictest",
    "tally",
    "ways",
    "why_no_way",
]
