"""How the record is told: one sentence for each kind of event, one for each rule of the gate that holds."""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.core.errors import Sentence
from releases.core.words import mark
from releases.web.looks import VERDICTS

DECISIONS: Mapping[str, str] = {
    "approve": mark("%(who)s approved."),
    "reject": mark("%(who)s rejected."),
    "request_changes": mark("%(who)s requested changes."),
    "abstain": mark("%(who)s abstained."),
}
TOLD: Mapping[str, str] = {
    "change.drafted": mark("%(who)s filed the draft."),
    "change.submitted": mark("%(who)s submitted revision %(revision)s."),
    "change.assessed": mark("Impact %(impact)s × likelihood %(likelihood)s was assessed."),
    "change.revised": mark("%(who)s edited it; earlier votes no longer count."),
    "change.returned": mark("%(who)s sent it back."),
    "change.authorized": mark("The committee authorized revision %(revision)s."),
    "change.rejected": mark("%(who)s rejected it."),
    "change.withdrawn": mark("%(who)s withdrew it."),
    "change.canceled": mark("%(who)s canceled it."),
    "change.superseded": mark("%(who)s put another change in its place."),
    "change.expired": mark("It expired: its window passed."),
    "change.started": mark("%(who)s started it."),
    "change.deployed": mark("Everything is deployed; the watch began."),
    "change.failed": mark("It failed before any traffic."),
    "change.settled": mark("The watch ended without trouble."),
    "change.roll_back_begun": mark("%(who)s began to go back."),
    "change.rolled_back": mark("Everything is back."),
    "change.closed": mark("%(who)s wrote the review and closed it."),
    "change.reported": mark("%(who)s reported what ran without approval."),
    "change.held": mark("%(who)s put it on hold."),
    "change.resumed": mark("%(who)s let it go on."),
    "gate.decided": mark("The gate said “%(verdict)s” to %(who)s."),
    "permit.redeemed": mark("%(who)s redeemed the permit."),
    "permit.refused": mark("A permit was refused to %(who)s."),
    "permit.revoked": mark("A permit was revoked."),
    "deployment.started": mark("A deployment started."),
    "deployment.stop_asked": mark("%(who)s asked to stop a deployment."),
    "deployment.requested": mark("%(who)s asked for a deployment."),
    "deployment.ended": mark("A deployment ended."),
    "operation.moved": mark("The work moved on."),
    "permit.issued": mark("A permit was given."),
    "rollback.taken_over": mark("%(who)s began the rollback anew."),
    "rollback.waits": mark("The rollback waits for a person."),
    "rollout.waits": mark("The rollout waits for a person."),
    "operation.begun": mark("%(who)s set the work going."),
    "operation.ended": mark("The work ended."),
    "rollback.begun": mark("%(who)s pressed Go back."),
    "rollback.ended": mark("The rollback ended."),
    "rollout.advanced": mark("%(who)s advanced the rollout."),
    "rollout.ended": mark("The rollout ended."),
    "rollout.started": mark("%(who)s started the rollout."),
    "rollout.stopped": mark("%(who)s stopped the rollout."),
    "shift.asked": mark("A shift of traffic was asked for."),
    "shift.ended": mark("A shift of traffic ended."),
    "verdict.given": mark("Health was judged."),
}
OTHERWISE = mark("%(who)s: %(what)s.")
HELD: Mapping[str, str | Promise] = {
    "no_change_request": _("A change request names this artifact"),
    "policy_error": _("The policy can be read"),
    "not_authorized": _("It is handed in, and not past"),
    "approvals_missing": _("All needed approvals are given"),
    "self_approval": _("Nobody approved their own change"),
    "approval_void": _("The approvals are for exactly this content"),
    "approval_expired": _("The approvals are still valid"),
    "artifact_mismatch": _("The artifact is the approved one"),
    "outside_window": _("Inside the window"),
    "blackout": _("No freeze"),
    "customer_freeze": _("No customer asked for a freeze"),
    "customer_notice_missing": _("Customers were told in time"),
    "conflict": _("No clash with another change"),
    "lock_active": _("Nobody has stopped the line"),
    "quarantined_artifact": _("The artifact is not in quarantine"),
    "rollback_unproved": _("A way back is known"),
    "risk_too_high": _("The risk is within the policy"),
    "prerequisite_missing": _("What must come first is done"),
    "soak_incomplete": _("It ran long enough before"),
    "watch_in_progress": _("No other release is under watch there"),
    "error_budget_exhausted": _("There is error budget left"),
    "superseded": _("Nothing newer takes its place"),
    "on_hold": _("Not on hold"),
    "permit_replayed": _("The permit was not used before"),
    "evidence_missing": _("Test evidence is there"),
}
PARTS = re.compile(r"%\((\w+)\)")
INTENTS: Mapping[str, str] = {
    "deploy": mark("deploy to %(where)s"),
    "promote": mark("promote in %(where)s"),
    "traffic_shift": mark("shift traffic in %(where)s"),
    "rollback": mark("rollback in %(where)s"),
}


def tell(*, kind: str, who: str, data: Mapping[str, Any]) -> Sentence:
    """Return one event of the record as a sentence; what an older event does not carry shows as a dash."""
    text = DECISIONS.get(str(data.get("decision")), OTHERWISE) if kind == "change.voted" else TOLD.get(kind, OTHERWISE)
    known: dict[str, object] = {name: value for name, value in data.items() if isinstance(value, str | int)}
    known |= {"who": who, "what": kind.replace(".", " ").replace("_", " ")}
    if known.get("verdict") in VERDICTS:
        known["verdict"] = VERDICTS[str(known["verdict"])].word
    return Sentence(text, {name: known.get(name, "—") for name in PARTS.findall(text)})
