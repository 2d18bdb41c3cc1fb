"""Ask the gate, redeem a permit, revoke what an edit broke."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.changes.facts import tally_of
from releases.changes.models import ChangeRequest
from releases.changes.services import locked, move
from releases.changes.states import State
from releases.core import canonical
from releases.core.errors import GmudError, Invalid, Missing, NotPermitted, Reason, Refused, Sentence
from releases.core.ownfile import BadFile
from releases.core.words import mark as _
from releases.gate import callbacks, keys, permits
from releases.gate.facts import answering, asked_by, facts_of
from releases.gate.models import GateDecision, IdempotencyKey, Permit
from releases.gate.rules import OPEN_FOR, Request, Run, decide, without_a_key
from releases.gate.states import Intent, ReasonCode, Verdict

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate says: the stored decision, and on allow the signed permit."""

    decision: GateDecision
    permit: str | None


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


class KeyReused(Refused):
    """The idempotency key was used for another question."""

    code = "idempotency_key_reused"
    status = 422


class Replayed(Refused):
    """The permit was redeemed by another run, revoked, or is over."""

    code = ReasonCode.PERMIT_REPLAYED


def ask(
    *, actor: Actor, request: Request, now: datetime, key: str = "", fuse: str = "", callback_url: str = ""
) -> Answer:
    """Decide, store and record; on allow issue a permit, signed only after everything is committed.

    ``fuse`` is for permits that are handed to a job whose run is not known yet: any run may redeem first, but of all
    permits with the same fuse one is redeemed. For such a job of a rollback that is under way a missing key is no
    reason to wait: its permit is signed with a key made for it alone (docs/decisions/0010).

    Whoever must wait is called at ``callback_url`` once the answer would be another one (docs/decisions/0015).

    :raises NotPermitted: the caller may not ask the gate
    :raises Invalid: the service or environment does not exist, or nobody may be called at that address
    :raises KeyReused: the key was used for another question
    :raises BadFile: the key to sign with cannot be used; nothing was stored
    """
    callbacks.check_address(callback_url)
    asked = partial(
        _decide_and_store, actor=actor, request=request, key=key, fuse=fuse, callback_url=callback_url, now=now
    )
    try:
        decision, once = asked()
    except IntegrityError:
        if not key:
            raise
        # The same key twice at once: whoever was faster has decided for both, and is found now.
        decision, once = asked()
    permit = Permit.objects.select_related("change").filter(decision=decision).first()
    signer = (permit.kid, once) if permit and once else _signing_key()
    if permit is None or signer is None:
        return Answer(decision, None)
    kid, private = signer
    return Answer(decision, permits.sign_permit(_claims(permit, decision), kid=kid, key=private))


def receipt_of(decision: GateDecision) -> str | None:
    """Return the signed receipt of a decision, or ``None`` without a signing key."""
    found = _signing_key()
    if found is None:
        return None
    kid, private = found
    return permits.sign_receipt(_facts(decision), kid=kid, key=private)


def redeem(*, actor: Actor, jti: UUID, run: Run, artifact_digest: str, now: datetime) -> Redeemed:
    """Take a permit: exactly one run can, and only if the gate would still open.

    The first redemption of a scheduled change starts it. The same run may repeat the call. A refusal takes nothing,
    and is recorded.

    :raises NotPermitted: the caller may not redeem
    :raises Missing: there is no such permit
    :raises Replayed: another run took it, or it is over or revoked
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
    name = _run_name(run)
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
        raise _replayed(Sentence(_("This permit is over: ask the gate again.")))
    if permit.run and permit.run != name:
        raise _replayed(Sentence(_("This permit was given to the run %(run)s."), {"run": permit.run}))
    twin = Permit.objects.filter(fuse=permit.fuse, redeemed_at__isnull=False).exclude(fuse="").first()
    if twin is not None:
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
            "run": _run_name(run),
            "artifact": artifact_digest,
            "code": refusal.code,
            "reasons": [str(reason.code) for reason in refusal.reasons],
        },
    )


def revoke_for(*, change_id: UUID, now: datetime) -> int:
    """Mark the open permits of a change that do not cover it as it stands now revoked; return how many.

    This may come late: a permit given since, for what was approved anew or for the way back, stays good. Redeeming
    decides again in any case.
    """
    with transaction.atomic(durable=True):
        change = locked(change_id)
        may_pass = [intent for intent, states in OPEN_FOR.items() if change.state in states]
        covered = Q(decision__intent__in=may_pass, decision__content_digest=change.content_digest)
        return _revoke(change, _open_permits(now).filter(change=change).exclude(covered), now=now)


def revoke_broken(*, now: datetime) -> int:
    """Mark the open permits of changes whose authorization no longer stands revoked; return how many.

    Somebody left, lost a seat or took one back, and with them goes a vote that counted. A way back needs no vote now.
    """
    forward = _open_permits(now).exclude(decision__intent=Intent.ROLLBACK)
    count = 0
    for change_id in forward.values_list("change", flat=True).distinct():
        with transaction.atomic(durable=True):
            change = locked(change_id)
            tally = tally_of(change, now=now)
            if tally is None or not tally.approved:
                count += _revoke(change, forward.filter(change=change), now=now)
    return count


def _open_permits(now: datetime) -> QuerySet[Permit]:
    return Permit.objects.filter(redeemed_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now)


def _revoke(change: ChangeRequest, open_permits: QuerySet[Permit], *, now: datetime) -> int:
    """Mark permits of a locked change revoked and tell of it; inside the caller's transaction."""
    count = open_permits.update(revoked_at=now)
    if count:
        record(
            stream=change.stream,
            kind=Kind.PERMIT_REVOKED,
            actor=system("gate"),
            data={"number": change.number, "state": change.state, "permits": count},
        )
    return count


@transaction.atomic(durable=True)
def _decide_and_store(
    *, actor: Actor, request: Request, key: str, fuse: str, callback_url: str, now: datetime
) -> tuple[GateDecision, Ed25519PrivateKey | None]:
    """Return the decision, stored, and the one-time key that is to sign its permit, if the usual one cannot."""
    require(actor, Right.GATE_ASK)
    question = canonical.digest(_question(request, callback_url))
    if key:
        earlier = IdempotencyKey.objects.select_related("decision").filter(principal=actor.id, key=key).first()
        if earlier is not None:
            if earlier.request_digest != question:
                raise KeyReused(Sentence(_("This Idempotency-Key was used for another question: use a new one.")))
            return earlier.decision, None
    change = answering(request)
    if change is not None:
        change = locked(change.pk)  # closes the race decide × edit: facts are gathered under the lock
    decision = decide(facts_of(request, change, now=now), now)
    is_back = fuse and decision.verdict is Verdict.ALLOW and _is_on_its_way_back(request, change)
    once = _one_time_key() if is_back else None
    if decision.verdict is Verdict.ALLOW and once is None and _signing_key() is None:
        decision = without_a_key(decision)
    row = GateDecision.objects.create(
        service=request.service,
        environment=request.environment,
        artifact_name=request.artifact_name,
        digest=request.digest,
        intent=request.intent,
        run={"provider": request.run.provider, "id": request.run.id, "url": request.run.url},
        change=change,
        content_digest=change.content_digest if change else "",
        verdict=decision.verdict,
        reasons=[as_data(reason) for reason in decision.reasons],
        passed=list(decision.passed),
        valid_until=decision.valid_until,
        retry_after_seconds=int(decision.retry_after.total_seconds()) if decision.retry_after else None,
        asked_by=actor.name,
        decided_at=now,
    )
    callbacks.keep(row, url=callback_url, question=question, asked_change=request.change_number, now=now)
    if key:
        IdempotencyKey.objects.create(
            principal=actor.id, key=key, request_digest=question, decision=row, created_at=now
        )
    if change is not None and decision.verdict is Verdict.ALLOW and decision.valid_until is not None:
        found = None if once else _signing_key()
        Permit.objects.create(
            decision=row,
            change=change,
            kid=f"once-{row.pk.hex}" if once else found[0] if found else "",
            public_key=keys.as_text(once.public_key()) if once else "",
            run="" if fuse else _run_name(request.run),
            fuse=fuse,
            issued_at=now.replace(microsecond=0),
            expires_at=decision.valid_until,
        )
    record(
        stream=change.stream if change else f"gate:{request.service}/{request.environment}",
        kind=Kind.GATE_DECIDED,
        actor=actor,
        data={
            **_facts(row),
            **({"number": change.number, "state": change.state} if change else {}),
            **({"one_time_key": True} if once else {}),
            **({"callback_url": callback_url} if callback_url else {}),
        },
    )
    return row, once


def _decide_again(decision: GateDecision, change: ChangeRequest, *, now: datetime) -> None:
    request = asked_by(decision, change_number=change.number)
    again = decide(facts_of(request, change, now=now), now)
    if change.content_digest != decision.content_digest:
        raise _refused(
            ReasonCode.APPROVAL_VOID,
            Sentence(_("The change was edited after this permit was given: ask the gate again.")),
        )
    if again.verdict is not Verdict.ALLOW:
        raise Refused(again.reasons[0].message, reasons=again.reasons)


def _signing_key() -> tuple[str, Ed25519PrivateKey] | None:
    return keys.signing(Path(settings.GMUD_KEYS))


def _is_on_its_way_back(request: Request, change: ChangeRequest | None) -> bool:
    """Say whether this asks for a step of a rollback that a person began: its operation stands for the approval."""
    return request.intent is Intent.ROLLBACK and change is not None and change.state == State.ROLLING_BACK


def _one_time_key() -> Ed25519PrivateKey | None:
    """Return a key for one permit when the usual one is gone or cannot be used, else ``None``."""
    try:
        if _signing_key() is not None:
            return None
    except BadFile as error:
        _log.critical("signing_key_unusable", why=str(error))
    return Ed25519PrivateKey.generate()


def as_data(reason: Reason) -> dict[str, Any]:
    """Return a reason as it is stored: the sentence by key and parts, so that every reader's language can show it."""
    return {
        "code": str(reason.code),
        "severity": reason.severity,
        "message": reason.message.as_json(),
        "fix": reason.fix.as_json() if reason.fix else None,
        "until_us": canonical.microseconds(reason.until) if reason.until else None,
    }


def _question(request: Request, callback_url: str) -> dict[str, Any]:
    return {
        **({"callback_url": callback_url} if callback_url else {}),
        "service": request.service,
        "environment": request.environment,
        "artifact": {"name": request.artifact_name, "digest": request.digest},
        "intent": request.intent,
        "run": {"provider": request.run.provider, "id": request.run.id, "url": request.run.url},
        "change": request.change_number,
    }


def _facts(row: GateDecision) -> Mapping[str, Any]:
    return {
        "decision": str(row.pk),
        "verdict": row.verdict,
        "reasons": [reason["code"] for reason in row.reasons],
        "service": row.service,
        "environment": row.environment,
        "artifact": row.digest,
        "intent": row.intent,
        "run": row.run,
        "content_digest": row.content_digest,
        "decided_us": canonical.microseconds(row.decided_at),
    }


def _claims(permit: Permit, decision: GateDecision) -> permits.Claims:
    return permits.Claims(
        jti=str(permit.jti),
        audience=permits.audience_of(
            intent=decision.intent, environment=decision.environment, service=decision.service
        ),
        change=permit.change.name,
        service=decision.service,
        environment=decision.environment,
        artifact=decision.digest,
        content=decision.content_digest,
        intent=decision.intent,
        run=permit.run,
        decision=str(decision.pk),
        issued_at=permit.issued_at,
        expires_at=permit.expires_at,
    )


def _run_name(run: Run) -> str:
    return f"{run.provider}:{run.id}" if run.id else ""


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
