"""Notices over REST: what was told to whoever answers for the token, which pages are open, and taking one on."""

from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.api import serializers as shapes
from releases.api.authentication import actor_of
from releases.api.parsing import StrictSerializer
from releases.core import clock
from releases.notify import queries, services
from releases.notify.kinds import Sink, Topic
from releases.notify.letters import say
from releases.notify.queries import NoticeCard
from releases.notify.states import NoticeState

PROBLEMS = shapes.problems(400, 401, 403, 404, 409, 413, 503)
MINE, PAGES = "mine", "pages"
STATES = ", ".join(NoticeState)


class NoticesAsked(StrictSerializer):
    """Which notices: those of whoever answers for the token, or the open pages, whoever was called."""

    of = serializers.ChoiceField(choices=[MINE, PAGES], default=MINE)


class NoticeOut(serializers.Serializer[Any]):
    """One notice."""

    id = serializers.UUIDField()
    case = serializers.CharField()
    topic = serializers.ChoiceField(choices=[one.value for one in Topic])
    page = serializers.BooleanField()
    state = serializers.CharField(help_text=STATES)
    sink = serializers.ChoiceField(choices=[one.value for one in Sink])
    reason = serializers.CharField()
    lines = serializers.ListField(child=serializers.CharField())
    url = serializers.CharField()
    told_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_blank=True)


class NoticesOut(serializers.Serializer[Any]):
    """Notices, newest first; open pages oldest first."""

    notices = NoticeOut(many=True)


def _data(card: NoticeCard) -> dict[str, Any]:
    same = ("id", "case", "topic", "state", "sink", "told_at", "settled_at", "acknowledged_at", "acknowledged_by")
    return {
        **{name: getattr(card, name) for name in same},
        "page": card.is_page,
        "reason": say(card.reason),
        "lines": [say(line) for line in card.lines],
        "url": settings.PUBLIC_URL + card.link,
    }


class Notices(APIView):
    """``/api/v1/notices``."""

    @extend_schema(operation_id="notices_list", parameters=[NoticesAsked], responses={200: NoticesOut, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """List notices."""
        actor = actor_of(request)
        require(actor, Right.CHANGE_READ)
        asked = NoticesAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        if asked.validated_data["of"] == PAGES:
            cards = [page.card for page in queries.open_pages()]
        else:
            cards = queries.own(accounts.person_behind(actor).pk)
        return Response({"notices": [_data(card) for card in cards]})


class Acknowledge(APIView):
    """``/api/v1/notices/{notice_id}/acknowledge``."""

    @extend_schema(operation_id="notices_acknowledge", request=None, responses={200: NoticeOut, **PROBLEMS})
    def post(self, request: Request, notice_id: UUID) -> Response:
        """Take a page on, in the name of whoever answers for the token: nobody else is called."""
        services.acknowledge(notice_id=notice_id, actor=actor_of(request), now=clock.now())
        return Response(_data(queries.notice(notice_id)))
