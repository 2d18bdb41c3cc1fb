"""The one decision: facts in, verdict out. No database, no clock, no network.

Every rule runs, so that the answer names everything at once. A reason stops (``stop``: only a new act of people
helps), waits (``wait``: time or somebody's pending act helps), or warns (``warn``: it goes on record, and holds up
nothing). Any stop denies, else any wait waits, and only when nothing stops or waits it is allowed.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _
from releases.gate.rules import approval, moment, safety
from releases.gate.rules.facts import Decision, Facts
from releases.gate.rules.reasons import stop
from releases.gate.states import Intent, ReasonCode, Verdict

PERMIT_LIVES = timedelta(seconds=300)
ASK_AGAIN = timedelta(seconds=30)
ASK_AGAIN_AT_MOST = timedelta(minutes=5)

Rule = Callable[[Facts, datetime], Iterable[Reason]]
FORWARD: tuple[tuple[ReasonCode, Rule], ...] = (
    (ReasonCode.RECORD_CONTRADICTED, approval.the_record_agrees),
    (ReasonCode.NO_CHANGE_REQUEST, approval.covered_by_a_change),
    (ReasonCode.POLICY_ERROR, approval.ruled_by_a_policy),
    (ReasonCode.NOT_AUTHORIZED, approval.in_the_right_state),
    (ReasonCode.APPROVALS_MISSING, approval.approved_on_this_content),
    (ReasonCode.ARTIFACT_MISMATCH, approval.the_approved_artifact),
    (ReasonCode.OUTSIDE_WINDOW, moment.inside_the_window),
    (ReasonCode.BLACKOUT, moment.nothing_closes_the_place),
    (ReasonCode.CUSTOMER_FREEZE, moment.no_customer_asked_for_a_freeze),
    (ReasonCode.CUSTOMER_NOTICE_MISSING, moment.customers_were_told),
    (ReasonCode.ERROR_BUDGET_EXHAUSTED, safety.error_budget_is_left),
    (ReasonCode.RISK_TOO_HIGH, safety.within_the_risk),
    (ReasonCode.PREREQUISITE_MISSING, safety.released_where_it_comes_from),
    (ReasonCode.SOAK_INCOMPLETE, safety.stood_long_enough),
    (ReasonCode.QUARANTINED_ARTIFACT, safety.not_in_quarantine),
    (ReasonCode.ROLLBACK_UNPROVED, safety.has_a_way_back),
    (ReasonCode.EVIDENCE_MISSING, safety.has_test_evidence),
    (ReasonCode.WATCH_IN_PROGRESS, moment.nobody_else_releases_there),
    (ReasonCode.CONFLICT, moment.nobody_else_booked),
    (ReasonCode.ON_HOLD, moment.not_on_hold),
)
# Going back is the least blocked of all acts: no window, freeze, hold or quarantine, no second look at the votes.
BACKWARD: tuple[tuple[ReasonCode, Rule], ...] = (
    (ReasonCode.RECORD_CONTRADICTED, approval.the_record_agrees),
    (ReasonCode.NO_CHANGE_REQUEST, approval.covered_by_a_change),
    (ReasonCode.NOT_AUTHORIZED, approval.in_the_right_state),
    (ReasonCode.ARTIFACT_MISMATCH, approval.the_way_back_artifact),
    (ReasonCode.APPROVAL_EXPIRED, approval.the_warrant_is_live),
)


def decide(facts: Facts, now: datetime) -> Decision:
    """Return the one verdict on these facts at this moment."""
    rules = BACKWARD if facts.request.intent is Intent.ROLLBACK else FORWARD
    reasons: list[Reason] = []
    passed: list[ReasonCode] = []
    for code, rule in rules:
        found = list(rule(facts, now))
        reasons += found
        if not found:
            passed.append(code)
    if any(reason.severity == "stop" for reason in reasons):
        return Decision(Verdict.DENY, tuple(reasons), passed=tuple(passed))
    if any(reason.severity == "wait" for reason in reasons):
        return Decision(Verdict.WAIT, tuple(reasons), retry_after=_ask_again(reasons, now), passed=tuple(passed))
    return Decision(Verdict.ALLOW, tuple(reasons), valid_until=_valid_until(facts, now), passed=tuple(passed))


def without_a_key(decision: Decision) -> Decision:
    """Turn an allow into a deny: there is no key to sign its permit with."""
    if decision.verdict is not Verdict.ALLOW:
        return decision
    reason = stop(
        ReasonCode.POLICY_ERROR,
        Sentence(_("There is no key to sign permits with.")),
        Sentence(_("Ask the operator to make one: manage.py keys make.")),
    )
    return Decision(Verdict.DENY, (reason,))


def _valid_until(facts: Facts, now: datetime) -> datetime:
    end = now + PERMIT_LIVES
    change = facts.change
    if facts.request.intent is not Intent.ROLLBACK and change is not None and change.ends_at is not None:
        return min(end, change.ends_at)
    return end


def _ask_again(reasons: Iterable[Reason], now: datetime) -> timedelta:
    known = [reason.until - now for reason in reasons if reason.until is not None]
    return min(max(*known, ASK_AGAIN), ASK_AGAIN_AT_MOST) if known else ASK_AGAIN
