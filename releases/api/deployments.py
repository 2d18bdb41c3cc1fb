"""Deployments over REST: what runs did and do at CI systems, and what may be asked of them; others report theirs.

What a run asks is judged by people, as votes are: it is read here and answered on the page.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.api import serializers as shapes
from releases.api.authentication import actor_of
from releases.api.parsing import StrictSerializer
from releases.changes.models import ChangeRequest
from releases.core import clock
from releases.core.errors import Sentence
from releases.core.translation import say
from releases.delivery import console, queries, services
from releases.delivery.providers import PROVIDERS
from releases.delivery.queries import DeploymentCard, WishCard
from releases.delivery.rules import READ_CONSOLES
from releases.delivery.services.reporting import MAY_SAY, Report
from releases.delivery.states import ANSWER, Act, State
from releases.gate.rules import Run
from releases.rollout import services as rollout

PROBLEMS = shapes.problems(400, 401, 403, 404, 409, 413, 503)
PROBLEMS_THERE = shapes.problems(400, 401, 403, 404, 502, 503)
STATES = [one.value for one in State]
OUTCOMES = [one.value for one in MAY_SAY]
ACTS = [one.value for one in Act]
WISHES = [*ACTS, ANSWER]
START, FINISH = "start", "finish"


class ReportIn(StrictSerializer):
    """What a run reports of the deployment that its permit is for; the permit is the key, so repeating is harmless."""

    permit = serializers.UUIDField(help_text="The id (jti) of the permit that this run redeemed.")
    run = shapes.RunIn(help_text="As it redeemed the permit.")
    artifact_digest = shapes.digest_field()
    phase = serializers.ChoiceField(choices=[START, FINISH])
    outcome = serializers.ChoiceField(choices=OUTCOMES, required=False, default="", help_text="With the phase finish.")
    message = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)

    def validate(self, attrs: Any) -> Any:
        """Refuse an outcome without an end, and an end without an outcome.

        :raises ValidationError: one is there without the other
        """
        if (attrs["phase"] == FINISH) != bool(attrs["outcome"]):
            raise serializers.ValidationError({"outcome": ["Give it with the phase finish, and only then."]})
        return attrs


class DeploymentsAsked(StrictSerializer):
    """Which deployments a list shows; ``open`` keeps those that have not ended."""

    service = serializers.CharField(max_length=63, required=False, default="", allow_blank=True)
    environment = serializers.CharField(max_length=63, required=False, default="", allow_blank=True)
    system = serializers.ChoiceField(choices=[one.value for one in PROVIDERS], required=False, default="")
    state = serializers.ChoiceField(choices=STATES, required=False, default="")
    open = serializers.BooleanField(required=False, default=False)
    before = serializers.UUIDField(required=False, default=None)


class StageOut(serializers.Serializer[Any]):
    """One stage of the run; ``unchanged`` was skipped. 0 seconds are not known."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    seconds = serializers.FloatField()


class TakenOut(serializers.Serializer[Any]):
    """One value that a question takes; without choices, any text."""

    name = serializers.CharField()
    default = serializers.CharField(allow_blank=True)
    choices = serializers.ListField(child=serializers.CharField())
    is_required = serializers.BooleanField()
    is_secret = serializers.BooleanField()


class QuestionOut(serializers.Serializer[Any]):
    """What the run waits to hear; ``may_answer`` names who there may say it, anybody when empty."""

    id = serializers.CharField()
    text = serializers.CharField()
    may_answer = serializers.ListField(child=serializers.CharField())
    takes = TakenOut(many=True)


class WishOut(serializers.Serializer[Any]):
    """What was asked of the run; ``passed_at`` is null until its system heard it, ``refusal`` says why it would not."""

    act = serializers.ChoiceField(choices=WISHES)
    question = serializers.CharField(allow_blank=True)
    goes_on = serializers.BooleanField()
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    passed_at = serializers.DateTimeField(allow_null=True)
    refusal = serializers.CharField(allow_null=True)


class DeploymentOut(serializers.Serializer[Any]):
    """One deployment; ``progress`` is 0 to 0.99, ``seconds_left`` is by the system's own estimate."""

    id = serializers.UUIDField()
    change_request = serializers.CharField(allow_null=True)
    service = serializers.CharField()
    environment = serializers.CharField()
    version = serializers.CharField()
    digest = serializers.CharField()
    intent = serializers.CharField()
    slot = serializers.CharField(allow_blank=True)
    system = serializers.CharField(allow_blank=True)
    connection = serializers.CharField(allow_blank=True)
    reported_by = serializers.CharField(allow_blank=True, allow_null=True, help_text="Null for what GMUD began itself.")
    said = serializers.CharField(allow_blank=True, help_text="The end that the run reported; ``state`` is believed.")
    job = serializers.CharField(allow_blank=True)
    key = serializers.CharField(allow_blank=True)
    ticket = serializers.CharField(allow_blank=True)
    run = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True)
    page = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    why = serializers.CharField(allow_null=True)
    is_stuck = serializers.BooleanField()
    progress = serializers.FloatField(allow_null=True)
    seconds_left = serializers.FloatField(allow_null=True)
    stages = StageOut(many=True)
    questions = QuestionOut(many=True)
    acts = serializers.ListField(child=serializers.ChoiceField(choices=ACTS))
    wishes = WishOut(many=True)
    requested_by = serializers.CharField()
    requested_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    seen_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class DeploymentsOut(serializers.Serializer[Any]):
    """A part of the deployments, newest first; ``next_before`` asks for the part after it."""

    deployments = DeploymentOut(many=True)
    next_before = serializers.UUIDField(allow_null=True)


class LogAsked(StrictSerializer):
    """From which byte on."""

    start = serializers.IntegerField(min_value=0, max_value=2**53 - 1, required=False, default=0)


class LogOut(serializers.Serializer[Any]):
    """The last lines of what was printed; ``start`` is where to read on, so that no line is missed."""

    lines = serializers.ListField(child=serializers.CharField(allow_blank=True))
    is_cut = serializers.BooleanField()
    start = serializers.IntegerField()
    has_more = serializers.BooleanField()


class ActIn(StrictSerializer):
    """What is asked of the run; one of its ``acts``, or ``stop`` at any time before it ended."""

    act = serializers.ChoiceField(choices=ACTS)


ELSEWISE = {"acts", "questions", "stages", "why", "wishes"}  # what a card holds in another shape
COPIED = [
    name for name in map(str, DeploymentOut().fields) if name in DeploymentCard.__slots__ and name not in ELSEWISE
]


def deployment_data(card: DeploymentCard, change: ChangeRequest | None) -> dict[str, Any]:
    """Return a deployment as the API shows it."""
    return {
        **{name: getattr(card, name) for name in COPIED},
        "change_request": change.name if change else None,
        "page": f"{settings.PUBLIC_URL}/deployments/{card.id}",
        "why": _said(card.why),
        "seconds_left": card.left.total_seconds() if card.left is not None else None,
        "stages": [one.as_json() for one in card.stages],
        "questions": [one.as_json() for one in card.questions],
        "acts": sorted(card.acts),
        "wishes": [_wish(one) for one in card.wishes],
    }


def _wish(wish: WishCard) -> dict[str, Any]:
    same = ("act", "goes_on", "asked_by", "asked_at", "passed_at")
    told = {name: getattr(wish, name) for name in same}
    return {**told, "question": wish.text, "refusal": _said(wish.refusal)}


def _said(sentence: Sentence | None) -> str | None:
    return say(sentence) if sentence else None


def _one(deployment_id: UUID) -> dict[str, Any]:
    card = queries.deployment(deployment_id, now=clock.now())
    return deployment_data(card, ChangeRequest.objects.filter(pk=card.change_id).first())


class Deployments(APIView):
    """``/api/v1/deployments``."""

    @extend_schema(
        operation_id="deployments_list", parameters=[DeploymentsAsked], responses={200: DeploymentsOut, **PROBLEMS}
    )
    def get(self, request: Request) -> Response:
        """List deployments, newest first."""
        require(actor_of(request), Right.CHANGE_READ)
        asked = DeploymentsAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        found = queries.page(queries.Asked(**asked.validated_data), now=clock.now())
        changes = ChangeRequest.objects.in_bulk({card.change_id for card in found.cards})
        rows = [deployment_data(card, changes.get(card.change_id)) for card in found.cards]
        return Response({"deployments": rows, "next_before": found.next_before})

    @extend_schema(
        operation_id="deployments_report",
        request=ReportIn,
        responses={200: DeploymentOut, 201: DeploymentOut, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Report that a deployment starts, or how it ended. 201 for a new one; the same again is 200 and the same.

        409 names the field that does not fit what is known: nothing of such a report is kept, and it is recorded.
        """
        actor = actor_of(request)
        require(actor, Right.PERMIT_REDEEM)
        body = ReportIn(data=request.data)
        body.is_valid(raise_exception=True)
        told, now = body.validated_data, clock.now()
        report = Report(told["permit"], Run(**told["run"]), told["artifact_digest"])
        if told["phase"] == START:
            row, is_new = rollout.report_start(report=report, actor=actor, now=now)
        else:
            said = State(told["outcome"])
            row, is_new = rollout.report_end(report=report, said=said, why=told["message"], actor=actor, now=now)
        return Response(_one(row.pk), status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class Deployment(APIView):
    """``/api/v1/deployments/{deployment_id}``."""

    @extend_schema(operation_id="deployments_show", responses={200: DeploymentOut, **PROBLEMS})
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """Show one deployment, with what its run asks."""
        require(actor_of(request), Right.CHANGE_READ)
        return Response(_one(deployment_id))


class Log(APIView):
    """``/api/v1/deployments/{deployment_id}/log``."""

    @extend_schema(operation_id="deployments_log", parameters=[LogAsked], responses={200: LogOut, **PROBLEMS_THERE})
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """Read what the run printed, at its CI system and now: the last lines, without colours and permits."""
        require(actor_of(request), *READ_CONSOLES)
        asked = LogAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        read = console.read(deployment_id=deployment_id, start=asked.validated_data["start"])
        return Response({name: getattr(read, str(name)) for name in LogOut().fields})


class Acts(APIView):
    """``/api/v1/deployments/{deployment_id}/acts``."""

    @extend_schema(operation_id="deployments_ask", request=ActIn, responses={202: DeploymentOut, **PROBLEMS})
    def post(self, request: Request, deployment_id: UUID) -> Response:
        """Ask something of the run: its system hears it with the next look. Nothing harder follows by itself."""
        actor = actor_of(request)
        require(actor, Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN)
        body = ActIn(data=request.data)
        body.is_valid(raise_exception=True)
        act = Act(body.validated_data["act"])
        services.ask(deployment_id=deployment_id, act=act, actor=actor, now=clock.now())
        return Response(_one(deployment_id), status=status.HTTP_202_ACCEPTED)
