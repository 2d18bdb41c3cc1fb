"""In which order the services of a change go."""

from collections.abc import Sequence
from dataclasses import dataclass

from releases.catalog import queries as catalog
from releases.changes.models import Item
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.rollout.rules import order


@dataclass(frozen=True, slots=True)
class Turn:
    """When a service goes: once these have ended. ``note`` names those it calls in a circle: none of them is first."""

    after: frozenset[str] = frozenset()
    note: Sentence | None = None


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
