"""docs/reliability.md names every place of the journal, and only tests that there are."""

import re
from pathlib import Path

from releases.operations import failpoints

ROOT = Path(__file__).parents[2]
REPORT = (ROOT / "docs" / "reliability.md").read_text()
TESTS = "\n".join(one.read_text() for one in sorted((ROOT / "tests").rglob("test_*.py")))


def test_every_place_of_the_journal_stands_in_both_tables():
    """What a schedule ends in, the long run compares; a place that is missing is seen at once."""
    tables = re.findall(r"<!-- (?:Jenkins|Spinnaker) -->\n(.*?)<!-- end -->", REPORT, re.DOTALL)
    journal = {name for name in failpoints.names() if name.startswith(("after_", "before_confirm"))}
    elsewhere = set(failpoints.names()) - journal

    assert [set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) for table in tables] == [journal | {"nowhere"}] * 2
    assert [name for name in elsewhere if f"`{name}`" not in REPORT] == []


def test_no_schedule_doubled_lost_or_silenced_a_deployment():
    rows = re.findall(r"^\| `\w+` \| ([\d |]+) \|$", REPORT, re.MULTILINE)
    figures = [tuple(map(int, row.split(" | "))) for row in rows]

    assert len(figures) > 0
    for schedules, _twice, deployed, asked, *wrong in figures:
        assert wrong == [0, 0, 0]
        assert deployed + asked >= schedules


def test_every_fault_is_proved_by_a_test_that_there_is():
    named = set(re.findall(r"`(test_\w+)`", REPORT))

    assert len(named) > 0
    assert [name for name in named if f"def {name}(" not in TESTS] == []
