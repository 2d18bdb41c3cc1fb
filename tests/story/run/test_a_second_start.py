"""A second start finds a database that is there: it keeps every row, and the demo's story is told only once."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

import pytest

from gmud.run.plan import SANDBOXES
from tests.fault.harness import wait_for
from tests.house.tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.once]

OPEN_SECONDS, STOP_SECONDS = 120, 60
PORTS = range(20000, 30000)  # below those that the kernel gives to callers
SIGNS_OF_LIFE = "releases_heartbeat"
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


@pytest.fixture
def given(tmp_path):
    """Return the environment of a house of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GMUD_", "DATABASE_", "REDIS_"))}
    return {**kept, "GMUD_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "gmud.settings"}


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def running(given, folder):
    """Open the house with ``make run``'s own program; press Ctrl-C at the end, and find nothing left of it."""
    port = next(
        one
        for one in SystemRandom().sample(PORTS, len(PORTS))
        if all(map(is_free, range(one, one + 1 + len(SANDBOXES))))
    )
    log = folder / "run.log"
    with log.open("w") as lines:
        command = (sys.executable, "-m", "gmud.run", "--port", str(port))
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=lines, stderr=lines, start_new_session=True)
    try:
        opened = "The house is open"
        wait_for(lambda: process.poll() is not None or opened in log.read_text(), seconds=OPEN_SECONDS, what=opened)
        assert process.poll() is None, log.read_text()
        yield log
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)
    assert process.returncode == 0, log.read_text()
    assert log.read_text().splitlines()[-1].endswith("| Everything has stopped.")
    assert processes_of(folder) == []
    assert is_free(port)


def processes_of(folder):
    """Return the processes that were started for this house and are still there."""
    mark = f"GMUD_DATA={folder}\0".encode()
    return [place.parent.name for place in Path("/proc").glob("[0-9]*/environ") if mark in read(place)]


def read(place):
    try:
        return place.read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def rows(folder):
    """Return every row of every table."""
    with sqlite3.connect(f"file:{folder / 'gmud.sqlite3'}?mode=ro", uri=True) as database:
        names = [name for (name,) in database.execute(TABLES)]
        return {name: set(map(repr, database.execute(f'SELECT * FROM "{name}"'))) for name in names}


def contents(folder):
    return {place.name: place.read_bytes() for place in folder.iterdir()}


def test_it_keeps_every_row_and_tells_no_story(given, tmp_path):
    with running({**given, "GMUD_DEMO": "0"}, tmp_path):
        assert processes_of(tmp_path) != []
        somebody = ("bootstrap", "--username", "olga", "--name", "Olga Prado")
        command = (sys.executable, "manage.py", *somebody)
        subprocess.run(command, cwd=ROOT, env=given, check=True, stdout=subprocess.DEVNULL)
        wait_for(lambda: rows(tmp_path)["audit_unsealed"] == set(), what="the seal")
    before, keys = rows(tmp_path), contents(tmp_path / "keys")

    with running({**given, "GMUD_DEMO": "1"}, tmp_path) as log:
        assert "telling the story" not in log.read_text()
        wait_for(lambda: before[SIGNS_OF_LIFE] < rows(tmp_path)[SIGNS_OF_LIFE], what="a sign of life")
    after = rows(tmp_path)

    assert {name for name in before if before[name] != after[name]} <= {SIGNS_OF_LIFE}
    assert before[SIGNS_OF_LIFE] < after[SIGNS_OF_LIFE]
    assert contents(tmp_path / "keys") == keys
    assert any("Olga Prado" in row for row in before["releases_person"])
    assert not (tmp_path / "demo.json").exists()


def test_after_a_story_that_was_interrupted_it_says_so_and_touches_nothing(given, tmp_path):
    (tmp_path / "demo.unfinished").touch()

    command = (sys.executable, "-m", "gmud.run.prepare")
    again = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False, timeout=120)

    assert again.returncode == 1
    assert "The demo was interrupted" in again.stderr
    assert list(tmp_path.glob("*.sqlite3")) == []
