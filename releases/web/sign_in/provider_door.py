"""Leave for the provider, and come back from it: to sign in, to sign in again, or to link an account to it."""

import logging
from datetime import UTC, datetime
from typing import Any

from allauth.account.adapter import get_adapter as accounts
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import services
from releases.accounts.models import User
from releases.accounts.openid import groups, tokens
from releases.accounts.openid.tokens import Untrusted
from releases.core import clock
from releases.core.errors import External, GmudError, Refused, Sentence
from releases.core.words import mark as _
from releases.web.looks import Words
from releases.web.request import actor_of
from releases.web.sign_in.page import provider_name, refused
from releases.web.sign_in.proofs import enter, visitor_of, way_on
from releases.web.sign_in.provider import KIND, SLUG, Exchange
from releases.web.tags import say

log = logging.getLogger(__name__)

AGAIN, LINK, ENTER = "again", "link", "enter"
WAY_ON = "way_on_from_provider"
UNBELIEVED = _("What the sign-in provider answered cannot be trusted, so nobody was signed in. Begin again.")
SILENT = _("The sign-in provider does not answer. Try again in a minute, or choose another way in.")


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Send somebody to the provider; by a page, because a form may lead nowhere but to this house."""
    why = request.POST.get("for", ENTER)
    if why not in {AGAIN, LINK, ENTER} or (why == ENTER) == request.user.is_authenticated:
        return HttpResponseRedirect(way_on(request))
    now = clock.now()
    if why == LINK:
        services.fresh(actor_of(request, _user(request)), now)
    kept = {"for": why, "user": str(request.user.pk or ""), "at": now.timestamp()}
    request.session[WAY_ON] = way_on(request)
    asks = {"prompt": "login", "max_age": "0"} if why == AGAIN else {}
    try:
        provider = get_adapter().get_provider(request, provider=KIND)
        answer = provider.redirect(
            request, process=AuthProcess.LOGIN, next_url=way_on(request), data=kept, auth_params=asks
        )
    except SocialApp.DoesNotExist as error:
        raise Http404 from error
    except (Untrusted, External) as error:
        return _failed(request, error)
    return render(request, "sign_in/leaving.html", {"address": answer.headers["Location"], "name": provider_name()})


@require_GET
def back(request: HttpRequest) -> HttpResponse:
    """Take what the provider answered, once, and only to the browser that asked."""
    try:
        return OAuth2CallbackView.adapter_view(Exchange(request, SLUG))(request)  # type: ignore[no-any-return]  # allauth has no types
    except SocialApp.DoesNotExist as error:
        raise Http404 from error
    except (Untrusted, External) as error:
        return _failed(request, error)


def arrived(request: HttpRequest, login: SocialLogin) -> HttpResponse:
    """Answer for somebody the provider vouches for; what is said of them was checked."""
    issuer, subject, claims = login.account.provider, login.account.uid, login.claims
    kept: dict[str, Any] = login.state.get("data") or {}
    now = clock.now()
    if kept.get("for") == LINK:
        return _linked(request, kept, issuer=issuer, subject=subject)
    account = services.account_of(issuer=issuer, subject=subject)
    if kept.get("for") == AGAIN:
        if account is None or str(account.pk) != kept["user"] or account != request.user:
            services.refuse(proof="oidc", why="somebody_else", account=account, visitor=visitor_of(request))
            return turned_away(request, Sentence(_("The provider vouched for somebody else. Nothing was changed.")))
        tokens.since(claims, datetime.fromtimestamp(kept["at"], UTC))
    if account is None and settings.GMUD_OIDC_REGISTER:
        email = str(claims.get("email") or "") if claims.get("email_verified") is True else ""
        known_as = {"name": str(claims.get("name") or ""), "username": str(claims.get("preferred_username") or "")}
        account = services.admit(issuer=issuer, subject=subject, email=email, **known_as, now=now)
    if account is None:
        named = {"subject": subject}
        services.refuse(proof="oidc", why="unknown", visitor=visitor_of(request), said=named)
        words = _("GMUD does not know you yet. Ask an owner to link your account here to the subject %(subject)s.")
        return turned_away(request, Sentence(words, named))
    if accounts().may_enter(account):
        carried = groups.roles_of(claims, claim=settings.GMUD_OIDC_GROUPS_CLAIM, mapping=settings.GMUD_OIDC_ROLES)
        services.follow_groups(account=account, issuer=issuer, roles=carried, now=now)
    asked_for_more = "mfa" in claims.get("amr", ()) if isinstance(claims.get("amr"), list) else False
    where = way_on(request, str(login.state.get("next") or ""))
    said = {"provider": issuer, "mfa": asked_for_more or None, "asked_at": tokens.asked_at(claims)}
    return enter(request, account, method="socialaccount", way_on=where, **said)


def turned_away(request: HttpRequest, words: Words, *, status: int = 403) -> HttpResponse:
    """Show the sign-in page with why; another way in still leads to where they wanted to go when they left.

    That is kept here: of a refusal some providers say nothing but that it is one.
    """
    return refused(request, words, where=request.session.get(WAY_ON, ""), status=status)


def _linked(request: HttpRequest, kept: dict[str, Any], *, issuer: str, subject: str) -> HttpResponse:
    if not request.user.is_authenticated or str(request.user.pk) != kept.get("user"):
        return turned_away(
            request, Sentence(_("You were signed out meanwhile. Sign in, then link your account again."))
        )
    account = _user(request)
    try:
        services.link_identity(
            actor=actor_of(request, account), account_id=account.pk, issuer=issuer, subject=subject, now=clock.now()
        )
    except Refused as error:
        messages.error(request, say(error.detail))
    else:
        messages.success(
            request, say(Sentence(_("From now on you can sign in with %(name)s."), {"name": provider_name()}))
        )
    return HttpResponseRedirect(way_on(request, "/profile"))


def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("Signing in through the provider failed: %s", error.detail if isinstance(error, GmudError) else error)
    if isinstance(error, External):
        return turned_away(request, Sentence(SILENT), status=502)
    services.refuse(proof="oidc", why=str(error), visitor=visitor_of(request))
    return turned_away(request, Sentence(UNBELIEVED))


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  # narrows the type; the caller has looked
    return request.user
