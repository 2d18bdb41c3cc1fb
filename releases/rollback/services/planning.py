"""The approved way back of a change as steps: traffic at once, redeploys in order, then verification.

Where somebody drives a route, what was redeployed is promoted before it is verified (docs/decisions/0022).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.catalog.kinds import Purpose
from releases.changes.back import splits_of
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item
from releases.delivery import services as delivery
from releases.health import steps as health
from releases.health.services import has_question
from releases.operations.models import Step
from releases.operations.ports import StepPlan
from releases.rollback.steps import by_hand
from releases.rollout.queries import Led, Turn, led, turns
from releases.rollout.rules import idle_target, live_target
from releases.traffic import steps as shifts
from releases.traffic.finishing import finish
from releases.traffic.models import Shift
from releases.traffic.ports import Split
from releases.traffic.services import version_in

TRAFFIC_STAGE = 1
REDEPLOY_STAGE = 2
VERIFY_STAGE = 3


def backward(change: ChangeRequest, *, actor: Actor, now: datetime, reason: str = "") -> list[StepPlan]:
    """Return every step of going back, with its stage; writes down the deployments they ask for.

    ``reason`` is why traffic goes back although a look at the route had doubts, such as a target nobody answers for.
    """
    items = items_of(change)
    turn_of = turns(items, backwards=True)
    routes, driven = catalog.routes_in(item.place for item in items), led(change.pk)
    return [
        step
        for item in items
        for step in _steps(
            item,
            change,
            routes=routes[item.place],
            driven=driven,
            turn=turn_of[item.service.name],
            actor=actor,
            now=now,
            reason=reason,
        )
    ]


def _as_they_stood(change: ChangeRequest, route: RouteCard, approved: Mapping[str, int]) -> Mapping[str, int | None]:
    """Return the very numbers that stood before this change first moved the route, none where a weight was absent.

    Only as far as they are what was approved: weights that somebody changed since are no way back.
    """
    asked = Shift.objects.filter(change_id=change.pk, route_id=route.id).order_by("asked_at", "id")
    snapshots = Step.objects.filter(op_key__in=asked.values("op_key")[:1]).values_list("prev", flat=True)
    snapshot = snapshots.first() or {}
    version = version_in(snapshot)
    if version is None or snapshot.get("weights") != approved:  # these are as they count, the version's as they stand
        return approved
    return Split.back_to(version).weights


def _driver(led: Led | None, *, is_left: bool) -> dict[str, Any]:
    """Return what a shift has to know of whoever drives its route; what was promoted ``is_left`` without a job."""
    return {"driver": {"name": led.driver, "version": led.version, "is_left": is_left}} if led else {}


def _steps(
    item: Item,
    change: ChangeRequest,
    *,
    routes: Sequence[RouteCard],
    driven: Mapping[UUID, Led],
    turn: Turn,
    actor: Actor,
    now: datetime,
    reason: str,
) -> list[StepPlan]:
    """Return the steps of one item: its traffic, its redeploy, its verification; a person where neither is known.

    What does not depend on an item that failed goes back all the same.
    """
    back, name = item.way_back, item.service.name
    splits = splits_of(back.traffic_snapshot)
    restores: list[dict[str, Any]] = [
        {
            "route": one,
            "weights": _as_they_stood(change, one, splits[one.id]),
            "change_id": change.pk,
            "asked_by": actor.name,
            "literal": True,
            "reason": reason,
        }
        for one in routes
        if one.id in splits
    ]
    own = {one.id: driven[one.id] for one in routes if one.id in driven}
    steps: list[StepPlan] = []
    for restore in restores:
        how = _driver(own.get(restore["route"].id), is_left=False)
        restored = shifts.plan(**restore, **how, name=f"traffic {restore['route'].name(name)}", stage=TRAFFIC_STAGE)
        steps.append(replace(restored, goes_on=True))
    if back.target_artifact_id is not None and back.job:
        deployment = delivery.request(
            change_id=change.pk,
            item_id=item.pk,
            service_id=item.service_id,
            environment_id=item.environment_id,
            artifact_id=back.target_artifact_id,
            slot=idle_target(*splits.values()),
            actor=actor,
            now=now,
            intent="rollback",
            approved_job=back.job,
        )
        after = tuple(f"redeploy {one}" for one in sorted(turn.after))
        when: dict[str, Any] = {"after": after, "goes_on": True, "note": turn.note}
        steps.append(delivery.step_for(deployment, name=f"redeploy {name}", stage=REDEPLOY_STAGE, **when))
        steps += [
            finish(
                route=one,
                change_id=change.pk,
                driver=own[one.id].driver,
                version=own[one.id].version,
                name=f"promote {one.name(name)}",
                stage=REDEPLOY_STAGE,
                after=(f"redeploy {name}",),
            )
            for one in routes
            if one.id in own
        ]
        steps.append(
            delivery.verification_of(
                deployment,
                leaving=[item.artifact.digest],
                live=live_target(*splits.values()) if splits else "",
                name=f"verify version {name}",
                stage=VERIFY_STAGE,
            )
        )
    if not steps:
        steps.append(by_hand(service=name, stage=VERIFY_STAGE))
    for restore in restores:
        called = restore["route"].name(name)
        how = _driver(own.get(restore["route"].id), is_left=not back.job)
        steps.append(shifts.plan(**restore, **how, name=f"verify weights {called}", stage=VERIFY_STAGE))
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
                stage=VERIFY_STAGE,
            )
        )
    return steps
