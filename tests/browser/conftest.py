"""A real server on a free port with data of its own, and browsers that people sign in with."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from gmud.env import ROOT
from gmud.servers import free_port
from tests.browser.house import enter, house
from tests.browser.seed import PASSWORD

__all__ = ["enter", "house"]  # imported for what pytest finds here

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
READY_SECONDS = 60
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.hookimpl(tryfirst=True)  # before the processes are told who runs what
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what shares one server; the one of the pages alone brings its own database and is seen once."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            is_alone = "site" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("site" if is_alone else "house"))
            if is_alone:
                item.add_marker(pytest.mark.once)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": list(FLAGS)}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server of our own."""
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GMUD_", "PYTEST"))}
    environment |= {
        "GMUD_DATA": str(folder),
        "GMUD_PUBLIC_URL": address,
        "GMUD_LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "gmud.settings",
        "DATABASE_URL": f"sqlite:///{folder / 'pages.sqlite3'}",
    }
    for command in (
        ("manage.py", "migrate", "-v0"),
        ("manage.py", "collectstatic", "-v0", "--noinput"),
        ("-m", "tests.browser.seed"),
    ):
        subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True)
    web = ("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning")
    with (folder / "web.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, *web, "gmud.wsgi:application"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            _wait_for(f"{address}/sign-in", folder / "web.log")
            yield address
        finally:
            server.terminate()
            server.wait(timeout=15)


def _wait_for(address: str, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310  # our own server
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the server did not become ready:\n{log.read_text()}")


@pytest.fixture
def sign_in(browser: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a browser of its own and signs somebody in; what the page complains about fails."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def as_person(name: str, *, size: str = "wide", theme: Any = "light", language: str = "en-US") -> Page:
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
