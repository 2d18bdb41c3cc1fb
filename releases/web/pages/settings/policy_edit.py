"""Proposing a policy: a form with every rule as fields, then what it would change, then exactly that is proposed."""

from collections.abc import Sequence
from dataclasses import replace

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.catalog import queries as catalog
from releases.committee import queries, services
from releases.committee.models import Policy
from releases.committee.rules import policy as rules
from releases.committee.rules.policy import Rule
from releases.core import canonical, clock
from releases.core.errors import GmudError, Invalid, Missing, Sentence, Stale
from releases.core.words import mark
from releases.web.answer import page
from releases.web.errors import Trouble, show, trouble_of
from releases.web.pages.settings.policy_form import PolicyForm
from releases.web.pages.settings.policy_votes import voices
from releases.web.pages.settings.policy_words import difference, outcome_in_words, rules_in_words
from releases.web.pages.settings.printed import groups
from releases.web.request import Request, shows_again, signed_in
from releases.web.tags import say

SLUG, HERE = "policies", "settings"
FORM, PREVIEW = "settings/policy_form.html", "settings/policy_preview.html"
IN_FORCE_NOW = mark("Version %(version)s is in force.")
PUT_FORWARD = mark("Version %(version)s is before the committee now.")


def rules_there(policy: Policy | None) -> tuple[Rule, ...]:
    """Return the rules of a policy; none of one that cannot be read, which the page says by itself."""
    try:
        return queries.rules_of(policy) if policy else ()
    except GmudError:
        return ()


def _begin(request: Request) -> PolicyForm:
    """Return the form as it begins: with the policy in force, or with the version that was asked for."""
    asked = request.GET.get("from", "")
    policy = queries.policy_of(int(asked)) if asked.isdecimal() and len(asked) < 10 else queries.current_policy()
    return PolicyForm.of(policy.name if policy else "", rules_there(policy), queries.seen_now())


def _form(
    request: Request, form: PolicyForm, *, new: int | None = None, trouble: Trouble | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "groups": groups(SLUG),
        "form": form,
        "rules": list(form.inputs([one.name for one in catalog.environments()])),
        "new": new,
        "is_first": not form.seen.in_force,
        "wrong": form.wrong.get("rules", ()),
        "trouble": trouble,
    }
    return page(request, FORM, context, here=HERE, status=status)


def _shown(form: PolicyForm, found: Sequence[Rule]) -> str:
    """Return a digest of what the page of the difference showed: exactly that is proposed, or it is shown again."""
    said = {"name": form.name, "rules": rules.canonical_form(found), "in_force": form.seen.in_force}
    return canonical.digest(said)


def _preview(request: Request, form: PolicyForm, *, trouble: Trouble | None = None, status: int = 200) -> HttpResponse:
    """Show what would change, and whose votes it takes; nothing is written."""
    actor, now = request.actor, clock.now()
    found = services.check_policy(actor=actor, name=form.name, rules=form.document)
    current = queries.current_policy()
    names = (current.name if current else "", form.name.strip())
    fresh = replace(form, seen=queries.seen_now())
    context = {
        "groups": groups(SLUG),
        "difference": difference(rules_there(current), found, names=names),
        "current": current,
        "rules": rules_in_words(found),
        "outcome": outcome_in_words(found),
        "voices": voices(queries.voices_for(actor.person_id, now), actor),
        "hidden": fresh.hidden(),
        "shown": _shown(fresh, found),
        "waiting": [one.version for one in queries.proposed_policies()],
        "trouble": trouble,
    }
    return page(request, PREVIEW, context, here=HERE, status=status)


def _edit_again(request: Request, error: GmudError) -> HttpResponse:
    """Show what was typed and why it cannot be; when somebody was first, what it would change now."""
    if request.method == "GET" or isinstance(error, Missing):
        return show(request, trouble_of(error))
    form = PolicyForm.posted(request.POST)
    if isinstance(error, Stale):
        try:
            return _preview(request, form, trouble=trouble_of(error), status=error.status)
        except GmudError as now_refused:
            error = now_refused
    if isinstance(error, Invalid):
        return _form(request, form.refused(error), status=422)
    return _form(request, form, trouble=trouble_of(error), status=error.status)


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_edit_again)
def edit(request: Request) -> HttpResponse:
    """Show the form, then what it would change, then propose exactly that."""
    require(request.actor, Right.POLICY_EDIT)
    if request.method == "GET":
        return _form(request, _begin(request))
    form, do = PolicyForm.posted(request.POST), request.POST.get("do", "show")
    if do == "add":
        longer = form.with_one_more()
        return _form(request, longer, new=len(longer.rules) - 1)
    if do.startswith("remove-") and do.removeprefix("remove-").isdecimal():
        return _form(request, form.without(int(do.removeprefix("remove-")[:3])))
    if do == "back":
        return _form(request, form)
    found = services.check_policy(actor=request.actor, name=form.name, rules=form.document, seen=form.seen)
    if do != "propose" or request.POST.get("shown") != _shown(form, found):
        return _preview(request, form)
    saved = services.save_policy(
        actor=request.actor, name=form.name, rules=form.document, seen=form.seen, now=clock.now()
    )
    text = IN_FORCE_NOW if saved.is_current else PUT_FORWARD
    messages.success(request, say(Sentence(text, {"version": saved.version})))
    return HttpResponseRedirect(reverse(SLUG))


urlpatterns = [path("settings/policies/edit", edit, name="policy-edit")]
