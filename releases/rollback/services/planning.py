"""The approved way back of a change as steps: traffic at once, redeploys in order, then verification."""

from datetime import datetime

from django.conf import settings

from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.catalog.kinds import Purpose
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item
from releases.delivery import services as delivery
from releases.health import steps as health
from releases.health.services import has_question
from releases.operations.ports import StepPlan
from releases.rollback.rules import ranks
from releases.rollback.steps import by_hand
from releases.rollout.rules import STABLE, idle_target, live_target
from releases.traffic import steps as shifts

TRAFFIC_STAGE = 1
FIRST_REDEPLOY_STAGE = 2


def backward(change: ChangeRequest, *, actor: Actor, now: datetime) -> list[StepPlan]:
    """Return every step of going back, with its stage; writes down the deployments they ask for."""
    items = items_of(change)
    order = ranks([item.service.name for item in items], _calls(items))
    verify = FIRST_REDEPLOY_STAGE + max(order.values()) + 1
    return [
        step
        for item in items
        for step in _steps(
            item,
            change,
            redeploy_stage=FIRST_REDEPLOY_STAGE + order[item.service.name],
            verify_stage=verify,
            actor=actor,
            now=now,
        )
    ]


def _steps(
    item: Item, change: ChangeRequest, *, redeploy_stage: int, verify_stage: int, actor: Actor, now: datetime
) -> list[StepPlan]:
    """Return the steps of one item: its traffic, its redeploy, its verification; a person where neither is known."""
    back, name = item.way_back, item.service.name
    weights = back.traffic_snapshot.get("weights", {})
    route = catalog.route_for(item.service_id, item.environment_id) if weights else None
    steps: list[StepPlan] = []
    if route is not None:
        restore = {"route": route, "weights": weights, "change_id": change.pk, "asked_by": actor.name, "literal": True}
        steps.append(shifts.plan(**restore, name=f"traffic {name}", stage=TRAFFIC_STAGE))
    if back.target_artifact_id is not None and back.job:
        deployment = delivery.request(
            change_id=change.pk,
            item_id=item.pk,
            service_id=item.service_id,
            environment_id=item.environment_id,
            artifact_id=back.target_artifact_id,
            slot=idle_target(weights) if weights else STABLE,
            actor=actor,
            now=now,
            intent="rollback",
            approved_job=back.job,
        )
        steps.append(delivery.step_for(deployment, name=f"redeploy {name}", stage=redeploy_stage))
        steps.append(
            delivery.verification_of(
                deployment,
                leaving=[item.artifact.digest],
                live=live_target(weights) if weights else "",
                name=f"verify version {name}",
                stage=verify_stage,
            )
        )
    if not steps:
        steps.append(by_hand(service=name, stage=verify_stage))
    if route is not None:
        steps.append(shifts.plan(**restore, name=f"verify weights {name}", stage=verify_stage))
    binding = catalog.binding_for(item.service_id, item.environment_id, Purpose.HEALTH)
    if binding is not None and has_question(binding):
        steps.append(
            health.plan(
                binding=binding,
                kind="verdict",
                service=name,
                environment=item.environment.name,
                version=back.target_artifact.version if back.target_artifact else "",
                change_id=change.pk,
                seconds=settings.GMUD_VERIFY_SECONDS,
                name=f"verify health {name}",
                stage=verify_stage,
            )
        )
    return steps


def _calls(items: list[Item]) -> list[tuple[str, str]]:
    reach = catalog.dependents([item.service_id for item in items])
    return [(edge.caller, edge.callee) for edge in reach.edges if edge.is_fact]
