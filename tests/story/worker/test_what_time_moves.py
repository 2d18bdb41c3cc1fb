"""What time alone moves: watches that are over, windows that passed unused; by the clock and by every sweep."""

from datetime import timedelta

import pytest
from django.conf import settings

from releases.audit import queries as audit
from releases.changes import services as changes
from releases.changes.services import ItemDraft
from releases.changes.states import State
from releases.core import clock
from releases.worker.sweeper import Sweeper
from releases.worker.tasks import changes_due
from tests.factories.catalog import a_digest, a_service
from tests.factories.changes import a_change, a_house
from tests.factories.rollout import runs, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def over():
    """Return a change whose watch is over and one whose window passed, a day later than they were filed."""
    house = a_house(clock.now() - timedelta(days=1))
    contacts = a_service("contacts")
    runs(house, contacts, "v0.6.10")
    watched = a_change(house, at=State.WATCHING)
    unused = a_change(house, at=State.SCHEDULED, items=(ItemDraft("contacts", "production", "v2.0.0", a_digest()),))
    return watched, unused


@pytest.mark.parametrize("who", ["the clock", "the sweep of a worker"])
def test_a_watch_that_is_over_is_settled_and_an_unused_window_expires(over, who):
    watched, unused = over

    for _turn in range(2):
        changes_due() if who == "the clock" else Sweeper(worker="w", queues=["default"]).turn()

    for change in over:
        change.refresh_from_db()
    assert (watched.state, unused.state) == ("reviewing", "expired")
    assert told(watched).count("change.settled") == 1
    assert told(unused).count("change.expired") == 1
    assert [entry.actor_name for entry in audit.story(unused.stream)][-1] == "clock"


def test_what_is_not_due_stays_where_it_is():
    house = a_house(clock.now())
    change = a_change(house, at=State.SCHEDULED)

    changes_due()

    change.refresh_from_db()
    assert change.state == "scheduled"
    assert changes.settle_due(now=clock.now()) == 0


def test_the_clock_calls_for_it_as_often_as_for_the_sweep():
    schedule = settings.CELERY_BEAT_SCHEDULE

    assert schedule["changes_due"]["task"] == changes_due.name
    assert schedule["changes_due"]["schedule"] == schedule["sweep"]["schedule"]
