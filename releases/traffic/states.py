"""How a shift of traffic ends, and what may be chosen before one."""

from enum import StrEnum


class ShiftState(StrEnum):
    """A shift is asked for, and then confirmed, failed, waiting for a person, or taken over by another one."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    NEEDS_HUMAN = "needs_human"
    SUPERSEDED = "superseded"


class Choice(StrEnum):
    """What becomes of a shift where Git or a chart holds the route: written anyway, or committed there instead."""

    GO_ON = "go_on"
    GIT = "git"
