"""The request as our views see it, and the door that lets only known people in."""

import functools
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Concatenate, ParamSpec, cast

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.http import urlencode

from releases.accounts import queries as accounts
from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

SIGNED_IN_AT = "signed_in_at"
METHODS = "methods"

P = ParamSpec("P")


class Request(HttpRequest):
    """A request of a person who signed in: who acts, and whether a part of the page is enough."""

    user: User
    actor: Actor
    htmx: "HtmxDetails"


View = Callable[Concatenate[Request, P], HttpResponse]


def signed_in(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Let people in who signed in, as ``request.actor``; send everybody else to the sign-in page."""

    @functools.wraps(view)
    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        user = request.user
        if isinstance(user, AnonymousUser) or not user.is_active:
            return _to_sign_in(request)
        ours = cast(Request, request)
        actor = actor_of(request, user)
        require(actor, Right.CHANGE_READ)  # before the actor is known to the request: a refusal shows no page of ours
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
        session=hashlib.sha256((request.session.session_key or "").encode()).hexdigest()[:32],
        signed_in_at=datetime.fromisoformat(said) if said else None,
        methods=tuple(request.session.get(METHODS, ())),
        request=str(getattr(request, "id", "")),
    )


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    url = resolve_url("sign-in")
    if getattr(request, "htmx", False):
        return HttpResponse(status=401, headers={"HX-Redirect": url})
    return HttpResponse(status=302, headers={"Location": f"{url}?{urlencode({'next': request.get_full_path()})}"})
