"""In which order the services of a change go, and who drives their routes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from releases.catalog import queries as catalog
from releases.changes.models import Item
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.operations.models import Step
from releases.operations.states import StepState
from releases.rollout.rules import order
from releases.rollout.states import ALL_PERCENT
from releases.traffic.finishing import FINISH_KIND
from releases.traffic.steps import STEP_KIND


@dataclass(frozen=True, slots=True)
class Turn:
    """When a service goes: once these have ended. ``note`` names those it calls in a circle: none of them is first."""

    after: frozenset[str] = frozenset()
    note: Sentence | None = None


@dataclass(frozen=True, slots=True)
class Led:
    """Who drives a route of a release, by its own name, which ``version`` served before, and how far that is.

    ``percent`` is the share that was asked for last. Where the new version ``is_promoted`` the stable side serves it to
    everybody, until the old one ``is_back``.
    """

    driver: str
    version: str
    percent: int = 0
    is_promoted: bool = False
    is_back: bool = False

    @property
    def serves_all(self) -> bool:
        """Say whether everybody has the new version."""
        return self.is_promoted and not self.is_back


def led(change_id: UUID) -> dict[UUID, Led]:
    """Return the routes of a release that somebody drives, as its moves found them, and its way back."""
    found: dict[UUID, Led] = {}
    steps = Step.objects.filter(kind__in=(STEP_KIND, FINISH_KIND), operation__subject=change_id)
    for step in steps.order_by("operation__begun_at", "position"):
        route, is_done = UUID(step.desired["route"]), step.state == StepState.CONFIRMED
        if driver := (step.prev or {}).get("driver"):
            known = found.get(route) or Led(driver["name"], driver["version"])
            percent = step.desired["proof"]["percent"]
            has_all = is_done and percent == ALL_PERCENT
            found[route] = replace(known, percent=percent if step.sent_at else known.percent, is_promoted=has_all)
        elif route in found and step.kind == FINISH_KIND and is_done:
            found[route] = replace(found[route], is_back=True)
        elif route in found and step.data.get("is_promoted"):
            found[route] = replace(found[route], is_promoted=True)
    return found


def turns(items: Sequence[Item], *, backwards: bool = False) -> dict[str, Turn]:
    """Return the turn of each service: whoever is called goes before who calls it, and backwards the other way.

    Only calls that are known as facts count: a hint would hold up what may be independent.
    """
    reach = catalog.dependents([item.service_id for item in items])
    calls = [
        (edge.caller, edge.callee) if backwards else (edge.callee, edge.caller) for edge in reach.edges if edge.is_fact
    ]
    found = order(sorted({item.service.name for item in items}), calls)
    return {name: Turn(after, _circle(name, found.beside[name])) for name, after in found.after.items()}


def _circle(name: str, beside: frozenset[str]) -> Sentence | None:
    if not beside:
        return None
    text = _("%(names)s call one another in a circle, so none of them can go first: they go side by side.")
    return Sentence(text, {"names": ", ".join(sorted({name, *beside}))})
