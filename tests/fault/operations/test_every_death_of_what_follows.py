"""Reports, callings-off, verifications and hints while workers die: nothing is begun, left running or kept silent.

``make test`` plays every way with a death at one place that moves on from way to way; ``make test-long`` plays every
place and every pair. What a database makes of the journal, the deaths of a deployment show on both.
"""

import re
from pathlib import Path

import pytest

from releases.core.errors import Sentence
from tests.fault.operations.ci import SYSTEMS
from tests.fault.operations.following import STEPS, report
from tests.fault.operations.schedules import play, singles

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.once]
REPORT = Path(__file__).parents[3] / "docs" / "reliability.md"


@pytest.mark.parametrize("kind", STEPS)
def test_each_way_ends_as_it_must_without_a_death_and_with_one(place, dying, kind):
    follow, ways = STEPS[kind]
    wrong = {}
    for number, way in enumerate(ways):
        undisturbed = follow(place, way, dying)
        disturbed = follow(place, way, dying, {number % len(undisturbed.passed) + 1})
        wrong |= {(way, one.passed): one.wrong for one in (undisturbed, disturbed) if one.wrong}

    assert wrong == {}


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_hints_at_every_place_change_nothing(place, dying, system):
    undisturbed = play(place, system, "late lost", dying)
    hinted = play(place, system, "late lost", dying, hints=range(1, len(undisturbed.passed) + 1))

    assert (hinted.wrong, hinted.state, hinted.deployed) == ("", undisturbed.state, undisturbed.deployed)


def test_a_step_that_begins_something_or_ends_otherwise_would_be_seen(place, dying, monkeypatch):
    """Without that the others would prove nothing."""
    monkeypatch.setattr("releases.delivery.steps.report.misreported", lambda *_args, **_more: Sentence("Another run."))

    assert report(place, "said at once", dying).wrong == "failed, not succeeded"


def test_every_way_stands_in_the_report():
    told = re.findall(r"^\| `(delivery\.\w+)` \| (.+) \| (\w+) \|$", REPORT.read_text(), re.MULTILINE)

    assert told == [(kind, way, ends) for kind, (_play, ways) in STEPS.items() for way, ends in ways.items()]


@pytest.mark.long
@pytest.mark.parametrize("kind", STEPS)
def test_a_worker_that_dies_anywhere_once_or_twice_ends_it_as_it_must(place, dying, kind):
    follow, ways = STEPS[kind]
    wrong = {}
    for way in ways:
        for first in range(1, len(follow(place, way, dying).passed) + 1):
            alone = follow(place, way, dying, {first})
            pairs = [{first, second} for second in range(first + 1, len(alone.passed) + 1)]
            ends = [alone, *(follow(place, way, dying, pair) for pair in pairs)]
            wrong |= {(way, one.passed): one.wrong for one in ends if one.wrong}

    assert wrong == {}


@pytest.mark.long
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
@pytest.mark.parametrize("way", ["lost", "late lost", "down late"])
def test_a_hint_anywhere_with_a_death_anywhere_doubles_and_loses_nothing(place, dying, system, way):
    undisturbed = play(place, system, way, dying)
    at = range(1, len(undisturbed.passed) + 1)
    ends = [play(place, system, way, dying, points, {hint}) for points in singles(undisturbed) for hint in at]

    assert [end for end in ends if end.wrong] == []
