"""The states of a deployment, and what may be asked of it, in our words."""

from enum import StrEnum


class State(StrEnum):
    """Where a deployment is; the last eight are ends. ``UNCHANGED`` ended well and did nothing: no success."""

    REQUESTED = "requested"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING_INPUT = "waiting_input"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED_EXTERNALLY = "aborted_externally"
    LOST = "lost"
    NOT_FOUND = "not_found"
    SUPERSEDED = "superseded"
    UNCHANGED = "unchanged"


ENDS = frozenset(
    {
        State.SUCCEEDED,
        State.FAILED,
        State.CANCELED,
        State.ABORTED_EXTERNALLY,
        State.LOST,
        State.NOT_FOUND,
        State.SUPERSEDED,
        State.UNCHANGED,
    }
)


class Act(StrEnum):
    """What a person may ask of a run; each harder way to end it is an act of its own, none follows by itself.

    ``STOP`` lets it clean up after itself, ``TERMINATE`` fails what it does right now, ``KILL`` only forgets it: what
    it began elsewhere may go on.
    """

    STOP = "stop"
    TERMINATE = "terminate"
    KILL = "kill"
    PAUSE = "pause"
    RESUME = "resume"


ANSWER = "answer"  # what a person does with a question, beside the acts
STOPS = frozenset({Act.STOP, Act.TERMINATE, Act.KILL})
