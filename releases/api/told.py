"""Notices to customers over REST: who must hear of a change before, who was told, and recording that."""

from typing import Any

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
from releases.catalog import queries as catalog
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.core import clock

PROBLEMS = shapes.problems(400, 401, 403, 404, 409, 413, 503)


class CustomerNoticeIn(StrictSerializer):
    """That a customer was told what goes where and when; ``seen_digest`` names what they were told."""

    seen_digest = shapes.digest_field(help_text="The digest that reading the notices gave when they were told.")
    customer = serializers.CharField(max_length=120, help_text="Its name in the catalog.")
    told_at = serializers.DateTimeField(
        help_text="When they were told: ISO 8601 with an offset, in the past, since items and window are these."
    )
    told_by = serializers.CharField(max_length=120)
    evidence = serializers.CharField(max_length=300, help_text="Where it can be looked up: a mail, a ticket, a page.")


class PromiseOut(serializers.Serializer[Any]):
    """A customer who must hear of the change so many hours before it goes."""

    customer = serializers.CharField(source="name")
    hours = serializers.IntegerField()
    told_at = serializers.DateTimeField(allow_null=True)
    good_from = serializers.DateTimeField(allow_null=True, help_text="From when on the gate waits for them no longer.")


class CustomerNoticeOut(serializers.Serializer[Any]):
    """A notice that was recorded; it counts until an edit of the items or of the window."""

    customer = serializers.CharField()
    told_at = serializers.DateTimeField()
    told_by = serializers.CharField()
    evidence = serializers.CharField()
    recorded_by = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    counts = serializers.BooleanField()


class CustomerNoticesOut(serializers.Serializer[Any]):
    """Who must hear of a change before, and every notice that was recorded of it."""

    digest = serializers.CharField(help_text="Names items and window as they stand: what customers are to be told.")
    promised = PromiseOut(many=True)
    notices = CustomerNoticeOut(many=True)


def _data(change: ChangeRequest) -> Any:
    found = {
        "digest": queries.told_of(change),
        "promised": queries.promises_of(change),
        "notices": queries.notices_of(change),
    }
    return CustomerNoticesOut(found).data


class CustomerNotices(APIView):
    """``/api/v1/changes/{number}/customer-notices``."""

    @extend_schema(operation_id="changes_customer_notices", responses={200: CustomerNoticesOut, **PROBLEMS})
    def get(self, request: Request, number: int) -> Response:
        """Say which customers must hear of a change, and who was told."""
        require(actor_of(request), Right.CHANGE_READ)
        return Response(_data(queries.by_number(number)))

    @extend_schema(
        operation_id="changes_tell_customer",
        request=CustomerNoticeIn,
        responses={201: CustomerNoticesOut, **PROBLEMS},
    )
    def post(self, request: Request, number: int) -> Response:
        """Record that a customer was told; it is never edited. 409 when items or window are others by now."""
        require(actor_of(request), Right.CHANGE_FILE)
        body = CustomerNoticeIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = dict(body.validated_data)
        change = queries.by_number(number)
        customer = catalog.customer_named(data.pop("customer"))
        services.tell_customer(
            change_id=change.pk, customer_id=customer.id, actor=actor_of(request), now=clock.now(), **data
        )
        return Response(_data(change), status=status.HTTP_201_CREATED)
