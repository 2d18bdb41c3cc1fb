"""Names of states, types and outcomes of a change request, and which belong together."""

from enum import StrEnum


class State(StrEnum):
    """Where a change request stands in its life."""

    DRAFT = "draft"
    ASSESSING = "assessing"
    AUTHORIZING = "authorizing"
    SCHEDULED = "scheduled"
    IMPLEMENTING = "implementing"
    WATCHING = "watching"
    ROLLING_BACK = "rolling_back"
    REVIEWING = "reviewing"
    CLOSED = "closed"
    REJECTED = "rejected"
    CANCELED = "canceled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


ENDED = frozenset({State.CLOSED, State.REJECTED, State.CANCELED, State.EXPIRED, State.SUPERSEDED})
EDITABLE = frozenset({State.DRAFT, State.ASSESSING, State.AUTHORIZING, State.SCHEDULED})
RUNNING = frozenset({State.IMPLEMENTING, State.WATCHING, State.ROLLING_BACK})
MAIN_LINE = (
    State.DRAFT,
    State.ASSESSING,
    State.AUTHORIZING,
    State.SCHEDULED,
    State.IMPLEMENTING,
    State.WATCHING,
    State.REVIEWING,
    State.CLOSED,
)


class ChangeType(StrEnum):
    """How a change request is decided."""

    STANDARD = "standard"
    NORMAL = "normal"
    EMERGENCY = "emergency"
    RETROACTIVE = "retroactive"


class Outcome(StrEnum):
    """How a change request ended, as its review says."""

    SUCCESSFUL = "successful"
    SUCCESSFUL_WITH_ISSUES = "successful_with_issues"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    NOT_IMPLEMENTED = "not_implemented"


class MigrationClass(StrEnum):
    """What the change does to data, and so what going back means for it."""

    NONE = "none"
    EXPAND = "expand"
    CONTRACT = "contract"
    IRREVERSIBLE = "irreversible"
