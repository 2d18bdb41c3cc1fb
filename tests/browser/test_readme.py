"""What the README tells people to type works as printed."""

import re
import subprocess

import pytest

from gmud.env import ROOT
from tests.browser.house import House

WALK_THROUGH = re.compile(
    r"<!-- walk-through -->\n```sh\n(.*?)```\n```text\n(.*?)```\n<!-- /walk-through -->", re.DOTALL
)
STEPS = WALK_THROUGH.findall((ROOT / "README.md").read_text())


def test_the_readme_has_a_walk_through() -> None:
    assert STEPS


@pytest.mark.parametrize(("commands", "expected"), STEPS)
def test_the_walk_through_prints_what_it_says(house: House, commands: str, expected: str) -> None:
    environment = {**house.environment, "GMUD_URL": house.address, "GMUD_DATA": str(house.folder)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )

    said = done.stdout
    assert done.returncode == 0, said
    at = -1
    for line in expected.splitlines():
        at = said.find(line, at + 1)
        assert at >= 0, f"{line!r} does not stand where it should in:\n{said}"
