"""The one decision: every rule by itself, all of them against an oracle written from the specification."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.changes.rules import Promise, Stay
from releases.changes.states import State
from releases.core.errors import Sentence
from releases.gate.rules import ChangeFacts, Closure, Facts, Prerequisite, Request, decide
from releases.gate.states import Intent, ReasonCode, Verdict
from releases.impact.lenses import Level

NOW = datetime(2026, 9, 15, 22, 0, tzinfo=UTC)
DIGEST, OTHER, BACK = (f"sha256:{sign * 64}" for sign in "abc")
MICROSECOND = timedelta(microseconds=1)
RISKS = ["low", "moderate", "high", "very_high"]

CHANGE = ChangeFacts(
    number=1042,
    state=State.SCHEDULED,
    is_intact=True,
    is_authorized=True,
    approved_digest=DIGEST,
    back_digest=BACK,
    starts_at=NOW - timedelta(hours=1),
    ends_at=NOW + timedelta(hours=1),
)


def facts(
    intent: Intent = Intent.DEPLOY, digest: str = DIGEST, *, change: ChangeFacts | None = CHANGE, **more
) -> Facts:
    return Facts(Request("ledgerwriter", "production", "ledgerwriter", digest, intent), change, **more)


def codes(found) -> set[str]:
    return {str(reason.code) for reason in found.reasons}


def test_an_authorized_change_inside_its_window_is_allowed_for_five_minutes():
    found = decide(facts(), NOW)

    assert found.verdict is Verdict.ALLOW
    assert found.valid_until == NOW + timedelta(seconds=300)
    assert not found.reasons


def test_a_permit_never_outlives_the_window():
    ends = NOW + timedelta(seconds=90)

    assert decide(facts(change=replace(CHANGE, ends_at=ends)), NOW).valid_until == ends


def first(*stays: Stay, hours: int = 24) -> tuple[Prerequisite, ...]:
    """Return what comes first: staging, where the artifact stood like this."""
    return (Prerequisite("staging", timedelta(hours=hours), stays),)


DAY = timedelta(hours=24)
TWO_DAYS_AGO = NOW - 2 * DAY
AGAINST = Sentence("Something was rewritten.")
HOURS = 72
NOBODY_TOLD = Promise(UUID(int=1), "Partner banks", HOURS)
TOLD_JUST_IN_TIME = replace(NOBODY_TOLD, told_at=NOW - timedelta(hours=HOURS))
TOLD_TOO_LATE = replace(NOBODY_TOLD, told_at=NOW - timedelta(hours=HOURS) + MICROSECOND)
EMERGENCY = replace(CHANGE, is_emergency=True)
DENIED = {
    "the record contradicts its witness": (facts(contradiction=AGAINST), ReasonCode.RECORD_CONTRADICTED),
    "no change names it": (facts(change=None), ReasonCode.NO_CHANGE_REQUEST),
    "there is no policy": (facts(has_policy=False), ReasonCode.POLICY_ERROR),
    "it is a draft": (facts(change=replace(CHANGE, state=State.DRAFT)), ReasonCode.NOT_AUTHORIZED),
    "it is being assessed": (facts(change=replace(CHANGE, state=State.ASSESSING)), ReasonCode.NOT_AUTHORIZED),
    "it was rejected": (facts(change=replace(CHANGE, state=State.REJECTED)), ReasonCode.NOT_AUTHORIZED),
    "it was canceled": (facts(change=replace(CHANGE, state=State.CANCELED)), ReasonCode.NOT_AUTHORIZED),
    "it is closed": (facts(change=replace(CHANGE, state=State.CLOSED)), ReasonCode.NOT_AUTHORIZED),
    "it is under review": (facts(change=replace(CHANGE, state=State.REVIEWING)), ReasonCode.NOT_AUTHORIZED),
    "it is rolling back": (facts(change=replace(CHANGE, state=State.ROLLING_BACK)), ReasonCode.NOT_AUTHORIZED),
    "it is watched, and a deploy is asked": (
        facts(change=replace(CHANGE, state=State.WATCHING)),
        ReasonCode.NOT_AUTHORIZED,
    ),
    "it expired": (facts(change=replace(CHANGE, state=State.EXPIRED)), ReasonCode.APPROVAL_EXPIRED),
    "it was superseded": (facts(change=replace(CHANGE, state=State.SUPERSEDED)), ReasonCode.SUPERSEDED),
    "its content is another": (facts(change=replace(CHANGE, is_intact=False)), ReasonCode.APPROVAL_VOID),
    "a vote no longer counts": (facts(change=replace(CHANGE, is_authorized=False)), ReasonCode.APPROVALS_MISSING),
    "the requester voted": (facts(change=replace(CHANGE, self_voters=("Ana",))), ReasonCode.SELF_APPROVAL),
    "it is another artifact": (facts(digest=OTHER), ReasonCode.ARTIFACT_MISMATCH),
    "it names another place": (facts(change=replace(CHANGE, approved_digest="")), ReasonCode.ARTIFACT_MISMATCH),
    "the window is over": (facts(change=replace(CHANGE, ends_at=NOW)), ReasonCode.OUTSIDE_WINDOW),
    "there is no window": (facts(change=replace(CHANGE, starts_at=None)), ReasonCode.OUTSIDE_WINDOW),
    "it is in quarantine": (facts(is_quarantined=True), ReasonCode.QUARANTINED_ARTIFACT),
    "there is no way back": (facts(change=replace(CHANGE, is_way_back_known=False)), ReasonCode.ROLLBACK_UNPROVED),
    "traffic moved since": (facts(change=replace(CHANGE, is_traffic_as_planned=False)), ReasonCode.ROLLBACK_UNPROVED),
    "nobody told a customer": (facts(promises=(NOBODY_TOLD,)), ReasonCode.CUSTOMER_NOTICE_MISSING),
    "one of two customers was not told": (
        facts(promises=(TOLD_JUST_IN_TIME, NOBODY_TOLD)),
        ReasonCode.CUSTOMER_NOTICE_MISSING,
    ),
    "an emergency, and nobody told a customer": (
        facts(change=EMERGENCY, promises=(NOBODY_TOLD,)),
        ReasonCode.CUSTOMER_NOTICE_MISSING,
    ),
    "the error budget is spent": (facts(is_budget_spent=True), ReasonCode.ERROR_BUDGET_EXHAUSTED),
    "the risk is one higher than the policy lets in": (
        facts(change=replace(CHANGE, risk=Level.HIGH), highest_risk=Level.MODERATE),
        ReasonCode.RISK_TOO_HIGH,
    ),
    "it was never released where it must come from": (facts(prerequisites=first()), ReasonCode.PREREQUISITE_MISSING),
    "it was never released there, however short it must stand": (
        facts(prerequisites=first(hours=0)),
        ReasonCode.PREREQUISITE_MISSING,
    ),
    "another version took its place there a moment too early": (
        facts(prerequisites=first(Stay(TWO_DAYS_AGO, TWO_DAYS_AGO + DAY - MICROSECOND))),
        ReasonCode.PREREQUISITE_MISSING,
    ),
    "it stood there long enough only in two goes": (
        facts(
            prerequisites=first(
                Stay(TWO_DAYS_AGO, TWO_DAYS_AGO + DAY / 2), Stay(NOW - DAY, NOW - MICROSECOND), hours=25
            )
        ),
        ReasonCode.PREREQUISITE_MISSING,
    ),
    "one of two places it must come from is missing": (
        facts(prerequisites=(*first(Stay(TWO_DAYS_AGO)), Prerequisite("development"))),
        ReasonCode.PREREQUISITE_MISSING,
    ),
    "nothing was tested": (facts(change=replace(CHANGE, has_evidence=False)), ReasonCode.EVIDENCE_MISSING),
}


@pytest.mark.parametrize(("given_facts", "code"), DENIED.values(), ids=DENIED)
def test_it_is_denied_when(given_facts, code):
    found = decide(given_facts, NOW)

    assert found.verdict is Verdict.DENY
    assert code in codes(found)
    assert found.valid_until is None


FREEZE = Closure(ReasonCode.BLACKOUT, Sentence("Frozen."), NOW + timedelta(hours=2))
LOCK = Closure(ReasonCode.LOCK_ACTIVE, Sentence("Locked."))
PAYROLL = Closure(ReasonCode.CUSTOMER_FREEZE, Sentence("Payroll day."), NOW + timedelta(hours=3))
WAITING = {
    "a seat has not decided": (
        facts(change=replace(CHANGE, state=State.AUTHORIZING, is_authorized=False)),
        ReasonCode.APPROVALS_MISSING,
    ),
    "the quorum is there but nobody moved it": (
        facts(change=replace(CHANGE, state=State.AUTHORIZING)),
        ReasonCode.APPROVALS_MISSING,
    ),
    "the window is ahead": (
        facts(change=replace(CHANGE, starts_at=NOW + MICROSECOND)),
        ReasonCode.OUTSIDE_WINDOW,
    ),
    "a freeze holds": (facts(closures=(FREEZE,)), ReasonCode.BLACKOUT),
    "a lock holds": (facts(closures=(LOCK,)), ReasonCode.LOCK_ACTIVE),
    "a customer asked for a freeze": (facts(asked_for=(PAYROLL,)), ReasonCode.CUSTOMER_FREEZE),
    "a customer was told a moment too late": (facts(promises=(TOLD_TOO_LATE,)), ReasonCode.CUSTOMER_NOTICE_MISSING),
    "it has not stood long enough where it must come from": (
        facts(prerequisites=first(Stay(NOW - DAY + MICROSECOND))),
        ReasonCode.SOAK_INCOMPLETE,
    ),
    "it stands there anew, after it stood there too short": (
        facts(prerequisites=first(Stay(TWO_DAYS_AGO, TWO_DAYS_AGO + MICROSECOND), Stay(NOW))),
        ReasonCode.SOAK_INCOMPLETE,
    ),
    "somebody else releases there": (facts(released_there=(7,)), ReasonCode.WATCH_IN_PROGRESS),
    "somebody else booked first": (facts(booked_there=(7,)), ReasonCode.CONFLICT),
    "it is on hold": (facts(change=replace(CHANGE, is_on_hold=True)), ReasonCode.ON_HOLD),
}


@pytest.mark.parametrize(("given_facts", "code"), WAITING.values(), ids=WAITING)
def test_it_waits_while(given_facts, code):
    found = decide(given_facts, NOW)

    assert found.verdict is Verdict.WAIT
    assert codes(found) == {code}
    assert found.retry_after is not None
    assert timedelta(0) < found.retry_after <= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        (CHANGE.starts_at - MICROSECOND, Verdict.WAIT),
        (CHANGE.starts_at, Verdict.ALLOW),
        (CHANGE.ends_at - MICROSECOND, Verdict.ALLOW),
        (CHANGE.ends_at, Verdict.DENY),
    ],
)
def test_the_window_begins_inside_and_ends_outside(at, verdict):
    assert decide(facts(), at).verdict is verdict


@pytest.mark.parametrize("highest", list(Level))
@pytest.mark.parametrize("risk", list(Level))
def test_a_risk_may_go_up_to_the_highest_that_the_policy_lets_in(risk, highest):
    found = decide(facts(change=replace(CHANGE, risk=risk), highest_risk=highest), NOW)

    assert codes(found) == (set() if RISKS.index(risk) <= RISKS.index(highest) else {"risk_too_high"})


def test_the_risk_of_what_was_not_handed_in_is_not_known_yet():
    draft = replace(CHANGE, state=State.DRAFT, risk=Level.VERY_HIGH)

    assert codes(decide(facts(change=draft, highest_risk=Level.LOW), NOW)) == {"not_authorized"}


@pytest.mark.parametrize(
    ("stays", "verdict"),
    [
        ([Stay(NOW - DAY)], Verdict.ALLOW),
        ([Stay(NOW - DAY + MICROSECOND)], Verdict.WAIT),
        ([Stay(TWO_DAYS_AGO, TWO_DAYS_AGO + DAY)], Verdict.ALLOW),
        ([Stay(TWO_DAYS_AGO, TWO_DAYS_AGO + DAY), Stay(NOW)], Verdict.ALLOW),
        ([Stay(TWO_DAYS_AGO, TWO_DAYS_AGO + DAY - MICROSECOND)], Verdict.DENY),
    ],
)
def test_a_version_must_have_stood_its_hours_at_one_go_to_the_microsecond(stays, verdict):
    assert decide(facts(prerequisites=first(*stays)), NOW).verdict is verdict


def test_who_waits_for_a_version_to_stand_is_told_until_when():
    found = decide(facts(prerequisites=first(Stay(NOW - timedelta(hours=1)))), NOW)

    assert [reason.until for reason in found.reasons] == [NOW + timedelta(hours=23)]


def test_a_release_that_must_come_from_elsewhere_is_told_from_where_and_what_to_file():
    (reason,) = decide(facts(prerequisites=first()), NOW).reasons

    assert "staging" in str(reason.message)
    assert "File a change request" in str(reason.fix)
    assert "staging" in str(reason.fix)


def test_what_is_on_its_way_does_not_wait_for_who_booked_first_and_now_waits_for_it():
    begun = replace(CHANGE, state=State.IMPLEMENTING)

    assert decide(facts(intent=Intent.TRAFFIC_SHIFT, change=begun, booked_there=(7,)), NOW).verdict is Verdict.ALLOW
    assert decide(facts(booked_there=(7,)), NOW).verdict is Verdict.WAIT
    assert decide(facts(change=begun, booked_there=(7,)), NOW).verdict is Verdict.WAIT  # it is not there yet


def test_what_is_on_its_way_when_its_window_ends_is_told_to_go_back():
    over = replace(CHANGE, state=State.IMPLEMENTING, ends_at=NOW)
    (reason,) = decide(facts(intent=Intent.TRAFFIC_SHIFT, change=over), NOW).reasons

    assert str(reason.fix).startswith("Go back")


def test_a_stop_beats_a_wait_and_every_reason_is_named():
    found = decide(facts(digest=OTHER, closures=(FREEZE,), change=replace(CHANGE, is_on_hold=True)), NOW)

    assert found.verdict is Verdict.DENY
    assert codes(found) == {"artifact_mismatch", "blackout", "on_hold"}


def test_every_reason_says_what_helps():
    for given_facts, _code in [*DENIED.values(), *WAITING.values()]:
        assert all(reason.fix is not None for reason in decide(given_facts, NOW).reasons)


def test_a_freeze_of_a_customer_says_when_it_ends():
    [reason] = decide(facts(asked_for=(PAYROLL,)), NOW).reasons

    assert reason.until == PAYROLL.until


def test_whoever_was_told_just_in_time_holds_nothing_up():
    found = decide(facts(promises=(TOLD_JUST_IN_TIME,)), NOW)

    assert found.verdict is Verdict.ALLOW
    assert ReasonCode.CUSTOMER_NOTICE_MISSING in found.passed


def test_who_was_told_too_late_is_waited_for_until_the_promised_hours_are_over():
    [reason] = decide(facts(promises=(TOLD_TOO_LATE,)), NOW).reasons

    assert reason.until == NOW + MICROSECOND
    assert decide(facts(promises=(TOLD_TOO_LATE,)), NOW + MICROSECOND).verdict is Verdict.ALLOW


def test_an_emergency_passes_a_spent_error_budget_and_the_warning_is_in_the_answer():
    found = decide(facts(change=EMERGENCY, is_budget_spent=True), NOW)

    assert found.verdict is Verdict.ALLOW
    assert found.valid_until is not None
    assert [(reason.code, reason.severity) for reason in found.reasons] == [("error_budget_exhausted", "warn")]
    assert ReasonCode.ERROR_BUDGET_EXHAUSTED not in found.passed


@pytest.mark.parametrize(
    ("more", "verdict"), [({"closures": (FREEZE,)}, Verdict.WAIT), ({"is_quarantined": True}, Verdict.DENY)]
)
def test_a_warning_lets_nothing_pass_that_something_else_holds_up(more, verdict):
    assert decide(facts(change=EMERGENCY, is_budget_spent=True, **more), NOW).verdict is verdict


@pytest.mark.parametrize(
    "against", [{"asked_for": (PAYROLL,)}, {"promises": (NOBODY_TOLD,)}, {"is_budget_spent": True}], ids=str
)
def test_no_customer_and_no_budget_holds_up_a_rollback(against):
    change = replace(CHANGE, state=State.WATCHING, watch_until_at=NOW + MICROSECOND)

    found = decide(facts(Intent.ROLLBACK, BACK, change=change, **against), NOW)

    assert found.verdict is Verdict.ALLOW
    assert not found.reasons


@pytest.mark.parametrize("state", [State.IMPLEMENTING, State.WATCHING, State.ROLLING_BACK])
def test_a_rollback_passes_freeze_lock_hold_window_and_lost_votes(state):
    change = replace(
        CHANGE,
        state=state,
        is_on_hold=True,
        is_authorized=False,
        is_intact=False,
        ends_at=NOW - timedelta(hours=1),
        watch_until_at=NOW + MICROSECOND,
        risk=Level.VERY_HIGH,
    )

    asked = {"highest_risk": Level.LOW, "prerequisites": (*first(), *first(Stay(NOW)))}
    found = decide(facts(Intent.ROLLBACK, BACK, change=change, closures=(FREEZE, LOCK), **asked), NOW)

    assert found.verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"state": State.SCHEDULED}, ReasonCode.NOT_AUTHORIZED),
        ({"state": State.REVIEWING}, ReasonCode.NOT_AUTHORIZED),
        ({"back_digest": OTHER}, ReasonCode.ARTIFACT_MISMATCH),
        ({"watch_until_at": NOW}, ReasonCode.APPROVAL_EXPIRED),
    ],
)
def test_a_rollback_is_denied_without_a_live_warrant_for_that_artifact(changed, code):
    change = replace(CHANGE, **{"state": State.WATCHING, "watch_until_at": NOW + MICROSECOND, **changed})

    found = decide(facts(Intent.ROLLBACK, BACK, change=change), NOW)

    assert found.verdict is Verdict.DENY
    assert codes(found) == {code}


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (State.IMPLEMENTING, Verdict.DENY),
        (State.WATCHING, Verdict.DENY),
        (State.ROLLING_BACK, Verdict.ALLOW),
    ],
)
def test_while_the_record_contradicts_its_witness_only_a_rollback_under_way_goes_on(state, verdict):
    change = replace(CHANGE, state=state, watch_until_at=NOW + MICROSECOND)

    found = decide(facts(Intent.ROLLBACK, BACK, change=change, contradiction=AGAINST), NOW)

    assert found.verdict is verdict
    assert codes(found) == (set() if verdict is Verdict.ALLOW else {ReasonCode.RECORD_CONTRADICTED})


def oracle(given_facts: Facts, now: datetime) -> bool:
    """Say whether forward may pass, from the sentence in the design and nothing else.

    No allow without quorum of distinct, eligible people on exactly this content, inside an open window, for exactly
    this artifact digest; nothing frozen, locked, held, quarantined, untested, without a way back, or busy; and no
    allow while the record contradicts its witness. No customer who would be hurt has asked for a freeze, and each who
    was promised notice was told that long ago; there is error budget left, unless it is an emergency. No higher risk
    than the policy lets in, and nothing that did not stand where it comes from for all its hours at one go.
    """
    change = given_facts.change
    if given_facts.contradiction is not None:
        return False
    if change is None or not given_facts.has_policy or change.starts_at is None or change.ends_at is None:
        return False
    wanted = {
        Intent.DEPLOY: ["scheduled", "implementing"],
        Intent.PROMOTE: ["implementing", "watching"],
        Intent.TRAFFIC_SHIFT: ["implementing", "watching"],
    }[given_facts.request.intent]
    return (
        str(change.state) in wanted
        and change.is_intact
        and change.is_authorized
        and change.self_voters == ()
        and change.approved_digest == given_facts.request.digest
        and not now < change.starts_at
        and now < change.ends_at
        and given_facts.closures == ()
        and given_facts.asked_for == ()
        and all(one.told_at is not None and now - one.told_at >= timedelta(hours=HOURS) for one in given_facts.promises)
        and not (given_facts.is_budget_spent and not change.is_emergency)
        and not given_facts.is_quarantined
        and change.is_way_back_known
        and (change.is_traffic_as_planned or str(change.state) != "scheduled")
        and change.has_evidence
        and given_facts.released_there == ()
        and (given_facts.booked_there == () or str(given_facts.request.intent) != "deploy")
        and not change.is_on_hold
        and RISKS.index(change.risk) <= RISKS.index(given_facts.highest_risk)
        and all(
            [stay for stay in one.stays if stay.since_at + one.soak <= (stay.ended_at or now)]
            for one in given_facts.prerequisites
        )
    )


moments = st.integers(-2, 2).map(lambda step: NOW + step * MICROSECOND)
mostly = st.sampled_from([True, True, True, False])
changes = st.builds(
    ChangeFacts,
    number=st.just(1042),
    state=st.sampled_from([State.SCHEDULED, State.IMPLEMENTING, State.WATCHING, *State]),
    is_intact=mostly,
    is_authorized=mostly,
    self_voters=st.sampled_from([(), (), (), ("Ana",)]),
    approved_digest=st.sampled_from([DIGEST, DIGEST, OTHER, ""]),
    back_digest=st.just(BACK),
    is_way_back_known=mostly,
    is_traffic_as_planned=mostly,
    has_evidence=mostly,
    starts_at=st.one_of(st.just(NOW - timedelta(hours=1)), moments, st.none()),
    ends_at=st.one_of(st.just(NOW + timedelta(hours=1)), moments, st.none()),
    is_on_hold=mostly.map(lambda one: not one),
    is_emergency=mostly.map(lambda one: not one),
    risk=st.sampled_from(Level),
)
stays = st.builds(
    Stay,
    since_at=moments.map(lambda at: at - DAY),
    ended_at=st.one_of(st.none(), moments),
)
prerequisites = st.builds(
    Prerequisite,
    environment=st.just("staging"),
    soak=st.sampled_from([timedelta(0), DAY]),
    stays=st.lists(stays, min_size=0, max_size=2).map(tuple),
)
worlds = st.builds(
    Facts,
    request=st.builds(
        Request,
        service=st.just("s"),
        environment=st.just("e"),
        artifact_name=st.just("s"),
        digest=st.sampled_from([DIGEST, DIGEST, OTHER]),
        intent=st.sampled_from([Intent.DEPLOY, Intent.DEPLOY, Intent.PROMOTE, Intent.TRAFFIC_SHIFT]),
    ),
    change=st.one_of(changes, changes, changes, st.none()),
    contradiction=st.sampled_from([None, None, None, AGAINST]),
    has_policy=mostly,
    is_quarantined=mostly.map(lambda one: not one),
    closures=st.sampled_from([(), (), (), (FREEZE,), (LOCK,)]),
    asked_for=st.sampled_from([(), (), (), (PAYROLL,)]),
    promises=st.lists(
        st.sampled_from([TOLD_JUST_IN_TIME, TOLD_JUST_IN_TIME, TOLD_TOO_LATE, NOBODY_TOLD]), max_size=2
    ).map(tuple),
    is_budget_spent=mostly.map(lambda one: not one),
    released_there=st.sampled_from([(), (), (7,)]),
    booked_there=st.sampled_from([(), (), (7,)]),
    highest_risk=st.sampled_from([*Level, Level.VERY_HIGH, Level.VERY_HIGH]),
    prerequisites=st.one_of(st.just(()), st.just(()), st.lists(prerequisites, max_size=2).map(tuple)),
)


@given(worlds)
def test_the_gate_allows_exactly_what_the_oracle_allows(world):
    assert (decide(world, NOW).verdict is Verdict.ALLOW) == oracle(world, NOW)
