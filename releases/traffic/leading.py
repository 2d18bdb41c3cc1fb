"""A move over a route that somebody else drives: the driver is asked for the share and waited for (decision 0022).

Nothing is written. In the end all traffic is where it was, on the version that was promoted: such a route comes to rest
at :data:`AT_REST`, and that is what is asked of it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from releases.core.errors import Refused, Rejected, Sentence
from releases.core.words import mark as _
from releases.operations.ports import NeedsHuman, Outcome, Pending, StepView
from releases.traffic.drivers.ports import Driver, Move
from releases.traffic.ports import CANARY, STABLE, Conflict
from releases.traffic.rivals import hold
from releases.traffic.rules import printed, stands
from releases.traffic.services.driving import ask_in_a_move

DRIVEN = "driven"
LOOK_SECONDS, WAIT_SECONDS = 2.0, 5.0  # going back, and going forward
AT_REST: Mapping[str, int] = {STABLE: 100, CANARY: 0}
ALL = 100


def facts_of(drivers: Sequence[Driver], step: StepView) -> dict[str, Any]:
    """Return who drives the route of a move and which version had all traffic before it; nothing where nobody does.

    :raises Refused: there are several, or the new version does not go to the side that they call canary
    :raises External: it does not answer, or refuses to be looked at
    """
    if not drivers:
        return {}
    owners = [one.owner for one in drivers]
    if len(drivers) > 1:
        text = _("%(names)s drive this route at once. Leave it to one of them, then try again.")
        raise Refused(Sentence(text, {"names": ", ".join(f"{one.system} {one.name}" for one in owners)}))
    if step.desired["weights"].get(CANARY) != step.desired["proof"]["percent"]:
        text = _("%(system)s drives this route and rests with all traffic on its stable side; here it is on the other.")
        raise Refused(Sentence(text, {"system": owners[0].system}))
    return {"driver": {"system": owners[0].system, "name": owners[0].name, "version": drivers[0].look().version}}


def is_led(step: StepView) -> bool:
    """Say whether somebody drives the route of this move."""
    return bool((step.prev or {}).get("driver"))


def wanted(step: StepView) -> Mapping[str, int | None]:
    """Return the weights that are to stand in the end: where somebody drives the route, those it comes to rest at."""
    if is_led(step) and step.desired["proof"]["percent"] == ALL:
        return AT_REST
    return dict(step.desired["weights"])


def has_arrived(step: StepView, drivers: Sequence[Driver], weights: Mapping[str, int]) -> bool:
    """Say whether the driver waits at the share, or has promoted; the weights say so, too."""
    return stands(weights, wanted(step)) and _driver(step, drivers).progress(_move(step)).has_arrived


def lead(step: StepView, drivers: Sequence[Driver]) -> str:
    """Ask the driver to go on, where it waits to be asked; return a reference that says how patient to be.

    :raises Refused: it would not stop where the change does, or says no; nothing was asked
    :raises Unreachable: whether it was asked is not known
    """
    driver = _driver(step, drivers)
    progress = driver.progress(_move(step))
    if progress.obstacle:
        raise Refused(progress.obstacle)
    if progress.wish:
        hold(step)
        try:
            ask_in_a_move(step, driver, progress.wish)
        except Rejected as no:
            raise Refused(no.detail) from no
    return f"{DRIVEN}:{progress.patience_seconds:.0f}"


def patience(step: StepView) -> float:
    """Return how many seconds a driver that was asked has for its traffic; none where nobody was asked."""
    asked, _colon, seconds = step.remote_ref.partition(":")
    return float(seconds) if asked == DRIVEN else 0.0


def on_the_way(
    step: StepView, drivers: Sequence[Driver], weights: Mapping[str, int], seen: Mapping[str, Any]
) -> Outcome | None:
    """Return what is to be done about a driver that has not arrived; nothing once it has."""
    driver = _driver(step, drivers)
    progress = driver.progress(_move(step))
    if progress.has_arrived and stands(weights, wanted(step)):
        return None
    if progress.obstacle:
        return NeedsHuman(progress.obstacle, seen)
    name = {"system": driver.owner.system, "name": driver.owner.name}
    if step.data.get("is_moving") and not (progress.is_moving or progress.has_arrived):
        text = _("%(system)s %(name)s gave it up on its way to %(percent)s %%. Look there, then go back or try again.")
        return NeedsHuman(Sentence(text, {**name, "percent": step.desired["proof"]["percent"]}), seen)
    waits = step.data.get("waits", 0)
    if waits * WAIT_SECONDS >= patience(step):
        text = _("%(system)s %(name)s was asked for %(percent)s %%, and its route stands at %(found)s. Look there.")
        parts = {**name, "percent": step.desired["proof"]["percent"], "found": printed(weights)}
        return NeedsHuman(Sentence(text, parts), seen)
    text = _("%(system)s %(name)s drives this route: GMUD waits until it stands at %(percent)s %%.")
    if step.desired["proof"]["percent"] == ALL:
        text = _("%(system)s %(name)s drives this route: GMUD waits until the new version is promoted.")
    awaited = Sentence(text, {**name, "percent": step.desired["proof"]["percent"]})
    more = {"waits": waits + 1, "is_moving": progress.is_moving, "awaited": awaited.as_json()}
    return Pending(WAIT_SECONDS, {**seen, **more})


def take_back(step: StepView, drivers: Sequence[Driver]) -> str:
    """Ask the driver of a route for all traffic back, also where its weights stand: it may be about to move them.

    Where nothing is on its way, or nothing calls it back, it is only looked at (:func:`is_back`).

    :raises Refused: it does not drive this route any more, or says no
    :raises Unreachable: whether it was asked is not known
    """
    driver = _driver(step, drivers)
    standing = driver.look()
    if standing.is_promoting:
        return f"{DRIVEN}:{driver.progress(Move(0, ALL)).patience_seconds:.0f}"
    if standing.is_moving:
        hold(step)
        with suppress(Conflict):  # it moved on meanwhile: the next look tells
            driver.go_back()
    return f"{DRIVEN}:{standing.patience_seconds:.0f}"


def is_back(step: StepView, drivers: Sequence[Driver], weights: Mapping[str, int]) -> Mapping[str, Any] | None:
    """Return what a driver says once nothing is on its way any more and the weights stand; ``None`` until then.

    Where the new version was promoted no weight takes it back: ``is_promoted``.
    """
    standing = _driver(step, drivers).look()
    if standing.is_moving or not stands(weights, AT_REST):
        return None
    return {"is_promoted": standing.version != step.desired["driver"]["version"]}


def promoted(step: StepView) -> Sentence:
    """Return why a person is needed where the new version was promoted and no job brings the old one."""
    text = _("%(name)s promoted the new version: no weight takes it back, and no job that could is bound. Go there.")
    return Sentence(text, {"name": step.desired["driver"]["name"]})


def _move(step: StepView) -> Move:
    proof, driver = step.desired["proof"], (step.prev or {})["driver"]
    return Move(proof["before"], proof["percent"], driver["version"])


def _driver(step: StepView, drivers: Sequence[Driver]) -> Driver:
    """Return the driver that the snapshot saw.

    :raises Refused: it does not drive this route any more
    """
    name = (step.desired.get("driver") or (step.prev or {})["driver"])["name"]
    found = next((one for one in drivers if one.owner.name == name), None)
    if found is None:
        text = _("%(name)s does not drive this route any more. Look there, then try this step again.")
        raise Refused(Sentence(text, {"name": name}))
    return found
