"""Look for secrets in what others can read: in every dress a value takes, in one test or in all that a run left behind.

The factories give every connection, channel, second factor and account the same well-known secrets; tokens of machines
and secrets of webhooks, which are made anew each time, are known by their shape. When a run ends, what it left behind
is searched for them: the log lines of the tests' own process, the logs of every process that the fault tests and the
browser's house started, databases in files, dumps of the others, what witnesses keep, and mails.
"""

import base64
import json
import logging
import re
import subprocess
from collections.abc import Iterable, Iterator
from email import message_from_bytes
from io import StringIO
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import pytest
import structlog

OWN_LOG = "own.log"
SHAPES = re.compile(rb"gmud_[a-z0-9]{8}_[A-Za-z0-9_-]{43}|whsec_[A-Za-z0-9+/]{32,}")
LEFT_BEHIND = ("*.log", "*.sqlite3*", "*.dump", "*.jsonl", "*.eml")
SHOWN = 5  # findings that a run tells of


def forms(value: str) -> set[str]:
    """Return how a value looks in texts of others."""
    raw = value.encode()
    # Inside a longer text, the first and last letters of its base64 depend on its neighbours.
    inside = {base64.b64encode(b"x" * before + raw).decode().rstrip("=")[2 * before : -1] for before in range(3)}
    safe = {one.replace("+", "-").replace("/", "_") for one in inside}
    plain = {value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1]}
    return {*plain, raw.hex(), raw.hex().upper(), *inside, *safe}


class Nest:
    """The canaries, each under the field it was planted in, and everything that was seen."""

    def __init__(self) -> None:
        """Begin with nothing planted and nothing seen."""
        self.planted: dict[str, str] = {}
        self.seen: dict[str, StringIO] = {}

    def plant(self, field: str, value: str = "") -> str:
        """Remember a secret, or make one that no dress leaves as it is."""
        self.planted[field] = value or f"canary/{token_hex(9)}+{token_hex(9)}"
        return self.planted[field]

    def see(self, where: str, text: str) -> None:
        """Keep what was seen somewhere."""
        self.seen.setdefault(where, StringIO()).write(text + "\n")

    def found(self) -> list[tuple[str, str, str]]:
        """Return each field that was seen, where, and what stands around it."""
        return [
            (field, where, _around(said, form))
            for where, text in self.seen.items()
            for said in [text.getvalue()]
            for field, value in self.planted.items()
            for form in forms(value)
            if form in said
        ]


def planted_everywhere() -> dict[str, str]:
    """Return the secrets that the factories and the stand-ins use, by what they open."""
    from gmud.sandbox.jenkins import ACCOUNTS
    from tests.browser.seed import PASSWORD as PASSWORD_OF_BROWSERS
    from tests.factories.accounts import PASSWORD
    from tests.factories.catalog import TOKEN
    from tests.factories.factors import SECRET
    from tests.factories.notify import SLACK_PATH, TEAMS_PATH
    from tests.factories.providers import CLIENT_SECRET

    jenkins = {f"jenkins {name}": str(account["token"]) for name, account in ACCOUNTS.items() if "token" in account}
    channels = {"slack": SLACK_PATH.rpartition("/")[2], "teams": TEAMS_PATH.partition("/workflows/")[2]}
    people = {
        "password": PASSWORD,
        "password of browsers": PASSWORD_OF_BROWSERS,
        "authenticator": SECRET,
        "identity provider": CLIENT_SECRET,
    }
    return {"connection": TOKEN, **people, **jenkins, **channels}


def keep_dump(address: str, place: Path) -> None:
    """Keep a database of PostgreSQL as a backup would, for the search at the end of the run."""
    with place.open("wb") as dump:
        done = subprocess.run(("pg_dump", address), stdout=dump, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr


def leaks(folder: Path, secrets: Iterable[str]) -> Iterator[str]:
    """Yield every file of a run's folder that holds one of these or what looks like one; the value is not repeated."""
    wanted = sorted({form.encode() for value in secrets for form in forms(value)})
    for pattern in LEFT_BEHIND:
        for place in sorted(folder.rglob(pattern)):
            if place.is_file() and _shows(_held(place), wanted):
                yield str(place.relative_to(folder))


def _shows(held: bytes, wanted: Iterable[bytes]) -> bool:
    return SHAPES.search(held) is not None or any(form in held for form in wanted)


def _held(place: Path) -> bytes:
    """Return what a file holds; of a mail also its parts as they are read, without the lines of its encoding."""
    raw = place.read_bytes()
    if place.suffix != ".eml":
        return raw
    parts = (part.get_payload(decode=True) for part in message_from_bytes(raw).walk())
    return b"\n".join([raw, *(part for part in parts if isinstance(part, bytes))])


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep a dump of the tests' own database on PostgreSQL before it is dropped; SQLite's is a file anyway."""
    from django.db import connection

    yield
    if connection.vendor == "postgresql":
        given = connection.settings_dict
        server = f"postgres://{given['USER']}:{given['PASSWORD']}@{given['HOST']}:{given['PORT']}"
        keep_dump(f"{server}/{given['NAME']}", tmp_path_factory.getbasetemp() / "own.dump")


@pytest.fixture(autouse=True, scope="session")
def own_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep every log line of the tests' own process as an installation would write it."""
    from gmud import logs

    handler = logging.FileHandler(tmp_path_factory.getbasetemp() / OWN_LOG)
    handler.setFormatter(logs.line(structlog.processors.JSONRenderer()))
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    handler.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when anything it left behind holds a secret of the factories; with xdist, once for all."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # pytest's own
    found = list(leaks(folder, planted_everywhere().values()))
    if found:
        tell = session.config.get_terminal_writer()
        tell.line(f"\nA secret of the factories stands in what this run left behind, in {len(found)} files:")
        for one in found[:SHOWN]:
            tell.line(f"  {folder / one}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _around(text: str, form: str) -> str:
    place = text.index(form)
    return text[max(0, place - 100) : place + len(form) + 40]
