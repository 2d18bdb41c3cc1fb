"""Machines show a bearer token; the request then acts as that machine."""

from typing import Any, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from releases.accounts.services import use_token
from releases.audit.actor import Actor
from releases.core import clock

SCHEME = "bearer"


class Machine:
    """Who calls: what Django REST framework takes for a user."""

    is_authenticated = True

    def __init__(self, actor: Actor) -> None:
        """Keep the actor."""
        self.actor = actor
        self.pk = actor.id


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer gmud_…``."""

    def authenticate(self, request: Request) -> tuple[Machine, str] | None:
        """Return the machine of the token, or ``None`` when no token is shown.

        :raises AuthenticationFailed: the token is unknown, expired or revoked
        """
        scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        return self.machine(token), token

    def machine(self, token: str) -> Machine:
        """Return the machine of a token.

        :raises AuthenticationFailed: the token is unknown, expired or revoked
        """
        actor = use_token(token=token.strip(), now=clock.now())
        if actor is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked: ask an owner for a new one.")
        return Machine(actor)

    def authenticate_header(self, _request: Request) -> str:
        """Return what a 401 asks for."""
        return 'Bearer realm="gmud"'


def actor_of(request: Request) -> Actor:
    """Return the machine that calls."""
    return cast(Any, request.user).actor  # type: ignore[no-any-return]  # the authentication above put it there
