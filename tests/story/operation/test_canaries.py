"""A canary in every secret field; after a whole story none is found in a log, page, event, message or dump.

Looked for as it is, percent-encoded, in base64 wherever it stands in a longer text, in hexadecimal, and as JSON. The
outside repeats what it was shown, as some systems do in their error pages.
"""

import base64
import json
import logging
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from django.db import connection
from django.test import Client

from gmud import logs
from gmud.sandbox.jenkins import TOKEN as JENKINS_TOKEN
from gmud.sandbox.server import running
from releases.accounts.roles import Role
from releases.audit.services import seal
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.core import clock, keyfile, keyring
from releases.notify import services as notify
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Channel
from releases.notify.services import Wanted
from releases.operations import bell
from releases.operations.models import Step
from tests.factories.accounts import SETUP, a_person
from tests.factories.catalog import a_connection
from tests.factories.delivery import fault
from tests.factories.factors import SECRET as AUTHENTICATOR
from tests.factories.factors import an_app
from tests.factories.notify import SLACK_PATH, TEAMS_PATH, Listener, a_channel
from tests.factories.rollback import bank, go_back, quick
from tests.factories.rollout import Bank, scheduled
from tests.fault.harness import wait_for
from tests.house.tree import ROOT

__all__ = ["bank", "quick"]  # imported for what pytest finds here
pytestmark = pytest.mark.django_db(transaction=True)
PAGES = 150
SEEN = ("dump", "log", "message", "page", "witness")
LINK = re.compile(r'(?:href|src|hx-get|action)="([^"#]+)"')


def forms(value: str) -> set[str]:
    """Return how a value looks in texts of others."""
    raw = value.encode()
    # Inside a longer text, the first and last letters of its base64 depend on its neighbours.
    inside = {base64.b64encode(b"x" * before + raw).decode().rstrip("=")[2 * before : -1] for before in range(3)}
    safe = {one.replace("+", "-").replace("/", "_") for one in inside}
    return {value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1], raw.hex(), *inside, *safe}


def _around(text: str, form: str) -> str:
    place = text.index(form)
    return text[max(0, place - 100) : place + len(form) + 40]


class Nest:
    """The canaries, each under the field it was planted in, and everything that was seen."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}
        self.seen: dict[str, StringIO] = {}

    def plant(self, field: str, value: str = "") -> str:
        self.planted[field] = value or f"canary/{secrets.token_hex(9)}+{secrets.token_hex(9)}"
        return self.planted[field]

    def see(self, where: str, text: str) -> None:
        self.seen.setdefault(where, StringIO()).write(text + "\n")

    def found(self) -> list[tuple[str, str, str]]:
        return [
            (field, where, _around(text.getvalue(), form))
            for where, text in self.seen.items()
            for field, value in self.planted.items()
            for form in forms(value)
            if form in text.getvalue()
        ]


@pytest.fixture
def nest(settings, tmp_path) -> Iterator[Nest]:
    """Listen to every log line, at any level, and to every call of a worker."""
    settings.GMUD_KEYS = str(tmp_path / "keys")
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness" / "checkpoints.jsonl")
    nest, lines = Nest(), StringIO()
    nest.seen["log"] = lines
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logs.line(structlog.processors.JSONRenderer()))
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", "gmud", "releases")}
    root.addHandler(handler)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield nest
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def sign_in(nest: Nest, username: str, password: str, code: str = "") -> Client:
    """Sign in by the page, after trying with a password that is nearly right."""
    browser = Client(raise_request_exception=False)
    for tried in (password + "x", password):
        answer = browser.post("/sign-in", {"username": username, "password": tried, "next": "/"})
        nest.see("page", answer.content.decode())
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return browser


def wander(nest: Nest, browser: Client) -> int:
    """Open every page that a link of another leads to."""
    known, waiting = {"/"}, ["/", "/settings", "/api/v1/schema", "/metrics", "/readyz", "/nothing/of/ours"]
    opened = 0
    while waiting and opened < PAGES:
        path = waiting.pop(0)
        answer = browser.get(path)
        opened += 1
        nest.see("page", f"{path} {dict(answer.headers)}")
        if answer.streaming:
            continue
        body = answer.content.decode("utf-8", "replace")
        nest.see("page", body)
        for link in LINK.findall(body):
            where = urlsplit(urljoin(path, link.replace("&amp;", "&")))
            here = where.path + (f"?{where.query}" if where.query else "")
            if not where.netloc and not where.path.startswith("/static/") and here not in known:
                known.add(here)
                waiting.append(here)
    return opened


def dump() -> str:
    """Return the whole database as text, as a backup holds it."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        return "\n".join(connection.connection.iterdump())
    address = f"postgres://{given['USER']}@{given['HOST']}:{given['PORT']}/{given['NAME']}"
    environment = os.environ | {"PGPASSWORD": given["PASSWORD"]}
    done = subprocess.run(["pg_dump", address], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def plant_keys(nest: Nest, folder: Path) -> None:
    """Take what signs and what seals for canaries, too."""
    for place in folder.glob("*.pem"):
        body = "".join(place.read_text().splitlines()[1:-1])
        nest.plant(place.name, body)
        key = keyfile.load(place)
        assert key is not None
        raw = key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        nest.plant(f"{place.name}, raw", raw.hex())
    for name, key in keyring.load(folder).keys.items():
        nest.plant(f"ring {name}", base64.b64encode(key).decode())


def plant_people(nest: Nest) -> str:
    """Add an owner with a password and a second factor, and an auditor."""
    password = nest.plant("password")
    a_person("Carla Dias", Role.AUDITOR, username="carla", password=password, now=clock.now())
    rest = {"username": "otto", "password": password, "now": clock.now()}
    a_person("Otto Prado", Role.OWNER, Role.RELEASE_MANAGER, **rest)
    second = a_person("Sara Melo", username="sara", password=password, now=clock.now())
    for number, code in enumerate(an_app(second.accounts.get())):
        nest.plant(f"recovery code {number}", code)
    nest.plant("authenticator", AUTHENTICATOR)
    return password


def plant_outside(nest: Nest, bank: Bank, listener: str) -> None:
    """Give connections and channels secrets."""
    nest.plant("jenkins", JENKINS_TOKEN)
    nest.plant("jenkins, as shown", base64.b64encode(f"gmud:{JENKINS_TOKEN}".encode()).decode())
    nest.plant("machine", bank.token)
    secret = nest.plant("prometheus")
    a_connection(
        "prometheus",
        ConnectionKind.PROMETHEUS,
        origin=bank.prometheus_url,
        account="",
        secret=secret,
        now=clock.now(),
    )
    a_connection("spare", secret=nest.plant("before a change"), now=clock.now())
    a_connection("spare", secret=nest.plant("after a change"), now=clock.now())
    nest.plant("slack", SLACK_PATH.rpartition("/")[2])
    nest.plant("teams", TEAMS_PATH.partition("/workflows/")[2])
    everything = Wanted(frozenset(Topic))
    a_channel(ChannelKind.SLACK, origin=listener, wanted=everything, now=clock.now())
    a_channel(ChannelKind.TEAMS, origin=listener, wanted=everything, now=clock.now())
    a_channel(
        ChannelKind.WEBHOOK,
        origin=listener,
        secret="whsec_" + nest.plant("webhook", base64.b64encode(secrets.token_bytes(32)).decode()),
        wanted=everything,
        now=clock.now(),
    )


def a_release_that_fails(bank: Bank, nest: Nest) -> None:
    """Let Jenkins and the cluster stumble, repeat what they were shown, and refuse in the end."""
    for url, word in ((bank.jenkins_url, JENKINS_TOKEN), (bank.prometheus_url, nest.planted["prometheus"])):
        for do in ("200", "500", "401"):
            fault(url, f"status:{do}", body=f"{word}: bad credentials ({do})", headers={"X-Shown": word})
    bank.start(scheduled(bank.house, ("ledgerwriter", "v1.6.0")))
    bank.work_until(lambda: Step.objects.filter(state__in=("failed", "needs_human")).exists(), what="an end")
    for _turn in range(20):
        bank.work()


def test_no_secret_is_found_anywhere_after_a_whole_story(nest, bank, settings, tmp_path):
    seal()
    bell.install(lambda *call: nest.see("message", repr(call)))
    password = plant_people(nest)
    nest.plant("GMUD_SECRET_KEY", settings.SECRET_KEY)
    echo = Listener(status=500, body=f"no such hook {SLACK_PATH} {TEAMS_PATH}")
    with running(echo) as listener:
        plant_outside(nest, bank, listener)
        plant_keys(nest, Path(settings.GMUD_KEYS))
        change = bank.released()
        go_back(bank, change, "Bookings are late.")
        bank.until_state(change, "reviewing")
        for channel in Channel.objects.values_list("pk", flat=True):
            notify.try_channel(actor=SETUP, channel_id=channel, now=clock.now())
        a_release_that_fails(bank, nest)
        assert echo.heard  # somebody was shown the secrets, and repeated them
    catalog.reseal_secrets(actor=SETUP, now=clock.now())

    browser = sign_in(nest, "otto", password)
    opened = wander(nest, browser) + wander(nest, sign_in(nest, "carla", password))
    for body in ('{"service": 1', json.dumps({"password": password})):
        answer = browser.post("/api/v1/gate/decisions", body, content_type="application/json")
        nest.see("page", answer.content.decode())
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {bank.token}"})
    nest.see("page", answer.content.decode())
    while seal() is not None:
        pass
    nest.see("dump", dump())
    nest.see("witness", (tmp_path / "witness" / "checkpoints.jsonl").read_text())

    assert opened > 40
    assert len(nest.planted) > 15
    assert {"log", "page", "message", "dump", "witness"} <= {
        where for where, text in nest.seen.items() if text.getvalue()
    }
    assert nest.found() == []


PROCESSES = {
    "worker": ("-m", "celery", "-A", "gmud.celery", "worker", "-Q", "rollback", "--loglevel", "DEBUG"),
    "beat": ("-m", "celery", "-A", "gmud.celery", "beat", "--pidfile=", "--loglevel", "DEBUG", "-s", "{folder}/beat"),
    "sealer": ("manage.py", "sealer", "--once"),
    "migrate": ("manage.py", "migrate"),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_what_a_process_says_of_servers_it_cannot_reach_holds_no_password(tmp_path, name):
    nest = Nest()
    database, broker = (nest.plant(field, secrets.token_hex(12)) for field in ("DATABASE_URL", "REDIS_URL"))
    environment = os.environ | {
        "DATABASE_URL": f"postgres://gmud:{database}@127.0.0.1:1/gmud",
        "REDIS_URL": f"redis://gmud:{broker}@127.0.0.1:1/0",
        "GMUD_OIDC_CLIENT_SECRET": nest.plant("GMUD_OIDC_CLIENT_SECRET", secrets.token_hex(12)),
        "GMUD_SECRET_KEY": nest.plant("GMUD_SECRET_KEY", secrets.token_urlsafe(64)),
        "GMUD_SMTP_URL": f"smtps://gmud:{nest.plant('GMUD_SMTP_URL', secrets.token_hex(12))}@127.0.0.1:1",
        "GMUD_LOG_LEVEL": "DEBUG",
        "GMUD_SWEEP_SECONDS": "0.5",  # the clock calls the broker for the first time after that
    }
    command = [sys.executable, *(part.format(folder=tmp_path) for part in PROCESSES[name])]
    log = tmp_path / "said"
    with log.open("w") as lines:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=lines, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: "refused" in log.read_text() or process.poll() is not None, what="a refusal")
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)  # what stands around the refusal, such as the rest of a traceback
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    nest.see("said", said)

    assert "refused" in said
    assert nest.found() == []


@pytest.mark.parametrize("around", ["", "x", "xy", "xyz"])
def test_a_canary_is_found_in_every_dress(around):
    value = "canary/0123456789+abcdef"
    texts = [
        f"{around}{value}{around}",
        quote(f"{around}{value}", safe=""),
        base64.b64encode(f"{around}{value}{around}".encode()).decode(),
        base64.urlsafe_b64encode(f"{around}{value}".encode()).decode(),
        json.dumps({"a": f"{around}{value}"}),
        f"{around}{value}".encode().hex(),
    ]

    nest = Nest()
    nest.plant("x", value)
    for number, text in enumerate(texts):
        nest.see(str(number), text)
    assert {where for _field, where, _form in nest.found()} == {str(number) for number in range(len(texts))}
