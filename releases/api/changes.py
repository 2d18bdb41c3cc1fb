"""Change requests over REST: file, read, revise, submit, release, go back."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.api import serializers as shapes
from releases.api.authentication import actor_of
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.committee.rules import Decision
from releases.core import clock
from releases.core.translation import say
from releases.rollback import services as rollback
from releases.rollout import services as rollout
from releases.traffic.states import Choice

PROBLEMS = shapes.problems(400, 401, 403, 404, 409, 413, 503)


def row_data(card: queries.ChangeCard) -> dict[str, Any]:
    """Return a change as lists show it."""
    return {
        **{name: getattr(card, name) for name in card.__slots__ if name in shapes.ChangeRow().fields},
        "name": card.name,
        "steps": [one.as_json() for one in card.steps],
        "items": [{name: getattr(item, str(name)) for name in shapes.ItemOut().fields} for item in card.items],
        "url": f"{settings.PUBLIC_URL}/changes/{card.number}",
    }


def change_data(change: ChangeRequest) -> dict[str, Any]:
    """Return a change as the API shows it, checklist included."""
    checks = queries.checklist(queries.gather(change, now=clock.now()))
    return {
        **row_data(queries.card(change)),
        "checklist": [
            {"code": one.code, "holds": one.holds, "message": say(one.sentence) if one.sentence else None}
            for one in checks
        ],
    }


class Changes(APIView):
    """``/api/v1/changes``."""

    @extend_schema(
        operation_id="changes_list",
        parameters=[shapes.ChangesAsked],
        responses={200: shapes.ChangesOut, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """List changes, newest first."""
        require(actor_of(request), Right.CHANGE_READ)
        asked = shapes.ChangesAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        page = queries.page(
            states=tuple(data["state"]),
            service=data["service"],
            environment=data["environment"],
            before=data["before"],
        )
        return Response({"changes": [row_data(card) for card in page.cards], "next_before": page.next_before})

    @extend_schema(operation_id="changes_file", request=shapes.ChangeIn, responses={201: shapes.ChangeOut, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """File a draft; the answer's checklist says what is missing before it can be submitted."""
        body = shapes.ChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        change = services.draft(actor=actor_of(request), fields=body.as_draft(), now=clock.now())
        return Response(change_data(queries.by_number(change.number)), status=status.HTTP_201_CREATED)


class Change(APIView):
    """``/api/v1/changes/{number}``."""

    @extend_schema(operation_id="changes_show", responses={200: shapes.ChangeOut, **PROBLEMS})
    def get(self, request: Request, number: int) -> Response:
        """Show one change."""
        require(actor_of(request), Right.CHANGE_READ)
        return Response(change_data(queries.by_number(number)))

    @extend_schema(
        operation_id="changes_revise", request=shapes.ChangeIn, responses={200: shapes.ChangeOut, **PROBLEMS}
    )
    def put(self, request: Request, number: int) -> Response:
        """Replace the content; a submitted change becomes a draft again and its votes no longer count."""
        body = shapes.ChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        change = queries.by_number(number)
        services.revise(change_id=change.pk, actor=actor_of(request), fields=body.as_draft(), now=clock.now())
        return Response(change_data(queries.by_number(number)))


class Votes(APIView):
    """``/api/v1/changes/{number}/votes``: people vote on the page; a token is always refused."""

    @extend_schema(operation_id="changes_vote", request=shapes.VoteIn, responses={200: None, **PROBLEMS})
    def post(self, request: Request, number: int) -> Response:
        """Cast a vote: the same call as the page's, so the same refusals."""
        body = shapes.VoteIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        services.vote(
            change_id=queries.by_number(number).pk,
            actor=actor_of(request),
            decision=Decision(data["decision"]),
            seen_digest=data["seen_digest"],
            reason=data["reason"],
            now=clock.now(),
        )
        return Response(change_data(queries.by_number(number)))


class Act(APIView):
    """One verb on a change: ``/api/v1/changes/{number}/<verb>``; the table below gives each its call."""

    call: Callable[..., object]

    @extend_schema(request=shapes.ReasonIn, responses={200: shapes.ChangeOut, **PROBLEMS})
    def post(self, request: Request, number: int) -> Response:
        """Do it, and show the change."""
        body = shapes.ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)
        change = queries.by_number(number)
        type(self).call(change_id=change.pk, actor=actor_of(request), now=clock.now(), **body.validated_data)
        return Response(change_data(queries.by_number(number)))


class Submit(APIView):
    """``/api/v1/changes/{number}/submit``."""

    @extend_schema(operation_id="changes_submit", request=shapes.SeenIn, responses={200: shapes.ChangeOut, **PROBLEMS})
    def post(self, request: Request, number: int) -> Response:
        """Submit the draft to assessment and committee."""
        body = shapes.SeenIn(data=request.data)
        body.is_valid(raise_exception=True)
        change = queries.by_number(number)
        services.submit(
            change_id=change.pk,
            actor=actor_of(request),
            seen_digest=body.validated_data.get("seen_digest", ""),
            now=clock.now(),
        )
        return Response(change_data(queries.by_number(number)))


class Release(APIView):
    """``/api/v1/changes/{number}/rollout``."""

    @extend_schema(
        operation_id="changes_release", request=shapes.ReleaseIn, responses={202: shapes.OperationOut, **PROBLEMS}
    )
    def post(self, request: Request, number: int) -> Response:
        """Begin the release: deploy, 10 %, verdict, 100 %, watch.

        ``choice`` says what becomes of every route that Git or a chart holds and nobody chose for so far.
        """
        body = shapes.ReleaseIn(data=request.data)
        body.is_valid(raise_exception=True)
        change = queries.by_number(number)
        row = rollout.start(
            change_id=change.pk,
            actor=actor_of(request),
            choice=Choice(body.validated_data["choice"]) if body.validated_data["choice"] else None,
            reason=body.validated_data["reason"],
            now=clock.now(),
        )
        return Response(_operation(number, row.operation), status=status.HTTP_202_ACCEPTED)


class GoBack(APIView):
    """``/api/v1/changes/{number}/rollback``."""

    @extend_schema(
        operation_id="changes_rollback", request=shapes.ReasonIn, responses={202: shapes.OperationOut, **PROBLEMS}
    )
    def post(self, request: Request, number: int) -> Response:
        """Go back: traffic at once, then redeploy, then verify. Repeating the call joins the same rollback."""
        body = shapes.ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)
        change = queries.by_number(number)
        row = rollback.begin(
            change_id=change.pk, actor=actor_of(request), reason=body.validated_data["reason"], now=clock.now()
        )
        return Response(_operation(number, row.operation), status=status.HTTP_202_ACCEPTED)


def _operation(number: int, operation: object) -> dict[str, Any]:
    change = queries.by_number(number)
    return {
        "change_request": change.name,
        "state": change.state,
        "operation": operation,
        "url": f"{settings.PUBLIC_URL}/live/{number}",
    }


def act(name: str, call: Callable[..., object]) -> Any:
    """Return the view of one verb."""
    view = type(name, (Act,), {"call": staticmethod(call), "__doc__": f"``/api/v1/changes/{{number}}/{name}``."})
    described: type[Act] = extend_schema_view(post=extend_schema(operation_id=f"changes_{name}"))(view)
    return described.as_view()


ACTS = {
    "withdraw": services.withdraw,
    "cancel": services.cancel,
    "deployed": services.deployed,
    "failed": services.failed,
}
