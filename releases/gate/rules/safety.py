"""Whether it is safe: risk, error budget, where it was released before, quarantine, evidence, and a way back."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from releases.changes.states import State
from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _
from releases.core.words import plural
from releases.gate.rules.approval import BEFORE_AUTHORIZATION
from releases.gate.rules.facts import Facts
from releases.gate.rules.reasons import named, stop, wait, warn
from releases.gate.states import ReasonCode
from releases.impact.lenses import LEVEL_TITLES

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


def error_budget_is_left(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse new risk where the error budget is spent; an emergency goes on, and the record says so."""
    if not facts.is_budget_spent:
        return
    place = {"service": facts.request.service, "environment": facts.request.environment}
    spent = Sentence(_("The error budget of %(service)s in %(environment)s is spent."), place)
    if facts.change is not None and facts.change.is_emergency:
        fix = Sentence(_("This is an emergency, so it may go; release nothing else there before some of it is back."))
        yield warn(ReasonCode.ERROR_BUDGET_EXHAUSTED, spent, fix)
    else:
        fix = Sentence(_("Mend what fails there first. What mends it is filed as an emergency."))
        yield stop(ReasonCode.ERROR_BUDGET_EXHAUSTED, spent, fix)


def within_the_risk(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse a higher risk than the policy lets into the place."""
    change, highest = facts.change, facts.highest_risk
    if change is None or change.state in BEFORE_AUTHORIZATION:
        return
    if change.risk.rank > highest.rank:
        yield stop(
            ReasonCode.RISK_TOO_HIGH,
            Sentence(
                _("The policy lets no higher risk into %(environment)s than: %(highest)s. %(change)s has: %(risk)s."),
                {
                    **named(change),
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
            yield stop(
                ReasonCode.PREREQUISITE_MISSING,
                Sentence(_("The policy wants exactly this artifact released well in %(environment)s first."), place),
                Sentence(_("File a change request that releases it in %(environment)s, and let its watch end."), place),
            )
        elif not one.is_met(now) and one.will_be_met_at() is None:
            yield stop(
                ReasonCode.PREREQUISITE_MISSING,
                Sentence(STOOD_TOO_SHORT, {**place, "hours": one.soak // HOUR}),
                Sentence(_("File a change request that releases it in %(environment)s again."), place),
            )


def stood_long_enough(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Wait until it has stood in the environments that come first for as long as the policy wants."""
    for one in facts.prerequisites:
        if not one.is_met(now) and (until := one.will_be_met_at()):
            yield wait(
                ReasonCode.SOAK_INCOMPLETE,
                Sentence(STANDS_TOO_SHORT, {"environment": one.environment, "hours": one.soak // HOUR}),
                Sentence(_("Ask again then, and leave it there until then.")),
                until,
            )


def not_in_quarantine(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse what was rolled back until a person clears it."""
    if facts.is_quarantined:
        yield stop(
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
        yield stop(
            ReasonCode.ROLLBACK_UNPROVED,
            Sentence(_("The rollback plan of %(change)s cannot be carried out."), named(change)),
            Sentence(_("Revise it with a version to go back to.")),
        )
    if not change.is_traffic_as_planned and change.state == State.SCHEDULED:
        yield stop(
            ReasonCode.ROLLBACK_UNPROVED,
            Sentence(_("Traffic is no longer where the rollback plan of %(change)s would put it."), named(change)),
            Sentence(_("Revise the change, so that its rollback plan starts from what runs now.")),
        )


def has_test_evidence(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse what was never tested."""
    if facts.change is not None and not facts.change.has_evidence:
        yield stop(
            ReasonCode.EVIDENCE_MISSING,
            Sentence(_("%(change)s has no test evidence."), named(facts.change)),
            Sentence(_("Revise it with the figures of the test report.")),
        )
