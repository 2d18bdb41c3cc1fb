"""Call off what nobody follows any more."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from releases.audit.actor import system
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment
from releases.delivery.services.following import end
from releases.delivery.services.planning import REPORT_STEP, STEP_KIND
from releases.delivery.states import State
from releases.operations import services as operations
from releases.operations.models import Operation, Step
from releases.operations.ports import StepPlan

CALL_OFF = "call_off"
CALL_OFF_STEP = "delivery.call_off"
CALL_OFF_LASTS = timedelta(hours=1)
CALLED_OFF = Sentence(_("Its operation was stopped, so nobody follows it any more."))


@transaction.atomic(durable=True)
def call_off(*, operation_id: UUID, now: datetime) -> Operation | None:
    """Begin to stop what an operation's deployments still do at the CI system; safe to repeat.

    For operations that ended before their steps did: nobody follows those any more. What was never sent is closed at
    once, and so is what others began: that is theirs to stop. The work lasts as long as the ended operation could have,
    an hour at least; then a human is asked.
    """
    kinds = (STEP_KIND, REPORT_STEP)
    steps = Step.objects.select_related("operation").filter(operation_id=operation_id, kind__in=kinds)
    left = [step for step in steps if not _is_closed(step)]
    sent = [step for step in left if step.sent_at is not None and step.kind == STEP_KIND]
    for step in left:
        if step not in sent:
            end(deployment_id=UUID(step.desired["deployment"]), state=State.SUPERSEDED, why=CALLED_OFF, now=now)
    if not sent:
        return None
    return operations.begin(
        kind=CALL_OFF,
        target=f"operation:{operation_id}",
        subject=sent[0].operation.subject,
        steps=[_stop_of(step) for step in sent],
        actor=system("delivery"),
        deadline=max(sent[0].operation.deadline_at, now + CALL_OFF_LASTS),
        key=f"{CALL_OFF}:{operation_id}",
        now=now,
    )


def _is_closed(step: Step) -> bool:
    return Deployment.objects.filter(pk=UUID(step.desired["deployment"]), ended_at__isnull=False).exists()


def _stop_of(step: Step) -> StepPlan:
    """Return the step that stops what this one ordered, once its call has certainly arrived or died."""
    certain_at = (step.sent_at or step.operation.begun_at) + timedelta(seconds=settings.GMUD_LEASE_SECONDS)
    desired = {
        "deployment": step.desired["deployment"],
        "op_key": step.op_key,
        "certain_at": certain_at.isoformat(),
    }
    name = step.name.replace("deploy ", "call off ", 1)
    return StepPlan(name, CALL_OFF_STEP, desired, connection=step.connection, repeatable=True)
