"""The whole house as ``make run`` starts it: pages, workers, broker, clock, sealer, and stand-ins of the outside."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import SystemRandom
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from gmud.demo import story
from gmud.env import ROOT
from gmud.run import plan as plans
from gmud.sandbox.jenkins import TOKEN
from gmud.sandbox.spinnaker.accounts import TOKEN as SPINNAKER_TOKEN
from gmud.servers import accepts
from releases.traffic.ports import System
from tests.browser.eyes import SIZES
from tests.canaries import keep_dump

OPEN_SECONDS = 180  # the demo's forty changes are told first
STOP_SECONDS = 40
PATIENCE_SECONDS = 60
BROKER_ROOM = 9  # workers of others, that ring in room 0 of the same server, hear nothing of ours
BUSY = "database is locked"  # SQLite under load: the sweep rings again
ENDING = "^beat .*I/O operation on closed file"  # a clock that is told to end while it calls
HARMLESS = re.compile(f"{BUSY}|{ENDING}")
ALL_PORTS = 1 + len(plans.SANDBOXES)
PORTS = range(20_000, 30_000, ALL_PORTS)
REFUSAL = re.compile(r"Failed to load resource: .* status of (409|422)|Response Status Error Code (409|422) ")  # shown
GIVEN_UP = re.compile(r"htmx:(afterRequest|sendAbort), ")  # an answer that nobody waits for: the page was left
EXPECTED = re.compile(f"{REFUSAL.pattern}|{GIVEN_UP.pattern}")
SHORT = {"GMUD_VERDICT_SECONDS": "5", "GMUD_VERIFY_SECONDS": "6", "GMUD_WATCH_SECONDS": "30", "GMUD_SWEEP_SECONDS": "2"}
# Beside PostgreSQL as in production; every request opens a connection, so one story is told to both web servers.
TWO_OF_EACH = {"GMUD_RUN_EACH": "2", "GRANIAN_HTTP1_KEEP_ALIVE": "false", "GRANIAN_LOG_ACCESS_ENABLED": "true"}


@dataclass(frozen=True)
class House:
    """A house that runs: where it is, and who may sign in."""

    address: str
    folder: Path
    outside: Mapping[str, str]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def jenkins(self) -> str:
        """Return where the stand-in of Jenkins is."""
        return self.outside["jenkins"]

    @property
    def kubernetes(self) -> str:
        """Return where the stand-in of the cluster is."""
        return self.outside["kubernetes"]

    def password(self, username: str) -> str:
        """Return the password the demo made for somebody."""
        known = json.loads((self.folder / "demo.json").read_text())["accounts"]
        return str({one["username"]: one["password"] for one in known}[username])

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Call the API as the demo's CI; return status and document."""
        secret = (self.folder / "ci.token").read_text().strip()
        headers = {"Authorization": f"Bearer {secret}"}
        answer = httpx2.request(method, f"{self.address}/api/v1/{path}", json=body, headers=headers, timeout=15)
        return answer.status_code, answer.json()

    def weights(self, service: str, environment: str = "production") -> dict[str, int]:
        """Return how the control plane of a service splits its traffic there now, as it says itself."""
        plane = story.SERVICES[service].plane
        split = story.SPLITS[plane].of(service, environment)
        name, state = split.locator["name"], _json(f"{self.outside[split.connection]}/_sandbox/state")
        match plane:
            case System.KONG:
                there = state["default"][name]
                return {"stable": there[split.stable], "canary": there[split.canary]}
            case System.APISIX:
                canary, stable = state["routes"][name]["plugins"]["traffic-split"]["rules"][0]["weighted_upstreams"]
                return {"stable": stable["weight"], "canary": canary["weight"]}
        place = (split.locator["namespace"], name)
        return next(one["weights"] for one in state["traffic"] if (one["namespace"], one["service"]) == place)

    def builds(self, service: str) -> list[tuple[str, str]]:
        """Return version and result of what Jenkins built for a service, oldest first."""
        found = _json(f"{self.jenkins}/_sandbox/state")["builds"]
        ours = sorted((one for one in found if f"/deploy-{service}/" in one["url"]), key=lambda one: one["number"])
        return [(_parameter(one, "VERSION"), one["result"]) for one in ours]

    def build(self, service: str, version: str) -> None:
        """Start the job of a service at Jenkins as its people do, past GMUD."""
        job = f"{self.jenkins}/job/{story.SERVICES[service].team}/job/deploy-{service}"
        given = _in_staging(service, version)
        answer = httpx2.post(f"{job}/buildWithParameters", data=given, auth=("gmud", TOKEN), timeout=15)
        assert answer.status_code == 201, answer.text

    def execute(self, service: str, version: str) -> None:
        """Start the pipeline of a service that waits for the gate at Spinnaker, as its people do, past GMUD."""
        application, name = str(story.delivery_of(service, "staging")[1]["job"]).split("/", 1)
        place = f"{self.outside['spinnaker']}/pipelines/{application}/{quote(name)}"
        given = {"type": "manual", "parameters": _in_staging(service, version)}
        answer = httpx2.post(place, json=given, headers={"X-Spinnaker-Token": SPINNAKER_TOKEN}, timeout=15)
        assert answer.status_code == 202, answer.text

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command inside the house."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return the house with its demo, on the database and the broker that the environment names."""
    with a_house(tmp_path_factory.mktemp("house"), is_demo=True) as open_house:
        yield open_house


@contextmanager
def a_house(folder: Path, *, is_demo: bool) -> Iterator[House]:
    """Yield a house in a room of its own on the database and the broker; without the demo nobody and nothing is in it.

    The stand-ins of the outside always run: in the demo the house starts them, else they are somebody else's.
    """
    with _database(folder) as database, _ports() as port:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("GMUD_", "PYTEST"))}
        environment |= {"GMUD_DATA": str(folder), "GMUD_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        environment |= {"GMUD_DEMO": str(int(is_demo)), "GMUD_OUTBOUND_NETWORKS": "127.0.0.0/8"}
        environment |= SHORT | (database and {**database, **TWO_OF_EACH})
        if broker := os.environ.get("REDIS_URL"):
            environment["REDIS_URL"] = f"{broker.rstrip('/')}/{BROKER_ROOM + (not is_demo)}"
        with ExitStack() as others:
            if not is_demo:
                others.enter_context(_outside(folder, port, environment))
            others.enter_context(_running(folder, port, environment, ports=ALL_PORTS if is_demo else 1))
            yield House(
                address=f"http://127.0.0.1:{port}",
                folder=folder,
                outside={name: f"http://127.0.0.1:{one}" for one, name in enumerate(plans.SANDBOXES, start=port + 1)},
                environment=environment,
            )


def digest(service: str, version: str) -> str:
    """Return the digest the demo gives a version."""
    return "sha256:" + sha256(f"{service}:{version}".encode()).hexdigest()


def until(look: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS) -> Any:
    """Look again and again until something true is seen, and return it."""
    deadline = time.monotonic() + seconds
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert seen, "it did not happen in time"
    return seen


@contextmanager
def _database(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the settings of a new database on the server that the environment names; without one, SQLite's.

    A dump of it is left in the folder, for the search at the end of the run.
    """
    server = os.environ.get("DATABASE_URL")
    if not server:
        yield {}
        return
    name = f"house_{token_hex(4)}"  # two may stand at once
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            address = urlsplit(server)._replace(path=f"/{name}").geturl()
            yield {"DATABASE_URL": address}
            keep_dump(address, folder / "house.dump")
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def _ports() -> Iterator[int]:
    """Yield a port that is free with those of the stand-ins after it, below those the kernel gives to callers."""
    tried = SystemRandom().sample(PORTS, len(PORTS))
    yield next(one for one in tried if all(_is_free(one + more) for more in range(ALL_PORTS)))


@contextmanager
def _outside(folder: Path, port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Run the stand-ins as the demo would: Jenkins finds its token for the gate in ``jenkins.token``."""
    (folder / "outside").mkdir()
    plan = plans.make(data=folder / "outside", host="127.0.0.1", port=port, environment={"GMUD_DEMO": "1"})
    started = [
        subprocess.Popen(one.command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        for one in plans.sandboxes(plan)
    ]
    try:
        until(lambda: all(accepts(one) for one in plan.sandboxes.values()))
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=STOP_SECONDS)


@contextmanager
def _running(folder: Path, port: int, environment: Mapping[str, str], *, ports: int) -> Iterator[None]:
    log = folder / "house.log"
    with log.open("w") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", "gmud.run", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
        )
    try:
        until(lambda: process.poll() is not None or "The house is open" in log.read_text(), seconds=OPEN_SECONDS)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(timeout=STOP_SECONDS)
    assert not any(accepts(port + more) for more in range(ports))
    broken = [line for line in log.read_text().splitlines() if "Traceback" in line and not HARMLESS.search(line)]
    assert not broken, broken


def _in_staging(service: str, version: str) -> dict[str, str]:
    place = {"SERVICE": service, "ENVIRONMENT": "staging", "SLOT": "canary"}
    return {**place, "VERSION": version, "DIGEST": digest(service, version)}


def _parameter(build: Mapping[str, Any], name: str) -> str:
    given = (one for action in build["actions"] for one in action.get("parameters", ()))
    return str(next(one["value"] for one in given if one["name"] == name))


def _json(address: str) -> Any:
    return httpx2.get(address, timeout=15).json()


@pytest.fixture
def enter(browser: Browser, house: House) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a browser of its own and signs somebody of the demo in; its console stays empty."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def as_person(name: str, *, size: str = "wide", theme: Any = "light", language: str = "en-US") -> Page:
        context = browser.new_context(
            base_url=house.address, viewport=SIZES[size], color_scheme=theme, locale=language, has_touch=size == "phone"
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        contexts.append(context)
        context.on("weberror", lambda failed: complaints.append(str(failed.error)))
        context.on("console", lambda said: None if EXPECTED.match(said.text) else complaints.append(said.text))
        page = context.new_page()
        page.goto("/sign-in")
        page.locator("#username").fill(name)
        page.locator("#password").fill(house.password(name))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{house.address}/")
        return page

    yield as_person
    for context in contexts:
        context.close()
    assert not complaints, complaints
