"""The states of a deployment, in our words."""

from enum import StrEnum


class State(StrEnum):
    """Where a deployment is; the last seven are ends."""

    REQUESTED = "requested"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING_INPUT = "waiting_input"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED_EXTERNALLY = "aborted_externally"
    LOST = "lost"
    NOT_FOUND = "not_found"
    SUPERSEDED = "superseded"


ENDS = frozenset(
    {
        State.SUCCEEDED,
        State.FAILED,
        State.CANCELED,
        State.ABORTED_EXTERNALLY,
        State.LOST,
        State.NOT_FOUND,
        State.SUPERSEDED,
    }
)
