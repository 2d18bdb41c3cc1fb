"""Sections as they are printed: the list of them, rows, buttons, and why a button is refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode

from releases.web.looks import Look, Words
from releases.web.pages.settings import ELSEWHERE, SECTIONS
from releases.web.pages.settings.section import GROUPS, Act, Block, Entry, Item, Section
from releases.web.tags import say


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the list of sections."""

    word: str | Promise
    note: str | Promise
    href: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Button:
    """One thing that can be done: where its form is, or why it cannot be done; ``at_once`` needs no page of its own."""

    verb: str
    word: str | Promise
    href: str
    tone: str
    why: Words
    at_once: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list, with the heading of each cell beside it (a phone shows them as a card)."""

    name: str
    note: Words
    href: str
    cells: tuple[tuple[str | Promise, Words], ...]
    look: Look | None


@dataclass(frozen=True, slots=True)
class Listed:
    """One line on the page of one, with what can be done to it."""

    item: Item
    buttons: tuple[Button, ...]


def groups(here: str = "") -> list[tuple[str | Promise, list[Place]]]:
    """Return the list of sections, in groups, as every page of the settings shows it."""
    found: dict[str, list[Place]] = {name: [] for name in GROUPS}
    for one in SECTIONS.values():
        href = reverse("settings-list", args=[one.slug])
        found[one.group].append(Place(one.word, one.note, href, one.slug == here))
    for other in ELSEWHERE:
        found[other.group].append(Place(other.word, other.note, reverse(other.url_name), other.slug == here))
    return [(GROUPS[name], places) for name, places in found.items() if places]


def row_of(section: Section, entry: Entry) -> Row:
    """Return a row with its address and the headings of its cells."""
    return Row(
        name=entry.name,
        note=entry.note,
        href=reverse("settings-one", args=[section.slug, entry.id]),
        cells=tuple(zip(section.columns[1:], entry.cells, strict=True)),
        look=entry.look,
    )


def button_of(section: Section, act: Act, key: str, why: Words) -> Button:
    """Return what can be done, or why it cannot."""
    href = reverse("settings-act", args=[section.slug, key, act.verb])
    return Button(act.verb, act.word, href, act.tone, why, at_once=act.form is None and not act.confirm)


def refusals(buttons: Iterable[Button]) -> list[tuple[Words, list[Button]]]:
    """Return what cannot be done, by why: a reason that holds for several is said once."""
    found: dict[str, tuple[Words, list[Button]]] = {}
    for one in buttons:
        if one.why:
            found.setdefault(say(one.why), (one.why, []))[1].append(one)
    return list(found.values())


def block_of(
    block: Block, buttons: Mapping[str, Button], said: Iterable[Words]
) -> tuple[Block, list[Listed], list[Words]]:
    """Return a block with its lines, and why what would be offered beside them cannot be done, unless it was said."""
    verbs = {verb for item in block.items for verb in item.verbs}
    refused = refusals(one for verb, one in buttons.items() if verb in verbs and one.why not in said)
    return block, [_listed(item, buttons) for item in block.items], [why for why, _buttons in refused]


def _listed(item: Item, buttons: Mapping[str, Button]) -> Listed:
    """Return a line with the acts offered beside it; one that is refused is left out there, its reason stands below."""
    asked = f"?{urlencode(item.fill)}" if item.fill else ""
    offered = (buttons[verb] for verb in item.verbs if verb in buttons)
    return Listed(item, tuple(replace(one, href=one.href + asked) for one in offered if not one.why))
