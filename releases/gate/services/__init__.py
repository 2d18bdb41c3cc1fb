"""Ask the gate, redeem a permit, revoke what an edit broke, call who waits, answer who polls."""

from releases.gate.services.asking import Answer, KeyReused, ask, receipt_of
from releases.gate.services.calling import Call, begin_call, call_arrived, call_failed, look_again
from releases.gate.services.polling import poll
from releases.gate.services.redeeming import Redeemed, Replayed, redeem
from releases.gate.services.revoking import revoke_broken, revoke_for

__all__ = [
    "Answer",
    "Call",
    "KeyReused",
    "Redeemed",
    "Replayed",
    "ask",
    "begin_call",
    "call_arrived",
    "call_failed",
    "look_again",
    "poll",
    "receipt_of",
    "redeem",
    "revoke_broken",
    "revoke_for",
]
