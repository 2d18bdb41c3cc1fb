"""The page of the first steps, and the band that leads from one to the next."""

import pytest
from django.test import Client

from releases.accounts.models import Person, User
from releases.accounts.roles import Role
from releases.changes.states import State
from releases.setup.progress import STEPS
from releases.web.pages.first_run import STEPS_ABOUT, WAYS
from tests.factories.accounts import a_person
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change
from tests.factories.factors import an_app
from tests.factories.setup import the_first_owner

HERE = 'id="first-steps"'


@pytest.fixture
def olga(db, browse):
    """Return the browser of the first owner of an empty installation."""
    return browse(Person.objects.get(pk=the_first_owner().person_id))


def words(answer):
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_every_step_and_part_of_the_table_is_told():
    assert set(STEPS_ABOUT) == {step.name for step in STEPS}
    assert set(WAYS) == {part.name for step in STEPS for part in step.parts}


def test_an_owner_sees_all_steps_and_one_main_button(olga):
    page = words(olga.get("/start"))

    assert "10 steps to your first change" in page
    assert page.count('data-kind="main"') == 1
    assert page.index("Add a second factor") < page.index("Add a team")
    assert HERE not in page


@pytest.mark.parametrize("path", ["/", "/settings", "/settings/people", "/settings/people/add", "/profile"])
def test_the_band_leads_on_from_where_one_is(olga, path):
    an_app(User.objects.get(username="olga"))
    page = words(olga.get(path))

    assert HERE in page
    assert "First steps: 1 of 10 done." in page
    assert 'href="/settings/teams/add"' in page


def test_the_band_does_not_lead_to_the_page_it_stands_on(olga):
    an_app(User.objects.get(username="olga"))
    page = words(olga.get("/settings/teams/add"))

    assert HERE in page
    assert 'href="/settings/teams/add"' not in page


def test_a_step_of_somebody_else_says_why_and_whom_to_ask(olga, browse):
    engineer = a_person("Ana Reis", Role.ENGINEER)
    page = words(browse(engineer).get("/start"))

    assert "Ana Reis has no right to do this (edit people). First Owner can help." in page
    assert 'aria-disabled="true"' in page
    assert 'data-kind="main"' not in page
    assert "The next one is for somebody else." in words(browse(engineer).get("/"))


def test_a_step_that_waits_for_others_offers_nothing_to_press(olga):
    page = words(olga.get("/start"))

    assert "after 3, 4, 5, 7 and 9" in page
    assert "/changes/new" not in page


def test_the_form_of_a_person_begins_with_what_the_step_needs(olga):
    an_app(User.objects.get(username="olga"))
    olga.post("/settings/teams/add", {"name": "ledger"})
    band = words(olga.get("/settings/teams"))
    assert "/settings/people/add?roles=engineer&amp;with_password=on" in band

    asked = {"name": "Ana Reis", "username": "ana", "with_password": "on", "roles": ["engineer", "on_call"]}
    assert olga.post("/settings/people/add", asked).status_code == 200
    ana = Person.objects.get(name="Ana Reis")
    assert sorted(grant.role for grant in ana.grants.all()) == ["engineer", "on_call"]


def test_a_connection_that_is_there_is_tested_not_added_again(olga, tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)
    row = a_connection("ci")
    page = words(olga.get("/start"))

    assert "ci was not tested yet, or changed since." in page
    assert f'href="/settings/connections/{row.pk}">Look at it and test it' in page
    assert "Connect Jenkins" not in page


def test_nothing_of_it_is_seen_once_the_installation_is_in_use(house, browse):
    a_change(house, at=State.AUTHORIZING)
    owner = a_person("Olga Dias", Role.OWNER)

    assert HERE not in words(browse(owner).get("/"))
    assert "This installation is in use" in words(browse(owner).get("/start"))


def test_whoever_is_not_signed_in_is_asked_who_it_is(db):
    assert Client().get("/start").headers["Location"] == "/sign-in?next=%2Fstart"
