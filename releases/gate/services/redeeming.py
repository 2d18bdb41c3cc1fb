"""Take a permit: one run can, and only if the gate would still open."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.changes.models import ChangeRequest
from releases.changes.services import locked, move
from releases.changes.states import State
from releases.core.errors import GmudError, Invalid, Missing, NotPermitted, Reason, Refused, Sentence, leading
from releases.core.words import mark as _
from releases.gate.facts import asked_by, facts_of
from releases.gate.models import GateDecision, Permit
from releases.gate.rules import Run, decide
from releases.gate.states import Intent, ReasonCode, Verdict


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A permit that was taken: by which run, when, and what it allows."""

    jti: UUID
    run: str
    redeemed_at: datetime
    service: str
    environment: str
    digest: str
    intent: str
    change: str


class Replayed(Refused):
    """The permit was redeemed by another run, revoked, or is over."""

    code = ReasonCode.PERMIT_REPLAYED


def redeem(*, actor: Actor, jti: UUID, run: Run, artifact_digest: str, now: datetime) -> Redeemed:
    """Take a permit: exactly one run can, and only if the gate would still open.

    The first redemption of a scheduled change starts it. The same run may repeat the call. A refusal takes nothing,
    and is recorded.

    :raises NotPermitted: the caller may not redeem
    :raises Missing: there is no such permit
    :raises Replayed: another run took it or one for the same item, or it is over or revoked
    :raises Refused: the artifact is another one, or the gate would not open any more, with every reason
    """
    try:
        return _take(actor=actor, jti=jti, run=run, artifact_digest=artifact_digest, now=now)
    except (Refused, NotPermitted) as refusal:
        _record_refusal(refusal, actor=actor, jti=jti, run=run, artifact_digest=artifact_digest)
        raise


@transaction.atomic(durable=True)
def _take(*, actor: Actor, jti: UUID, run: Run, artifact_digest: str, now: datetime) -> Redeemed:
    require(actor, Right.PERMIT_REDEEM)
    name = run.name
    if not name:
        sentence = Sentence(_("Say which run redeems the permit."))
        raise Invalid(sentence, fields={"run": [sentence]})
    permit = Permit.objects.select_related("decision").filter(pk=jti).first()
    if permit is None:
        raise Missing(Sentence(_("There is no such permit.")))
    change = locked(permit.change_id)  # closes the races redeem × edit, redeem × vote, redeem × redeem
    permit = Permit.objects.select_related("decision").get(pk=jti)
    decision = permit.decision
    if artifact_digest != decision.digest:
        raise _refused(
            ReasonCode.ARTIFACT_MISMATCH,
            Sentence(_("This permit is for %(approved)s."), {"approved": decision.digest}),
        )
    if permit.redeemed_at is not None:
        if permit.redeemed_by == name and now < permit.expires_at and permit.revoked_at is None:
            return _redeemed(permit, change)
        raise _replayed(Sentence(_("Another run has redeemed this permit: %(run)s."), {"run": permit.redeemed_by}))
    if permit.revoked_at is not None or now >= permit.expires_at or now < permit.issued_at:
        text = _("This permit is over: ask the gate again. What GMUD began is begun again from its page there.")
        raise _replayed(Sentence(text))
    if permit.run and permit.run != name:
        raise _replayed(Sentence(_("This permit was given to the run %(run)s."), {"run": permit.run}))
    if twin := _twin(permit, name):
        raise _replayed(Sentence(_("Another run has started this deployment: %(run)s."), {"run": twin.redeemed_by}))
    _decide_again(decision, change, now=now)
    taken = Permit.objects.filter(pk=jti, redeemed_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now)
    if taken.update(redeemed_at=now, redeemed_by=name) != 1:
        raise _replayed(Sentence(_("Another run has redeemed this permit: %(run)s."), {"run": "–"}))
    permit.redeemed_at, permit.redeemed_by = now, name
    record(
        stream=change.stream,
        kind=Kind.PERMIT_REDEEMED,
        actor=actor,
        data={
            "number": change.number,
            "state": change.state,
            "permit": str(jti),
            "decision": str(decision.pk),
            "run": name,
            "artifact": artifact_digest,
        },
    )
    if change.state == State.SCHEDULED and decision.intent == Intent.DEPLOY:
        move(change, "start", actor=system("gate"), now=now, data={"permit": str(jti), "run": name})
    return _redeemed(permit, change)


@transaction.atomic(durable=True)
def _record_refusal(refusal: GmudError, *, actor: Actor, jti: UUID, run: Run, artifact_digest: str) -> None:
    """Tell of a refused redemption, in a transaction of its own: the one that refused was rolled back."""
    permit = Permit.objects.select_related("change").filter(pk=jti).first()
    if permit is None:
        return
    record(
        stream=permit.change.stream,
        kind=Kind.PERMIT_REFUSED,
        actor=actor,
        data={
            "number": permit.change.number,
            "permit": str(jti),
            "decision": str(permit.decision_id),
            "run": run.name,
            "artifact": artifact_digest,
            "code": refusal.code,
            "reasons": [str(reason.code) for reason in refusal.reasons],
        },
    )


def _twin(permit: Permit, run: str) -> Permit | None:
    """Return the permit by which another run does this already: of a start that was sent twice, or of the same item.

    A version is brought forward to its place by one run, whoever began it. Going back is blocked by its own start
    alone: it may have to be tried again (docs/decisions/0020).
    """
    asked, taken = permit.decision, Permit.objects.filter(change=permit.change_id, redeemed_at__isnull=False)
    same_item = {name: getattr(asked, name) for name in ("service", "environment", "intent")}
    others = taken.filter(**{f"decision__{name}": value for name, value in same_item.items()}).exclude(redeemed_by=run)
    of_start = taken.filter(fuse=permit.fuse).first() if permit.fuse else None
    return of_start or (others.first() if asked.intent == Intent.DEPLOY else None)


def _decide_again(decision: GateDecision, change: ChangeRequest, *, now: datetime) -> None:
    request = asked_by(decision, change_number=change.number)
    again = decide(facts_of(request, change, now=now), now)
    if change.content_digest != decision.content_digest:
        raise _refused(
            ReasonCode.APPROVAL_VOID,
            Sentence(_("The change was edited after this permit was given: ask the gate again.")),
        )
    if again.verdict is not Verdict.ALLOW:
        raise Refused(leading(again.reasons).message, reasons=again.reasons)


def _redeemed(permit: Permit, change: ChangeRequest) -> Redeemed:
    decision = permit.decision
    return Redeemed(
        jti=permit.jti,
        run=permit.redeemed_by,
        redeemed_at=permit.redeemed_at or permit.issued_at,
        service=decision.service,
        environment=decision.environment,
        digest=decision.digest,
        intent=decision.intent,
        change=change.name,
    )


def _refused(code: ReasonCode, sentence: Sentence) -> Refused:
    return Refused(sentence, reasons=[Reason(code, sentence)])


def _replayed(sentence: Sentence) -> Replayed:
    return Replayed(sentence, reasons=[Reason(ReasonCode.PERMIT_REPLAYED, sentence)])
