"""The states of a notice; a database constraint lists the same names."""

from enum import StrEnum


class NoticeState(StrEnum):
    """Where a notice stands.

    ``pending``: waits for its moment or its next try. ``sent``: somebody has it. ``withdrawn``: its reason is gone.
    ``acknowledged``: a person took it on. ``failed``: it was tried often enough.
    """

    PENDING = "pending"
    SENT = "sent"
    WITHDRAWN = "withdrawn"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"


OPEN = frozenset({NoticeState.PENDING, NoticeState.SENT, NoticeState.FAILED})
