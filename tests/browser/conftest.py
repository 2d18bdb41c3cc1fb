"""A real server on a free port with data of its own, and browsers that people sign in with."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.browser.eyes import SIZES
from tests.browser.house import enter, house
from tests.browser.seed import KEEPS_A_PASSKEY, PASSWORD
from tests.browser.site import Site, a_site

__all__ = ["enter", "house"]  # imported for what pytest finds here

CHROMIUM = "/usr/bin/chromium"
OF_THE_HOUSE = {"test_by_keyboard", "test_every_control_plane", "test_journey", "test_readme", "test_two_of_everything"}
expect.set_options(timeout=20_000)  # milliseconds: two cores may be busy with a whole house
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is seen once: the server of the pages alone brings its own database."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and "open_site" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.once)


class ByHouse(LoadScopeScheduling):
    """Hands the tests of the whole house to one process, because it takes long to open, and every other to any."""

    def _split_scope(self, nodeid: str) -> str:
        return "house" if Path(nodeid.partition("::")[0]).stem in OF_THE_HOUSE else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByHouse:
    """Choose who runs what where there are two processes."""
    return ByHouse(config, log)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": list(FLAGS)}


@pytest.fixture(scope="session")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a server of our own with nothing but pages."""
    with a_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def site(open_site: Site) -> str:
    """Return its address."""
    return open_site.address


@pytest.fixture
def sign_in(browser: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a browser of its own and signs somebody in; what the page complains about fails."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def as_person(name: str, *, size: str = "wide", theme: Any = "light", language: str = "en-US") -> Page:
        assert name != KEEPS_A_PASSKEY, "asked for the passkey by now, or not: the order of the tests is random"
        context = browser.new_context(
            base_url=site, viewport=SIZES[size], color_scheme=theme, locale=language, has_touch=size == "phone"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.goto("/sign-in")
        page.locator("#username").fill(name)
        page.locator("#password").fill(PASSWORD)
        page.locator("form[aria-labelledby=sign-in] button[type=submit]").click()
        page.wait_for_url(f"{site}/")
        return page

    yield as_person
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Return a function that keeps a picture of a page when ``GMUD_SHOTS`` names a folder."""

    def shoot(page: Page, name: str) -> None:
        if folder := os.environ.get("GMUD_SHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return shoot
