"""The way forward of a change as steps: deploy, then move the traffic at its pace; then the watch.

A move is one stage: all routes of the release make it, those of whom is called before those of who calls, or those that
made it are put back. The stage after it pauses and judges.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings

from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.catalog.kinds import Purpose
from releases.changes.back import splits_of
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item
from releases.changes.pace import Step, pace_of
from releases.delivery import services as delivery
from releases.health import steps as health
from releases.operations.ports import StepPlan
from releases.rollout import steps as own
from releases.rollout.queries import Turn, turns
from releases.rollout.rules import idle_target, split
from releases.rollout.states import ALL_PERCENT, CANARY_PERCENT, DEPLOY_STAGE, pause_stage, shift_stage
from releases.traffic import steps as shifts

USUAL_PACE = (Step(CANARY_PERCENT), Step(ALL_PERCENT))


@dataclass(frozen=True, slots=True)
class Leg:
    """One route of a release, with the weights that stood there when it was approved.

    ``name`` is what people call it: one word, and of no other route of the release.
    """

    item: Item
    route: RouteCard
    weights: Mapping[str, int]
    name: str

    def at(self, percent: int) -> dict[str, int]:
        """Return the split that gives the new version so many percent, or the approved one for none."""
        return split(self.weights, percent) if percent else dict(self.weights)


def forward(change: ChangeRequest, *, actor: Actor, now: datetime, is_reported: bool = False) -> list[StepPlan]:
    """Return every step of the way forward, with its stage; writes down the deployments they ask for."""
    deploys = []
    items = items_of(change)
    turn_of = turns(items)
    for item in items:
        turn = Turn() if is_reported else turn_of[item.service.name]  # whoever deploys keeps the order
        deployment = delivery.request(
            change_id=change.pk,
            item_id=item.pk,
            service_id=item.service_id,
            environment_id=item.environment_id,
            artifact_id=item.artifact_id,
            slot=idle_target(*splits_of(item.way_back.traffic_snapshot).values()),
            actor=actor,
            now=now,
            parameters=change.parameters,
            is_reported=is_reported,
        )
        when: dict[str, Any] = {"after": tuple(f"deploy {one}" for one in sorted(turn.after)), "note": turn.note}
        deploys.append(delivery.step_for(deployment, name=f"deploy {item.service.name}", stage=DEPLOY_STAGE, **when))
    return [*deploys, *onward(change, asked_by=actor.name)]


def onward(change: ChangeRequest, *, asked_by: str, move: int = 1) -> list[StepPlan]:
    """Return the steps that move the traffic, from a move on; those before it stand already."""
    pace, legs = pace_of(change.steps) or USUAL_PACE, legs_of(change)
    steps: list[StepPlan] = []
    for number, step in enumerate(pace if legs else (), start=1):
        if number < move:
            continue
        before = pace[number - 2].percent if number > 1 else 0
        steps += _move(legs, number, before, step.percent, change=change, asked_by=asked_by)
        if number < len(pace):
            paused = {leg.item.pk: leg.item for leg in legs}
            steps += [_pause(item, number, step) for item in paused.values()]
    return steps


def legs_of(change: ChangeRequest) -> list[Leg]:
    """Return every route of a release, item by item and label by label."""
    return list(_legs(items_of(change)))


def _legs(items: Sequence[Item]) -> Iterator[Leg]:
    routes = catalog.routes_in(item.place for item in items)
    goes_to_several = len({item.environment_id for item in items}) > 1
    for item in items:
        splits = splits_of(item.way_back.traffic_snapshot)
        place = f"@{item.environment.name}" if goes_to_several else ""
        for route in routes[item.place]:
            if route.id in splits:
                yield Leg(item, route, splits[route.id], f"{route.name(item.service.name)}{place}")


def _move(
    legs: Sequence[Leg], number: int, before: int, percent: int, *, change: ChangeRequest, asked_by: str
) -> Iterator[StepPlan]:
    turn = turns([leg.item for leg in legs])
    names = {leg.name: f"{percent} % {leg.name}" for leg in legs}
    for leg in legs:
        first = {one.name for one in legs if one.item.service.name in turn[leg.item.service.name].after}
        plan = shifts.plan(
            route=leg.route,
            weights=leg.at(percent),
            change_id=change.pk,
            asked_by=asked_by,
            name=names[leg.name],
            stage=shift_stage(number),
            expect=leg.at(before),
            proof={"version": leg.item.artifact.version, "percent": percent, "before": before},
        )
        after = tuple(sorted(names[name] for name in first))
        yield _of_move(replace(plan, after=after), number, percent=percent)


def _pause(item: Item, number: int, step: Step) -> StepPlan:
    """Return the step after a move: its health is judged as long as it pauses; what nothing measures waits that long.

    Without a pause of its own it takes as long as a verdict, or until a person advances it.
    """
    name, stage, seconds = item.service.name, pause_stage(number), step.pause.total_seconds()
    kind = "watch" if seconds else "verdict"
    judged = question_of(item, kind, stage=stage, seconds=seconds or settings.GMUD_VERDICT_SECONDS)
    if judged is None:
        return _of_move(own.pause(name=f"pause {name}", stage=stage, seconds=seconds), number, percent=step.percent)
    judged = replace(judged, name=f"verdict {name}", kind=own.JUDGED_PAUSE_KIND if seconds else judged.kind)
    return _of_move(judged, number, percent=step.percent)


def _of_move(plan: StepPlan, number: int, **more: Any) -> StepPlan:
    return replace(plan, desired={**plan.desired, "move": number, **more})


def question_of(item: Item, kind: str, *, stage: int, seconds: float) -> StepPlan | None:
    """Return the step that judges an item, or nothing when no health question is bound to it."""
    binding = catalog.binding_for(item.service_id, item.environment_id, Purpose.HEALTH)
    if binding is None:
        return None
    return health.plan(
        binding=binding,
        kind=kind,
        service=item.service.name,
        environment=item.environment.name,
        version=item.artifact.version,
        change_id=item.change_id,
        seconds=seconds,
        name=f"{kind} {item.service.name}",
        stage=stage,
    )
