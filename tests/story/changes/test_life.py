"""The life of a change request, through the services."""

from datetime import timedelta

import pytest

from releases.audit.queries import states_from_events
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.changes.states import Outcome, State
from tests.factories.changes import a_change, a_house

pytestmark = pytest.mark.django_db


def test_a_change_walks_from_draft_to_closed(now):
    house = a_house(now)
    change = a_change(house, at=State.REVIEWING)

    services.close(
        change_id=change.pk,
        actor=house.actor("manager"),
        outcome=Outcome.SUCCESSFUL,
        summary="As planned.",
        now=now + timedelta(hours=5),
    )

    change.refresh_from_db()
    assert (change.state, change.outcome) == (State.CLOSED, Outcome.SUCCESSFUL)


def test_the_events_tell_the_state_of_every_change(now):
    house = a_house(now)
    a_change(house, at=State.WATCHING)

    told = {stream: data["state"] for stream, data in states_from_events().items() if stream.startswith("change:")}

    assert told == dict(queries.states())
    assert ChangeRequest.objects.count() == len(told)
