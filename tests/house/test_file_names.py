"""The same file names in every room, only those needed, and no drawer for odds and ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, floors, python_files

FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "shared", "base", "lib"}
EVERY_ROOM = {
    *("__init__", "models", "states", "machine", "rules", "ports", "services", "queries", "admin"),
    "facts",  # the frozen dataclasses a room's rules decide on
    "kinds",  # the enums of a room that are no states
    "steps",  # handlers of durable steps, which worker hands to operations
}
FREE = {"core", "web", "api", "worker", "management"}  # the ground floor and the doors are cut by subject
# A name of a room's own is added here on purpose, when none of the names above says what the file holds.
OWN = {
    "accounts": {"adapters", "backends", "columns", "limits", "rights", "roles"},
    "audit": {
        *("actor", "columns", "envelope", "epochs", "export", "guards", "keys", "merkle", "moments", "notes"),
        *("privileges", "report", "sealer", "search", "verification", "witness"),
    },
    "catalog": {"cards", "credentials", "doors", "filling", "imports", "kubeconfig", "secrets"},
    "changes": {"appraising", "back", "document", "drafts", "pace", "promises"},
    "cluster": {"client", "errors", "replies", "workloads"},  # the whole room is one outside system
    "committee": {"seats"},
    "delivery": {"console", "providers", "reporting"},
    "gate": {"demands", "keys", "permits"},
    "health": {"budgets", "splits"},
    "impact": {"lenses", "scales"},
    "notify": {"letters", "mail", "occasions", "sinks", "wording"},
    "operations": {"bell", "failpoints", "trouble"},
    "setup": {"checks", "document", "plan", "progress", "shape", "wiring"},
    "rollout": {"outlook"},
    "traffic": {
        *("drivers", "finishing", "guarded", "keeping", "leading", "ledger", "liveness", "objects", "owners", "plane"),
        *("providers", "rights", "rivals"),
    },
}


def findings(root: Path) -> Iterator[str]:
    """Yield what stands where it should not."""
    for path in python_files(root):
        words = {path.stem, path.parent.name}
        if words & FORBIDDEN:
            yield f"{path.relative_to(root)}: a name that says nothing; name what it holds"
    for room in floors(root).keys() - FREE:
        allowed = EVERY_ROOM | OWN.get(room, set())
        for path in sorted((root / "releases" / room).glob("*.py")):
            if path.stem not in allowed:
                yield f"{path.relative_to(root)}: not among the names of this room ({', '.join(sorted(allowed))})"
        for folder in sorted((root / "releases" / room).iterdir()):
            if folder.is_dir() and not (folder.name in allowed or _is_system(folder) or folder.name == "__pycache__"):
                yield f"{folder.relative_to(root)}: a folder in a room is a split file or an outside system's adapter"


def _is_system(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("adapter.py", "client.py"))


def test_every_file_has_a_name_of_the_house():
    assert list(findings(ROOT)) == []


@pytest.mark.parametrize("planted", ["releases/gate/utils.py", "releases/gate/cleverness.py", "gmud/common/x.py"])
def test_a_file_with_another_name_is_found(tmp_path, planted):
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for room in floors(ROOT):
        (tmp_path / "releases" / room).mkdir(parents=True)
    (tmp_path / planted).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / planted).touch()

    assert [finding for finding in findings(tmp_path) if finding.startswith(planted)]
