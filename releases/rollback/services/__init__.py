"""Everything that is done with a rollback, split by verb."""

from releases.rollback.services.beginning import (
    SECOND_PRESSES_WITHIN,
    AlreadyRolledBack,
    SecondPersonNeeded,
    begin,
    take_over,
)
from releases.rollback.services.ending import end_by_hand, ended
from releases.rollback.services.planning import TRAFFIC_STAGE
from releases.rollback.states import KIND

__all__ = [
    "KIND",
    "SECOND_PRESSES_WITHIN",
    "TRAFFIC_STAGE",
    "AlreadyRolledBack",
    "SecondPersonNeeded",
    "begin",
    "end_by_hand",
    "ended",
    "take_over",
]
