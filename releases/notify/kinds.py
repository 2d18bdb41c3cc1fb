"""The words of notices: what they are about, how urgent that is, where they go, and how they are gathered."""

from enum import StrEnum


class Topic(StrEnum):
    """What a notice is about."""

    APPROVED = "approved"
    CALLBACK_FAILED = "callback_failed"
    CHANGES_REQUESTED = "changes_requested"
    CREDENTIAL_ENDS = "credential_ends"
    DRIFT = "drift"
    FREEZE = "freeze"
    MESSAGE_DEAD = "message_dead"
    NEEDS_HUMAN = "needs_human"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    REPORT_REFUSED = "report_refused"
    REVIEW_DUE = "review_due"
    REVIEW_OVERDUE = "review_overdue"
    ROLLBACK_ASKED = "rollback_asked"
    ROLLBACK_BEGUN = "rollback_begun"
    ROLLBACK_FAILED = "rollback_failed"
    ROLLED_BACK = "rolled_back"
    SINK_FAILED = "sink_failed"
    TEST = "test"
    VERDICT_BAD = "verdict_bad"
    VOTE_NEEDED = "vote_needed"
    WINDOW_SOON = "window_soon"
    WITNESS_INCONSISTENT = "witness_inconsistent"


class Urgency(StrEnum):
    """How long a notice may wait.

    ``page``: never; it climbs the ladder until somebody takes it. ``now``: not for quiet hours or digests.
    ``calm``: as its reader likes it.
    """

    PAGE = "page"
    NOW = "now"
    CALM = "calm"


class Sink(StrEnum):
    """Where a notice goes; ``here`` is the list in GMUD itself, where every notice stands."""

    EMAIL = "email"
    HERE = "here"
    SLACK = "slack"
    TEAMS = "teams"
    WEBHOOK = "webhook"


class ChannelKind(StrEnum):
    """What a shared channel is."""

    EMAIL = "email"
    SLACK = "slack"
    TEAMS = "teams"
    WEBHOOK = "webhook"


class Group(StrEnum):
    """Who stands in what relation to the thing a notice is about."""

    AFFECTED = "affected"
    ON_CALL = "on_call"
    OWNER_TEAM = "owner_team"
    RELEASE_MANAGERS = "release_managers"
    REQUESTER = "requester"
    RUNNERS = "runners"
    VOTERS = "voters"


class Digest(StrEnum):
    """How often calm notices are gathered into one."""

    AT_ONCE = "at_once"
    QUARTER = "quarter"
    HOUR = "hour"
    DAY = "day"
