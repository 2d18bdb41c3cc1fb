"""Policies: the one in force in words, what is proposed and who must vote on it, and what was."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import queries as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.committee import queries, services
from releases.committee.models import Policy
from releases.committee.queries import Proposal
from releases.committee.seats import Decision as Choice
from releases.committee.seats import RoundOutcome
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Missing, Sentence
from releases.core.words import mark, plural
from releases.web.answer import page
from releases.web.errors import Trouble, show, trouble_of
from releases.web.looks import Fact, Look, Told
from releases.web.pages.settings import policy_edit
from releases.web.pages.settings.history import told_of
from releases.web.pages.settings.policy_edit import HERE, IN_FORCE_NOW, SLUG, rules_there
from releases.web.pages.settings.policy_votes import Panel, decision_on
from releases.web.pages.settings.policy_words import (
    Difference,
    difference,
    outcome_in_words,
    rules_in_words,
)
from releases.web.pages.settings.printed import groups
from releases.web.pages.settings.words import capitalized
from releases.web.request import Request, shows_again, signed_in, why_not
from releases.web.tags import both, say

PAGE, ONE = "settings/policies.html", "settings/policy.html"
WITHDRAW = "settings/policy_withdraw.html"
MOST_VERSIONS, MOST_EVENTS = 20, 50
NOT_VOTED_YET = plural("version %(version)s waits for %(n)s vote", "version %(version)s waits for %(n)s votes", by="n")
IN_FORCE = Look("go", "✓", _("in force"))
WAS_IN_FORCE = Look("", "○", _("was in force"))
BEFORE_THE_COMMITTEE = Look("wait", "◔", _("before the committee"))
ENDED: Mapping[str, Look] = {
    RoundOutcome.REJECTED: Look("stop", "✕", _("rejected")),
    RoundOutcome.RETURNED: Look("wait", "✎", _("sent back")),
    RoundOutcome.VOID: Look("", "→", _("not decided")),
}
HISTORY = tuple(kind.value for kind in Kind if kind.value.startswith("policy."))


@dataclass(frozen=True, slots=True)
class Version:
    """One line of the versions: its number, how it ended, who proposed it and when."""

    number: int
    name: str
    href: str
    look: Look
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal ready to print: what it changes, and the panel of its decision."""

    version: Version
    policy: Policy
    difference: Difference | None
    decision: Panel
    is_mine: bool
    is_open: bool


# --- what the pages show ---


def _look(policy: Policy, outcome: str) -> Look:
    if policy.is_current:
        return IN_FORCE
    if policy.in_force_at is not None:
        return WAS_IN_FORCE
    return ENDED.get(outcome, BEFORE_THE_COMMITTEE)


def _version(policy: Policy, outcome: str = "") -> Version:
    href = reverse("policy", args=[policy.version])
    return Version(policy.version, policy.name, href, _look(policy, outcome), policy.created_by, policy.created_at)


def _proposed(proposal: Proposal, actor: Actor, now: datetime, *, reason: str = "") -> Proposed:
    policy = proposal.policy
    before, after = rules_there(policy.based_on), rules_there(policy)
    names = (policy.based_on.name if policy.based_on else "", policy.name)
    return Proposed(
        version=_version(policy, proposal.round.outcome),
        policy=policy,
        difference=difference(before, after, names=names) if before and after else None,
        decision=decision_on(proposal, actor=actor, now=now, reason=reason),
        is_mine=proposal.is_open and actor.person_id is not None and proposal.author == actor.person_id,
        is_open=proposal.is_open,
    )


def _history(policies: Iterable[Policy], events: Iterable[audit.Entry]) -> tuple[Told, ...]:
    """Return the newest first, each with the number of the version it is about."""
    numbers = {policy.stream: policy.version for policy in policies}
    known = [one for one in events if one.stream in numbers]
    return told_of(replace(one, data={"version": numbers[one.stream], **one.data}) for one in reversed(known))


def _facts(policy: Policy, proposal: Proposal | None, events: Iterable[audit.Entry]) -> tuple[Fact, ...]:
    """Return who put it in force and when."""
    saved = next((one for one in events if one.stream == policy.stream and one.kind == Kind.POLICY_SAVED), None)
    found = [Fact(_("Name"), policy.name), Fact(_("Proposed"), policy.created_by, at=policy.created_at)]
    if proposal is not None:
        names = [one.ballot.name for one in proposal.tally.ballots if one.ballot.decision == Choice.APPROVE]
        if names:
            found.append(Fact(pgettext_lazy("votes", "For it"), both(names)))
    if saved is not None:
        last = Sentence(mark("with the vote of %(name)s"), {"name": saved.actor_name})
        note = last if proposal is not None else saved.actor_name
        found.append(Fact(capitalized(IN_FORCE.word), saved.at, note=note))
    return (*found, Fact(_("Digest"), policy.digest, code=True))


def _headline(current: Policy | None, waiting: Sequence[Proposed]) -> Sentence:
    """Return the truth in one sentence."""
    if current is None:
        return Sentence(mark("There is no policy yet: nobody can decide"))
    parts: dict[str, object] = {"version": current.version}
    if not waiting:
        return Sentence(mark("Version %(version)s is in force"), parts)
    said = [Sentence(NOT_VOTED_YET, {"version": one.version.number, "n": one.decision.missing}) for one in waiting]
    text = mark("Version %(version)s is in force; %(waiting)s")
    return Sentence(text, {**parts, "waiting": both(said)})


def _found(asked: str) -> list[Policy]:
    """Return the newest versions whose name or proposer answers to the search, one more than a page shows."""
    rows = Policy.objects.select_related("based_on")
    if asked:
        rows = rows.filter(Q(name__icontains=asked) | Q(created_by__icontains=asked))
    return list(rows[: MOST_VERSIONS + 1])


def _overview(request: Request, *, trouble: Trouble | None = None, status: int = 200) -> HttpResponse:
    now = clock.now()
    asked = request.GET.get("q", "").strip()[:120]
    newest = _found("")
    policies, found = newest[:MOST_VERSIONS], _found(asked) if asked else newest
    shown = found[:MOST_VERSIONS]
    current = next((one for one in policies if one.is_current), None) or queries.current_policy()
    known = {*policies, *shown, *([current] if current else ())}
    everyone = {one.policy.pk: one for one in queries.proposals_of(known, now)}
    waiting = [
        _proposed(everyone[one.pk], request.actor, now, reason=_typed(request))
        for one in policies
        if one.pk in everyone and everyone[one.pk].is_open
    ]
    events = audit.newest(HISTORY, most=MOST_EVENTS)
    in_force = rules_there(current)
    context = {
        "groups": groups(SLUG),
        "headline": _headline(current, waiting),
        "current": current,
        "is_readable": bool(in_force),
        "rules": rules_in_words(in_force),
        "outcome": outcome_in_words(in_force) if in_force else [],
        "facts": _facts(current, everyone.get(current.pk), _story(current)) if current else (),
        "proposals": waiting,
        "search": asked,
        "versions": [_version(one, everyone[one.pk].round.outcome if one.pk in everyone else "") for one in shown],
        "has_more": len(found) > MOST_VERSIONS,
        "told": _history(policies, events),
        "why": why_not(request.actor, Right.POLICY_EDIT),
        "trouble": trouble,
    }
    return page(request, PAGE, context, here=HERE, status=status)


def _story(policy: Policy) -> list[audit.Entry]:
    return audit.story(policy.stream)


def _typed(request: Request) -> str:
    """Return the reason that was typed, which a new sign-in must not lose."""
    return (request.POST if request.method == "POST" else request.GET).get("reason", "")


@require_GET
@signed_in
def policies(request: Request) -> HttpResponse:
    """Show the policy in force, what is proposed, and what was."""
    return _overview(request)


@require_GET
@signed_in
def version(request: Request, number: int) -> HttpResponse:
    """Show one version: what it says, what it changed, who decided on it."""
    policy, now = queries.policy_of(number), clock.now()
    proposal = next(iter(queries.proposals_of([policy], now)), None)
    told, found = _story(policy), rules_there(policy)
    context = {
        "groups": groups(SLUG),
        "version": _version(policy, proposal.round.outcome if proposal else ""),
        "proposal": _proposed(proposal, request.actor, now) if proposal else None,
        "rules": rules_in_words(found),
        "outcome": outcome_in_words(found) if found else [],
        "facts": _facts(policy, proposal, told),
        "told": _history([policy], told),
        "why": why_not(request.actor, Right.POLICY_EDIT),
    }
    return page(request, ONE, context, here=HERE)


# --- deciding ---


def _vote_again(request: Request, error: GmudError, *, number: int) -> HttpResponse:
    """Show the page again and why the vote was refused; who must sign in again comes back with what they typed."""
    if request.method == "GET" or isinstance(error, Missing):
        return show(request, trouble_of(error))
    if any(reason.code == "sign_in_again" for reason in error.reasons):
        back = f"{reverse(SLUG)}?{urlencode({'reason': _typed(request)})}"
        return HttpResponseRedirect(f"{reverse('sign-in-again')}?{urlencode({'next': back})}")
    status = 422 if any(reason.code == "reason_missing" for reason in error.reasons) else error.status
    return _overview(request, trouble=trouble_of(error), status=status)


@require_http_methods(["POST"])
@signed_in
@shows_again(_vote_again)
def vote(request: Request, number: int) -> HttpResponse:
    """Cast a vote on the rules that were seen."""
    try:
        choice = Choice(request.POST.get("decision", ""))
    except ValueError:
        raise Invalid(Sentence(mark("Choose how you vote."))) from None
    tally = services.vote_on_policy(
        policy_id=queries.policy_of(number).pk,
        actor=request.actor,
        decision=choice,
        seen_digest=request.POST.get("seen_digest", ""),
        reason=_typed(request)[:2000],
        now=clock.now(),
    )
    text = IN_FORCE_NOW if tally.approved else mark("Your vote is counted.")
    messages.success(request, say(Sentence(text, {"version": number} if tally.approved else {})))
    return HttpResponseRedirect(reverse(SLUG))


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_vote_again)
def withdraw(request: Request, number: int) -> HttpResponse:
    """Ask whether the proposal is to be taken back, and take it back."""
    policy = queries.policy_of(number)
    if request.method == "GET":
        require(request.actor, Right.POLICY_EDIT)
        context = {"groups": groups(SLUG), "version": _version(policy)}
        return page(request, WITHDRAW, context, here=HERE)
    services.withdraw_policy(policy_id=policy.pk, actor=request.actor, reason=_typed(request)[:2000], now=clock.now())
    messages.success(request, say(Sentence(mark("Version %(version)s is withdrawn."), {"version": number})))
    return HttpResponseRedirect(reverse(SLUG))


urlpatterns = [
    path("settings/policies", policies, name=SLUG),
    *policy_edit.urlpatterns,
    path("settings/policies/<int:number>", version, name="policy"),
    path("settings/policies/<int:number>/vote", vote, name="policy-vote"),
    path("settings/policies/<int:number>/withdraw", withdraw, name="policy-withdraw"),
]
