"""What can be set from the environment stands in docs/operate.md, and what stands there exists."""

import ast
import re
from pathlib import Path

from tests.house.tree import ROOT, parsed, python_files

OURS = re.compile(r"^(GMUD_[A-Z_]+|DATABASE_URL|REDIS_URL)$")
READS = re.compile(r"env|_secret")
FOR_TESTS = {"GMUD_TEST_DB", "GMUD_FAILPOINTS", "GMUD_FAILPOINT_DIR"}
ADDRESS_OF_STAND_INS = re.compile(r"^GMUD_SANDBOX_")


def variables(root: Path) -> set[str]:
    """Return the environment variables that the code names where it reads them."""
    return {
        node.value
        for path in python_files(root, "releases", "gmud")
        if "sandbox" not in path.parts  # make run tells the stand-ins what they need
        for call in ast.walk(parsed(path))
        if isinstance(call, ast.Call | ast.Subscript) and READS.search(re.split(r"[(\[]", ast.unparse(call))[0])
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OURS.match(node.value)
    }


def documented(root: Path) -> set[str]:
    """Return the variables of the table."""
    text = (root / "docs" / "operate.md").read_text()
    return set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))


def test_every_setting_is_documented_and_every_documented_setting_exists():
    found = {name for name in variables(ROOT) - FOR_TESTS if not ADDRESS_OF_STAND_INS.match(name)}

    assert found == documented(ROOT)


def test_a_setting_is_found_however_it_is_read(tmp_path):
    (tmp_path / "gmud").mkdir()
    (tmp_path / "gmud" / "x.py").write_text(
        'a = env.str("GMUD_ONE", default="")\nb = os.environ["GMUD_TWO"]\nc = os.environ.get("GMUD_THREE")\n'
        'd = _secret("GMUD_FOUR")\ne = "GMUD_FIVE"\nimport os\nf = os.getenv("GMUD_SIX")\n'
    )

    assert variables(tmp_path) == {"GMUD_ONE", "GMUD_TWO", "GMUD_THREE", "GMUD_FOUR", "GMUD_SIX"}
