"""How a shift of traffic ends."""

from enum import StrEnum


class ShiftState(StrEnum):
    """A shift is asked for, and then confirmed, failed, waiting for a person, or taken over by another one."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    NEEDS_HUMAN = "needs_human"
    SUPERSEDED = "superseded"
