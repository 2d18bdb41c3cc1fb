"""The words of the gate: intents, verdicts and the stable reason codes."""

from enum import StrEnum


class Intent(StrEnum):
    """What the one who asks wants to do."""

    DEPLOY = "deploy"
    PROMOTE = "promote"
    TRAFFIC_SHIFT = "traffic_shift"
    ROLLBACK = "rollback"


class Verdict(StrEnum):
    """The gate's answer."""

    ALLOW = "allow"
    DENY = "deny"
    WAIT = "wait"


class CallbackState(StrEnum):
    """How it stands with telling somebody who waits: still the same answer, to be told, told, or given up."""

    WAITING = "waiting"
    READY = "ready"
    TOLD = "told"
    UNDELIVERED = "undelivered"


class ReasonCode(StrEnum):
    """Why not; stable, so that scripts may rely on them (design/trust.md, section 2; the last one section 7)."""

    NO_CHANGE_REQUEST = "no_change_request"
    NOT_AUTHORIZED = "not_authorized"
    APPROVALS_MISSING = "approvals_missing"
    SELF_APPROVAL = "self_approval"
    APPROVAL_VOID = "approval_void"
    APPROVAL_EXPIRED = "approval_expired"
    ARTIFACT_MISMATCH = "artifact_mismatch"
    OUTSIDE_WINDOW = "outside_window"
    BLACKOUT = "blackout"
    CUSTOMER_FREEZE = "customer_freeze"
    CUSTOMER_NOTICE_MISSING = "customer_notice_missing"
    CONFLICT = "conflict"
    LOCK_ACTIVE = "lock_active"
    QUARANTINED_ARTIFACT = "quarantined_artifact"
    ROLLBACK_UNPROVED = "rollback_unproved"
    RISK_TOO_HIGH = "risk_too_high"
    PREREQUISITE_MISSING = "prerequisite_missing"
    SOAK_INCOMPLETE = "soak_incomplete"
    WATCH_IN_PROGRESS = "watch_in_progress"
    ERROR_BUDGET_EXHAUSTED = "error_budget_exhausted"
    SUPERSEDED = "superseded"
    ON_HOLD = "on_hold"
    PERMIT_REPLAYED = "permit_replayed"
    POLICY_ERROR = "policy_error"
    EVIDENCE_MISSING = "evidence_missing"
    RECORD_CONTRADICTED = "record_contradicted"
