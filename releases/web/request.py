"""The request as our views see it, and the door that lets only known people in."""

import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Concatenate, ParamSpec, cast

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.http import urlencode

from releases.accounts import queries as accounts
from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.accounts.rules import session_digest
from releases.accounts.services import require, see_session
from releases.audit.actor import Actor
from releases.core import clock
from releases.core.errors import NotPermitted
from releases.web.looks import Words

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

SIGNED_IN_AT = "signed_in_at"
METHODS = "methods"
SEEN_AT = "seen_at"
SEEN_IS_NOTED_EVERY = timedelta(minutes=1)

P = ParamSpec("P")


class Request(HttpRequest):
    """A request of a person who signed in: who acts, and whether a part of the page is enough."""

    user: User
    actor: Actor
    htmx: "HtmxDetails"


View = Callable[Concatenate[Request, P], HttpResponseBase]


def signed_in(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Let people in who signed in, as ``request.actor``; send everybody else to the sign-in page."""
    return _door(view, Right.CHANGE_READ)


def recognised(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Let people in who signed in, whatever their rights: to what is their own."""
    return _door(view, None)


def _door(view: View[P], right: Right | None) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    @functools.wraps(view)
    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        user = request.user
        if isinstance(user, AnonymousUser) or not user.is_active:
            return _to_sign_in(request)
        ours = cast(Request, request)
        actor = actor_of(request, user)
        if right is not None:  # before the actor is known to the request: a refusal shows no page of ours
            require(actor, right)
        _note_seen(request)
        ours.actor = actor
        return view(ours, *args, **kwargs)

    return door


def shows_again(again: Callable[..., HttpResponse]) -> Callable[[View[P]], View[P]]:
    """Let ``again(request, error, **kwargs)`` answer when the view's one call was refused: form or panel, and why."""

    def mark(view: View[P]) -> View[P]:
        view.again = again  # type: ignore[attr-defined]  # functions take attributes; the middleware reads this one
        return view

    return mark


def actor_of(request: HttpRequest, user: User) -> Actor:
    """Return who acts in this session: the person, the account, and when they last proved who they are."""
    said = request.session.get(SIGNED_IN_AT)
    return accounts.actor_for(
        user,
        session=session_digest(request.session.session_key or ""),
        signed_in_at=datetime.fromisoformat(said) if said else None,
        methods=tuple(request.session.get(METHODS, ())),
        request=str(getattr(request, "id", "")),
    )


def why_not(actor: Actor, right: Right, *or_one_of: Right) -> Words:
    """Return why somebody may not, with whom to ask; empty when they may."""
    try:
        require(actor, right, *or_one_of)
    except NotPermitted as error:
        return error.detail
    return ""


def _note_seen(request: HttpRequest) -> None:
    """Note once a minute that the session is in use; what it says of itself spares a query for the rest of it."""
    said, now = request.session.get(SEEN_AT), clock.now()
    if said and now - datetime.fromisoformat(said) >= SEEN_IS_NOTED_EVERY:
        request.session[SEEN_AT] = now.isoformat()
        see_session(key=request.session.session_key or "", now=now)


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    url = resolve_url("sign-in")
    if getattr(request, "htmx", False):
        return HttpResponse(status=401, headers={"HX-Redirect": url})
    return HttpResponse(status=302, headers={"Location": f"{url}?{urlencode({'next': request.get_full_path()})}"})
