"""The step that brings a version which was put back to everybody where somebody drives the route (decision 0022).

To whoever drives the route the old version is a new one: it would go out step by step, and wait for somebody at each.
``desired``: ``route`` and ``change`` (ids), ``driver`` (its name), ``is_promoted`` (everybody has the new version:
until this is done, nobody is back).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.operations.ports import Done, Ending, NeedsHuman, Outcome, Pending, StepPlan, StepView
from releases.traffic.drivers.ports import Driver, Move, Standing, Wish
from releases.traffic.facts import FINISH_KIND as FINISH_KIND
from releases.traffic.leading import ALL, DRIVEN, LOOK_SECONDS, patience
from releases.traffic.ports import NotEditable
from releases.traffic.providers import Drive, drivers_for
from releases.traffic.rivals import hold
from releases.traffic.services.driving import ask_going_back


def finish(
    *,
    route: RouteCard,
    change_id: UUID,
    driver: str,
    is_promoted: bool,
    name: str,
    stage: int,
    after: tuple[str, ...],
) -> StepPlan:
    """Return the step that has a driver give all traffic to what was deployed last, which ``after`` names."""
    desired = {"route": str(route.id), "change": str(change_id), "driver": driver, "is_promoted": is_promoted}
    how: dict[str, Any] = {"stage": stage, "connection": route.connection.name, "after": after}
    return StepPlan(name, FINISH_KIND, desired, repeatable=True, goes_on=True, **how)


@dataclass(frozen=True, slots=True)
class FinishStep:
    """The StepHandler of ``traffic.finish``; ``drive`` finds who drives the weights of a route.

    What is to be asked depends on how far the driver is, so each look may ask: every wish is one that stands once it
    was taken, so that none is asked for twice.
    """

    drive: Drive = drivers_for

    def probe(self, step: StepView) -> str | None:
        """Return nothing: what stands already is not asked for again."""
        return None

    def snapshot(self, step: StepView) -> Mapping[str, Any]:
        """Return whether others had left something that would be tidied up after us: theirs stays.

        :raises Unreachable: no answer
        :raises Rejected: it may not be looked at, or is gone
        """
        driver = self._driver(step)
        return {"left": [one for one in driver.tidying() if one in driver.look().wishes]}

    def send(self, step: StepView) -> str:
        """Ask for what may be asked now; return a reference that says how patient to be.

        :raises Unreachable: whether it was asked is not known
        :raises Rejected: a clear no
        """
        driver = self._driver(step)
        self._ask(step, driver, driver.look(), driver.finishing())
        return f"{DRIVEN}:{driver.progress(Move(0, ALL)).patience_seconds:.0f}"

    def observe(self, step: StepView) -> Outcome:
        """Ask what may be asked now; done once nothing moves any more, for as long as it takes to notice a version.

        :raises Unreachable: no answer
        """
        driver = self._driver(step)
        standing = driver.look()
        rests = step.data.get("rests", 0) + 1 if standing.is_at_rest else 0
        waits = step.data.get("waits", 0) + 1
        has_rested = rests * LOOK_SECONDS > standing.notices_seconds
        theirs = (step.prev or {}).get("left", ())
        wishes = [one for one in driver.tidying() if one not in theirs] if has_rested else driver.finishing()
        if not self._ask(step, driver, standing, wishes) and has_rested:
            return Done({"phase": standing.phase})
        if waits * LOOK_SECONDS < patience(step):
            return Pending(LOOK_SECONDS, {"rests": rests, "waits": waits, "phase": standing.phase})
        text = _("%(system)s %(name)s is to bring the old version to everybody, and says: %(phase)s. Look there.")
        owner = driver.owner
        parts = {"system": owner.system, "name": owner.name, "phase": standing.phase or "?"}
        return NeedsHuman(Sentence(text, parts), {"phase": standing.phase})

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write nothing: what was asked stands in the record, and the weights are verified by their own step."""

    def _ask(self, step: StepView, driver: Driver, standing: Standing, wishes: Sequence[Wish]) -> bool:
        """Ask for the first of these wishes that may be asked for; say whether there was one."""
        wish = next((one for one in wishes if one in standing.wishes), None)
        if wish is None:
            return False
        hold(step)
        ask_going_back(step, driver, wish)
        return True

    def _driver(self, step: StepView) -> Driver:
        route = catalog.route(UUID(step.desired["route"]))
        found = [one for one in self.drive(route, urgent=True) if one.owner.name == step.desired["driver"]]
        if len(found) == 1:
            return found[0]
        text = _("%(name)s does not drive this route any more. Look there, then try this step again.")
        raise NotEditable(Sentence(text, {"name": step.desired["driver"]}))
