"""The words of the calendar."""

from enum import StrEnum


class WindowKind(StrEnum):
    """Whether a window lets changes through or keeps them out."""

    OPEN = "open"
    FREEZE = "freeze"
