"""The board says what runs where, what is on its way there, what is frozen and what drifted."""

import re
from datetime import timedelta

import pytest
from django.db import transaction

from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.changes.states import State
from releases.traffic import services as traffic
from releases.traffic.services import Asked, Ended
from releases.traffic.states import ShiftState
from tests.factories.accounts import SETUP, a_team
from tests.factories.catalog import a_connection, a_service
from tests.factories.changes import a_change


@pytest.fixture
def look(house, browse):
    """Return a function that opens the board and gives the text of the cell of a service in production."""

    def at(service: str = "ledgerwriter", query: str = "") -> str:
        html = browse(house.on_call).get(f"/board{query}").content.decode()
        row = re.search(rf'<a href="/catalog/{service}">.*?</tr>', html, re.DOTALL)
        cell = re.search(r"<td data-label=\"production\".*?</td>", row[0] if row else "", re.DOTALL)
        text = re.sub(r"(\s|<[^>]+>)+", " ", cell[0] if cell else "").replace(" , ", ", ").strip()
        return f"{text} ❄" if cell and "data-frozen" in cell[0] else text

    return at


def test_what_runs_is_in_service(house, look):
    assert look() == "v1.4.2 in service 3 days ago"


def test_of_what_nothing_is_known_that_is_said(house, look):
    a_service("contacts")

    assert look("contacts") == "nothing known"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.AUTHORIZING, "CHG-1001 Authorizing"),
        (State.SCHEDULED, "CHG-1001 Scheduled"),
        (State.IMPLEMENTING, "Implementing CHG-1001"),
        (State.WATCHING, "Watching CHG-1001"),
    ],
)
def test_what_is_on_its_way_stands_beside_what_runs(house, look, state, words):
    a_change(house, at=state)

    assert words in look()


def test_a_draft_is_nobodys_business_yet(house, look):
    a_change(house, at=State.DRAFT)

    assert "in service" in look()


def test_what_is_in_quarantine_and_runs_comes_before_what_waits(house, look):
    a_change(house, at=State.AUTHORIZING)
    catalog.quarantine(actor=SETUP, artifact_id=house.running.pk, reason="It loses money", now=house.now)

    assert "quarantined It loses money" in look()


def test_a_freeze_hatches_the_place_and_an_open_window_elsewhere_does_not(house, look):
    assert not look().endswith("❄")
    calendar.set_window(
        kind=WindowKind.FREEZE,
        actor=house.actor("manager"),
        title="End of month",
        environment_id=house.environment.pk,
        starts_at=house.now - timedelta(hours=1),
        ends_at=house.now + timedelta(hours=1),
        now=house.now,
    )

    assert look().endswith("frozen ❄")


@pytest.mark.parametrize(("seen", "words"), [((90, 10), "in service"), ((9, 1), "in service"), ((86, 14), "drift 4")])
def test_drift_is_what_was_asked_and_confirmed_against_what_was_seen_since(house, look, seen, words):
    cluster = a_connection("mesh", ConnectionKind.KUBERNETES, origin="https://cluster.example.com", now=house.now)
    route = catalog.register_route(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        connection_id=cluster.pk,
        locator={"namespace": "bank", "name": "ledgerwriter", "route": "primary"},
        stable="stable",
        canary="canary",
        now=house.now,
    )
    weights = {"stable": 90, "canary": 10}
    asked = Asked(route.pk, weights, op_key="op-1", asked_by="Davi Nunes", before={"stable": 100, "canary": 0})
    with transaction.atomic(durable=True):
        ended = Ended(ShiftState.CONFIRMED, after=asked.weights)
        traffic.end(asked=asked, ended=ended, actor=SETUP, now=house.now)
    weights = dict(zip(("stable", "canary"), seen, strict=True))
    catalog.note_reading(route_id=route.pk, weights=weights, version="2", healthy=True, now=house.now)

    assert words in look()


def test_one_team_keeps_its_services_only(house, look):
    a_service("contacts", team=a_team("accounts"))
    ledger = f"?team={house.service.team.name}"

    assert look(query=ledger)
    assert look("contacts", query=ledger) == ""
    assert look("contacts", query="?team=accounts") == "nothing known"
    assert look(query="?team=accounts") == ""
    assert look(query="?team=nobody") == ""
    assert look("contacts") == "nothing known"
