"""Every adapter stands under a contract test."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, parsed, python_files


def findings(root: Path) -> Iterator[str]:
    """Yield the adapters that no contract test imports."""
    imported = {name for path in python_files(root, "tests/contract") for name in _imports(parsed(path))}
    for path in sorted((root / "releases").glob("*/*/adapter.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        if module not in imported:
            yield f"{path.relative_to(root)}: no test under tests/contract imports it"


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_adapter_is_under_contract():
    assert list((ROOT / "releases").glob("*/*/adapter.py"))
    assert list(findings(ROOT)) == []


def test_an_adapter_without_contract_is_found(tmp_path):
    for system in ("jenkins", "forge"):
        folder = tmp_path / "releases" / "delivery" / system
        folder.mkdir(parents=True)
        (folder / "adapter.py").touch()
    (tmp_path / "tests" / "contract").mkdir(parents=True)
    (tmp_path / "tests" / "contract" / "x.py").write_text("from releases.delivery.jenkins.adapter import Jenkins\n")

    found = list(findings(tmp_path))

    assert found == ["releases/delivery/forge/adapter.py: no test under tests/contract imports it"]
