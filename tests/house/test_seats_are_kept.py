"""Nobody but the committee takes a role or ends an access: only it knows which seats its policy asks for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, parsed, place, python_files

ACCOUNTS = "releases.accounts.services"
PAST_THE_GUARD = {"deactivate", "leave", "revoke", "take"}
MAY = {"accounts", "committee"}  # a provider's groups take what they gave: what is true there is not refused here


def findings(root: Path) -> Iterator[str]:
    """Yield every place outside both rooms that takes a role past the guard."""
    for path in python_files(root, "releases"):
        if path.relative_to(root).parts[1] in MAY:
            continue
        tree = parsed(path)
        names = {alias.asname or alias.name for alias, module in _imports(tree) if f"{module}.{alias.name}" == ACCOUNTS}
        for node in ast.walk(tree):
            if _is_past_the_guard(node, names):
                yield f"{place(root, path, node.lineno)}: call the one of committee.services, it keeps the seats"  # type: ignore[attr-defined]  # imports and attributes have lines


def _imports(tree: ast.Module) -> Iterator[tuple[ast.alias, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((alias, node.module or "") for alias in node.names)


def _is_past_the_guard(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(ACCOUNTS):
        return any(alias.name in PAST_THE_GUARD for alias in node.names)
    is_ours = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    return is_ours and isinstance(node, ast.Attribute) and node.attr in PAST_THE_GUARD


def test_every_door_takes_roles_through_the_committee():
    assert list(findings(ROOT)) == []


@pytest.mark.parametrize(
    "offence",
    [
        "from releases.accounts.services import grant, revoke",
        "from releases.accounts.services.people import leave",
        "from releases.accounts import services\nservices.deactivate(person_id=1)",
        "from releases.accounts import services as accounts\nend = accounts.revoke",
    ],
)
def test_a_way_past_the_guard_is_found(tmp_path, offence):
    (tmp_path / "releases" / "web").mkdir(parents=True)
    (tmp_path / "releases" / "web" / "page.py").write_text(f"{offence}\n")

    [found] = findings(tmp_path)
    assert found.endswith("call the one of committee.services, it keeps the seats")


def test_other_services_of_both_rooms_are_no_offence(tmp_path):
    (tmp_path / "releases" / "web").mkdir(parents=True)
    (tmp_path / "releases" / "web" / "page.py").write_text(
        "from releases.accounts import services\nfrom releases.committee import services as committee\n"
        "services.grant(role=1)\ncommittee.revoke_role(role=1)\npermits.revoke(1)\n"
    )

    assert list(findings(tmp_path)) == []
