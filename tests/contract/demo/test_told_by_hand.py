"""``manage.py demo`` as a person types it: a new database, a process of its own, no broker anywhere."""

import json
import os
import subprocess
import sys

import pytest

from tests.house.tree import ROOT
from tests.story.demo.facts import facts

pytestmark = [pytest.mark.django_db, pytest.mark.once]  # the second telling brings a database of its own


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """Tell it a second time, by its command, in a new database, a process of its own, and with no broker there."""
    folder = tmp_path_factory.mktemp("by-hand")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GMUD_", "DATABASE_", "REDIS_"))}
    own = {"GMUD_DATA": str(folder), "GMUD_DEMO": "1", "DJANGO_SETTINGS_MODULE": "gmud.settings"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.story.demo.facts"],
        cwd=ROOT,
        env={**kept, **own},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,  # far beyond its minute: a busy machine is no broken story
    )
    assert done.returncode == 0, done.stderr
    said, _, rest = done.stdout.partition("\n")
    return folder, said, json.loads(rest), done.stderr


def test_told_again_elsewhere_it_is_the_same_story(told, by_hand):
    _folder, _said, found, _errors = by_hand

    assert found["facts"] == json.loads(json.dumps(facts()))


def test_by_hand_it_says_one_line_and_complains_about_no_broker(by_hand):
    _folder, said, _found, errors = by_hand

    assert said == "The demo is told: a bank, 2 environments, 45 changes."
    assert errors == ""


def test_by_hand_it_refuses_a_second_time_and_leaves_a_clean_record(by_hand):
    folder, _said, found, _errors = by_hand

    assert found["refusal"].startswith("Somebody lives here already")
    assert found["verified"].strip().endswith(": ok")
    assert found["replayed"].strip().endswith(": ok")
    assert {path.name for path in folder.iterdir() if path.stat().st_mode & 0o077 == 0} >= {
        "ci.token",
        "demo.json",
        "jenkins.token",
        "spinnaker.token",
        "keys",
    }
