"""The routes of a change before a shift: what a write would do, who else writes them, what may be asked of whom.

It looks at every route, so it runs outside any transaction. What cannot be seen is told in its place.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from releases.changes.models import ChangeRequest
from releases.changes.pace import pace_of
from releases.core.errors import External, Refused, Sentence
from releases.operations import queries as operations
from releases.operations.states import StepState
from releases.rollout.services.planning import USUAL_PACE, Leg, legs_of
from releases.rollout.states import Work
from releases.traffic.drivers.ports import Move, Progress, Standing
from releases.traffic.keeping import Keeping, keeping
from releases.traffic.ports import CANARY, Preview, Split
from releases.traffic.providers import Drive, drivers_for, provider_for, reference
from releases.traffic.services import Provide
from releases.traffic.services.choosing import chosen, facts_of
from releases.traffic.steps import STEP_KIND

_OVER = frozenset({StepState.CONFIRMED, StepState.SKIPPED, StepState.ABANDONED})


@dataclass(frozen=True, slots=True)
class RouteOutlook:
    """One route of a change, and its next shift.

    ``keeping`` is what becomes of it where Git or a chart holds the route, ``choice`` what somebody chose then. Where
    one system drives it, ``progress`` is how that stands on the way there. ``why`` says why nothing could be seen.
    """

    route_id: UUID
    service: str
    environment: str
    wanted: dict[str, int]
    preview: Preview | None = None
    keeping: Keeping | None = None
    choice: dict[str, Any] | None = None
    drivers: tuple[Standing, ...] = ()
    progress: Progress | None = None
    why: Sentence | None = None


def outlooks(
    change: ChangeRequest, *, provide: Provide = provider_for, drive: Drive = drivers_for
) -> list[RouteOutlook]:
    """Return every route of a change with its next shift, as it would be written at this moment."""
    pace = pace_of(change.steps) or USUAL_PACE
    following, has_begun = _following(change)
    percent = pace[-1].percent if has_begun else pace[0].percent
    return [
        _outlook(change, leg, following.get(str(leg.route.id)) or leg.at(percent), provide, drive)
        for leg in legs_of(change)
    ]


def _following(change: ChangeRequest) -> tuple[dict[str, dict[str, int]], bool]:
    """Return, by route, the weights of the next shift of a release, and whether it has begun."""
    found: dict[str, dict[str, int]] = {}
    forward = [one for one in operations.operations_of(change.pk) if one.kind == Work.ROLLOUT]
    for step in (step for operation in forward for step in operation.steps):
        if step.kind == STEP_KIND and step.state not in _OVER:
            found.setdefault(step.desired["route"], dict(step.desired["weights"]))
    return found, bool(forward)


def _outlook(change: ChangeRequest, leg: Leg, wanted: dict[str, int], provide: Provide, drive: Drive) -> RouteOutlook:
    route = leg.route
    place = (route.id, leg.name, leg.item.environment.name, wanted)
    try:
        preview = provide(route).preview(reference(route), Split(wanted))
        drivers = drive(route)
        standings = tuple(one.look() for one in drivers)
        move = Move(preview.before.weights.get(CANARY, 0), wanted.get(CANARY, 0))
        progress = drivers[0].progress(move) if len(drivers) == 1 else None
    except (External, Refused) as error:
        return RouteOutlook(*place, why=error.detail)
    owner = preview.before.owner
    choice = chosen(change_id=change.pk, route_id=route.id, owner=owner.system) if owner else None
    return RouteOutlook(
        *place,
        preview=preview,
        keeping=keeping(preview, wanted),
        choice=facts_of(choice) if choice else None,
        drivers=standings,
        progress=progress,
    )
