"""Only services write a state column: everybody else goes through the table of moves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, parsed, place, python_files

WRITERS = {"create", "update", "update_or_create", "get_or_create", "aupdate", "acreate"}
BY_FIELD_NAME = {"bulk_update", "abulk_update"}


def findings(root: Path) -> Iterator[str]:
    """Yield every write to ``.state`` outside a room's services."""
    models = set(models_with_a_state(root))
    for path in python_files(root, "releases"):
        if "services" in {path.stem, *path.parent.relative_to(root).parts}:
            continue
        for node in ast.walk(parsed(path)):
            if _writes_state(node, models):
                yield f"{place(root, path, node.lineno)}: only services write a state; call one"  # type: ignore[attr-defined]  # statements and calls have lines


def models_with_a_state(root: Path) -> Iterator[str]:
    """Yield the name of every model with a field ``state``; what is made of it would be saved, alone or in bulk."""
    for path in python_files(root, "releases"):
        if path.stem != "models":
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and any(_is_state_field(one) for one in node.body):
                yield node.name


def _is_state_field(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "state" for target in node.targets)
        and isinstance(node.value, ast.Call)
    )


def _writes_state(node: ast.AST, models: set[str]) -> bool:
    if isinstance(node, ast.Assign):
        targets = [part for target in node.targets for part in ast.walk(target)]
        return any(isinstance(part, ast.Attribute) and part.attr == "state" and _stored(part) for part in targets)
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return isinstance(node.target, ast.Attribute) and node.target.attr == "state"
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name) and node.func.id == "setattr":
        return any(isinstance(one, ast.Constant) and one.value == "state" for one in node.args)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in BY_FIELD_NAME:
        return any(isinstance(one, ast.Constant) and one.value == "state" for one in ast.walk(node))
    if name in models or (isinstance(node.func, ast.Attribute) and name in WRITERS):
        return any(keyword.arg == "state" or _unpacks_state(keyword) for keyword in node.keywords)
    return False


def _unpacks_state(keyword: ast.keyword) -> bool:
    """Say whether a dictionary of values is handed on that names the state."""
    if keyword.arg not in {None, "defaults", "create_defaults", "update_fields"}:
        return False
    return any(isinstance(one, ast.Constant) and one.value == "state" for one in ast.walk(keyword.value))


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
        "ChangeRequest(number=1, state='closed').save()",
        "models.ChangeRequest(**{'state': 'closed'}).save()",
        "ChangeRequest.objects.bulk_create([ChangeRequest(state='closed')])",
        "ChangeRequest.objects.bulk_update(rows, ['state'])",
        "ChangeRequest.objects.bulk_update(rows, fields=('number', 'state'))",
        "ChangeRequest.objects.update_or_create(pk=1, defaults={'state': 'closed'})",
    ],
)
def test_a_direct_write_is_found(tmp_path, offence):
    for name in ("queries.py", "services.py"):
        (tmp_path / "releases" / "changes").mkdir(parents=True, exist_ok=True)
        (tmp_path / "releases" / "changes" / name).write_text(f"def move(change):\n    {offence}\n")
    (tmp_path / "releases" / "changes" / "models.py").write_text("class ChangeRequest:\n    state = CharField()\n")

    assert list(findings(tmp_path)) == ["releases/changes/queries.py:2: only services write a state; call one"]


def test_reading_a_state_is_no_offence(tmp_path):
    (tmp_path / "releases" / "changes").mkdir(parents=True)
    (tmp_path / "releases" / "changes" / "queries.py").write_text(
        "x[change.state] = objects.filter(state='closed')\nview = Card(state=change.state)\n"
    )

    assert list(findings(tmp_path)) == []
