"""The stages of a rollout, in order, and the kinds of operations that carry it."""

from enum import StrEnum

DEPLOY_STAGE = 1
CANARY_PERCENT = 10
ALL_PERCENT = 100


class Work(StrEnum):
    """The operations of a release: going forward, putting a step back that did not move whole, then watching."""

    ROLLOUT = "rollout"
    PUT_BACK = "put_back"
    WATCH = "watch"


def shift_stage(move: int) -> int:
    """Return the stage in which the routes of a release make a move, counted from 1: all of them, or none."""
    return DEPLOY_STAGE + 2 * move - 1


def pause_stage(move: int) -> int:
    """Return the stage after a move, in which it pauses and health is judged."""
    return DEPLOY_STAGE + 2 * move
