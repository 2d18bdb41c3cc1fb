"""The routes of a change over REST: what a shift would do, who else writes them; choosing, asking who drives them."""

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
from releases.api.parsing import StrictSerializer
from releases.changes import queries
from releases.core import clock
from releases.core.translation import say
from releases.rollout.outlook import RouteOutlook, outlooks
from releases.traffic.drivers.ports import Standing, Wish
from releases.traffic.services.choosing import choose, facts_of
from releases.traffic.services.driving import wish
from releases.traffic.states import Choice

PROBLEMS = shapes.problems(400, 401, 403, 404, 409, 413, 502, 503)


class ChoiceIn(StrictSerializer):
    """What becomes of a shift where Git or a chart holds the route."""

    choice = serializers.ChoiceField(choices=[one.value for one in Choice])
    reason = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class ChoiceOut(serializers.Serializer[Any]):
    """What somebody chose, as the shift keeps it."""

    owner = serializers.CharField()
    choice = serializers.ChoiceField(choices=[one.value for one in Choice])
    by = serializers.CharField()
    at = serializers.DateTimeField()
    reason = serializers.CharField(allow_blank=True)


class WishIn(StrictSerializer):
    """What is asked of whoever drives the route; ``driver`` is its name there."""

    driver = serializers.CharField(max_length=253)
    wish = serializers.ChoiceField(choices=[one.value for one in Wish])
    reason = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class DriverOut(serializers.Serializer[Any]):
    """Who drives a route, how it stands, and what may be asked of it now."""

    system = serializers.CharField()
    name = serializers.CharField()
    phase = serializers.CharField(allow_blank=True)
    canary = serializers.IntegerField(allow_null=True)
    whole = serializers.IntegerField()
    wishes = serializers.ListField(child=serializers.CharField())
    warnings = serializers.ListField(child=serializers.CharField())


class RouteOut(serializers.Serializer[Any]):
    """One route and its next shift; ``commit`` is what would keep it where Git holds the route."""

    route = serializers.UUIDField()
    service = serializers.CharField()
    environment = serializers.CharField()
    before = serializers.DictField(child=serializers.IntegerField(), allow_null=True)
    after = serializers.DictField(child=serializers.IntegerField())
    obstacles = serializers.ListField(child=serializers.CharField())
    doubts = serializers.ListField(child=serializers.CharField())
    warnings = serializers.ListField(child=serializers.CharField())
    owner = serializers.CharField(allow_blank=True)
    consequence = serializers.CharField(allow_blank=True)
    commit = serializers.CharField(allow_blank=True)
    choice = ChoiceOut(allow_null=True)
    drivers = DriverOut(many=True)
    why = serializers.CharField(allow_blank=True, help_text="Why nothing could be seen.")


class RoutesOut(serializers.Serializer[Any]):
    """The routes of a change."""

    routes = RouteOut(many=True)


class Routes(APIView):
    """``/api/v1/changes/{number}/routes``."""

    @extend_schema(operation_id="changes_routes", responses={200: RoutesOut, **PROBLEMS})
    def get(self, request: Request, number: int) -> Response:
        """Look at every route of a change: what its next shift would do, and who else writes there."""
        require(actor_of(request), Right.CHANGE_READ)
        return Response({"routes": [_route(one) for one in outlooks(queries.by_number(number))]})


class RouteChoice(APIView):
    """``/api/v1/changes/{number}/routes/{route_id}/choice``."""

    @extend_schema(operation_id="changes_choose", request=ChoiceIn, responses={200: ChoiceOut, **PROBLEMS})
    def put(self, request: Request, number: int, route_id: UUID) -> Response:
        """Choose what becomes of a shift where Git or a chart holds the route; the last choice counts."""
        require(actor_of(request), Right.CHANGE_RELEASE)
        body = ChoiceIn(data=request.data)
        body.is_valid(raise_exception=True)
        row = choose(
            change_id=queries.by_number(number).pk,
            route_id=route_id,
            choice=Choice(body.validated_data["choice"]),
            reason=body.validated_data["reason"],
            actor=actor_of(request),
            now=clock.now(),
        )
        return Response(facts_of(row))


class Wishes(APIView):
    """``/api/v1/changes/{number}/routes/{route_id}/wishes``."""

    @extend_schema(operation_id="changes_wish", request=WishIn, responses={200: DriverOut, **PROBLEMS})
    def post(self, request: Request, number: int, route_id: UUID) -> Response:
        """Ask whoever drives the route: abort, promote, undo and the like, each once. What it refuses is a 502."""
        require(actor_of(request), Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN)
        body = WishIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        granted = wish(
            change_id=queries.by_number(number).pk,
            route_id=route_id,
            driver=data["driver"],
            wish=Wish(data["wish"]),
            reason=data["reason"],
            actor=actor_of(request),
            now=clock.now(),
        )
        return Response(_driver(granted.standing))


def _route(one: RouteOutlook) -> dict[str, Any]:
    preview, keeping = one.preview, one.keeping
    owner = preview.before.owner if preview else None
    return {
        "route": one.route_id,
        "service": one.service,
        "environment": one.environment,
        "before": preview.before.weights if preview else None,
        "after": one.wanted,
        **{
            name: [say(text) for text in getattr(preview, name)] if preview else []
            for name in ("obstacles", "doubts", "warnings")
        },
        "owner": owner.system if owner else "",
        "consequence": say(keeping.consequence) if keeping else "",
        "commit": keeping.commit if keeping else "",
        "choice": one.choice,
        "drivers": [_driver(standing) for standing in one.drivers],
        "why": say(one.why) if one.why else "",
    }


def _driver(standing: Standing) -> dict[str, Any]:
    return {
        "system": standing.owner.system,
        "name": standing.owner.name,
        "phase": standing.phase,
        "canary": standing.canary,
        "whole": standing.whole,
        "wishes": [one.value for one in standing.wishes],
        "warnings": [say(text) for text in standing.warnings],
    }
