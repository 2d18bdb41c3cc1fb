"""The configuration over REST: read it out as one YAML document, see what another would do, apply it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from releases.api import serializers as shapes
from releases.api.authentication import actor_of
from releases.api.parsing import StrictSerializer
from releases.core import clock
from releases.core.translation import say
from releases.setup import queries, services
from releases.setup.document import LARGEST
from releases.setup.plan import Act, Plan

PROBLEMS = shapes.problems(400, 401, 403, 404, 409, 413, 503)


class MachineOut(serializers.Serializer[Any]):
    """A machine whose token somebody has to issue again elsewhere."""

    name = serializers.CharField()
    owner = serializers.CharField(allow_blank=True, help_text="the user name of who answers for it")
    scopes = serializers.ListField(child=serializers.CharField())
    team = serializers.CharField(allow_blank=True)


class ConfigOut(serializers.Serializer[Any]):
    """The configuration of this installation; it holds no id and no secret."""

    document = serializers.CharField(help_text="YAML, as POST takes it")
    by_hand = MachineOut(many=True, help_text="machines: not in the document, because no document gives a token back")


class ConfigIn(StrictSerializer):
    """A document, and whether only to say what it would do; ``plan`` is the digest of the plan that was seen."""

    document = serializers.CharField(max_length=LARGEST, trim_whitespace=False, help_text="YAML")
    dry_run = serializers.BooleanField(default=True)
    plan = serializers.CharField(max_length=71, default="", allow_blank=True)


class DifferenceOut(serializers.Serializer[Any]):
    """One field that is written, with what it was and what it is to be."""

    field = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class StepOut(serializers.Serializer[Any]):
    """What happens to one thing; ``left`` is here and not in the document, and stays."""

    kind = serializers.CharField(help_text="the section of the document")
    name = serializers.CharField(allow_blank=True)
    act = serializers.ChoiceField(choices=[one.value for one in Act])
    fields_written = DifferenceOut(many=True)
    note = serializers.CharField(allow_blank=True)


class PlanOut(serializers.Serializer[Any]):
    """Every step, in the order they are taken."""

    plan = serializers.CharField(help_text="the digest of these steps")
    applied = serializers.BooleanField()
    steps = StepOut(many=True)


class Config(APIView):
    """``/api/v1/config``."""

    @extend_schema(operation_id="config_export", responses={200: ConfigOut, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Read the configuration out: the same installation always gives the same document."""
        actor = actor_of(request)
        return Response({"document": queries.export(actor=actor), "by_hand": queries.by_hand(actor=actor)})

    @extend_schema(operation_id="config_apply", request=ConfigIn, responses={200: PlanOut, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Say what a document does, and with ``dry_run: false`` do it: all of it or nothing, and never anything away.

        With ``plan`` it is done only when the plan is still the one that was seen, else 409. A token changes the parts
        of the catalogue; people, teams and the policy are refused, each by its place, because no token changes who may
        decide. A document may name them as they are here.
        """
        asked = ConfigIn(data=request.data)
        asked.is_valid(raise_exception=True)
        plan = services.apply(
            actor=actor_of(request),
            text=asked.validated_data["document"],
            dry_run=asked.validated_data["dry_run"],
            seen_digest=asked.validated_data["plan"],
            now=clock.now(),
        )
        return Response(_data(plan))


def _data(plan: Plan) -> dict[str, Any]:
    steps = []
    for step in plan.steps:
        facts = step.facts
        written = facts.pop("fields")
        steps.append({**facts, "fields_written": written, "note": say(step.sentence) if step.sentence else ""})
    return {"plan": plan.digest, "applied": plan.is_applied, "steps": steps}
