"""Deployments while workers die at every place of the journal, alone and in pairs: at most once, none lost or silent.

The engine, the journal and the gate are the real ones; only the CI system has no network. ``make fault-report`` plays
every schedule and writes what came of it into docs/reliability.md.
"""

import os
from itertools import islice
from pathlib import Path

import pytest

from releases.operations import failpoints
from tests.fault.operations.ci import SYSTEMS, TASKS
from tests.fault.operations.schedules import NOWHERE, SLOW, WAYS, counted, every, play, singles

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
REPORT = Path(__file__).parents[3] / "docs" / "reliability.md"
COLUMNS = ("schedules", "twice begun", "deployed", "needs_human", "doubled", "lost", "silent")
HEAD = "| the first death | schedules | two runs began | deployed | a human was asked | doubled | lost | silent |"


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_however_the_order_goes_it_deploys_once(place, dying, system):
    ends = {way: play(place, system, way, dying) for way in WAYS}

    assert {way: (end.wrong, end.state, end.deployed) for way, end in ends.items()} == dict.fromkeys(
        WAYS, ("", "succeeded", 1)
    )


@pytest.mark.once
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_worker_that_dies_anywhere_while_orders_are_late_or_lost_doubles_and_loses_nothing(place, dying, system):
    undisturbed = play(place, system, "late lost", dying)
    ends = [play(place, system, "late lost", dying, points) for points in singles(undisturbed)]

    assert [end for end in ends if end.wrong] == []
    assert {end.deployed for end in ends} == {1}


@pytest.mark.once
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_workers_that_die_twice_double_and_lose_nothing(place, dying, system):
    """A sample: every eighteenth pair of one way."""
    points = [(first, second) for first in range(1, 15) for second in range(first + 1, 20)]
    ends = [play(place, system, "late ok", dying, pair) for pair in islice(points, None, None, 18)]

    assert [end for end in ends if end.wrong] == []


@pytest.mark.once
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_worker_that_dies_while_another_sends_longer_than_its_lease_doubles_and_loses_nothing(place, dying, system):
    """A sample: of each way every fifth place, in each way others."""
    points = [(way, point) for turn, way in enumerate(SLOW, start=1) for point in range(turn, 21, 5)]
    ends = [play(place, system, way, dying, {point}) for way, point in points]

    assert [end for end in ends if end.wrong] == []


@pytest.mark.once
@pytest.mark.parametrize(("way", "runs"), [("late ok", 2), ("stalled", 2), ("slow", 1)])
def test_an_order_that_leaves_or_arrives_late_begins_a_second_run_and_one_that_is_known_to_be_late_does_not_leave(
    place, dying, way, runs
):
    """Without that the others would prove nothing of the permit, nor of who was too slow to send."""
    assert play(place, SYSTEMS["Jenkins"], way, dying).runs == runs


@pytest.mark.long
@pytest.mark.once
@pytest.mark.parametrize("system", ["Jenkins", "Spinnaker"])
def test_every_schedule_ends_as_the_report_tells(place, dying, system):
    rows = counted(one for way in WAYS for one in every(place, SYSTEMS[system], way, dying))
    lines = [HEAD, "|---|" + "---:|" * len(COLUMNS)]
    lines += [
        f"| `{name}` | " + " | ".join(str(row[column]) for column in COLUMNS) + " |" for name, row in rows.items()
    ]
    before, begin, rest = REPORT.read_text().partition(f"<!-- {system} -->\n")
    told, end, after = rest.partition("<!-- end -->")
    found = "\n".join(lines) + "\n"
    if os.environ.get("GMUD_FAULT_REPORT"):
        REPORT.write_text(before + begin + found + end + after)
    else:
        assert told == found, "Say: make fault-report"

    journal = {name for name in failpoints.names() if name.startswith(("after_", "before_confirm"))}
    assert set(rows) == journal | {NOWHERE}
    assert [row for row in rows.values() if row["doubled"] or row["lost"] or row["silent"]] == []


@pytest.mark.long
@pytest.mark.once
def test_every_schedule_of_a_task_changes_the_place_once(place, dying):
    rows = counted(one for way in WAYS for one in every(place, SYSTEMS[TASKS], way, dying))

    assert {name: row for name, row in rows.items() if row["doubled"] or row["lost"] or row["silent"]} == {}
