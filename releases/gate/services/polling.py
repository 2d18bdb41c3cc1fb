"""Answer runs that can only look at an address until it says yes."""

from datetime import datetime
from uuid import UUID

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.gate.facts import asked_by, gather
from releases.gate.models import GateDecision, Permit
from releases.gate.rules import Request, decide
from releases.gate.services.asking import ask
from releases.gate.services.redeeming import redeem
from releases.gate.states import Verdict


def poll(*, actor: Actor, decision_id: UUID, now: datetime) -> GateDecision:
    """Ask once more what a run asked, and take the permit for that run when the gate opens; return the newest answer.

    For runs that can only look at an address until it says yes, and cannot verify a signature: an allow is returned
    only when the permit is theirs, so the yes they read is worth as much as a permit that was redeemed. While they must
    wait for the same reasons as before nothing is stored, and nobody's vote waits for them.

    :raises NotPermitted: the caller may not ask, or may not redeem
    :raises Missing: there is no such decision
    :raises Invalid: the decision does not say which run asked
    :raises Refused: the gate closed between the answer and the permit
    """
    require(actor, Right.PERMIT_REDEEM)
    asked = GateDecision.objects.select_related("change").filter(pk=decision_id).first()
    if asked is None:
        raise Missing(Sentence(_("There is no such decision.")))
    request = asked_by(asked, change_number=asked.change.number if asked.change else None)
    taken = _taken_by(request.run.name, asked, now)
    if taken is not None:
        return taken
    require(actor, Right.GATE_ASK)
    if waiting := _as_before(request, asked, now):
        return waiting
    newest = ask(actor=actor, request=request, now=now).decision
    permit = Permit.objects.filter(decision=newest).first()
    if permit is not None:
        redeem(actor=actor, jti=permit.jti, run=request.run, artifact_digest=newest.digest, now=now)
    return newest


def _as_before(request: Request, asked: GateDecision, now: datetime) -> GateDecision | None:
    """Return the last answer to a run where it is still to wait, for the same reasons."""
    last = GateDecision.objects.filter(**_same(asked), run=asked.run).order_by("-pk").first()
    if last is None or last.verdict != Verdict.WAIT:
        return None
    facts, _change = gather(request, now=now)
    found = decide(facts, now)
    reasons = [(str(one.code), one.message.as_json()) for one in found.reasons]
    is_same = reasons == [(one["code"], one["message"]) for one in last.reasons]
    return last if found.verdict is Verdict.WAIT and is_same else None


def _same(asked: GateDecision) -> dict[str, str]:
    return {name: getattr(asked, name) for name in ("service", "environment", "digest", "intent")}


def _taken_by(run: str, asked: GateDecision, now: datetime) -> GateDecision | None:
    """Return the decision by which a run has taken its permit for the same thing, while that permit is good."""
    found = GateDecision.objects.filter(
        **_same(asked), permit__redeemed_by=run, permit__revoked_at=None, permit__expires_at__gt=now
    )
    return found.first() if run else None
