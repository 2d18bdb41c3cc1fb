"""Hints over REST: a CI system calls that something happened to a run, and the run is looked at.

Each connection has an address and a secret of its own. Systems show the secret as they can: Jenkins' Notification
plugin only as the password of the address (jenkinsci/notification-plugin @ 720ea44, Protocol.java), Spinnaker's Echo as
a password or a fixed header (spinnaker/spinnaker @ 8f1801d, echo/echo-rest), a script of one's own as a signature.
"""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from releases.api import serializers as shapes
from releases.api.parsing import TooLarge
from releases.api.problems import problem
from releases.catalog import services as catalog
from releases.core import clock
from releases.core.errors import Refused
from releases.delivery.services import reporting

PROBLEMS = shapes.problems(400, 401, 405, 413, 429, 503)
LARGEST = 10 * 1024 * 1024  # Echo posts whole executions
OFF_BY = timedelta(minutes=5)
LONGEST_MOMENT = 12  # digits
AT_ONCE, PER_SECOND = 60.0, 10.0
NOT_OURS = "This is no hint of a system that may send one here."


@dataclass
class Bucket:
    """So many hints of one connection this process takes at once, and so many more each second."""

    left: float = AT_ONCE
    at: float = field(default_factory=time.monotonic)

    def takes(self, now: float) -> bool:
        """Say whether one more is taken now, and count it."""
        self.left, self.at = min(AT_ONCE, self.left + (now - self.at) * PER_SECOND), now
        if self.left < 1:
            return False
        self.left -= 1
        return True


_buckets: dict[UUID, Bucket] = {}


class HintAuthentication(BaseAuthentication):
    """The secret for hints of the connection in the address: as a bearer token, a password, or a signature with it.

    Whether there is such a connection is not told apart from a secret that does not fit.
    """

    def authenticate(self, request: Request) -> tuple[None, bytes]:
        """Return the body, read; whoever sent it knows the secret.

        :raises AuthenticationFailed: they do not; so it looks, too, where what was signed is larger than 10 MiB
        :raises TooLarge: the body is larger than 10 MiB, and they know the secret
        """
        secret = _secret_of(request.parser_context["kwargs"]["connection_id"])
        if "webhook-signature" in request.headers:
            body = _read(request) if _is_now(request) else b""
            is_theirs = _is_now(request) and _fits(request, secret, body)
        else:
            shown = _shown(request.headers.get("Authorization", ""))
            is_theirs = hmac.compare_digest(shown.encode(), secret.encode())
            body = _read(request) if secret and is_theirs else b""
        if not secret or not is_theirs:
            raise AuthenticationFailed(NOT_OURS)
        if len(body) > LARGEST:
            raise TooLarge("The body is larger than 10 MiB: send less.")
        return None, body

    def authenticate_header(self, _request: Request) -> str:
        """Return what a 401 asks for."""
        return 'Bearer realm="gmud"'


def _secret_of(connection_id: UUID) -> str:
    """Return the secret to be shown; empty where there is none, or it does not open: strangers learn nothing."""
    try:
        return catalog.hint_secret_of(connection_id)
    except Refused:
        return ""


def _shown(header: str) -> str:
    """Return the token, or the password, of an Authorization header; empty when there is none."""
    scheme, _space, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:  # no base64, or no text in it
        return ""


def _read(request: Request) -> bytes:
    """Return the body, as far as we read."""
    return bytes(request._request.read(LARGEST + 1))


def _is_now(request: Request) -> bool:
    """Say whether the moment that was signed is now; nothing is read of what was signed at another."""
    at = request.headers.get("webhook-timestamp", "")
    is_moment = len(at) <= LONGEST_MOMENT and at.isascii() and at.isdigit()
    return is_moment and abs(clock.now().timestamp() - int(at)) <= OFF_BY.total_seconds()


def _fits(request: Request, secret: str, body: bytes) -> bool:
    """Say whether one of the signatures is of this body with its id and moment."""
    called, at = (request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp"))
    signed = hmac.new(secret.encode(), f"{called}.{at}.".encode() + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(signed).decode()}".encode()
    given = request.headers["webhook-signature"].encode()
    return any(hmac.compare_digest(one, wanted) for one in given.split())


class Hints(APIView):
    """``/api/v1/hints/{connection_id}``."""

    authentication_classes = (HintAuthentication,)
    permission_classes = ()

    @extend_schema(operation_id="hints_take", request=OpenApiTypes.OBJECT, responses={202: None, **PROBLEMS})
    def post(self, request: Request, connection_id: UUID) -> Response:
        """Take a hint: what it names is looked at soon, if it is known. 202 says that it was read, and nothing else."""
        if not _buckets.setdefault(connection_id, Bucket()).takes(time.monotonic()):
            busy = problem(429, "throttled", "Too many hints at once: what is missed is found by looking.")
            busy["Retry-After"] = "1"
            return busy
        try:
            payload = json.loads(cast(bytes, request.auth))  # what its door read and proved
        except (ValueError, RecursionError) as error:
            raise ParseError("The body is not valid JSON.") from error
        if isinstance(payload, dict):
            reporting.hinted(connection_id=connection_id, payload=payload, now=clock.now())
        return Response(status=status.HTTP_202_ACCEPTED)
