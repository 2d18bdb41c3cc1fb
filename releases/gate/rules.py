"""The one decision: facts in, verdict out. No database, no clock, no network.

Every rule runs, so that the answer names everything at once. A reason stops (``stop``: only a new act of people
helps), waits (``wait``: time or somebody's pending act helps), or warns (``warn``: it goes on record, and holds up
nothing). Any stop denies, else any wait waits, and only when nothing stops or waits it is allowed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from releases.changes.rules import NOBODY_TOLD, TOLD_LATE, Promise, Stay
from releases.changes.states import State
from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _
from releases.core.words import plural
from releases.gate.states import Intent, ReasonCode, Verdict
from releases.impact.lenses import LEVEL_TITLES, Level

PERMIT_LIVES = timedelta(seconds=300)
ASK_AGAIN = timedelta(seconds=30)
ASK_AGAIN_AT_MOST = timedelta(minutes=5)

# In which states of the change each intent may pass.
OPEN_FOR = {
    Intent.DEPLOY: frozenset({State.SCHEDULED, State.IMPLEMENTING}),
    Intent.PROMOTE: frozenset({State.IMPLEMENTING, State.WATCHING}),
    Intent.TRAFFIC_SHIFT: frozenset({State.IMPLEMENTING, State.WATCHING}),
    Intent.ROLLBACK: frozenset({State.IMPLEMENTING, State.WATCHING, State.ROLLING_BACK}),
}
ON_ITS_WAY = frozenset({State.IMPLEMENTING, State.WATCHING})
BEFORE_AUTHORIZATION = frozenset({State.DRAFT, State.ASSESSING})
HOUR = timedelta(hours=1)
STOOD_TOO_SHORT = plural(
    "Another version took its place in %(environment)s before it had stood there for %(hours)s hour.",
    "Another version took its place in %(environment)s before it had stood there for %(hours)s hours.",
    by="hours",
)
STANDS_TOO_SHORT = plural(
    "It must stand in %(environment)s for %(hours)s hour before it goes on.",
    "It must stand in %(environment)s for %(hours)s hours before it goes on.",
    by="hours",
)


@dataclass(frozen=True, slots=True)
class Run:
    """The run that asks: who runs it, its id there, where to look at it."""

    provider: str = ""
    id: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        """Return what permits call it, empty for a run that is not known."""
        return f"{self.provider}:{self.id}" if self.id else ""


@dataclass(frozen=True, slots=True)
class Request:
    """The question: may this artifact do that, there."""

    service: str
    environment: str
    artifact_name: str
    digest: str
    intent: Intent
    run: Run = Run()
    change_number: int | None = None


@dataclass(frozen=True, slots=True)
class Closure:
    """A freeze or a lock over the place, until when (``None``: until somebody lifts it)."""

    code: ReasonCode
    sentence: Sentence
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Where the artifact must have been released well before, how long it must have stood there, and how it stood."""

    environment: str
    soak: timedelta = timedelta(0)
    stays: tuple[Stay, ...] = ()

    def is_met(self, now: datetime) -> bool:
        """Say whether it stood there long enough, at one go."""
        return any((stay.ended_at or now) - stay.since_at >= self.soak for stay in self.stays)

    def will_be_met_at(self) -> datetime | None:
        """Return when it will have stood there long enough, ``None`` when it stands there no more."""
        return next((stay.since_at + self.soak for stay in self.stays if stay.ended_at is None), None)


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """What the write model says of the change request that covers the place."""

    number: int
    state: State
    is_intact: bool
    is_authorized: bool
    risk: Level = Level.LOW
    missing_seats: tuple[Sentence, ...] = ()
    self_voters: tuple[str, ...] = ()
    approved_digest: str = ""
    back_digest: str = ""
    is_way_back_known: bool = True
    is_traffic_as_planned: bool = True
    has_evidence: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    watch_until_at: datetime | None = None
    is_on_hold: bool = False
    hold_reason: str = ""
    successor: int | None = None
    is_emergency: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the decision looks at."""

    request: Request
    change: ChangeFacts | None = None
    contradiction: Sentence | None = None
    has_policy: bool = True
    is_quarantined: bool = False
    closures: tuple[Closure, ...] = ()
    asked_for: tuple[Closure, ...] = ()
    promises: tuple[Promise, ...] = ()
    is_budget_spent: bool = False
    highest_risk: Level = Level.VERY_HIGH
    prerequisites: tuple[Prerequisite, ...] = ()
    released_there: tuple[int, ...] = ()
    booked_there: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict with every reason; an allow says until when it holds, a wait when to ask again."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    valid_until: datetime | None = None
    retry_after: timedelta | None = None
    passed: tuple[ReasonCode, ...] = field(default=())


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
    reason = _stop(
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


def _stop(code: ReasonCode, message: Sentence, fix: Sentence) -> Reason:
    return Reason(code, message, fix, severity="stop")


def _wait(code: ReasonCode, message: Sentence, fix: Sentence, until: datetime | None = None) -> Reason:
    return Reason(code, message, fix, until, severity="wait")


def _warn(code: ReasonCode, message: Sentence, fix: Sentence) -> Reason:
    return Reason(code, message, fix, severity="warn")


def _named(change: ChangeFacts) -> dict[str, object]:
    return {"change": f"CHG-{change.number}"}


def the_record_agrees(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse while the record is not what was sealed and witnessed: nobody can say what was approved.

    A rollback that is under way goes on: two people pressed the button in spite of this, or it began before.
    """
    change = facts.change
    is_on_its_way_back = change is not None and change.state == State.ROLLING_BACK
    if facts.contradiction is None or (facts.request.intent is Intent.ROLLBACK and is_on_its_way_back):
        return
    yield _stop(
        ReasonCode.RECORD_CONTRADICTED,
        facts.contradiction,
        Sentence(_("Deploy nothing. Ask whoever runs GMUD to look at the record: manage.py audit verify.")),
    )


def covered_by_a_change(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse what no change request names."""
    if facts.change is None:
        yield _stop(
            ReasonCode.NO_CHANGE_REQUEST,
            Sentence(_("No change request names this artifact in this place.")),
            Sentence(_("File a change request for it.")),
        )


def ruled_by_a_policy(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse when there is no policy to decide by."""
    if not facts.has_policy:
        yield _stop(
            ReasonCode.POLICY_ERROR,
            Sentence(_("There is no valid policy to decide by.")),
            Sentence(_("Ask somebody who may edit policies to save one.")),
        )


def in_the_right_state(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse before authorization and after the end."""
    change = facts.change
    if change is None or change.state in OPEN_FOR[facts.request.intent]:
        return
    name = _named(change)
    if change.state == State.AUTHORIZING:
        return
    if change.state == State.SUPERSEDED:
        yield _stop(
            ReasonCode.SUPERSEDED,
            Sentence(_("Another change took the place of %(change)s."), name),
            Sentence(_("Deploy the change that replaced it.")),
        )
    elif change.state == State.EXPIRED:
        yield _stop(
            ReasonCode.APPROVAL_EXPIRED,
            Sentence(_("The window of %(change)s passed before it started."), name),
            Sentence(_("File it again with a new window.")),
        )
    elif change.state in BEFORE_AUTHORIZATION:
        yield _stop(
            ReasonCode.NOT_AUTHORIZED,
            Sentence(_("%(change)s has not been submitted."), name),
            Sentence(_("Submit it and have it authorized.")),
        )
    else:
        yield _stop(
            ReasonCode.NOT_AUTHORIZED,
            Sentence(_("%(change)s is %(state)s: nothing more may be done with it."), {**name, "state": change.state}),
            Sentence(_("File a new change request.")),
        )


def approved_on_this_content(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Ask for the quorum of distinct, eligible people on exactly the present content."""
    change = facts.change
    if change is None or change.state in BEFORE_AUTHORIZATION:
        return
    if not change.is_intact:
        yield _stop(
            ReasonCode.APPROVAL_VOID,
            Sentence(_("%(change)s, or a connection it uses, is no longer what was approved."), _named(change)),
            Sentence(_("Submit it again, so that the committee sees the present content.")),
        )
    if change.self_voters:
        yield _stop(
            ReasonCode.SELF_APPROVAL,
            Sentence(_("%(people)s took part in the change and voted."), {"people": ", ".join(change.self_voters)}),
            Sentence(_("Submit it again and have others decide.")),
        )
    if change.is_authorized and change.state != State.AUTHORIZING:
        return
    fix = Sentence(_("Those who hold these seats can approve %(change)s."), _named(change))
    missing = change.missing_seats or (Sentence(_("%(change)s has no valid approval."), _named(change)),)
    if change.state == State.AUTHORIZING:
        yield from (_wait(ReasonCode.APPROVALS_MISSING, one, fix) for one in missing)
    elif change.state in OPEN_FOR[facts.request.intent]:
        yield from (_stop(ReasonCode.APPROVALS_MISSING, one, fix) for one in missing)


def the_approved_artifact(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse any other artifact than the approved one."""
    change = facts.change
    if change is None or facts.request.digest == change.approved_digest:
        return
    yield _stop(
        ReasonCode.ARTIFACT_MISMATCH,
        Sentence(
            _("%(change)s approves %(approved)s, not %(asked)s."),
            {
                **_named(change),
                "approved": change.approved_digest or "nothing in this place",
                "asked": facts.request.digest,
            },
        ),
        Sentence(_("Deploy the approved artifact, or revise the change.")),
    )


def inside_the_window(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Ask for a moment inside the half-open window."""
    change = facts.change
    if change is None or change.state in {State.EXPIRED, State.SUPERSEDED}:
        return
    if change.starts_at is None or change.ends_at is None or now >= change.ends_at:
        yield _stop(
            ReasonCode.OUTSIDE_WINDOW,
            Sentence(_("The window of %(change)s is over."), _named(change)),
            Sentence(_("Go back, then file it anew with a new window."))
            if change.state in ON_ITS_WAY
            else Sentence(_("Revise it with a new window.")),
        )
    elif now < change.starts_at:
        yield _wait(
            ReasonCode.OUTSIDE_WINDOW,
            Sentence(_("The window of %(change)s has not opened yet."), _named(change)),
            Sentence(_("Ask again when it opens.")),
            change.starts_at,
        )


def nothing_closes_the_place(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait for the end of every freeze and lock."""
    fix = Sentence(_("Wait until it ends, or have it lifted."))
    for closure in facts.closures:
        yield _wait(closure.code, closure.sentence, fix, closure.until)


def no_customer_asked_for_a_freeze(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait for the end of every freeze of a customer who would be hurt."""
    fix = Sentence(_("Wait until it ends, or have the customer agree and the freeze lifted."))
    for closure in facts.asked_for:
        yield _wait(closure.code, closure.sentence, fix, closure.until)


def customers_were_told(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Refuse while nobody told a customer who was promised notice, and wait until the promised hours are over."""
    for promise in facts.promises:
        names = {"customer": promise.name, "hours": promise.hours}
        if promise.good_from is None:
            fix = Sentence(_("Tell them what goes where and when, then record it on the page of the change."))
            yield _stop(ReasonCode.CUSTOMER_NOTICE_MISSING, Sentence(NOBODY_TOLD, names), fix)
        elif now < promise.good_from:
            fix = Sentence(_("Ask again then, or choose a later window and tell them of it."))
            yield _wait(ReasonCode.CUSTOMER_NOTICE_MISSING, Sentence(TOLD_LATE, names), fix, promise.good_from)


def error_budget_is_left(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse new risk where the error budget is spent; an emergency goes on, and the record says so."""
    if not facts.is_budget_spent:
        return
    place = {"service": facts.request.service, "environment": facts.request.environment}
    spent = Sentence(_("The error budget of %(service)s in %(environment)s is spent."), place)
    if facts.change is not None and facts.change.is_emergency:
        fix = Sentence(_("This is an emergency, so it may go; release nothing else there before some of it is back."))
        yield _warn(ReasonCode.ERROR_BUDGET_EXHAUSTED, spent, fix)
    else:
        fix = Sentence(_("Mend what fails there first. What mends it is filed as an emergency."))
        yield _stop(ReasonCode.ERROR_BUDGET_EXHAUSTED, spent, fix)


def within_the_risk(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse a higher risk than the policy lets into the place."""
    change, highest = facts.change, facts.highest_risk
    if change is None or change.state in BEFORE_AUTHORIZATION:
        return
    if change.risk.rank > highest.rank:
        yield _stop(
            ReasonCode.RISK_TOO_HIGH,
            Sentence(
                _("The policy lets no higher risk into %(environment)s than: %(highest)s. %(change)s has: %(risk)s."),
                {
                    **_named(change),
                    "environment": facts.request.environment,
                    "highest": Sentence(LEVEL_TITLES[highest]),
                    "risk": Sentence(LEVEL_TITLES[change.risk]),
                },
            ),
            Sentence(_("Release it in smaller steps, or revise what makes its risk so high.")),
        )


def released_where_it_comes_from(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Refuse what was not released well in the environments that come first, or stood there too short and is gone."""
    for one in facts.prerequisites:
        place = {"environment": one.environment}
        if not one.stays:
            yield _stop(
                ReasonCode.PREREQUISITE_MISSING,
                Sentence(_("The policy wants exactly this artifact released well in %(environment)s first."), place),
                Sentence(_("File a change request that releases it in %(environment)s, and let its watch end."), place),
            )
        elif not one.is_met(now) and one.will_be_met_at() is None:
            yield _stop(
                ReasonCode.PREREQUISITE_MISSING,
                Sentence(STOOD_TOO_SHORT, {**place, "hours": one.soak // HOUR}),
                Sentence(_("File a change request that releases it in %(environment)s again."), place),
            )


def stood_long_enough(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Wait until it has stood in the environments that come first for as long as the policy wants."""
    for one in facts.prerequisites:
        if not one.is_met(now) and (until := one.will_be_met_at()):
            yield _wait(
                ReasonCode.SOAK_INCOMPLETE,
                Sentence(STANDS_TOO_SHORT, {"environment": one.environment, "hours": one.soak // HOUR}),
                Sentence(_("Ask again then, and leave it there until then.")),
                until,
            )


def not_in_quarantine(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse what was rolled back until a person clears it."""
    if facts.is_quarantined:
        yield _stop(
            ReasonCode.QUARANTINED_ARTIFACT,
            Sentence(_("This artifact is in quarantine.")),
            Sentence(_("Deploy another artifact, or have a person clear this one.")),
        )


def has_a_way_back(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse to go where nobody can come back from."""
    change = facts.change
    if change is None:
        return
    if not change.is_way_back_known:
        yield _stop(
            ReasonCode.ROLLBACK_UNPROVED,
            Sentence(_("The rollback plan of %(change)s cannot be carried out."), _named(change)),
            Sentence(_("Revise it with a version to go back to.")),
        )
    if not change.is_traffic_as_planned and change.state == State.SCHEDULED:
        yield _stop(
            ReasonCode.ROLLBACK_UNPROVED,
            Sentence(_("Traffic is no longer where the rollback plan of %(change)s would put it."), _named(change)),
            Sentence(_("Revise the change, so that its rollback plan starts from what runs now.")),
        )


def has_test_evidence(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse what was never tested."""
    if facts.change is not None and not facts.change.has_evidence:
        yield _stop(
            ReasonCode.EVIDENCE_MISSING,
            Sentence(_("%(change)s has no test evidence."), _named(facts.change)),
            Sentence(_("Revise it with the figures of the test report.")),
        )


def nobody_else_releases_there(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait while another change is being released or watched in the place."""
    for number in facts.released_there:
        yield _wait(
            ReasonCode.WATCH_IN_PROGRESS,
            Sentence(_("CHG-%(number)s is being released or watched there."), {"number": number}),
            Sentence(_("Wait until its watch is over.")),
        )


def nobody_else_booked(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait while another change that was booked before has this moment; what is on its way has the place until it ends.

    Else a release at 10 % and whoever booked after it would wait for each other.
    """
    if facts.change is not None and facts.change.state in ON_ITS_WAY:
        return
    for number in facts.booked_there:
        yield _wait(
            ReasonCode.CONFLICT,
            Sentence(_("CHG-%(number)s was booked first for this time and place."), {"number": number}),
            Sentence(_("Wait until it is over, or agree on another window.")),
        )


def not_on_hold(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait while the change is on hold."""
    change = facts.change
    if change is not None and change.is_on_hold:
        yield _wait(
            ReasonCode.ON_HOLD,
            Sentence(_("%(change)s is on hold: %(reason)s"), {**_named(change), "reason": change.hold_reason}),
            Sentence(_("Ask a release manager to resume it.")),
        )


def the_way_back_artifact(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Allow a rollback only to the artifact the rollback plan names."""
    change = facts.change
    if change is None or facts.request.digest == change.back_digest:
        return
    yield _stop(
        ReasonCode.ARTIFACT_MISMATCH,
        Sentence(
            _("The rollback plan of %(change)s goes back to %(approved)s, not %(asked)s."),
            {**_named(change), "approved": change.back_digest or "nothing", "asked": facts.request.digest},
        ),
        Sentence(_("Go back to the planned artifact.")),
    )


def the_warrant_is_live(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Let the approved way back end with the watch."""
    change = facts.change
    if change is None or change.state != State.WATCHING or change.watch_until_at is None or now < change.watch_until_at:
        return
    yield _stop(
        ReasonCode.APPROVAL_EXPIRED,
        Sentence(_("The watch of %(change)s is over, and the approved way back with it."), _named(change)),
        Sentence(_("File a change request to go back.")),
    )


Rule = Callable[[Facts, datetime], Iterable[Reason]]
FORWARD: tuple[tuple[ReasonCode, Rule], ...] = (
    (ReasonCode.RECORD_CONTRADICTED, the_record_agrees),
    (ReasonCode.NO_CHANGE_REQUEST, covered_by_a_change),
    (ReasonCode.POLICY_ERROR, ruled_by_a_policy),
    (ReasonCode.NOT_AUTHORIZED, in_the_right_state),
    (ReasonCode.APPROVALS_MISSING, approved_on_this_content),
    (ReasonCode.ARTIFACT_MISMATCH, the_approved_artifact),
    (ReasonCode.OUTSIDE_WINDOW, inside_the_window),
    (ReasonCode.BLACKOUT, nothing_closes_the_place),
    (ReasonCode.CUSTOMER_FREEZE, no_customer_asked_for_a_freeze),
    (ReasonCode.CUSTOMER_NOTICE_MISSING, customers_were_told),
    (ReasonCode.ERROR_BUDGET_EXHAUSTED, error_budget_is_left),
    (ReasonCode.RISK_TOO_HIGH, within_the_risk),
    (ReasonCode.PREREQUISITE_MISSING, released_where_it_comes_from),
    (ReasonCode.SOAK_INCOMPLETE, stood_long_enough),
    (ReasonCode.QUARANTINED_ARTIFACT, not_in_quarantine),
    (ReasonCode.ROLLBACK_UNPROVED, has_a_way_back),
    (ReasonCode.EVIDENCE_MISSING, has_test_evidence),
    (ReasonCode.WATCH_IN_PROGRESS, nobody_else_releases_there),
    (ReasonCode.CONFLICT, nobody_else_booked),
    (ReasonCode.ON_HOLD, not_on_hold),
)
# Going back is the least blocked of all acts: no window, freeze, hold or quarantine, no second look at the votes.
BACKWARD: tuple[tuple[ReasonCode, Rule], ...] = (
    (ReasonCode.RECORD_CONTRADICTED, the_record_agrees),
    (ReasonCode.NO_CHANGE_REQUEST, covered_by_a_change),
    (ReasonCode.NOT_AUTHORIZED, in_the_right_state),
    (ReasonCode.ARTIFACT_MISMATCH, the_way_back_artifact),
    (ReasonCode.APPROVAL_EXPIRED, the_warrant_is_live),
)
