"""The diagram in docs/states.md is drawn from the table of moves."""

from io import StringIO

from django.core.management import call_command

from tests.house.tree import ROOT


def test_the_diagram_of_states_is_fresh():
    drawn = StringIO()
    call_command("states", print=True, stdout=drawn)

    assert (ROOT / "docs" / "states.md").read_text() == drawn.getvalue(), "Say: make states"
