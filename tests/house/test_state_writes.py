"""Only services write a state column: everybody else goes through the table of moves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, parsed, place, python_files

WRITERS = {"create", "update", "update_or_create", "get_or_create", "aupdate", "acreate"}


def findings(root: Path) -> Iterator[str]:
    """Yield every write to ``.state`` outside a room's services."""
    for path in python_files(root, "releases"):
        if "services" in {path.stem, *path.parent.relative_to(root).parts}:
            continue
        for node in ast.walk(parsed(path)):
            if _writes_state(node):
                yield f"{place(root, path, node.lineno)}: only services write a state; call one"  # type: ignore[attr-defined]  # statements and calls have lines


def _writes_state(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        targets = [part for target in node.targets for part in ast.walk(target)]
        return any(isinstance(part, ast.Attribute) and part.attr == "state" and _stored(part) for part in targets)
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return isinstance(node.target, ast.Attribute) and node.target.attr == "state"
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name) and node.func.id == "setattr":
        return any(isinstance(one, ast.Constant) and one.value == "state" for one in node.args)
    writes = isinstance(node.func, ast.Attribute) and node.func.attr in WRITERS
    return writes and any(keyword.arg == "state" for keyword in node.keywords)


def _stored(part: ast.Attribute) -> bool:
    return isinstance(part.ctx, ast.Store)


def test_only_services_write_a_state():
    assert list(findings(ROOT)) == []


@pytest.mark.parametrize(
    "offence",
    [
        "change.state = State.CLOSED",
        "a, change.state = 1, 2",
        "change.state += 'x'",
        "ChangeRequest.objects.filter(pk=1).update(state='closed')",
        "ChangeRequest.objects.create(state='closed')",
        "setattr(change, 'state', 'closed')",
    ],
)
def test_a_direct_write_is_found(tmp_path, offence):
    for name in ("queries.py", "services.py"):
        (tmp_path / "releases" / "changes").mkdir(parents=True, exist_ok=True)
        (tmp_path / "releases" / "changes" / name).write_text(f"def move(change):\n    {offence}\n")

    assert list(findings(tmp_path)) == ["releases/changes/queries.py:2: only services write a state; call one"]


def test_reading_a_state_is_no_offence(tmp_path):
    (tmp_path / "releases" / "changes").mkdir(parents=True)
    (tmp_path / "releases" / "changes" / "queries.py").write_text("x[change.state] = objects.filter(state='closed')\n")

    assert list(findings(tmp_path)) == []
