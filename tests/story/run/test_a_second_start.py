"""A second start finds a database that is there: it keeps every row, and the demo's story is told only once."""

import os
import sqlite3
import subprocess
import sys

import pytest

from tests.house.tree import ROOT

pytestmark = pytest.mark.slow

SOMEBODY_LIVES_HERE = """
import django
django.setup()
from django.core.management import call_command
from releases.accounts import services
from releases.core import clock
call_command("migrate", verbosity=0, interactive=False)
services.bootstrap(username="olga", name="Olga Prado", email="", password="a long enough password", now=clock.now())
"""
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


@pytest.fixture
def run(tmp_path):
    """Run Python in a house of its own, in demo mode; return what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GMUD_", "DATABASE_", "REDIS_"))}
    own = {"GMUD_DATA": str(tmp_path), "GMUD_DEMO": "1", "DJANGO_SETTINGS_MODULE": "gmud.settings"}

    def python(*arguments):
        command = (sys.executable, *arguments)
        return subprocess.run(
            command, cwd=ROOT, env={**kept, **own}, capture_output=True, text=True, check=False, timeout=120
        )

    return python


def rows(folder):
    """Return every row of every table."""
    (place,) = folder.glob("*.sqlite3")
    with sqlite3.connect(place) as database:
        names = [name for (name,) in database.execute(TABLES)]
        return {name: sorted(map(repr, database.execute(f'SELECT * FROM "{name}"'))) for name in names}


def test_it_keeps_every_row_and_tells_no_story(run, tmp_path):
    begun = run("-c", SOMEBODY_LIVES_HERE)
    assert begun.returncode == 0, begun.stderr
    before = rows(tmp_path)

    again = run("-m", "gmud.run.prepare")  # no stand-in listens: telling the story would fail

    assert (again.returncode, again.stdout) == (0, ""), again.stderr
    assert rows(tmp_path) == before
    assert any("Olga Prado" in row for row in before["releases_person"])
    assert not (tmp_path / "demo.json").exists()


def test_after_a_story_that_was_interrupted_it_says_so_and_touches_nothing(run, tmp_path):
    (tmp_path / "demo.unfinished").touch()

    again = run("-m", "gmud.run.prepare")

    assert again.returncode == 1
    assert "The demo was interrupted" in again.stderr
    assert list(tmp_path.glob("*.sqlite3")) == []
