"""Ask the gate: decide, store, record, and sign the permit of an allow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import IntegrityError, transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.changes.models import ChangeRequest
from releases.changes.services import locked
from releases.changes.states import State
from releases.core import canonical
from releases.core.errors import Reason, Refused, Sentence
from releases.core.ownfile import BadFile
from releases.core.words import mark as _
from releases.gate import keys, permits
from releases.gate.facts import answering, facts_of
from releases.gate.models import GateDecision, IdempotencyKey, Permit
from releases.gate.rules import Decision, Request, decide, without_a_key
from releases.gate.services import calling
from releases.gate.states import Intent, Verdict

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate says: the stored decision, and on allow the signed permit."""

    decision: GateDecision
    permit: str | None


class KeyReused(Refused):
    """The idempotency key was used for another question."""

    code = "idempotency_key_reused"
    status = 422


def ask(
    *,
    actor: Actor,
    request: Request,
    now: datetime,
    key: str = "",
    fuse: str = "",
    until: datetime | None = None,
    callback_url: str = "",
) -> Answer:
    """Decide, store and record; on allow issue a permit, signed only after everything is committed.

    ``fuse`` is for permits that are handed to a job whose run is not known yet: any run may redeem first, but of all
    permits with the same fuse one is redeemed. The job may wait in a queue, so such a permit lives ``until`` then or to
    the end of the window, whichever comes first: redeeming decides again (docs/decisions/0020).

    For such a job of a rollback that is under way a missing key is no reason to wait: its permit is signed with a key
    made for it alone (docs/decisions/0010).

    Whoever must wait is called at ``callback_url`` once the answer would be another one (docs/decisions/0015).

    :raises NotPermitted: the caller may not ask the gate
    :raises Invalid: the service or environment does not exist, or nobody may be called at that address
    :raises KeyReused: the key was used for another question
    :raises BadFile: the key to sign with cannot be used; nothing was stored
    """
    calling.check_address(callback_url)
    asked = partial(
        _decide_and_store,
        actor=actor,
        request=request,
        key=key,
        fuse=fuse,
        until=until,
        callback_url=callback_url,
        now=now,
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


@transaction.atomic(durable=True)
def _decide_and_store(
    *,
    actor: Actor,
    request: Request,
    key: str,
    fuse: str,
    until: datetime | None,
    callback_url: str,
    now: datetime,
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
    decision = _lasting(decision, request, change, until)
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
        reasons=[_as_data(reason) for reason in decision.reasons],
        passed=list(decision.passed),
        valid_until=decision.valid_until,
        retry_after_seconds=int(decision.retry_after.total_seconds()) if decision.retry_after else None,
        asked_by=actor.name,
        decided_at=now,
    )
    calling.keep(row, url=callback_url, question=question, asked_change=request.change_number, now=now)
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
            run="" if fuse else request.run.name,
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
            **({"callback": calling.address_facts(callback_url)} if callback_url else {}),
        },
    )
    return row, once


def _signing_key() -> tuple[str, Ed25519PrivateKey] | None:
    return keys.signing(Path(settings.GMUD_KEYS))


def _lasting(decision: Decision, request: Request, change: ChangeRequest | None, until: datetime | None) -> Decision:
    """Return an allow that holds until then; going forward no longer than the window."""
    if decision.valid_until is None or until is None or change is None:
        return decision
    ends_at = None if request.intent is Intent.ROLLBACK else change.ends_at
    return replace(decision, valid_until=max(decision.valid_until, min(until, ends_at or until)))


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


def _as_data(reason: Reason) -> dict[str, Any]:
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
