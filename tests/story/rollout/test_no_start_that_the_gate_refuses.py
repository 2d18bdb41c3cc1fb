"""What the gate would refuse does not begin, and the button that would begin it says why."""

from pathlib import Path

import pytest

from releases.changes import queries
from releases.core import clock
from releases.core.errors import Refused
from releases.gate import queries as gate
from releases.rollout.models import Rollout
from releases.web.pages import panels
from tests.factories.rollout import scheduled
from tests.factories.routes import some_routes

pytestmark = pytest.mark.django_db(transaction=True)


def start_of(change, actor):
    """Return the start as the page of the change offers it."""
    now = clock.now()
    buttons = queries.buttons(change, actor=actor, now=now)
    acts = panels.acts(change, buttons, actor=actor, outlooks=lambda: gate.would_open(change, now=now))
    return next(act for act in acts if act.verb == "start")


def test_without_the_key_that_signs_permits_a_release_does_not_begin_and_its_button_says_why(settings, tmp_path):
    settings.GMUD_KEYS = str(tmp_path)  # the ring for secrets of connections stays
    with some_routes("ledgerwriter") as bank:
        change = scheduled(bank.house)
        assert start_of(change, bank.releaser).refusals == ()
        for place in Path(settings.GMUD_KEYS).glob("permit-*.pem"):
            place.unlink()

        with pytest.raises(Refused) as refused:
            bank.start(change)

        change.refresh_from_db()
        assert (change.state, Rollout.objects.count()) == ("scheduled", 0)
        said = [str(one.message) for one in refused.value.reasons]
        assert said == [str(line.text) for line in start_of(change, bank.releaser).refusals]
        assert "key" in said[0]
