"""What pages, and those who drive the weights themselves, read of a rollback."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q

from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.operations.models import Step
from releases.operations.states import ACTIVE, OPEN, StepState
from releases.rollback.models import Rollback
from releases.rollback.services.planning import TRAFFIC_STAGE
from releases.rollback.states import ByHand
from releases.rollout.states import Work
from releases.traffic.steps import STEP_KIND


def by_hand(change_id: UUID) -> ByHand | None:
    """Return how a person ended the rollback of a change, ``None`` when nobody did."""
    outcome = Rollback.objects.filter(change_id=change_id, outcome__in=list(ByHand)).values_list("outcome", flat=True)
    return next(map(ByHand, outcome), None)


def waits_for_traffic(routes: Collection[UUID]) -> ChangeRequest | None:
    """Return the change whose rollback still waits for the traffic of one of these routes, if any; or a move put back.

    Once the traffic is back the answer is no again: the redeploy that follows must not be taken for the next canary to
    roll back. The same once it failed: nobody waits for it any more.
    """
    rows = Rollback.objects.filter(ended_at__isnull=True, change__state=State.ROLLING_BACK).select_related("change")
    under_way = {row.operation: row.change for row in rows}
    steps = Step.objects.filter(kind=STEP_KIND, stage=TRAFFIC_STAGE, state__in=OPEN | {StepState.NEEDS_HUMAN})
    put_back = Q(operation__kind=Work.PUT_BACK, operation__state__in=ACTIVE)
    for step in steps.filter(Q(operation_id__in=under_way) | put_back).select_related("operation"):
        if UUID(step.desired["route"]) in routes:
            return under_way.get(step.operation_id) or ChangeRequest.objects.get(pk=step.operation.subject)
    return None
