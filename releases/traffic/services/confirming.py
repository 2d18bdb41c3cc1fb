"""What Flagger is told when it asks whether it may go on: yes as far as a move of a release goes, and no further."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.changes import queries as changes
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest
from releases.gate import queries as gate
from releases.gate.states import Intent, Verdict
from releases.operations.models import Step
from releases.operations.states import ACTIVE, StepState
from releases.traffic.drivers.ports import Move
from releases.traffic.facts import STEP_KIND
from releases.traffic.ports import CANARY
from releases.traffic.providers import Drive, drivers_for, provider_for, reference
from releases.traffic.services.looking import Provide

WHOLE = 100


def goes_on(
    *,
    routes: Collection[UUID],
    driver: str,
    now: datetime,
    drive: Drive = drivers_for,
    provide: Provide = provider_for,
) -> ChangeRequest | None:
    """Return the change whose move wants the next step of the canary of this name on one of these routes, if any.

    The gate has been passed when the move began, and is looked at each time: what closed it since stops the canary
    where it stands. How far that is says the route. Runs outside any transaction.

    :raises External: the route or its canary cannot be seen
    """
    moves = Step.objects.filter(kind=STEP_KIND, state=StepState.APPLIED, operation__state__in=ACTIVE)
    for move in moves.filter(operation__urgent=False).select_related("operation"):
        if UUID(move.desired["route"]) not in routes or (move.prev or {}).get("driver", {}).get("name") != driver:
            continue
        route = catalog.route(UUID(move.desired["route"]))
        change = changes.by_id(UUID(move.desired["change"]))
        found = next((one for one in drive(route) if one.owner.name == driver), None)
        if found is None or not _is_open(change, route, now=now):
            return None
        weights = provide(route).read(reference(route)).weights
        share = weights.get(CANARY, 0) * WHOLE // (sum(weights.values()) or WHOLE)
        percent = move.desired["proof"]["percent"]
        return change if found.progress(Move(share, percent)).following <= percent else None
    return None


def _is_open(change: ChangeRequest, route: RouteCard, *, now: datetime) -> bool:
    place = (route.service_id, route.environment_id)
    names = {(item.service.name, item.environment.name) for item in items_of(change) if item.place == place}
    every = gate.outlooks(change, now=now, intent=Intent.TRAFFIC_SHIFT)
    return [one.decision.verdict for one in every if (one.service, one.environment) in names] == [Verdict.ALLOW]
