"""What a person or a machine may do: one right per line, alphabetical."""

from enum import StrEnum


class Right(StrEnum):
    """A right, ``subject.action``."""

    AUDIT_READ = "audit.read"
    CATALOG_EDIT = "catalog.edit"
    CHANGE_FILE = "change.file"
    CHANGE_READ = "change.read"
    CHANGE_RELEASE = "change.release"
    CHANGE_VOTE = "change.vote"
    FREEZE_SET = "freeze.set"
    GATE_ASK = "gate.ask"
    METRICS_READ = "metrics.read"
    PEOPLE_EDIT = "people.edit"
    PERMIT_REDEEM = "permit.redeem"
    POLICY_EDIT = "policy.edit"
    QUARANTINE_CLEAR = "quarantine.clear"
    ROLLBACK_BEGIN = "rollback.begin"
    SYSTEM_ACT = "system.act"
