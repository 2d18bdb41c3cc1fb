"""What a parameter of a job may say of what is deployed: places like ``{{ item.version }}``, filled in later.

``{{ operation.key }}`` and ``{{ permit }}`` stand alone: the parameter that holds one carries it, so a permit is never
kept, and an order is found again by the parameter that holds its key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _

PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
ITEM = ("item.digest", "item.environment", "item.service", "item.slot", "item.version")
KEY, PERMIT = "operation.key", "permit"
ALONE = (KEY, PERMIT)
BACK = "back"
OF_A_JOB = frozenset({"job", "parameters", "options"})


@dataclass(frozen=True, slots=True)
class Carriers:
    """Which parameters carry the key and the permit, empty where no place says so, and the other parameters."""

    key_parameter: str
    permit_parameter: str
    parameters: Mapping[str, str]


def forward(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a binding's job goes forward."""
    return {name: value for name, value in settings.items() if name != BACK}


def backward(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a binding's job goes back: as it goes forward, but for what the binding says of the way back."""
    return {**forward(settings), **settings.get(BACK, {})}


def problem(parameters: Mapping[str, str]) -> Sentence | None:
    """Return what is wrong with the places in the parameters of a job, by the name of the first, or ``None``."""
    alone: dict[str, str] = {}
    for name, value in parameters.items():
        places = PLACE.findall(value)
        for place in places:
            parts = {"name": name, "place": f"{{{{ {place} }}}}"}
            if place not in (*ITEM, *ALONE):
                known = ", ".join(f"{{{{ {one} }}}}" for one in (*ITEM, *ALONE))
                text = _("%(name)s: nobody fills in %(place)s. Use one of %(known)s.")
                return Sentence(text, {**parts, "known": known})
            if place in ALONE and PLACE.fullmatch(value.strip()) is None:
                return Sentence(_("%(name)s: %(place)s stands alone in its parameter."), parts)
            if place in ALONE and alone.setdefault(place, name) != name:
                text = _("%(name)s: %(place)s is in %(other)s already, and one parameter carries it.")
                return Sentence(text, {**parts, "other": alone[place]})
        rest = PLACE.sub("", value)
        if "{{" in rest or "}}" in rest:
            return Sentence(_("%(name)s: a place opens with {{ and closes with }}."), {"name": name})
    return None


def filled(parameters: Mapping[str, str], item: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters with what is said of the item; key and permit stay places until the order is sent.

    ``item`` has ``version``, ``digest``, ``service``, ``environment`` and ``slot``.
    """
    said = {f"item.{name}": value for name, value in item.items()}
    return {name: PLACE.sub(lambda found: said.get(found[1], found[0]), value) for name, value in parameters.items()}


def carriers(parameters: Mapping[str, str]) -> Carriers:
    """Return which parameters carry key and permit."""
    places = {name: found[1] for name, value in parameters.items() if (found := PLACE.fullmatch(value.strip()))}
    by_place = {place: name for name, place in places.items() if place in ALONE}
    rest = {name: value for name, value in parameters.items() if places.get(name) not in ALONE}
    return Carriers(by_place.get(KEY, ""), by_place.get(PERMIT, ""), rest)
