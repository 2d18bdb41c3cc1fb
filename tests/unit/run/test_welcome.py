"""What is printed when the house is open."""

import json

from gmud.run.__main__ import welcome
from tests.unit.run.test_plan import a_plan

STORY = {
    "accounts": [{"role": "on call", "username": "davi", "password": "its password"}],
    "try": ["Open {address}/live.", "Wait.", "Look."],
}


def test_the_demo_says_who_can_sign_in_and_what_to_try_at_this_address(tmp_path):
    (tmp_path / "demo.json").write_text(json.dumps(STORY))

    said = welcome(a_plan(tmp_path, port=8123, GMUD_DEMO="1")).splitlines()

    assert "The house is open: http://localhost:8123" in said
    assert "  on call                  davi             its password" in said
    assert "  1. Open http://localhost:8123/live." in said
    assert said[-1] == "Ctrl-C stops everything; what you did is kept."


def test_without_the_demo_it_says_how_the_first_owner_comes(tmp_path):
    said = welcome(a_plan(tmp_path, GMUD_DEMO="0"))

    assert "manage.py bootstrap" in said
    assert "Sign in as" not in said


def test_without_a_story_no_log_in_is_promised(tmp_path):
    assert "Sign in as" not in welcome(a_plan(tmp_path, GMUD_DEMO="1"))
