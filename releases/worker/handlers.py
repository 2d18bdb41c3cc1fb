"""Which handler does which kind of step."""

from collections.abc import Callable, Mapping
from datetime import datetime

from releases.audit.actor import system
from releases.catalog.cards import RouteCard
from releases.changes import queries as changes
from releases.core import clock
from releases.core.errors import Refused, Sentence
from releases.core.words import mark as _
from releases.delivery import services as delivery
from releases.delivery.models import Deployment
from releases.delivery.services import CALL_OFF_STEP, REPORT_STEP, VERIFY_STEP
from releases.delivery.steps import CallOffStep, DeployStep, ReportStep, VersionStep
from releases.gate import queries as gate_queries
from releases.gate import services as gate
from releases.gate.rules import Request
from releases.gate.states import Intent
from releases.health.splits import share_of
from releases.operations.ports import StepHandler
from releases.rollback.steps import BY_HAND_KIND, ByHandStep
from releases.rollout import services as rollout
from releases.rollout.steps import (
    JUDGED_PAUSE_KIND,
    PAUSE_KIND,
    VERDICT_KIND,
    AdvanceableVerdict,
    GatedShift,
    HeldWatch,
    JudgedPause,
    PauseStep,
)
from releases.traffic.finishing import FINISH_KIND, FinishStep
from releases.traffic.ports import Counted
from releases.traffic.providers import Drive, drivers_for, provider_for
from releases.traffic.services import Provide


def permit_for(
    deployment: Deployment,
    *,
    now: Callable[[], datetime] = clock.now,
    provide: Provide = provider_for,
    drive: Drive = drivers_for,
) -> str:
    """Ask the gate for a permit of one deployment; of all runs that hold one for it, the first to redeem deploys.

    Going forward, the traffic is looked at first: onto a side that somebody sent customers to nothing is deployed.

    :raises Refused: the gate does not open, with every reason; the traffic was moved
    :raises External: the traffic cannot be seen
    """
    change = changes.by_id(deployment.change_id)
    if Intent(deployment.intent) is Intent.DEPLOY and deployment.item_id:
        rollout.look_before_deploying(change, item_id=deployment.item_id, now=now(), provide=provide, drive=drive)
    answer = gate.ask(
        actor=system("worker"),
        request=Request(
            service=deployment.service.name,
            environment=deployment.environment.name,
            artifact_name=deployment.service.name,
            digest=deployment.artifact.digest,
            intent=Intent(deployment.intent),
            change_number=change.number,
        ),
        fuse=f"deployment:{deployment.pk}",
        until=delivery.followed_until(deployment),
        now=now(),
    )
    if answer.permit is None:
        reasons = gate_queries.card(answer.decision).reasons
        raise Refused(
            Sentence(_("The gate did not open for %(service)s."), {"service": deployment.service.name}),
            reasons=reasons,
        )
    return answer.permit


def counted(route: RouteCard, version: str) -> Counted | None:
    """Return which share of the requests a version gets, or ``None`` where nobody counts them."""
    found = share_of(route, version)
    return Counted(found.share, found.by) if found else None


HANDLERS: Mapping[str, StepHandler] = {
    CALL_OFF_STEP: CallOffStep(),
    "delivery.deploy": DeployStep(permit_for),
    REPORT_STEP: ReportStep(),
    VERIFY_STEP: VersionStep(),
    "traffic.shift": GatedShift(count=counted),
    VERDICT_KIND: AdvanceableVerdict(),
    JUDGED_PAUSE_KIND: JudgedPause(),
    "health.watch": HeldWatch(),
    PAUSE_KIND: PauseStep(),
    FINISH_KIND: FinishStep(),
    BY_HAND_KIND: ByHandStep(),
}
