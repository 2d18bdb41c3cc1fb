"""Who hears what, when, and who is called next: tables and pure functions."""

from releases.notify.rules.ladder import LADDER, next_rung
from releases.notify.rules.manners import MANNERS, Manner, at_choice, holds_in
from releases.notify.rules.sending import ATTEMPTS, gathered, next_try
from releases.notify.rules.timing import is_quiet, is_zone, quiet_until, storm_slot, when, where

__all__ = [
    "ATTEMPTS",
    "LADDER",
    "MANNERS",
    "Manner",
    "at_choice",
    "gathered",
    "holds_in",
    "is_quiet",
    "is_zone",
    "next_rung",
    "next_try",
    "quiet_until",
    "storm_slot",
    "when",
    "where",
]
