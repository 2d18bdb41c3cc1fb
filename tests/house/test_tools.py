"""The tools of ``make check`` catch what they are there for: the offence is planted in a copy of the tree.

Caught by: upward or sideways import, Django in a pure module (through a module of ours, too), the product importing its
wiring: import-linter;
Celery in a room, HTTP past the door, the clock past core.clock: ruff; a sloppy template: djlint.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, copied

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Return a copy of the tree as it is."""
    return copied(ROOT, tmp_path_factory.mktemp("house"))


@pytest.fixture
def plant(clean):
    """Add lines to a file of the copy, and take them away afterwards."""
    planted: dict[Path, str | None] = {}

    def add(name: str, text: str) -> Path:
        place = clean / name
        planted[place] = place.read_text() if place.exists() else None
        place.write_text((planted[place] or "") + text)
        return clean

    yield add
    for place, before in planted.items():
        place.unlink() if before is None else place.write_text(before)


def said(folder: Path, *command: str) -> tuple[int, str]:
    """Run a tool in a folder; return its exit code and what it said."""
    done = subprocess.run(
        (str(BIN / command[0]), *command[1:]), cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def broken_contracts(folder: Path) -> str:
    """Return the contracts that import-linter finds broken."""
    _, told = said(folder, "lint-imports", "--no-logo", "--no-cache")
    return "\n".join(row for row in told.splitlines() if " BROKEN" in row)


def test_the_tree_as_it_is_breaks_no_contract(clean):
    code, told = said(clean, "lint-imports", "--no-logo", "--no-cache")

    assert code == 0, told


@pytest.mark.parametrize(
    ("name", "line", "contract"),
    [
        ("releases/catalog/queries.py", "import releases.gate", "Rooms stand on floors"),
        ("releases/impact/models.py", "import releases.committee", "Rooms stand on floors"),
        ("releases/core/clock.py", "import releases.audit", "Rooms stand on floors"),
        ("releases/gate/rules/deciding.py", "from django.db import models", "know no Django"),
        ("releases/changes/machine.py", "import rest_framework", "know no Django"),
        ("releases/gate/rules/deciding.py", "from releases.catalog.models import Service", "know no Django"),
        ("releases/changes/states.py", "from releases.changes import models", "know no Django"),
        ("releases/changes/machine.py", "from releases.accounts import queries", "know no Django"),
        ("releases/traffic/ports.py", "from releases.catalog.services import note_reading", "know no Django"),
        ("releases/changes/models.py", "import gmud.settings", "does not know how it is wired"),
        ("gmud/sandbox/server.py", "import releases.core", "Sandboxes import nothing"),
    ],
)
def test_a_wrong_import_breaks_its_contract(plant, name, line, contract):
    folder = plant(name, f"\n{line}\n")

    assert contract in broken_contracts(folder)


def test_a_room_that_stands_on_no_floor_breaks_the_contract(clean):
    room = clean / "releases" / "novelty"
    room.mkdir()
    try:
        (room / "__init__.py").touch()

        code, told = said(clean, "lint-imports", "--no-logo", "--no-cache")
    finally:
        (room / "__init__.py").unlink()
        room.rmdir()

    assert code == 1
    assert "novelty" in told


@pytest.mark.parametrize(
    ("name", "line", "rule"),
    [
        ("releases/gate/services/asking.py", "import celery", "TID251"),
        ("releases/rollback/services.py", "from celery import shared_task", "TID251"),
        ("releases/traffic/queries.py", "import httpx2", "TID251"),
        ("releases/traffic/queries.py", "import httpcore2", "TID251"),
        ("releases/changes/rules.py", "from django.utils.timezone import now", "TID251"),
        ("releases/changes/rules.py", "from . import states", "TID252"),
        ("releases/changes/rules.py", "moment = datetime.datetime.now()", "DTZ005"),
        ("releases/gate/services/asking.py", "def ask(first):\n    pass", "D103"),
    ],
)
def test_ruff_catches_what_a_room_must_not_do(plant, name, line, rule):
    folder = plant(name, f"\nimport datetime\n{line}\n")

    code, told = said(folder, "ruff", "check", "--no-cache", "--output-format=concise", name)

    assert code == 1
    assert any(rule in row for row in told.splitlines())


def test_djlint_catches_a_sloppy_template(tmp_path):
    (tmp_path / "page.html").write_text("<div><p>one</div>\n")

    assert said(ROOT, "djlint", str(tmp_path), "--lint", "--check", "--quiet")[0] == 1
