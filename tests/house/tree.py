"""The source tree as the house tests see it; every check takes the root, so that offences can be planted in another."""

import ast
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("releases", "gmud", "tests")
_LEFT_OUT = {"__pycache__", "migrations"}


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    """Yield the Python files of these folders, migrations left out."""
    for folder in folders or SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            if not _LEFT_OUT.intersection(path.relative_to(root).parts):
                yield path


def templates(root: Path) -> Iterator[Path]:
    """Yield every template, e-mails included."""
    yield from sorted(path for path in (root / "templates").rglob("*") if path.suffix in {".html", ".txt"})


def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(), str(path))


def place(root: Path, path: Path, line: int) -> str:
    """Return ``path:line`` as editors understand it."""
    return f"{path.relative_to(root)}:{line}"


def tracked(root: Path) -> list[Path]:
    """Return what is, or will be, in the repository: every file that is not ignored."""
    listing = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    )
    return [root / name for name in listing.stdout.split("\0") if name and (root / name).is_file()]


def floors(root: Path) -> dict[str, int]:
    """Return the floor of every room, the lowest is 1, from the contract in pyproject.toml."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {
        room.strip(): floor
        for floor, layer in enumerate(reversed(layers), start=1)
        for room in layer.replace(":", "|").split("|")
    }


def copied(root: Path, to: Path) -> Path:
    """Copy what the tools look at into another folder and return it."""
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("releases", "gmud", "templates", "locale"):
        if (root / folder).exists():
            shutil.copytree(root / folder, to / folder, ignore=ignore)
    shutil.copy(root / "pyproject.toml", to)
    return to
