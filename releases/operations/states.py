"""The states of durable work; a database constraint lists the same names."""

from enum import StrEnum


class OperationState(StrEnum):
    """Where an operation stands."""

    PENDING = "pending"
    RUNNING = "running"
    NEEDS_HUMAN = "needs_human"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"


class StepState(StrEnum):
    """Where a step stands.

    ``sending``: it may be under way. ``unknown``: no trustworthy answer. ``applied``: the outside has it.
    ``skipped`` was never sent; ``abandoned`` may have been sent when its operation was stopped or superseded.
    """

    TODO = "todo"
    SENDING = "sending"
    UNKNOWN = "unknown"
    APPLIED = "applied"
    NEEDS_HUMAN = "needs_human"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ABANDONED = "abandoned"


class AttemptOutcome(StrEnum):
    """What became of one send: ``open`` while nobody knows."""

    OPEN = "open"
    SENT = "sent"
    UNKNOWN = "unknown"
    FOUND = "found"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    REFUSED = "refused"


ACTIVE = frozenset({OperationState.PENDING, OperationState.RUNNING, OperationState.NEEDS_HUMAN})
IN_FLIGHT = frozenset({StepState.SENDING, StepState.UNKNOWN, StepState.APPLIED})
OPEN = IN_FLIGHT | {StepState.TODO}
