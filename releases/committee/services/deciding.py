"""Deciding on a proposed policy: the votes of the committee, and its author who takes it back."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.services import agree, record
from releases.committee import queries
from releases.committee.models import Policy, Round
from releases.committee.rules import Tally
from releases.committee.seats import Decision, Relation, RoundOutcome
from releases.committee.services.policies import can_be_satisfied, locked_current, put_in_force
from releases.committee.services.voting import cast, close_round
from releases.core.errors import GmudError, Invalid, Missing, NotPermitted, Reason, Refused, Sentence, Stale
from releases.core.words import mark as _
from releases.operations.services import post


def vote_on_policy(
    *, policy_id: UUID, actor: Actor, decision: Decision, seen_digest: str, now: datetime, reason: str = ""
) -> Tally:
    """Cast one person's vote on a proposed policy; it is in force when that settles it. A refused one is recorded.

    :raises Missing: there is no such policy
    :raises Stale: another policy came into force since this one was proposed, or other rules were seen
    :raises Refused: it is decided, this person has voted, or its seats can no longer be filled
    :raises Invalid: an environment that it names is there no more
    :raises NotPermitted: this person may not vote on it
    :raises Contradicted: the record contradicts its witness, so nothing is decided
    """
    agree()
    try:
        return _vote(
            policy_id=policy_id, actor=actor, decision=decision, seen_digest=seen_digest, now=now, reason=reason
        )
    except (Refused, NotPermitted) as refusal:
        _record_refusal(refusal, policy_id=policy_id, actor=actor, decision=decision, seen_digest=seen_digest)
        raise


@transaction.atomic(durable=True)
def withdraw_policy(*, policy_id: UUID, actor: Actor, now: datetime, reason: str = "") -> Policy:
    """Take back what one proposed oneself, while the committee has not decided; votes given stay on the record.

    :raises NotPermitted: the actor may not edit policies, or somebody else proposed it
    :raises Missing: there is no such policy
    :raises Refused: it is decided or withdrawn already
    :raises Invalid: the reason holds a NUL character
    """
    require(actor, Right.POLICY_EDIT)
    locked_current()  # before the round, as whoever votes does
    proposed = Policy.objects.filter(pk=policy_id).first()
    if proposed is None:
        raise Missing(Sentence(_("There is no such policy.")))
    round_ = Round.objects.select_for_update().filter(subject=proposed.pk).order_by("-opened_at", "-id").first()
    if round_ is None or round_.closed_at is not None:
        raise Refused(Sentence(_("This policy is not open for votes.")))
    if actor.person_id is None or round_.relations.get(actor.person_id) != Relation.AUTHOR:
        sentence = Sentence(_("Only who proposed a policy withdraws it; whoever is against it votes against it."))
        raise NotPermitted(sentence, reasons=[Reason("not_yours", sentence)])
    if "\x00" in reason:
        nul = Sentence(_("Remove the NUL character."))
        raise Invalid(nul, fields={"reason": [nul]})
    close_round(round=round_, outcome=RoundOutcome.VOID, now=now)
    record(
        stream=proposed.stream,
        kind=Kind.POLICY_WITHDRAWN,
        actor=actor,
        data={"version": proposed.version, "digest": proposed.digest},
        text={"reason": reason.strip()} if reason.strip() else {},
    )
    post(kind="policy.withdrawn", ref=proposed.pk, now=now)
    return proposed


@transaction.atomic(durable=True)
def _vote(*, policy_id: UUID, actor: Actor, decision: Decision, seen_digest: str, now: datetime, reason: str) -> Tally:
    current = locked_current()  # closes the race of two proposals based on the same policy
    proposed = Policy.objects.filter(pk=policy_id).first()
    if proposed is None:
        raise Missing(Sentence(_("There is no such policy.")))
    round_ = queries.round_of(proposed.pk, proposed.digest)
    if round_ is None or proposed.in_force_at is not None:
        raise Refused(Sentence(_("This policy is not open for votes.")))
    if current is None or current.pk != proposed.based_on_id:
        raise Stale(Sentence(_("Another policy came into force meanwhile: propose this one again.")))
    if round_.outcome == RoundOutcome.VOID:
        raise Refused(Sentence(_("This proposal was withdrawn: there is nothing to decide any more.")))
    tally = cast(round=round_, actor=actor, decision=decision, digest=seen_digest, reason=reason, now=now)
    record(
        stream=proposed.stream,
        kind=Kind.POLICY_VOTED,
        actor=actor,
        data={
            "version": proposed.version,
            "decision": Decision(decision).value,
            "digest": seen_digest,
            **tally.as_facts(),
        },
        text={"reason": reason} if reason else {},
    )
    if tally.is_settled:
        outcome = RoundOutcome.REJECTED if tally.rejected else RoundOutcome.RETURNED
        close_round(round=round_, outcome=RoundOutcome.APPROVED if tally.approved else outcome, now=now)
    if tally.approved:
        can_be_satisfied(queries.rules_of(proposed))
        put_in_force(proposed, actor=actor, now=now)
    else:
        post(kind="policy.voted", ref=proposed.pk, now=now)
    return tally


@transaction.atomic(durable=True)
def _record_refusal(refusal: GmudError, *, policy_id: UUID, actor: Actor, decision: Decision, seen_digest: str) -> None:
    """Tell of a refused vote, in a transaction of its own: the one that refused was rolled back."""
    proposed = Policy.objects.get(pk=policy_id)
    record(
        stream=proposed.stream,
        kind=Kind.POLICY_VOTE_REFUSED,
        actor=actor,
        data={
            "version": proposed.version,
            "decision": Decision(decision).value,
            "seen_digest": seen_digest,
            "digest": proposed.digest,
            "code": refusal.code,
            "reasons": [str(reason.code) for reason in refusal.reasons],
        },
    )
