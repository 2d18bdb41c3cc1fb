"""The pages alone: one web server with data of its own, no worker, and a provider of sign-in beside it."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gmud.env import ROOT
from gmud.servers import free_port
from tests.browser.seed import SUBJECT
from tests.factories.providers import CLIENT, CLIENT_SECRET, a_real_provider

READY_SECONDS = 60
PROVIDER = "Keycloak"
KNOWN, UNKNOWN = {"sub": SUBJECT, "name": "Rita Alves"}, {"sub": "eve-9", "name": "Eve"}


@dataclass(frozen=True)
class Site:
    """A web server that runs: where it is, and where its data lies."""

    address: str
    folder: Path
    database: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, *command: str) -> None:
        """Run Python in the place of this installation."""
        subprocess.run([sys.executable, *command], cwd=ROOT, env=self.environment, check=True)


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """Yield a server with the data of :mod:`tests.browser.seed`; people sign in with passwords or by the provider."""
    port, database = free_port(), folder / "pages.sqlite3"
    address = f"http://127.0.0.1:{port}"
    with a_real_provider(KNOWN, UNKNOWN) as issuer:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GMUD_", "PYTEST"))}
        environment = inherited | {
            "GMUD_DATA": str(folder),
            "GMUD_PUBLIC_URL": address,
            "GMUD_LOG_LEVEL": "ERROR",
            "GMUD_PASSWORDS": "1",
            "GMUD_OIDC_ISSUER": issuer,
            "GMUD_OIDC_NAME": PROVIDER,
            "GMUD_OIDC_CLIENT_ID": CLIENT,
            "GMUD_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "GMUD_OUTBOUND_NETWORKS": "127.0.0.0/8",
            "DJANGO_SETTINGS_MODULE": "gmud.settings",
            "DATABASE_URL": f"sqlite:///{database}",
        }
        site = Site(address, folder, database, environment)
        site.run("manage.py", "migrate", "-v0")
        site.run("manage.py", "collectstatic", "-v0", "--noinput")
        site.run("manage.py", "keys", "prepare")
        site.run("-m", "tests.browser.seed")
        with _serving(site, port):
            yield site


@contextmanager
def _serving(site: Site, port: int) -> Iterator[None]:
    web = ("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning")
    log = site.folder / "web.log"
    with log.open("w") as lines:
        server = subprocess.Popen(
            [sys.executable, *web, "gmud.wsgi:application"], cwd=ROOT, env=site.environment, stdout=lines, stderr=lines
        )
    try:
        _wait_for(f"{site.address}/sign-in", log)
        yield
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
    raise AssertionError(f"the server did not become ready:\n{log.read_text()}")
