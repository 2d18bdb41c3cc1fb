"""How a rollback ends by hand; the names are those of the moves that the change makes."""

from enum import StrEnum

KIND = "rollback"  # of the operation


class ByHand(StrEnum):
    """What a person says of a rollback that does not end by itself."""

    BACK = "back_by_hand"
    STAY = "stay"
