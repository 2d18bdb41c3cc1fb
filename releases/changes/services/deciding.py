"""The committee's vote on a change, and the move that follows when it settles."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.audit.services import agree, record
from releases.changes.models import ChangeRequest
from releases.changes.queries.differences import between
from releases.changes.services.moving import locked, move, wrong_state
from releases.changes.services.submitting import excluded
from releases.changes.states import State
from releases.committee import services as committee
from releases.committee.rules import Decision, Tally
from releases.core.errors import GmudError, NotPermitted, Refused, Sentence, Stale
from releases.core.words import mark as _
from releases.operations import services as operations


def vote(
    *, change_id: UUID, actor: Actor, decision: Decision, seen_digest: str, now: datetime, reason: str = ""
) -> Tally:
    """Cast one person's vote on the content they saw, and move the change when that settles it.

    A refused vote leaves no vote, and is recorded.

    :raises NotPermitted: the actor is no person, holds no seat here, took part in the change, or must sign in again
    :raises Stale: the content changed since it was shown, with every difference as a reason
    :raises Refused: the change is not open for votes, or this person has voted already
    :raises Contradicted: the record contradicts its witness, so nothing is decided
    """
    agree()
    try:
        return _vote(
            change_id=change_id, actor=actor, decision=decision, seen_digest=seen_digest, now=now, reason=reason
        )
    except (Refused, NotPermitted) as refusal:
        _record_refusal(refusal, change_id=change_id, actor=actor, decision=decision, seen_digest=seen_digest)
        raise


@transaction.atomic(durable=True)
def _vote(*, change_id: UUID, actor: Actor, decision: Decision, seen_digest: str, now: datetime, reason: str) -> Tally:
    change = locked(change_id)  # closes the races vote × edit and last vote × last vote
    require(actor, Right.CHANGE_VOTE)
    if seen_digest != change.content_digest:
        raise Stale(
            Sentence(_("%(name)s changed since you looked: look again, then decide."), {"name": change.name}),
            reasons=between(change, seen_digest),
        )
    if change.state != State.AUTHORIZING or change.round is None:
        raise wrong_state(change, "vote")
    tally = committee.cast(
        round=change.round,
        actor=actor,
        decision=decision,
        digest=seen_digest,
        reason=reason,
        excluded=excluded(change),
        now=now,
    )
    record(
        stream=change.stream,
        kind=Kind.CHANGE_VOTED,
        actor=actor,
        data={
            "number": change.number,
            "state": change.state,
            "decision": decision,
            "content_digest": seen_digest,
            **tally.as_facts(),
        },
        text={"reason": reason} if reason else {},
    )
    operations.post(kind="change.voted", ref=change.pk, now=now)
    if tally.is_settled:
        _settle(change, tally, actor=actor, now=now, reason=reason)
    return tally


@transaction.atomic(durable=True)
def _record_refusal(refusal: GmudError, *, change_id: UUID, actor: Actor, decision: Decision, seen_digest: str) -> None:
    """Tell of a refused vote, in a transaction of its own: the one that refused was rolled back."""
    change = locked(change_id)
    record(
        stream=change.stream,
        kind=Kind.CHANGE_VOTE_REFUSED,
        actor=actor,
        data={
            "number": change.number,
            "decision": decision,
            "seen_digest": seen_digest,
            "content_digest": change.content_digest,
            "code": refusal.code,
            "reasons": [str(reason.code) for reason in refusal.reasons],
        },
    )


def _settle(change: ChangeRequest, tally: Tally, *, actor: Actor, now: datetime, reason: str) -> None:
    """Close the round and make the move that the tally says."""
    round_ = change.round
    if round_ is None:
        return
    if tally.approved:
        committee.close_round(round=round_, outcome="approved", now=now)
        move(change, "authorized", actor=system("committee"), now=now)
        return
    verb, outcome = ("reject", "rejected") if tally.rejected else ("request_changes", "returned")
    committee.close_round(round=round_, outcome=outcome, now=now)
    move(change, verb, actor=actor, now=now, text={"reason": reason} if reason else {})
