"""Writes of a change request: one function per thing a person can do; each opens its transaction.

The ``move`` of :mod:`releases.changes.services.moving` is for rooms above, inside their own transaction.
"""

from releases.changes.drafts import ChangeDraft, ItemDraft
from releases.changes.services.deciding import vote
from releases.changes.services.drafting import draft, revise
from releases.changes.services.ending import cancel, close, expire_due, settle, settle_due, supersede
from releases.changes.services.holding import hold, resume
from releases.changes.services.moving import locked, may_move, move
from releases.changes.services.reporting import deployed, failed
from releases.changes.services.submitting import excluded, submit, withdraw
from releases.changes.services.telling import tell_customer

__all__ = [
    "ChangeDraft",
    "ItemDraft",
    "cancel",
    "close",
    "deployed",
    "draft",
    "excluded",
    "expire_due",
    "failed",
    "hold",
    "locked",
    "may_move",
    "move",
    "resume",
    "revise",
    "settle",
    "settle_due",
    "submit",
    "supersede",
    "tell_customer",
    "vote",
    "withdraw",
]
