"""Traffic over REST: who gets what as asked and as seen, what drifted, and a look on demand."""

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
from releases.api.authentication import actor_of
from releases.catalog import queries as catalog
from releases.core import clock
from releases.core.errors import Sentence
from releases.core.translation import say
from releases.traffic import queries, services
from releases.traffic.facts import Seen
from releases.traffic.ports import Verification
from releases.traffic.queries import DriftCard, ObservationCard

PROBLEMS = shapes.problems(401, 403, 404, 409, 502, 503)


class WeightsField(serializers.DictField):
    """Weights by target."""

    child = serializers.IntegerField(allow_null=True)


class DriftOut(serializers.Serializer[Any]):
    """Weights that are not those asked for; ``writer`` wrote them, as far as the control plane tells."""

    id = serializers.UUIDField()
    observed = WeightsField()
    writer = serializers.CharField(allow_blank=True)
    written_at = serializers.DateTimeField(allow_null=True)
    raised_at = serializers.DateTimeField()
    consequence = serializers.CharField(allow_blank=True)


class SeenOut(serializers.Serializer[Any]):
    """A look at a route; ``why`` says why nothing could be seen."""

    weights = WeightsField()
    revision = serializers.CharField(allow_blank=True)
    owner = serializers.CharField(allow_blank=True)
    writer = serializers.CharField(allow_blank=True)
    written_at = serializers.DateTimeField(allow_null=True)
    seen_at = serializers.DateTimeField()
    why = serializers.CharField(allow_blank=True)


class RouteTrafficOut(serializers.Serializer[Any]):
    """One route: what was asked for last by whom, the last look at it, and its drift if there is one.

    ``verification`` is how much is known of what was asked: ``stored`` as asked, ``held`` when it was looked at again,
    ``observed`` in the requests themselves; ``evidence`` is what was counted of them then, and by whom.
    """

    route = serializers.UUIDField()
    service = serializers.CharField()
    environment = serializers.CharField()
    asked = WeightsField(allow_null=True)
    asked_by = serializers.CharField(allow_blank=True)
    asked_at = serializers.DateTimeField(allow_null=True)
    verification = serializers.ChoiceField(choices=["", *(one.value for one in Verification)])
    evidence = serializers.CharField(allow_blank=True)
    seen = SeenOut(allow_null=True)
    drift = DriftOut(allow_null=True)


class TrafficOut(serializers.Serializer[Any]):
    """Every route."""

    routes = RouteTrafficOut(many=True)


class Traffic(APIView):
    """``/api/v1/traffic``."""

    @extend_schema(operation_id="traffic_list", responses={200: TrafficOut, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """List who gets what: as asked for last and as seen last, with what drifted."""
        require(actor_of(request), Right.CHANGE_READ)
        names = {
            **{one.id: one.name for one in catalog.services()},
            **{one.id: one.name for one in catalog.environments()},
        }
        asked, seen = queries.latest(), queries.last_seen()
        drifts = {one.route_id: one for one in queries.drifts()}
        routes = [
            {
                "route": route.id,
                "service": names.get(route.service_id, ""),
                "environment": names.get(route.environment_id, ""),
                "asked": asked[route.id].asked if route.id in asked else None,
                "asked_by": asked[route.id].asked_by if route.id in asked else "",
                "asked_at": asked[route.id].asked_at if route.id in asked else None,
                "verification": asked[route.id].verification if route.id in asked else "",
                "evidence": _said(asked[route.id].evidence) if route.id in asked else "",
                "seen": _observed(seen[route.id]) if route.id in seen else None,
                "drift": _drift(drifts[route.id]) if route.id in drifts else None,
            }
            for route in catalog.routes()
        ]
        return Response({"routes": routes})


class Look(APIView):
    """``/api/v1/traffic/{route_id}/look``."""

    @extend_schema(operation_id="traffic_look", request=None, responses={200: SeenOut, **PROBLEMS})
    def post(self, request: Request, route_id: UUID) -> Response:
        """Look at a route now, and keep what was seen; 502 says why nothing could be."""
        actor, now = actor_of(request), clock.now()
        require(actor, Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN, Right.CATALOG_EDIT)
        seen = Seen.in_reading(services.look(route_id=route_id, now=now, by=actor.name))
        same = ("weights", "revision", "owner", "writer", "written_at")
        return Response({**{name: getattr(seen, name) for name in same}, "seen_at": now, "why": ""})


def _said(sentence: Sentence | None) -> str:
    return say(sentence) if sentence else ""


def _observed(card: ObservationCard) -> dict[str, Any]:
    same = ("weights", "revision", "owner", "writer", "written_at")
    why = _said(card.why)
    return {**{name: getattr(card, name) for name in same}, "seen_at": card.last_at, "why": why}


def _drift(card: DriftCard) -> dict[str, Any]:
    same = ("id", "observed", "writer", "written_at", "raised_at")
    consequence = _said(card.consequence)
    return {**{name: getattr(card, name) for name in same}, "consequence": consequence}
