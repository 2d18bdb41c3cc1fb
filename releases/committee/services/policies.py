"""Saving a policy: the first one at once, every later one by the committee that the policy in force asks for."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.services import agree, record
from releases.committee import queries
from releases.committee.models import Policy
from releases.committee.rules import Tally
from releases.committee.rules import policy as policies
from releases.committee.rules.policy import Rule
from releases.committee.seats import Decision, Relation, RoundOutcome
from releases.committee.services.voting import begin, cast, close_round
from releases.core import canonical
from releases.core.errors import GmudError, Invalid, Missing, NotPermitted, Refused, Sentence, Stale
from releases.core.words import mark as _
from releases.operations.services import post


def save_policy(*, actor: Actor, name: str, rules: object, now: datetime) -> Policy:
    """Save a policy. The first is in force at once; a later one is put before the committee of the one in force.

    A proposal needs the seats that the policy in force asks of the hardest normal change, without its author
    (see :func:`vote_on_policy`).

    :raises NotPermitted: the actor may not edit policies
    :raises Invalid: the rules cannot be read, with the name of every wrong field
    :raises Contradicted: the record contradicts its witness, so nothing is edited
    :raises Refused: some change would be covered by no rule, or a seat could never be filled by distinct people
    """
    agree()
    require(actor, Right.POLICY_EDIT)
    with transaction.atomic(durable=True):
        return put_forward(actor=actor, name=name, rules=rules, now=now)


def put_forward(*, actor: Actor, name: str, rules: object, now: datetime) -> Policy:
    """Write a policy as :func:`save_policy` says; runs inside the caller's transaction and asks for no right.

    :raises NotPermitted: a machine proposes while a policy is in force
    :raises Invalid: the rules cannot be read, with the name of every wrong field
    :raises Refused: some change would be covered by no rule, or a seat could never be filled by distinct people
    """
    if not name.strip():
        sentence = Sentence(_("Give the policy a name."))
        raise Invalid(sentence, fields={"name": [sentence]})
    parsed = policies.parse(rules)
    _can_be_satisfied(parsed)
    document = policies.canonical_form(parsed)
    current = _locked_current()
    if current is not None and actor.person_id is None:
        raise NotPermitted(Sentence(_("A person must propose a new policy, so that the others can decide on it.")))
    saved = Policy.objects.create(
        name=name.strip(),
        version=(Policy.objects.aggregate(last=Max("version"))["last"] or 0) + 1,
        rules=canonical.encode(document).decode(),
        digest=canonical.digest(document),
        based_on=current,
        created_by=actor.name,
        created_at=now,
    )
    record(
        stream=saved.stream,
        kind=Kind.POLICY_PROPOSED,
        actor=actor,
        data={"version": saved.version, "digest": saved.digest, "name": saved.name, "rules": document},
    )
    if current is None:
        _put_in_force(saved, actor=actor, now=now)
        return saved
    begin(
        subject=saved.pk,
        content_digest=saved.digest,
        policy=current,
        need=policies.hardest(queries.rules_of(current)),
        excluded={str(actor.person_id): Relation.AUTHOR.value},
        now=now,
    )
    post(kind="policy.proposed", ref=saved.pk, now=now)
    return saved


def vote_on_policy(
    *, policy_id: UUID, actor: Actor, decision: Decision, seen_digest: str, now: datetime, reason: str = ""
) -> Tally:
    """Cast one person's vote on a proposed policy; it is in force when that settles it. A refused one is recorded.

    :raises Missing: there is no such policy
    :raises Stale: another policy came into force since this one was proposed, or other rules were seen
    :raises Refused: it is decided, this person has voted, or its seats can no longer be filled
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
def _vote(*, policy_id: UUID, actor: Actor, decision: Decision, seen_digest: str, now: datetime, reason: str) -> Tally:
    current = _locked_current()  # closes the race of two proposals based on the same policy
    proposed = Policy.objects.filter(pk=policy_id).first()
    if proposed is None:
        raise Missing(Sentence(_("There is no such policy.")))
    round_ = queries.round_of(proposed.pk, proposed.digest)
    if round_ is None or proposed.in_force_at is not None:
        raise Refused(Sentence(_("This policy is not open for votes.")))
    if current is None or current.pk != proposed.based_on_id:
        raise Stale(Sentence(_("Another policy came into force meanwhile: propose this one again.")))
    tally = cast(round=round_, actor=actor, decision=decision, digest=seen_digest, reason=reason, now=now)
    record(
        stream=proposed.stream,
        kind=Kind.POLICY_VOTED,
        actor=actor,
        data={"decision": Decision(decision).value, "digest": seen_digest, **tally.as_facts()},
        text={"reason": reason} if reason else {},
    )
    if tally.is_settled:
        outcome = RoundOutcome.REJECTED if tally.rejected else RoundOutcome.RETURNED
        close_round(round=round_, outcome=RoundOutcome.APPROVED if tally.approved else outcome, now=now)
    if tally.approved:
        _can_be_satisfied(queries.rules_of(proposed))
        _put_in_force(proposed, actor=actor, now=now)
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
            "decision": Decision(decision).value,
            "seen_digest": seen_digest,
            "digest": proposed.digest,
            "code": refusal.code,
            "reasons": [str(reason.code) for reason in refusal.reasons],
        },
    )


def _locked_current() -> Policy | None:
    return Policy.objects.select_for_update().filter(is_current=True).first()


def _can_be_satisfied(rules: Iterable[Rule]) -> None:
    rules = tuple(rules)
    if uncovered := policies.holes(rules):
        reasons = [reason for refused in uncovered for reason in refused.reasons]
        raise Refused(uncovered[0].detail, reasons=reasons)
    holders = {member.id: member.seats for member in queries.members().values()}
    if short := policies.shortfalls(rules, holders):
        reasons = [one.reason for one in short]
        raise Refused(reasons[0].message, reasons=reasons)


def _put_in_force(saved: Policy, *, actor: Actor, now: datetime) -> None:
    """Make it the one policy in force, inside the caller's transaction."""
    Policy.objects.filter(is_current=True).update(is_current=False)
    saved.is_current, saved.in_force_at = True, now
    saved.save(update_fields=["is_current", "in_force_at"])
    record(
        stream=saved.stream,
        kind=Kind.POLICY_SAVED,
        actor=actor,
        data={"version": saved.version, "digest": saved.digest},
    )
    post(kind="policy.saved", ref=saved.pk, now=now)
