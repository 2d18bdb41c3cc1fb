"""The step that brings a version which was put back to everybody where somebody drives the route (decision 0022).

To whoever drives the route the old version is a new one: it would go out step by step, and wait for somebody at each.
``desired``: ``route`` and ``change`` (ids), ``driver`` (its name), ``version`` (what served before the release).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.core.errors import Refused, Rejected, Sentence
from releases.core.words import mark as _
from releases.operations.ports import Done, Ending, NeedsHuman, Outcome, Pending, StepPlan, StepView
from releases.traffic.drivers.ports import Driver, Move, Standing, Wish
from releases.traffic.facts import FINISH_KIND as FINISH_KIND
from releases.traffic.leading import ALL, DRIVEN, LOOK_SECONDS, patience
from releases.traffic.ports import Conflict, NotApplied
from releases.traffic.providers import Drive, drivers_for
from releases.traffic.rivals import hold
from releases.traffic.services.driving import ask_going_back, was_asked


def finish(
    *,
    route: RouteCard,
    change_id: UUID,
    driver: str,
    version: str,
    name: str,
    stage: int,
    after: tuple[str, ...],
) -> StepPlan:
    """Return the step that has a driver give all traffic to what was deployed last, which ``after`` names."""
    desired = {"route": str(route.id), "change": str(change_id), "driver": driver, "version": version}
    how: dict[str, Any] = {"stage": stage, "connection": route.connection.name, "after": after}
    return StepPlan(name, FINISH_KIND, desired, repeatable=True, goes_on=True, **how)


_log = structlog.get_logger(__name__)


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
        """Return which version everybody has now, and whether there is something to tidy that others left: it stays.

        :raises Unreachable: no answer
        :raises Refused: it does not drive this route any more
        """
        driver = self._driver(step)
        standing = driver.look()
        is_ours = was_asked(step, driver, driver.finishing())
        return {"version": standing.version, "is_theirs": standing.is_untidy and not is_ours}

    def send(self, step: StepView) -> str:
        """Ask for what may be asked now; return a reference that says how patient to be.

        :raises Unreachable: whether it was asked is not known
        :raises Refused: a clear no
        """
        driver = self._driver(step)
        self._ask(step, driver, driver.look(), _bringing(step, driver))
        return f"{DRIVEN}:{driver.progress(Move(0, ALL)).patience_seconds:.0f}"

    def observe(self, step: StepView) -> Outcome:
        """Ask what may be asked now; done once nothing moves any more, for as long as it takes to notice a version.

        Where everybody had the new version, another one has to serve them by then: whoever never noticed what was put
        back has not brought it to anybody. Where the old one serves already, nothing is taken further: what moves there
        might be the new one again.

        :raises Unreachable: no answer
        """
        driver, prev = self._driver(step), step.prev or {}
        standing = driver.look()
        is_brought = standing.is_at_rest and standing.version != prev["version"]
        is_back = not standing.is_moving if _serves(step) else is_brought
        rests = step.data.get("rests", 0) + 1 if is_back else 0
        waits = step.data.get("waits", 0) + 1
        has_rested = rests * LOOK_SECONDS > standing.notices_seconds
        tidying = () if prev["is_theirs"] else driver.tidying()
        if not self._ask(step, driver, standing, tidying if has_rested else _bringing(step, driver)) and has_rested:
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
        try:
            ask_going_back(step, driver, wish)
        except (Conflict, NotApplied):
            _log.info("asked_again", step=str(step.step_id), wish=wish.value)  # it moved on: the next look asks
        except Rejected as no:
            raise Refused(no.detail) from no
        return True

    def _driver(self, step: StepView) -> Driver:
        route = catalog.route(UUID(step.desired["route"]))
        found = [one for one in self.drive(route, urgent=True) if one.owner.name == step.desired["driver"]]
        if len(found) == 1:
            return found[0]
        text = _("%(name)s does not drive this route any more. Look there, then try this step again.")
        raise Refused(Sentence(text, {"name": step.desired["driver"]}))


def _serves(step: StepView) -> bool:
    """Say whether the version of before served everybody when this began: nothing had been promoted."""
    return bool((step.prev or {})["version"] == step.desired["version"])


def _bringing(step: StepView, driver: Driver) -> Sequence[Wish]:
    """Return what is asked so that what was put back reaches everybody; nothing where it serves them already."""
    return () if _serves(step) else driver.finishing()
