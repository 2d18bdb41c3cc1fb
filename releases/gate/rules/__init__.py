"""The gate's rules, split by question: what people approved, whether this is the moment, whether it is safe."""

from releases.gate.rules.approval import OPEN_FOR
from releases.gate.rules.deciding import ASK_AGAIN, PERMIT_LIVES, decide, without_a_key
from releases.gate.rules.facts import ChangeFacts, Closure, Decision, Facts, Prerequisite, Request, Run

__all__ = [
    "ASK_AGAIN",
    "OPEN_FOR",
    "PERMIT_LIVES",
    "ChangeFacts",
    "Closure",
    "Decision",
    "Facts",
    "Prerequisite",
    "Request",
    "Run",
    "decide",
    "without_a_key",
]
