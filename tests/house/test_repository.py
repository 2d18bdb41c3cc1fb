"""Nothing in the repository names a package host or a place on somebody's machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, tracked

# Built from parts, so that this file does not name them either.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("proxy", "golang", "org"),
        ("index", "crates", "io"),
        ("deb", "debian", "org"),
        ("repo1", "maven", "org"),
    )
]
PLACES = ["/" + name + "/" for name in ("work", "root", "home/[a-z]+", "Users/[a-zA-Z]+")]
PATTERN = re.compile("|".join([*map(re.escape, HOSTS), *(rf"(?<![\w.}}/\])-]){place}" for place in PLACES)]))


def findings(root: Path, files: list[Path]) -> Iterator[str]:
    """Yield every line that names a package host or a machine's folder."""
    for path in files:
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue  # a picture or a compiled catalogue
        for number, line in enumerate(lines, start=1):
            if found := PATTERN.search(line):
                yield f"{path.relative_to(root)}:{number}: {found[0]}"


def test_no_file_names_a_package_host_or_a_machine():
    assert list(findings(ROOT, tracked(ROOT))) == []


@pytest.mark.parametrize("planted", [f"see https://{HOSTS[0]}/x", f'open("{PLACES[0]}main")', f"cd {PLACES[1]}x"])
def test_a_host_or_a_place_is_found(tmp_path, planted):
    (tmp_path / "notes.md").write_text(f"one\n{planted}\n")

    assert len(list(findings(tmp_path, [tmp_path / "notes.md"]))) == 1


def test_an_address_of_ours_is_fine(tmp_path):
    (tmp_path / "notes.md").write_text("GET /api/home/x, https://example.org/work/, ROOT / 'work'\n")

    assert list(findings(tmp_path, [tmp_path / "notes.md"])) == []
