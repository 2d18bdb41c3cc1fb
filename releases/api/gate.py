"""The gate over REST: ask, redeem, read, verify."""

from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.api import serializers as shapes
from releases.api.authentication import actor_of
from releases.api.problems import problem, reason_data
from releases.api.sides import slot_of
from releases.core import clock
from releases.gate import keys, queries, services
from releases.gate.rules import Run
from releases.gate.states import Verdict

PROBLEMS = shapes.problems(400, 401, 403, 404, 409, 413, 422, 503)
NO_STORE = {"Cache-Control": "no-store"}
STATUS = {Verdict.ALLOW: "APPROVED", Verdict.WAIT: "PENDING", Verdict.DENY: "REJECTED"}
LONGEST_KEY = 255
SHORTEST_KEY = 8


class Decisions(APIView):
    """``/api/v1/gate/decisions``: 200 for every evaluated verdict; anything else is no allow."""

    fails_closed = True

    @extend_schema(
        operation_id="gate_ask",
        request=shapes.DecisionIn,
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
        responses={200: shapes.DecisionOut, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Ask whether this artifact may do that, there. An allow comes with a permit: verify and redeem it."""
        body = shapes.DecisionIn(data=request.data)
        body.is_valid(raise_exception=True)
        key = request.headers.get("Idempotency-Key", "")
        if key and not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
            return problem(400, "invalid", "An Idempotency-Key has 8 to 255 characters.")
        answer = services.ask(
            actor=actor_of(request),
            request=body.as_request(),
            key=key,
            callback_url=body.validated_data["callback_url"],
            now=clock.now(),
        )
        card = queries.card(answer.decision)
        headers = dict(NO_STORE)
        if card.retry_after_seconds is not None:
            headers["Retry-After"] = str(card.retry_after_seconds)
        return Response({**_decision(card), "permit": answer.permit}, headers=headers)


class Decision(APIView):
    """``/api/v1/gate/decisions/{id}``."""

    @extend_schema(operation_id="gate_show", responses={200: shapes.DecisionOut, **PROBLEMS})
    def get(self, request: Request, decision_id: UUID) -> Response:
        """Show a decision that was made; its permit is not given again."""
        require(actor_of(request), Right.GATE_ASK)
        return Response({**_decision(queries.card(queries.decision(decision_id))), "permit": None}, headers=NO_STORE)


class Status(APIView):
    """``/api/v1/gate/decisions/{id}/status``: for runs that poll an address, such as a webhook stage of Spinnaker."""

    fails_closed = True

    @extend_schema(operation_id="gate_status", responses={200: shapes.StatusOut, **PROBLEMS})
    def get(self, request: Request, decision_id: UUID) -> Response:
        """Ask again for the run that asked; ``APPROVED`` means that its permit is redeemed. Anything else is no."""
        card = queries.card(services.poll(actor=actor_of(request), decision_id=decision_id, now=clock.now()))
        said = [str(reason_data(one)["message"]) for one in card.reasons]
        told = {"decision_id": card.id, "status": STATUS[Verdict(card.verdict)], "progress": " ".join(said)}
        told |= {"permit": card.permit, "slot": slot_of(card), "retry_after": card.retry_after_seconds}
        return Response(told, headers=NO_STORE)


class Receipt(APIView):
    """``/api/v1/gate/decisions/{id}/receipt``."""

    @extend_schema(operation_id="gate_receipt", responses={200: shapes.ReceiptOut, **PROBLEMS})
    def get(self, request: Request, decision_id: UUID) -> Response:
        """Return the signed receipt of a decision."""
        require(actor_of(request), Right.GATE_ASK)
        receipt = services.receipt_of(queries.decision(decision_id))
        if receipt is None:
            return problem(503, "unavailable", "There is no key to sign with: ask the operator to make one.")
        return Response({"decision_id": decision_id, "receipt": receipt}, headers=NO_STORE)


class Redeem(APIView):
    """``/api/v1/gate/permits/{jti}/redeem``."""

    fails_closed = True

    @extend_schema(operation_id="gate_redeem", request=shapes.RedeemIn, responses={200: shapes.RedeemOut, **PROBLEMS})
    def post(self, request: Request, jti: UUID) -> Response:
        """Take the permit, once; deploy only after a 200."""
        body = shapes.RedeemIn(data=request.data)
        body.is_valid(raise_exception=True)
        run = Run(**body.validated_data["run"])
        taken = services.redeem(
            actor=actor_of(request),
            jti=jti,
            run=run,
            artifact_digest=body.validated_data["artifact_digest"],
            now=clock.now(),
        )
        return Response(
            {
                "jti": taken.jti,
                "run": taken.run,
                "redeemed_at": taken.redeemed_at,
                "service": taken.service,
                "environment": taken.environment,
                "artifact_digest": taken.digest,
                "intent": taken.intent,
                "change_request": taken.change,
            },
            headers=NO_STORE,
        )


class Jwks(APIView):
    """``/api/v1/gate/jwks.json``: public."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(operation_id="gate_keys", responses={200: shapes.JwksOut}, auth=[])
    def get(self, _request: Request) -> Response:
        """Return the public keys that permits and receipts verify with."""
        headers = {"Cache-Control": f"public, max-age={keys.COPIES_LIVE_SECONDS}"}
        return Response(keys.jwks(queries.public_keys(now=clock.now())), headers=headers)


def _decision(card: queries.DecisionCard) -> dict[str, Any]:
    return {
        "decision_id": card.id,
        "verdict": card.verdict,
        "reasons": [reason_data(one) for one in card.reasons],
        "change_request": f"CHG-{card.change_number}" if card.change_number else None,
        "valid_until": card.valid_until,
        "retry_after": card.retry_after_seconds,
        "slot": slot_of(card),
        "receipt_url": f"/api/v1/gate/decisions/{card.id}/receipt",
        "status_url": f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/gate/decisions/{card.id}/status",
    }
