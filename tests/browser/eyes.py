"""What a page looks like to those who object: to axe in light and in dark, and to a phone it must fit on."""

from collections.abc import Callable, Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

SIZES: dict[str, ViewportSize] = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
LOOKS = (
    ("wide", "light", "en-US"),
    ("wide", "dark", "pt-BR"),
    ("phone", "light", "pt-BR"),
    ("phone", "dark", "en-US"),
)
# To read imported style sheets axe would write styles into the page, which our policy refuses.
ALL: dict[str, Any] = {"preload": False}
CONTRAST = {**ALL, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
Keep = Callable[[Page, str], None]


def troubles(page: Page, keep: Keep, name: str) -> Iterator[Any]:
    """Yield what is wrong with a page as it stands, in both themes and both sizes, and leave it as it was."""
    was = "dark" if page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    page.emulate_media(color_scheme="light")
    keep(page, f"{name}-light")
    yield from _said(Axe().run(page, options=ALL).response)
    page.emulate_media(color_scheme="dark")
    keep(page, f"{name}-dark")
    yield from _said(page.evaluate("(rules) => axe.run(document, rules)", CONTRAST))
    page.emulate_media(color_scheme=was)
    here = page.viewport_size
    assert here is not None
    for size, box in SIZES.items():
        page.set_viewport_size(box)
        yield from ((size, trouble) for trouble in sticks_out(page))
    page.set_viewport_size(here)


def objections(page: Page) -> Iterator[Any]:
    """Yield what axe objects to on a page as it stands, and that it does not fit."""
    yield from _said(Axe().run(page, options=ALL).response)
    yield from sticks_out(page)


def sticks_out(page: Page) -> Iterator[str]:
    """Yield that the page is wider than what it is looked at with."""
    if page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        yield "sticks out"


def _said(answer: Any) -> Iterator[Any]:
    yield from ((one["id"], one["nodes"][0]["target"]) for one in answer["violations"])
