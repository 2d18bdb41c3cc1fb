"""What Flagger asks while it analyses a canary: whether to roll back, and to go on (docs/connect-flagger.md).

A status up to 202 means yes to it, anything else no, so whatever goes wrong here moves nothing. It cannot send a
header of ours: it sends the user and the password of the hook's address, as Go's client does with any address
(fluxcd/flagger, pkg/controller/webhook.go; golang/go, src/net/http/client.go).
"""

import base64
import binascii
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.api import serializers as shapes
from releases.api.authentication import Machine, TokenAuthentication, actor_of
from releases.api.problems import problem
from releases.catalog import queries as catalog
from releases.core import clock
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _
from releases.rollback import queries as rollback
from releases.traffic.services.confirming import goes_on

PROBLEMS = shapes.problems(400, 401, 403, 404, 413, 503)
LONGEST_NAME = 253


class HookAuthentication(TokenAuthentication):
    """A bearer token as everywhere, or the token as the password of a basic authentication."""

    def authenticate(self, request: Request) -> tuple[Machine, str] | None:
        """Return the machine of the token, or ``None`` when no token is shown.

        :raises AuthenticationFailed: the token is unknown, expired or revoked
        """
        scheme, _space, said = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return super().authenticate(request)
        try:
            plain = base64.b64decode(said, validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            plain = ""
        token = plain.partition(":")[2]
        return self.machine(token), token


class PlaceIn(serializers.Serializer[Any]):
    """Which service it is, in the words of the catalog: the ``metadata`` of the hook."""

    service = serializers.CharField(max_length=LONGEST_NAME)
    environment = serializers.CharField(max_length=LONGEST_NAME)


class HookIn(serializers.Serializer[Any]):
    """What Flagger posts to a hook; more than this may come along."""

    name = serializers.CharField(max_length=LONGEST_NAME)
    namespace = serializers.CharField(max_length=LONGEST_NAME)
    phase = serializers.CharField(max_length=40)
    checksum = serializers.CharField(max_length=LONGEST_NAME, required=False, allow_blank=True)
    metadata = PlaceIn()


class HookOut(serializers.Serializer[Any]):
    """Yes: roll back now, or go on."""

    change_request = serializers.CharField()


class Rollback(APIView):
    """``/api/v1/flagger/rollback``."""

    authentication_classes = (HookAuthentication,)

    @extend_schema(operation_id="flagger_rollback", request=HookIn, responses={200: HookOut, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Say whether this canary is to roll back: 200 while a rollback waits for its traffic, else 403."""
        require(actor_of(request), Right.GATE_ASK)
        body = HookIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        change = rollback.waits_for_traffic(_routes(data["namespace"], data["metadata"]))
        if change is None:
            return problem(403, "not_going_back", "Nobody goes back here: go on.")
        return Response({"change_request": change.name})


class Confirm(APIView):
    """``/api/v1/flagger/confirm``."""

    authentication_classes = (HookAuthentication,)

    @extend_schema(operation_id="flagger_confirm", request=HookIn, responses={200: HookOut, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Say whether this canary may take its next step: 200 as far as a move of a release goes, else 403."""
        require(actor_of(request), Right.GATE_ASK)
        body = HookIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        routes = _routes(data["namespace"], data["metadata"])
        change = goes_on(routes=routes, driver=data["name"], now=clock.now())
        if change is None:
            return problem(403, "not_going_on", "No release wants this step now: wait.")
        return Response({"change_request": change.name})


def _routes(namespace: str, place: dict[str, str]) -> frozenset[UUID]:
    """Return the ids of the routes there that a canary of this namespace can drive.

    :raises Missing: there is no such service or environment
    :raises Invalid: no route is there, or they stand in another namespace than the canary
    """
    service = catalog.service_named(place["service"])
    environment = catalog.environment_named(place["environment"])
    routes = catalog.routes_for(service.id, environment.id)
    found = frozenset(one.id for one in routes if one.locator.get("namespace") == namespace)
    if not found:
        text = _("%(service)s has no route in %(namespace)s here: mend the metadata of the hook.")
        sentence = Sentence(text, {"service": service.name, "namespace": namespace})
        raise Invalid(sentence, fields={"metadata": [sentence]})
    return found
