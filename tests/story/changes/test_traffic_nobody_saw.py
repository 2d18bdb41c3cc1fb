"""A change whose route nobody has looked at is not handed in: its way back would name no split to return to."""

import pytest

from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Route
from releases.changes import services
from releases.changes.states import State
from releases.core.errors import Refused
from releases.web.preview import preview
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_connection
from tests.factories.changes import House, a_change, a_house, fields


@pytest.fixture
def house(db: None, tmp_path, settings) -> House:
    settings.GMUD_KEYS = str(tmp_path)
    return a_house()


@pytest.fixture
def route(house: House) -> Route:
    return catalog.register_route(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        connection_id=a_connection("mesh", ConnectionKind.KUBERNETES, account="").pk,
        locator={"namespace": "bank", "name": house.service.name},
        stable="stable",
        canary="canary",
        now=house.now,
    )


def seen(house: House, route: Route) -> None:
    catalog.note_reading(
        route_id=route.pk, weights={"stable": 100, "canary": 0}, version="1", healthy=None, now=house.now
    )


def submit(house: House, change):
    return services.submit(change_id=change.pk, actor=house.actor("engineer"), now=house.now)


def test_it_is_refused_until_somebody_looked_and_it_was_saved_again(house, route):
    change = a_change(house)
    with pytest.raises(Refused, match="Nobody has looked yet"):
        submit(house, change)

    seen(house, route)
    with pytest.raises(Refused, match="Nobody has looked yet"):
        submit(house, change)  # what was saved names no split

    services.revise(change_id=change.pk, actor=house.actor("engineer"), fields=fields(house), now=house.now)
    assert submit(house, change).state == State.AUTHORIZING


def test_the_checklist_of_the_form_says_so_before_anything_is_saved(house, route):
    def lacking() -> list[str]:
        shown = preview(fields(house), saved=None, actor=house.actor("engineer"), now=house.now)
        return [str(line.text) for line in shown.lines if line.tone == "stop"]

    assert any("Nobody has looked yet" in one for one in lacking())
    seen(house, route)
    assert lacking() == []
