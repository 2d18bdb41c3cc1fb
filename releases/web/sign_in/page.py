"""The sign-in page, as it is shown first and after every refusal."""

from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from releases.accounts import queries
from releases.accounts.limits import TooMany
from releases.accounts.models import User
from releases.core.errors import GmudError
from releases.web.looks import Words
from releases.web.sign_in.proofs import way_on


class SignInForm(forms.Form):
    """User name and password; that one is empty is no clue, so it is said like any other mistake."""

    username = forms.CharField(required=False, max_length=200)
    password = forms.CharField(required=False, max_length=4096, strip=False)


def provider_name() -> str:
    """Return what people call the provider, empty when none is set up."""
    return str(settings.GMUD_OIDC_NAME) if settings.GMUD_OIDC_ISSUER and settings.GMUD_OIDC_CLIENT_ID else ""


def sign_in_page(
    request: HttpRequest,
    *,
    username: str = "",
    trouble: Words = "",
    of: str = "page",
    where: str = "",
    status: int = 200,
) -> HttpResponse:
    """Show every way in that is open here, each of which leads on to ``where`` or what the request says of that.

    ``of`` says what the trouble is about: the ``password`` or the ``page``.
    """
    context: dict[str, Any] = {
        "username": username,
        "trouble": trouble,
        "of": of,
        "next": way_on(request, where),
        "has_passwords": settings.GMUD_PASSWORDS,
        "provider": provider_name(),
    }
    return render(request, "sign_in/sign_in.html", context, status=status)


def refused(request: HttpRequest, words: Words, *, where: str = "", status: int = 403) -> HttpResponse:
    """Show the sign-in page with why this way in is shut; another way in still leads on to ``where``."""
    return sign_in_page(request, trouble=words, where=where, status=status)


def second_page(request: HttpRequest, account: User, *, trouble: Words = "", status: int = 200) -> HttpResponse:
    """Ask for the second factor."""
    kinds = set(Authenticator.objects.filter(user=account).values_list("type", flat=True))
    context = {
        "trouble": trouble,
        "has_codes": bool(kinds - {Authenticator.Type.WEBAUTHN}),
        "has_app": Authenticator.Type.TOTP in kinds,
        "has_passkey": Authenticator.Type.WEBAUTHN in kinds,
        "is_passkey_first": Authenticator.Type.WEBAUTHN in kinds and Authenticator.Type.TOTP not in kinds,
        "name": account.username,
    }
    return render(request, "sign_in/second.html", context, status=status)


def again_page(request: HttpRequest, account: User, *, trouble: Words = "", status: int = 200) -> HttpResponse:
    """Ask who it is once more, in every way this account knows."""
    context = {
        "trouble": trouble,
        "next": way_on(request),
        "name": account.username,
        "has_password": settings.GMUD_PASSWORDS and account.has_usable_password(),
        "has_passkey": Authenticator.objects.filter(user=account, type=Authenticator.Type.WEBAUTHN).exists(),
        "provider": provider_name() if queries.identities_of(account) else "",
    }
    return render(request, "sign_in/again.html", context, status=status)


def status_of(error: GmudError) -> int:
    """Return how a refusal at the door is answered: a wrong proof is a form to mend."""
    return 429 if isinstance(error, TooMany) else 422


def with_patience(response: HttpResponse, error: GmudError) -> HttpResponse:
    """Say to machines, too, how long to wait."""
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.seconds)
    return response
