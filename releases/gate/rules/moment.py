"""Whether this is the moment: the window, freezes, promises to customers, and others in the same place."""

from collections.abc import Iterable
from datetime import datetime

from releases.changes.rules import NOBODY_TOLD, TOLD_LATE
from releases.changes.states import State
from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _
from releases.gate.rules.facts import Facts
from releases.gate.rules.reasons import named, stop, wait
from releases.gate.states import Intent, ReasonCode

ON_ITS_WAY = frozenset({State.IMPLEMENTING, State.WATCHING})


def inside_the_window(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Ask for a moment inside the half-open window."""
    change = facts.change
    if change is None or change.state in {State.EXPIRED, State.SUPERSEDED}:
        return
    if change.starts_at is None or change.ends_at is None or now >= change.ends_at:
        yield stop(
            ReasonCode.OUTSIDE_WINDOW,
            Sentence(_("The window of %(change)s is over."), named(change)),
            Sentence(_("Go back, then file it anew with a new window."))
            if change.state in ON_ITS_WAY
            else Sentence(_("Revise it with a new window.")),
        )
    elif now < change.starts_at:
        yield wait(
            ReasonCode.OUTSIDE_WINDOW,
            Sentence(_("The window of %(change)s has not opened yet."), named(change)),
            Sentence(_("Ask again when it opens.")),
            change.starts_at,
        )


def nothing_closes_the_place(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait for the end of every freeze and lock."""
    fix = Sentence(_("Wait until it ends, or have it lifted."))
    for closure in facts.closures:
        yield wait(closure.code, closure.sentence, fix, closure.until)


def no_customer_asked_for_a_freeze(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait for the end of every freeze of a customer who would be hurt."""
    fix = Sentence(_("Wait until it ends, or have the customer agree and the freeze lifted."))
    for closure in facts.asked_for:
        yield wait(closure.code, closure.sentence, fix, closure.until)


def customers_were_told(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Refuse while nobody told a customer who was promised notice, and wait until the promised hours are over."""
    for promise in facts.promises:
        names = {"customer": promise.name, "hours": promise.hours}
        if promise.good_from is None:
            fix = Sentence(_("Tell them what goes where and when, then record it on the page of the change."))
            yield stop(ReasonCode.CUSTOMER_NOTICE_MISSING, Sentence(NOBODY_TOLD, names), fix)
        elif now < promise.good_from:
            fix = Sentence(_("Ask again then, or choose a later window and tell them of it."))
            yield wait(ReasonCode.CUSTOMER_NOTICE_MISSING, Sentence(TOLD_LATE, names), fix, promise.good_from)


def nobody_else_releases_there(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait while another change is being released or watched in the place."""
    for number in facts.released_there:
        yield wait(
            ReasonCode.WATCH_IN_PROGRESS,
            Sentence(_("CHG-%(number)s is being released or watched there."), {"number": number}),
            Sentence(_("Wait until its watch is over.")),
        )


def nobody_else_booked(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait while another change that was booked before has this moment.

    What was deployed goes on all the same: else a release at 10 % and whoever booked it would wait for each other.
    """
    is_there = facts.request.intent is not Intent.DEPLOY
    if is_there and facts.change is not None and facts.change.state in ON_ITS_WAY:
        return
    for number in facts.booked_there:
        yield wait(
            ReasonCode.CONFLICT,
            Sentence(_("CHG-%(number)s was booked first for this time and place."), {"number": number}),
            Sentence(_("Wait until it is over, or agree on another window.")),
        )


def not_on_hold(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Wait while the change is on hold."""
    change = facts.change
    if change is not None and change.is_on_hold:
        yield wait(
            ReasonCode.ON_HOLD,
            Sentence(_("%(change)s is on hold: %(reason)s"), {**named(change), "reason": change.hold_reason}),
            Sentence(_("Ask a release manager to resume it.")),
        )
