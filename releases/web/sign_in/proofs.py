"""What somebody proved in this browser: kept in the session by allauth, read by the pages as when and how."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import (
    clear_authentication_records,
    get_authentication_records,
    record_authentication,
)
from allauth.account.utils import perform_login
from django.conf import settings
from django.core.signing import BadSignature, dumps, loads
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.crypto import get_random_string
from django.utils.http import url_has_allowed_host_and_scheme

from releases.accounts import services
from releases.accounts.models import User
from releases.accounts.rules import Visitor
from releases.core import clock
from releases.web.request import METHODS, SEEN_AT, SIGNED_IN_AT

KNOWN_BROWSER = "gmud_browser"
KNOWN_SECONDS = 180 * 24 * 3600
_SALT = "releases.web.sign_in.known_browser"
_NAMES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("password", ""): "password",
        ("mfa", "totp"): "totp",
        ("mfa", "recovery_codes"): "recovery",
        ("mfa", "webauthn"): "passkey",
        ("socialaccount", ""): "oidc",
    }
)


def enter(request: HttpRequest, account: User, *, method: str, way_on: str, **facts: Any) -> HttpResponse:
    """Take a first proof of who somebody is, and go on: to the second factor when the account has one, else inside.

    What was proved before in this browser counts no longer: ``methods`` always tells one whole sign-in.
    """
    if request.user.is_authenticated and request.user.pk != account.pk:
        get_adapter(request).logout(request)  # else the proof would be lost with the other person's session
    clear_authentication_records(request)
    record_authentication(request, account, method=method, **facts)
    return perform_login(request, account, redirect_url=way_on)  # type: ignore[no-any-return]  # allauth has no types


def note_second(request: HttpRequest, account: User, kind: str) -> None:
    """Take a second proof beside the first."""
    record_authentication(request, account, method="mfa", type=kind)


def begin(request: HttpRequest, account: User, *, replaces: str) -> None:
    """Open the session that was just signed in, or leave nothing of it when that cannot be recorded."""
    now = clock.now()
    methods = proved(request, account)
    try:
        row = services.begin_session(
            account=account,
            key=request.session.session_key or "",
            replaces=replaces,
            methods=methods,
            visitor=visitor_of(request),
            now=now,
        )
    except Exception:
        request.session.flush()
        raise
    asked_at = _asked_at(request, account, now)
    request.session[SIGNED_IN_AT] = asked_at.isoformat() if asked_at else ""
    request.session[SEEN_AT] = now.isoformat()
    request.session[METHODS] = list(methods)
    request.session.set_expiry(row.ends_at)


def proved(request: HttpRequest, account: User) -> tuple[str, ...]:
    """Return how this sign-in was proved, in order; ``mfa`` when the provider says it asked for a second factor."""
    names = []
    for record in get_authentication_records(request, account):
        names.append(_NAMES.get((record["method"], record.get("type", "")), record["method"]))
        if record.get("mfa"):
            names.append("mfa")
    return tuple(dict.fromkeys(names))


def _asked_at(request: HttpRequest, account: User, now: datetime) -> datetime | None:
    """Return since when this sign-in is fresh: a provider that let somebody pass by its own session asked them before.

    ``None`` when all that was proved is the word of a provider that does not say when it asked.
    """
    records = get_authentication_records(request, account)
    if any(record["method"] != "socialaccount" for record in records):
        return now
    told = next((record["asked_at"] for record in records if record.get("asked_at") is not None), None)
    return None if told is None else datetime.fromtimestamp(max(0.0, min(told, now.timestamp())), UTC)


def visitor_of(request: HttpRequest) -> Visitor:
    """Return who stands at the door."""
    try:
        of, mark = loads(request.COOKIES.get(KNOWN_BROWSER, ""), salt=_SALT, max_age=KNOWN_SECONDS)
    except (BadSignature, ValueError, TypeError):
        of, mark = "", ""
    return Visitor(
        address=get_adapter(request).get_client_ip(request),
        device=request.headers.get("User-Agent", ""),
        browser=mark,
        browser_of=of,
        request=str(getattr(request, "id", "")),
    )


def remember(response: HttpResponse, request: HttpRequest, account: User) -> None:
    """Let this browser be known to the account from now on, so that nobody who guesses elsewhere locks it out."""
    visitor = visitor_of(request)
    mark = visitor.browser if visitor.browser_of == str(account.pk) else get_random_string(22)
    response.set_cookie(
        KNOWN_BROWSER,
        dumps([str(account.pk), mark], salt=_SALT),
        max_age=KNOWN_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
        path=resolve_url("sign-in"),
    )


def way_on(request: HttpRequest, where: str = "") -> str:
    """Return where to go afterwards: inside this house, or to its first page."""
    where = where or request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(where, {request.get_host()}, require_https=request.is_secure())
    return where if is_ours else resolve_url("today")
