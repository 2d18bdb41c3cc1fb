"""What people approved: the change, its content, its artifact, and the way back."""

from collections.abc import Iterable
from datetime import datetime

from releases.changes.states import State
from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _
from releases.gate.rules.facts import Facts
from releases.gate.rules.reasons import named, stop, wait
from releases.gate.states import Intent, ReasonCode

# In which states of the change each intent may pass.
OPEN_FOR = {
    Intent.DEPLOY: frozenset({State.SCHEDULED, State.IMPLEMENTING}),
    Intent.PROMOTE: frozenset({State.IMPLEMENTING, State.WATCHING}),
    Intent.TRAFFIC_SHIFT: frozenset({State.IMPLEMENTING, State.WATCHING}),
    Intent.ROLLBACK: frozenset({State.IMPLEMENTING, State.WATCHING, State.ROLLING_BACK}),
}
BEFORE_AUTHORIZATION = frozenset({State.DRAFT, State.ASSESSING})


def the_record_agrees(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse while the record is not what was sealed and witnessed: nobody can say what was approved.

    A rollback that is under way goes on: two people pressed the button in spite of this, or it began before.
    """
    change = facts.change
    is_on_its_way_back = change is not None and change.state == State.ROLLING_BACK
    if facts.contradiction is None or (facts.request.intent is Intent.ROLLBACK and is_on_its_way_back):
        return
    yield stop(
        ReasonCode.RECORD_CONTRADICTED,
        facts.contradiction,
        Sentence(_("Deploy nothing. Ask whoever runs GMUD to look at the record: manage.py audit verify.")),
    )


def covered_by_a_change(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse what no change request names."""
    if facts.change is None:
        yield stop(
            ReasonCode.NO_CHANGE_REQUEST,
            Sentence(_("No change request names this artifact in this place.")),
            Sentence(_("File a change request for it.")),
        )


def ruled_by_a_policy(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse when there is no policy to decide by."""
    if not facts.has_policy:
        yield stop(
            ReasonCode.POLICY_ERROR,
            Sentence(_("There is no valid policy to decide by.")),
            Sentence(_("Ask somebody who may edit policies to save one.")),
        )


def in_the_right_state(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse before authorization and after the end."""
    change = facts.change
    if change is None or change.state in OPEN_FOR[facts.request.intent]:
        return
    name = named(change)
    if change.state == State.AUTHORIZING:
        return
    if change.state == State.SUPERSEDED:
        yield stop(
            ReasonCode.SUPERSEDED,
            Sentence(_("Another change took the place of %(change)s."), name),
            Sentence(_("Deploy the change that replaced it.")),
        )
    elif change.state == State.EXPIRED:
        yield stop(
            ReasonCode.APPROVAL_EXPIRED,
            Sentence(_("The window of %(change)s passed before it started."), name),
            Sentence(_("File it again with a new window.")),
        )
    elif change.state in BEFORE_AUTHORIZATION:
        yield stop(
            ReasonCode.NOT_AUTHORIZED,
            Sentence(_("%(change)s has not been submitted."), name),
            Sentence(_("Submit it and have it authorized.")),
        )
    else:
        yield stop(
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
        yield stop(
            ReasonCode.APPROVAL_VOID,
            Sentence(_("%(change)s, or a connection it uses, is no longer what was approved."), named(change)),
            Sentence(_("Submit it again, so that the committee sees the present content.")),
        )
    if change.self_voters:
        yield stop(
            ReasonCode.SELF_APPROVAL,
            Sentence(_("%(people)s took part in the change and voted."), {"people": ", ".join(change.self_voters)}),
            Sentence(_("Submit it again and have others decide.")),
        )
    if change.is_authorized and change.state != State.AUTHORIZING:
        return
    fix = Sentence(_("Those who hold these seats can approve %(change)s."), named(change))
    missing = change.missing_seats or (Sentence(_("%(change)s has no valid approval."), named(change)),)
    if change.state == State.AUTHORIZING:
        yield from (wait(ReasonCode.APPROVALS_MISSING, one, fix) for one in missing)
    elif change.state in OPEN_FOR[facts.request.intent]:
        yield from (stop(ReasonCode.APPROVALS_MISSING, one, fix) for one in missing)


def the_approved_artifact(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Refuse any other artifact than the approved one."""
    change = facts.change
    if change is None or facts.request.digest == change.approved_digest:
        return
    yield stop(
        ReasonCode.ARTIFACT_MISMATCH,
        Sentence(
            _("%(change)s approves %(approved)s, not %(asked)s."),
            {
                **named(change),
                "approved": change.approved_digest or "nothing in this place",
                "asked": facts.request.digest,
            },
        ),
        Sentence(_("Deploy the approved artifact, or revise the change.")),
    )


def the_way_back_artifact(facts: Facts, _now: datetime) -> Iterable[Reason]:
    """Allow a rollback only to the artifact the rollback plan names."""
    change = facts.change
    if change is None or facts.request.digest == change.back_digest:
        return
    yield stop(
        ReasonCode.ARTIFACT_MISMATCH,
        Sentence(
            _("The rollback plan of %(change)s goes back to %(approved)s, not %(asked)s."),
            {**named(change), "approved": change.back_digest or "nothing", "asked": facts.request.digest},
        ),
        Sentence(_("Go back to the planned artifact.")),
    )


def the_warrant_is_live(facts: Facts, now: datetime) -> Iterable[Reason]:
    """Let the approved way back end with the watch."""
    change = facts.change
    if change is None or change.state != State.WATCHING or change.watch_until_at is None or now < change.watch_until_at:
        return
    yield stop(
        ReasonCode.APPROVAL_EXPIRED,
        Sentence(_("The watch of %(change)s is over, and the approved way back with it."), named(change)),
        Sentence(_("File a change request to go back.")),
    )
