"""Whoever silences a tool says why, on the same line."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, place, python_files

SILENCERS = (
    re.compile(r"#\s*noqa\b(?::\s*(?:[A-Z]+[0-9]+[,\s]*)+)?(?P<rest>.*)"),
    re.compile(r"#\s*type:\s*ignore\b(?:\[[^]]*\])?(?P<rest>.*)"),
)
A_FEW_WORDS = re.compile(r"\w+\W+\w+")


def findings(root: Path) -> Iterator[str]:
    """Yield every silencer without words after it."""
    for path in python_files(root):
        if not any(pattern.search(path.read_text()) for pattern in SILENCERS):
            continue
        with tokenize.open(path) as source:
            for token in tokenize.generate_tokens(source.readline):
                if token.type == tokenize.COMMENT and _without_reason(token.string):
                    yield f"{place(root, path, token.start[0])}: say why, on the same line"


def _without_reason(comment: str) -> bool:
    found = [match for pattern in SILENCERS if (match := pattern.search(comment))]
    return any(not A_FEW_WORDS.search(match["rest"]) for match in found)


def test_every_silenced_warning_has_its_reason():
    assert list(findings(ROOT)) == []


@pytest.mark.parametrize("comment", ["# noqa: S603", "# noqa", "# type: ignore[misc]", "# noqa: S603, S607  #"])
def test_a_silencer_without_a_reason_is_found(tmp_path, comment):
    (tmp_path / "gmud").mkdir()
    (tmp_path / "gmud" / "x.py").write_text(f"a = 1\nb = 2  {comment}\n")

    assert list(findings(tmp_path)) == ["gmud/x.py:2: say why, on the same line"]


@pytest.mark.parametrize("comment", ["# noqa: S603  # our own command", "# type: ignore[misc]  # no stubs for it"])
def test_a_silencer_with_a_reason_is_fine(tmp_path, comment):
    (tmp_path / "gmud").mkdir()
    (tmp_path / "gmud" / "x.py").write_text(f"b = 2  {comment}\n")

    assert list(findings(tmp_path)) == []
