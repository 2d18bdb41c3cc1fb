"""Profile: how I sign in, where I am signed in, and in which language I read."""

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.internal.auth import get_totp_secret
from allauth.mfa.webauthn.internal import auth as webauthn
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries, services
from releases.accounts.rules import device_of
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Sentence
from releases.core.words import mark, plural
from releases.web.answer import page
from releases.web.errors import trouble_of
from releases.web.looks import Words
from releases.web.request import Request, recognised, shows_again
from releases.web.sign_in.page import provider_name
from releases.web.sign_in.passkeys import UNFIT, answer_of
from releases.web.tags import say

PROFILE, HERE = "profile/profile.html", "profile"
METHODS = {
    "password": pgettext_lazy("proof", "password"),
    "totp": pgettext_lazy("proof", "authenticator app"),
    "recovery": pgettext_lazy("proof", "recovery code"),
    "passkey": pgettext_lazy("proof", "passkey"),
    "oidc": pgettext_lazy("proof", "provider"),
    "mfa": pgettext_lazy("proof", "second factor at the provider"),
}
ENDED = plural("%(n)s session was ended.", "%(n)s sessions were ended.", by="n")


class PasswordForm(forms.Form):
    """The new password, twice: nobody sees what they type."""

    password = forms.CharField(max_length=4096, strip=False)
    repeated = forms.CharField(max_length=4096, strip=False)

    def clean(self) -> dict[str, Any]:
        """Compare both."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("password") and given.get("password") != given.get("repeated"):
            self.add_error("repeated", _("Both differ. Type the new password twice."))
        return given


def _mine(request: Request, *, errors: dict[str, list[str]] | None = None, **more: object) -> dict[str, Any]:
    account, now = request.user, clock.now()
    factors = queries.factors_of(account)
    has_second = any(one.kind != "recovery_codes" for one in factors)
    return {
        "account": account,
        "headline": _headline(request, has_second=has_second),
        "has_password": settings.GMUD_PASSWORDS and account.has_usable_password(),
        "app": next((one for one in factors if one.kind == "totp"), None),
        "passkeys": [one for one in factors if one.kind == "webauthn"],
        "codes": next((one for one in factors if one.kind == "recovery_codes"), None),
        "provider": provider_name(),
        "identities": queries.identities_of(account),
        "sessions": [
            (one, [METHODS.get(name, name) for name in one.methods])
            for one in queries.sessions_of(account.person_id, now=now, here=request.session.session_key or "")
        ],
        "device": device_of(request.headers.get("User-Agent", "")),
        "languages": settings.LANGUAGES,
        "errors": errors or {},
        **more,
    }


def _headline(request: Request, *, has_second: bool) -> Words:
    name = {"name": request.actor.name}
    if has_second:
        return Sentence(mark("%(name)s, your account is guarded by a second factor."), name)
    return Sentence(mark("%(name)s, your account has no second factor yet."), name)


def _again(request: Request, error: GmudError, **_kwargs: object) -> HttpResponse:
    """Show the profile with what was refused; who signed in too long ago is asked again first."""
    if any(reason.code == "sign_in_again" for reason in error.reasons):
        return redirect(f"{reverse('sign-in-again')}?{urlencode({'next': reverse('profile')})}")
    return page(request, PROFILE, _mine(request, trouble=trouble_of(error)), here=HERE, status=error.status)


@require_GET
@recognised
def profile(request: Request) -> HttpResponse:
    """Show how this account is guarded and where it is signed in."""
    return page(request, PROFILE, _mine(request), here=HERE)


@require_POST
@shows_again(_again)
@recognised
def language(request: Request) -> HttpResponse:
    """Keep the language somebody reads in with their account."""
    chosen = request.POST.get("language", "")
    services.choose_language(actor=request.actor, account=request.user, language=chosen, now=clock.now())
    response = redirect("profile")
    response.set_cookie(settings.LANGUAGE_COOKIE_NAME, chosen, samesite="Lax")
    return response


@sensitive_post_parameters("password", "repeated")
@require_POST
@shows_again(_again)
@recognised
def password(request: Request) -> HttpResponse:
    """Change one's own password; the other sessions end with the old one."""
    form = PasswordForm(request.POST)
    errors = {name: [str(one) for one in many] for name, many in form.errors.items()}
    if not errors:
        try:
            account = services.change_password(
                actor=request.actor, account=request.user, password=form.cleaned_data["password"], now=clock.now()
            )
        except Invalid as error:
            errors = {name: [say(one) for one in many] for name, many in error.fields.items()}
    if errors:
        return page(request, PROFILE, _mine(request, errors=errors), here=HERE, status=422)
    before = request.session.session_key or ""
    update_session_auth_hash(request, account)
    services.move_session(key=before, to=request.session.session_key or "")
    return _done(request, mark("Your password is changed; you were signed out everywhere else."))


@require_POST
@shows_again(_again)
@recognised
def app_new(request: Request) -> HttpResponse:
    """Make a secret for an authenticator app and show it, to be scanned."""
    services.fresh(request.actor, clock.now())
    return page(request, "profile/app.html", _picture(request, get_totp_secret(regenerate=True)))


@require_POST
@shows_again(_again)
@recognised
def app(request: Request) -> HttpResponse:
    """Take an authenticator app whose first code fits."""
    secret, code = get_totp_secret(), request.POST.get("code", "")[:64]
    try:
        codes = services.add_app(actor=request.actor, account=request.user, secret=secret, code=code, now=clock.now())
    except Invalid as error:
        context = {**_picture(request, secret), "trouble": error.detail}
        return page(request, "profile/app.html", context, status=422)
    request.session.pop("mfa.totp.secret", None)
    return _codes(request, codes) if codes else _done(request, mark("From now on the app's code is asked, too."))


def _picture(request: Request, secret: str) -> dict[str, Any]:
    about = get_adapter()
    svg = about.build_totp_svg(about.build_totp_url(request.user, secret)).partition("?>")[2]
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return {"svg": SafeString(svg), "secret": grouped}


@require_POST
@shows_again(_again)
@recognised
def passkey_asked(request: Request) -> HttpResponse:
    """Return what to ask the browser's keeper of passkeys, to make one for this account."""
    services.fresh(request.actor, clock.now())
    return JsonResponse(webauthn.begin_registration(request.user, passwordless=True))


@require_POST
@shows_again(_again)
@recognised
def passkey(request: Request) -> HttpResponse:
    """Take the passkey that the browser made."""
    try:
        credential = answer_of(request)
        webauthn.parse_registration_response(credential)
        webauthn.complete_registration(credential)
    except UNFIT as error:
        raise Invalid(Sentence(mark("This passkey cannot be used here. Try again."))) from error
    codes = services.add_passkey(
        actor=request.actor,
        account=request.user,
        name=request.POST.get("name", ""),
        credential=credential,
        now=clock.now(),
    )
    return _codes(request, codes) if codes else _done(request, mark("From now on this passkey opens your account."))


@require_POST
@shows_again(_again)
@recognised
def factor_remove(request: Request, factor: int) -> HttpResponse:
    """Remove an app or a passkey."""
    services.remove_factor(actor=request.actor, account=request.user, factor_id=factor, now=clock.now())
    return _done(request, mark("Removed. Nobody signs in with it any more."))


@require_POST
@shows_again(_again)
@recognised
def codes(request: Request) -> HttpResponse:
    """Make new recovery codes and show them, once."""
    return _codes(request, services.renew_codes(actor=request.actor, account=request.user, now=clock.now()))


@require_POST
@shows_again(_again)
@recognised
def session_end(request: Request, session: Any) -> HttpResponse:
    """End one session."""
    services.end_session(actor=request.actor, session_id=session, now=clock.now())
    return _done(request, ENDED, n=1)


@require_POST
@shows_again(_again)
@recognised
def sessions_end(request: Request) -> HttpResponse:
    """End every session but this one."""
    ended = services.end_sessions(
        actor=request.actor,
        person_id=request.user.person_id,
        but=request.session.session_key or "",
        now=clock.now(),
    )
    return _done(request, ENDED, n=ended)


@require_POST
@shows_again(_again)
@recognised
def identity_unlink(request: Request, identity: int) -> HttpResponse:
    """Let the provider no longer open this account."""
    services.unlink_identity(actor=request.actor, account_id=request.user.pk, identity_id=identity, now=clock.now())
    return _done(request, mark("Unlinked. The provider no longer opens this account."))


def _codes(request: Request, made: tuple[str, ...]) -> HttpResponse:
    grouped = [format_html("{}-{}", code[:5], code[5:]) for code in made]
    return page(request, "profile/codes.html", {"codes": grouped, "all": "\n".join(grouped)})


def _done(request: Request, text: str, **parts: object) -> HttpResponseRedirect:
    messages.success(request, say(Sentence(text, parts)))
    return HttpResponseRedirect(reverse("profile"))


urlpatterns = [
    path("profile", profile, name="profile"),
    path("profile/language", language, name="profile-language"),
    path("profile/password", password, name="profile-password"),
    path("profile/app/new", app_new, name="profile-app-new"),
    path("profile/app", app, name="profile-app"),
    path("profile/passkey/asked", passkey_asked, name="profile-passkey-asked"),
    path("profile/passkey", passkey, name="profile-passkey"),
    path("profile/factors/<int:factor>/remove", factor_remove, name="profile-factor-remove"),
    path("profile/codes", codes, name="profile-codes"),
    path("profile/sessions/<uuid:session>/end", session_end, name="profile-session-end"),
    path("profile/sessions/end", sessions_end, name="profile-sessions-end"),
    path("profile/identities/<int:identity>/unlink", identity_unlink, name="profile-identity-unlink"),
]
