"""Where allauth asks what this house wants: who may enter, what a sign-in leaves behind, which provider there is."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import get_client_ip
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from releases.accounts import services
from releases.accounts.backends import PersonBackend
from releases.accounts.models import User
from releases.accounts.openid.client import Caller
from releases.core import clock, redaction
from releases.core.errors import Sentence
from releases.core.http import Allowance
from releases.core.words import mark as _
from releases.web.request import actor_of
from releases.web.sign_in.page import provider_name, refused
from releases.web.sign_in.proofs import begin, remember, visitor_of, way_on
from releases.web.sign_in.provider import KIND, SLUG
from releases.web.sign_in.provider_door import arrived, turned_away


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth carries no types
    """Accounts are made by owners; nobody signs up, and no e-mail leads anywhere."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Let nobody make an account for themselves."""
        return False

    def get_login_stages(self) -> list[str]:
        """Return what stands between the first proof and being inside."""
        return ["allauth.mfa.stages.AuthenticateStage"]

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return where a request comes from, past the proxies that are ours; empty on a socket without addresses."""
        return get_client_ip(request) or ""

    def is_safe_url(self, url: str) -> bool:
        """Say whether an address is inside this house."""
        return way_on(self.request, url) == url

    def may_enter(self, account: User) -> bool:
        """Say whether the account and its person are active."""
        return PersonBackend().user_can_authenticate(account)

    def pre_login(self, request: HttpRequest, user: User, **_kwargs: Any) -> HttpResponse | None:
        """Stop who was ended, however well they proved who they are."""
        if self.may_enter(user):
            return None
        services.refuse(proof="account", why="closed", account=user, visitor=visitor_of(request))
        return refused(request, Sentence(_("This account is closed. Ask an owner.")))

    def login(self, request: HttpRequest, user: User) -> None:
        """Open the session under a new key, and record it.

        :raises NotPermitted: the account was ended at this very moment
        """
        is_same = request.user.is_authenticated and request.user.pk == user.pk
        before = request.session.session_key if is_same else None
        super().login(request, user)
        if is_same:
            request.session.cycle_key()  # Django keeps the key of who was signed in already
        begin(request, user, replaces=before or "")

    def logout(self, request: HttpRequest) -> None:
        """Close the session, and record it."""
        user = request.user
        if isinstance(user, User) and self.may_enter(user):
            services.sign_out(actor=actor_of(request, user), key=request.session.session_key or "", now=clock.now())
        super().logout(request)

    def post_login(self, request: HttpRequest, user: User, *, redirect_url: str | None, **_kwargs: Any) -> HttpResponse:
        """Send somebody on, in the language of their account, from a browser that is known from now on."""
        response = HttpResponseRedirect(way_on(request, redirect_url or ""))
        remember(response, request, user)
        if user.language:
            response.set_cookie(settings.LANGUAGE_COOKIE_NAME, user.language, samesite="Lax")
        return response

    def add_message(self, *_args: Any, **_kwargs: Any) -> None:
        """Say nothing in allauth's words."""

    def send_mail(self, *_args: Any, **_kwargs: Any) -> None:
        """Send nothing."""


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth carries no types
    """One provider, from the operator's settings; nothing in the database adds another."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return the provider of this installation, if there is one and it is asked for."""
        ours = SocialApp(
            provider=KIND,
            provider_id=SLUG,
            name=provider_name(),
            client_id=settings.GMUD_OIDC_CLIENT_ID,
            secret=settings.GMUD_OIDC_CLIENT_SECRET,
            settings={"issuer": settings.GMUD_OIDC_ISSUER, "scope": settings.GMUD_OIDC_SCOPES},
        )
        redaction.remember(ours.secret)
        is_asked = provider in {None, KIND, SLUG} and client_id in {None, ours.client_id}
        return [ours] if ours.name and is_asked else []

    def get_requests_session(self) -> Caller:
        """Let allauth out through our door only."""
        return Caller(Allowance.from_environment())

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: object) -> object:
        """Fill in nothing: admitting somebody is a service of ours."""
        return sociallogin.user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Take over: who the provider names is known, all that follows is ours.

        :raises ImmediateHttpResponse: always, with the answer
        """
        raise ImmediateHttpResponse(arrived(request, sociallogin))

    def on_authentication_error(self, request: HttpRequest, provider: object, **kwargs: Any) -> None:
        """Say in our words that nobody was signed in: refused there, an answer to no request, a code that is not taken.

        :raises ImmediateHttpResponse: always, with the answer
        """
        why = str(kwargs.get("error") or "unknown")
        services.refuse(proof="oidc", why=f"provider: {why}", visitor=visitor_of(request))
        words = _("The sign-in at the provider did not come to an end, or was not begun in this browser. Begin again.")
        raise ImmediateHttpResponse(turned_away(request, Sentence(words)))
