"""The policy over REST: the one in force, and what is proposed with the votes it still needs. Only read here.

People propose and vote on the pages: a vote is a person's act, and no token may propose a policy.
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.api import serializers as shapes
from releases.api.authentication import actor_of
from releases.committee import queries
from releases.committee.models import Policy as Row
from releases.committee.queries import Proposal
from releases.committee.rules import policy as rules
from releases.core import clock

PROBLEMS = shapes.problems(401, 403, 409, 503)


class WhenOut(serializers.Serializer[Any]):
    """Where a rule holds."""

    environment_kind = serializers.ListField(child=serializers.CharField(), help_text=", ".join(rules.KINDS))
    risk_at_least = serializers.CharField(help_text=", ".join(rules.LEVELS))
    type = serializers.ListField(child=serializers.CharField(), help_text=", ".join(rules.TYPES))


class RuleOut(serializers.Serializer[Any]):
    """One rule; every rule that holds counts, and the strictest wins. What asks nothing of the release is left out."""

    when = WhenOut()
    seats = serializers.DictField(child=serializers.IntegerField(), help_text="how many people on each seat")
    fresh_sign_in_minutes = serializers.IntegerField(allow_null=True)
    second_factor = serializers.BooleanField()
    highest_risk = serializers.CharField(required=False, help_text=", ".join(rules.CEILINGS))
    after_environment = serializers.CharField(required=False, help_text="where it must have been released before")
    soak_hours = serializers.IntegerField(required=False, help_text="how long it must have stood there")


class PolicyOut(serializers.Serializer[Any]):
    """One version of the policy."""

    version = serializers.IntegerField()
    name = serializers.CharField()
    digest = serializers.CharField()
    rules = RuleOut(many=True)
    proposed_by = serializers.CharField()
    proposed_at = serializers.DateTimeField()
    in_force_at = serializers.DateTimeField(allow_null=True)


class SeatOut(serializers.Serializer[Any]):
    """One seat whose vote a proposal needs."""

    seat = serializers.CharField()
    needed = serializers.IntegerField()
    approved_by = serializers.ListField(child=serializers.CharField())
    may_decide = serializers.ListField(child=serializers.CharField())


class ProposedPolicyOut(PolicyOut):
    """A version that waits for the committee of the one in force."""

    votes = SeatOut(many=True)


class PoliciesOut(serializers.Serializer[Any]):
    """What is in force, and what is proposed, newest first."""

    in_force = PolicyOut(allow_null=True)
    proposed = ProposedPolicyOut(many=True)


class Policy(APIView):
    """``/api/v1/policy``."""

    @extend_schema(operation_id="policy_read", responses={200: PoliciesOut, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Read the policy in force, and what is proposed with the votes that are given and missing."""
        require(actor_of(request), Right.CHANGE_READ)
        current = queries.current_policy()
        proposed = queries.proposals_of(queries.proposed_policies(), clock.now())
        in_force = _data(current) if current else None
        return Response({"in_force": in_force, "proposed": [_proposed(one) for one in proposed]})


def _data(policy: Row) -> dict[str, Any]:
    return {
        "version": policy.version,
        "name": policy.name,
        "digest": policy.digest,
        "rules": rules.canonical_form(queries.rules_of(policy)),
        "proposed_by": policy.created_by,
        "proposed_at": policy.created_at,
        "in_force_at": policy.in_force_at,
    }


def _proposed(proposal: Proposal) -> dict[str, Any]:
    votes = [
        {
            "seat": seat.seat,
            "needed": seat.needed,
            "approved_by": [ballot.name for ballot in seat.approved_by],
            "may_decide": [decider.name for decider in seat.may_decide],
        }
        for seat in proposal.tally.seats
    ]
    return {**_data(proposal.policy), "votes": votes}
