"""The stages of a rollout, in order, and the kinds of operations that carry it."""

from enum import IntEnum, StrEnum


class Stage(IntEnum):
    """What a rollout does, one after the other; steps of one stage run side by side."""

    DEPLOY = 1
    CANARY = 2
    VERDICT = 3
    ALL = 4


class Work(StrEnum):
    """The two operations of a release: going forward, then watching."""

    ROLLOUT = "rollout"
    WATCH = "watch"


CANARY_PERCENT = 10
ALL_PERCENT = 100
