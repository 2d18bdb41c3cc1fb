"""How the record is told: one sentence for each kind of event, one for each rule of the gate that holds."""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.core.errors import Sentence
from releases.core.words import mark
from releases.web.looks import ROLES, VERDICTS
from releases.web.tags import percent

DECISIONS: Mapping[str, str] = {
    "approve": mark("%(who)s approved."),
    "reject": mark("%(who)s rejected."),
    "request_changes": mark("%(who)s requested changes."),
    "abstain": mark("%(who)s abstained."),
}
VOICES: Mapping[str, str] = {
    "approve": mark("%(who)s voted for version %(version)s."),
    "reject": mark("%(who)s voted against version %(version)s."),
    "request_changes": mark("%(who)s asked for changes to version %(version)s."),
    "abstain": mark("%(who)s abstained from version %(version)s."),
}
WATCHES: Mapping[str, str] = {
    "watch succeeded": mark("The watch ended without trouble."),
    "watch failed": mark("The time of the watch is over; it had found trouble: %(why)s"),
    "watch stopped": mark("The time of the watch is over; somebody had stopped measuring."),
    **dict.fromkeys(
        (" ", "rollout succeeded", "rollout failed", "rollout stopped"),
        mark("The time of the watch is over; nothing measured it."),
    ),
}
SHIFTS: Mapping[str, str] = {
    "confirmed": mark("Traffic of %(service)s went from %(before)s to %(asked)s; seen: %(observed)s."),
    "failed": mark("Traffic of %(service)s did not go from %(before)s to %(asked)s; seen: %(observed)s. %(why)s"),
    "needs_human": mark("Traffic of %(service)s to %(asked)s waits for a person; seen: %(observed)s. %(why)s"),
    "superseded": mark("Something newer took the place of the shift of %(service)s to %(asked)s."),
}
CHOICES: Mapping[str, str] = {
    "go_on": mark("%(owner)s holds the route of %(service)s; %(who)s chose to shift it anyway."),
    "git": mark("%(owner)s holds the route of %(service)s; %(who)s chose to change it in Git instead."),
}
DRIVERS: Mapping[str, str] = {
    **dict.fromkeys(("applied", "already"), mark("%(system)s %(driver)s took the wish “%(wish)s”.")),
    **dict.fromkeys(
        ("refused", "conflict", "not_applied"), mark("%(system)s %(driver)s did not do “%(wish)s”: %(why)s")
    ),
    "unknown": mark("Nobody knows whether %(system)s %(driver)s took the wish “%(wish)s”: %(why)s"),
}
CHECKED: Mapping[str, str] = {
    "go": mark("%(who)s tested the connection: it works (%(version)s)."),
    "wait": mark("%(who)s tested the connection: it answers, but something must be mended. %(said)s"),
    "stop": mark("%(who)s tested the connection: it does not work. %(said)s"),
}
JUDGED: Mapping[str, str] = {
    "healthy": mark("%(service)s %(version)s is healthy. %(sentence)s"),
    "unhealthy": mark("%(service)s %(version)s is not healthy. %(sentence)s"),
    "unknown": mark("How %(service)s %(version)s is doing is not known. %(sentence)s"),
}
TOLD: Mapping[str, str] = {
    "drift.ended": mark("Traffic of %(service)s in %(environment)s is as asked for again: %(asked)s."),
    "drift.raised": mark(
        "Traffic of %(service)s in %(environment)s drifted: asked for was %(asked)s, seen is %(observed)s; "
        "%(writer)s wrote last."
    ),
    "change.drafted": mark("%(who)s filed the draft."),
    "change.submitted": mark("%(who)s submitted revision %(revision)s."),
    "change.assessed": mark("Impact %(impact)s × likelihood %(likelihood)s was assessed."),
    "change.vote_refused": mark("A vote of %(who)s was refused."),
    "change.revised": mark("%(who)s edited it; earlier votes no longer count."),
    "change.returned": mark("%(who)s sent it back."),
    "change.authorized": mark("The committee authorized revision %(revision)s."),
    "change.rejected": mark("%(who)s rejected it."),
    "change.withdrawn": mark("%(who)s withdrew it."),
    "change.canceled": mark("%(who)s canceled it."),
    "change.superseded": mark("%(who)s put CHG-%(successor)s in its place."),
    "change.expired": mark("It expired: its window passed."),
    "change.started": mark("%(who)s started it."),
    "change.deployed": mark("Everything is deployed; the watch began."),
    "change.failed": mark("It failed before any traffic."),
    "change.settled": mark("The time of the watch is over."),
    "change.roll_back_begun": mark("%(who)s began to go back."),
    "change.rolled_back": mark("Everything is back."),
    "change.back_by_hand": mark("%(who)s says that everything is back, brought there by hand."),
    "change.stayed": mark("%(who)s ended the rollback: the new version stays."),
    "change.closed": mark("%(who)s wrote the review and closed it."),
    "change.reported": mark("%(who)s reported what ran without approval."),
    "change.customer_told": mark("%(who)s recorded that a customer was told."),
    "change.held": mark("%(who)s put it on hold."),
    "change.resumed": mark("%(who)s let it go on."),
    "gate.decided": mark("The gate said “%(verdict)s” to %(who)s."),
    "callback.ready": mark("The gate would no longer say “wait”: whoever asked to be called is called."),
    "callback.arrived": mark("Whoever asked to be called was told to ask the gate again."),
    "callback.failed": mark("Whoever asked to be called could not be reached."),
    "channel.opened": mark("%(who)s added the channel."),
    "channel.changed": mark("%(who)s changed the channel."),
    "channel.removed": mark("%(who)s removed the channel."),
    "channel.resealed": mark("%(who)s sealed its secret again with a new key."),
    "notice.acknowledged": mark("%(who)s took it on."),
    "notice.escalated": mark("Nobody took it: the next ones were called."),
    "notice.failed": mark("A notice did not arrive after %(attempts)s tries."),
    "subscription.set": mark("%(who)s chose what they hear."),
    "permit.redeemed": mark("%(who)s redeemed the permit."),
    "permit.refused": mark("A permit was refused to %(who)s."),
    "permit.revoked": mark("A permit was revoked."),
    "deployment.started": mark("A deployment started."),
    "deployment.stop_asked": mark("%(who)s asked to stop a deployment."),
    "deployment.terminate_asked": mark("%(who)s asked to break off what a deployment does right now."),
    "deployment.kill_asked": mark("%(who)s asked to end a deployment without cleaning up."),
    "deployment.pause_asked": mark("%(who)s asked to pause a deployment."),
    "deployment.resume_asked": mark("%(who)s asked to let a deployment go on."),
    "deployment.answered": mark("%(who)s answered what a deployment asked."),
    "deployment.act_refused": mark("What was asked of a deployment was refused there."),
    "deployment.report_refused": mark("What a run reported of a deployment was not believed."),
    "deployment.reported": mark("A run reported how its deployment went."),
    "deployment.requested": mark("%(who)s asked for a deployment."),
    "deployment.ended": mark("A deployment ended."),
    "operation.moved": mark("The work moved on."),
    "permit.issued": mark("A permit was given."),
    "rollback.taken_over": mark("%(who)s began the rollback anew."),
    "rollback.waits": mark("The rollback waits for a person."),
    "rollout.waits": mark("The rollout waits for a person."),
    "operation.begun": mark("%(who)s set the work going."),
    "operation.ended": mark("The work ended."),
    "rollback.asked": mark("%(who)s asked to go back; the record contradicts its witness, so it takes two."),
    "rollback.begun": mark("%(who)s pressed Go back."),
    "rollback.ended": mark("The rollback ended."),
    "rollout.advanced": mark("%(who)s advanced the rollout."),
    "rollout.ended": mark("The rollout ended."),
    "rollout.put_back": mark("Put back and read again: %(moved)s."),
    "rollout.put_back_begun": mark(
        "Not every route made the step. Moved and now put back: %(moved)s. Not moved: %(unmoved)s."
    ),
    "rollout.resumed": mark("%(who)s had the step tried again."),
    "rollout.started": mark("%(who)s started the rollout."),
    "rollout.stopped": mark("%(who)s stopped the rollout."),
    "rollout.traffic_moved": mark("Somebody moved the traffic of %(service)s while it is watched: %(why)s"),
    "shift.asked": mark("Traffic of %(service)s is to go to %(asked)s."),
    "shift.ended": mark("A shift of traffic ended."),
    "shift.owner_chosen": mark("%(who)s chose what becomes of the route of %(service)s."),
    "account.added": mark("%(who)s added the account %(username)s."),
    "account.closed": mark("%(who)s closed the account %(username)s."),
    "account.password_set": mark("%(who)s set a new password for the account %(username)s."),
    "account.reopened": mark("%(who)s opened the account %(username)s again."),
    "binding.removed": mark("%(who)s took away what %(service)s in %(environment)s used for %(purpose)s."),
    "binding.set": mark("%(who)s bound %(service)s in %(environment)s to %(connection)s for %(purpose)s."),
    "connection.changed": mark("%(who)s changed the connection: %(origin)s."),
    "connection.checked": mark("%(who)s tested the connection."),
    "connection.closed": mark("%(who)s removed the connection %(name)s."),
    "connection.hints_closed": mark("%(who)s no longer lets it send hints."),
    "connection.hints_opened": mark("%(who)s made a new secret for its hints."),
    "connection.opened": mark("%(who)s added the connection %(name)s: %(origin)s."),
    "connection.resealed": mark("%(who)s sealed its secret again with a new key."),
    "connection.secret_unreadable": mark("The secret did not open for %(origin)s."),
    "customer.described": mark("%(who)s described the customer anew."),
    "customer.registered": mark("%(who)s added the customer."),
    "customer.removed": mark("%(who)s removed the customer."),
    "dependency.confirmed": mark("%(who)s confirmed that %(caller)s calls %(callee)s."),
    "dependency.denied": mark("%(who)s denied that %(caller)s calls %(callee)s."),
    "dependency.linked": mark("%(who)s recorded that %(caller)s calls %(callee)s."),
    "dependency.unlinked": mark("%(who)s removed the dependency of %(caller)s on %(callee)s."),
    "driver.answered": mark("%(system)s %(driver)s answered."),
    "driver.asked": mark("%(who)s asked %(system)s %(driver)s: %(wish)s."),
    "environment.described": mark("%(who)s described the environment anew: %(name)s, %(kind)s, rank %(rank)s."),
    "environment.registered": mark("%(who)s added the environment %(name)s."),
    "environment.removed": mark("%(who)s removed the environment %(name)s."),
    "policy.proposed": mark("%(who)s proposed version %(version)s."),
    "policy.saved": mark("Version %(version)s came into force."),
    "policy.superseded": mark("Version %(version)s waits no longer: version %(successor)s came into force."),
    "policy.vote_refused": mark("A vote of %(who)s on version %(version)s was refused."),
    "policy.withdrawn": mark("%(who)s withdrew version %(version)s."),
    "route.registered": mark("%(who)s set where the traffic of %(service)s in %(environment)s is split."),
    "route.removed": mark("%(who)s removed the route of %(service)s in %(environment)s."),
    "service.described": mark("%(who)s described the service anew: %(name)s, owned by %(team)s."),
    "service.registered": mark("%(who)s added the service %(name)s."),
    "service.reinstated": mark("%(who)s took the service %(name)s into use again."),
    "service.removed": mark("%(who)s removed the service %(name)s."),
    "service.retired": mark("%(who)s retired the service %(name)s."),
    "running.noted": mark("%(version)s runs in %(environment)s."),
    "artifact.cleared": mark("%(who)s let %(version)s out of quarantine."),
    "artifact.quarantined": mark("%(who)s put %(version)s in quarantine."),
    "artifact.registered": mark("%(who)s registered the artifact %(version)s."),
    "audit.agreed": mark("The record agrees with its witness again."),
    "audit.contradicted": mark("The record contradicts its witness."),
    "audit.epoch_begun": mark("%(who)s went on with a record that had been restored."),
    "audit.exported": mark("%(who)s took events out (%(form)s)."),
    "audit.text_erased": mark("%(who)s erased what somebody had written."),
    "audit.verified": mark("%(who)s had the record verified: %(verdict)s, %(events)s events."),
    "freeze.lifted": mark("%(who)s lifted the freeze %(title)s."),
    "freeze.set": mark("%(who)s set the freeze %(title)s."),
    "incident.closed": mark("%(who)s closed the incident of %(service)s in %(environment)s: %(title)s."),
    "incident.opened": mark("%(who)s opened an incident of %(service)s in %(environment)s: %(title)s."),
    "lock.released": mark("%(who)s let the line go on."),
    "lock.set": mark("%(who)s stopped the line."),
    "message.quarantined": mark("A message was given up after %(attempts)s tries."),
    "message.requeued": mark("%(who)s had a message delivered again."),
    "step.moved": mark("A step of the work moved on."),
    "window.closed": mark("%(who)s closed the window %(title)s."),
    "window.opened": mark("%(who)s opened the window %(title)s."),
    "delegation.given": mark("%(who)s lent the seat %(seat)s to %(to)s."),
    "delegation.revoked": mark("%(who)s took the seat %(seat)s back."),
    "factor.added": mark("%(who)s added a second factor to the account %(account)s."),
    "factor.removed": mark("%(who)s removed a second factor from the account %(account)s."),
    "factor.renewed": mark("%(who)s made new recovery codes for the account %(account)s."),
    "factor.resealed": mark("%(who)s sealed its secret again with a new key."),
    "identity.linked": mark("%(who)s linked the account %(account)s to %(issuer)s."),
    "identity.unlinked": mark("%(who)s unlinked the account %(account)s from %(issuer)s."),
    "session.ended": mark("%(who)s ended a session of the account %(account)s."),
    "session.proved": mark("%(who)s signed in again."),
    "session.refused": mark("A sign-in to the account %(account)s was refused."),
    "session.started": mark("%(who)s signed in."),
    "machine.described": mark("%(who)s described it anew: %(name)s, and %(owner)s answers for it."),
    "person.deactivated": mark("%(who)s ended the access of %(person)s."),
    "person.described": mark("%(who)s changed the name or the address of %(person)s."),
    "person.reactivated": mark("%(who)s let %(person)s come back."),
    "person.registered": mark("%(who)s added %(person)s."),
    "role.granted": mark("%(who)s gave %(person)s the role %(role)s."),
    "role.revoked": mark("%(who)s took the role %(role)s from %(person)s."),
    "team.described": mark("%(who)s described the team anew: %(name)s, %(title)s."),
    "team.joined": mark("%(who)s added %(person)s to the team."),
    "team.left": mark("%(who)s took %(person)s out of the team."),
    "team.registered": mark("%(who)s added the team %(name)s."),
    "team.removed": mark("%(who)s removed the team %(name)s."),
    "token.issued": mark("%(who)s issued a token for %(name)s; %(owner)s answers for it."),
    "token.revoked": mark("%(who)s revoked the token %(prefix)s."),
    "token.rotated": mark("%(who)s put the token %(prefix)s in place of %(before)s."),
    "verdict.given": mark("Health was judged."),
}
STEPS: Mapping[str, str] = {
    "todo": mark("The step “%(step)s” is to be tried again."),
    "sending": mark("The step “%(step)s” is being sent."),
    "unknown": mark("Nobody knows yet whether the step “%(step)s” arrived."),
    "applied": mark("The step “%(step)s” arrived and runs."),
    "needs_human": mark("The step “%(step)s” waits for a person."),
    "confirmed": mark("The step “%(step)s” is done."),
    "failed": mark("The step “%(step)s” failed."),
    "skipped": mark("The step “%(step)s” was not sent."),
    "abandoned": mark("The step “%(step)s” was left as it is."),
}
# Where one kind of event has several endings: the data that tell them apart, and a sentence for each.
ENDINGS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "change.settled": (("work", "work_state"), WATCHES),
    "change.voted": (("decision",), DECISIONS),
    "connection.checked": (("light",), CHECKED),
    "driver.answered": (("outcome",), DRIVERS),
    "policy.voted": (("decision",), VOICES),
    "shift.ended": (("shift_state",), SHIFTS),
    "shift.owner_chosen": (("choice",), CHOICES),
    "step.moved": (("step_state",), STEPS),
    "verdict.given": (("health",), JUDGED),
}
OTHERWISE = mark("%(who)s: %(what)s.")
HELD: Mapping[str, str | Promise] = {
    "record_contradicted": _("The record agrees with its witness"),
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
    names, texts = ENDINGS.get(kind, ((), {}))
    text = texts.get(" ".join(str(data.get(name)) for name in names), TOLD.get(kind, OTHERWISE))
    known = {name: shown for name, value in data.items() if (shown := _shown(value)) is not None}
    known |= {"who": who, "what": kind.replace(".", " ").replace("_", " ")}
    for name in ("role", "seat"):
        if known.get(name) in ROLES:
            known[name] = ROLES[str(known[name])]
    if known.get("verdict") in VERDICTS:
        known["verdict"] = VERDICTS[str(known["verdict"])].word
    return Sentence(text, {name: known.get(name, "—") for name in PARTS.findall(text)})


def _shown(value: object) -> object:
    """Return what of an event's data can stand in a sentence: words, numbers, weights, sentences that were kept."""
    if not isinstance(value, Mapping):
        return value if isinstance(value, str | int) else None
    if "text" in value:
        return Sentence.from_json(value)
    return _weights(value)


def _weights(weights: Mapping[str, Any]) -> object:
    """Return "stable 90 %, canary 10 %", or that it is not known."""
    known = {name: weight or 0 for name, weight in weights.items() if isinstance(weight, int | None)}
    whole = sum(known.values())
    if not whole:
        return _("not known")
    return ", ".join(f"{name} {percent(round(known[name] / whole * 100))}" for name in sorted(known, reverse=True))
