"""Pages of the settings: the same doors for every section."""

import pytest

from releases.accounts.models import Person
from releases.accounts.roles import Role
from tests.factories.accounts import a_person


@pytest.fixture
def owner(house):
    return a_person("Olga Dias", Role.OWNER, username="olga")


def test_the_list_of_sections_leads_to_each(house, browse):
    page = browse(house.engineer).get("/settings").content.decode()

    assert 'href="/settings/people"' in page


def test_a_search_narrows_a_list(house, browse):
    page = browse(house.engineer).get("/settings/people", {"q": "HELENA"}).content.decode()

    assert "Helena Costa" in page
    assert "Bruno Lima" not in page


def test_who_may_not_edit_sees_the_button_and_whom_to_ask(house, owner, browse):
    page = browse(house.engineer).get("/settings/people").content.decode()

    assert 'aria-disabled="true"' in page
    assert "Olga Dias can help." in page


def test_an_owner_adds_a_person(house, owner, browse):
    answer = browse(owner).post("/settings/people/add", {"name": "Nina Prado", "email": "nina@example.com"})

    assert answer.status_code in {200, 302}
    assert Person.objects.filter(name="Nina Prado").exists()


def test_a_name_with_signs_that_nobody_sees_is_refused_and_what_was_typed_stays(house, owner, browse):
    answer = browse(owner).post("/settings/people/add", {"name": "Nina\u202e Prado", "email": "nina@example.com"})

    assert answer.status_code == 422
    assert 'id="name-error"' in answer.content.decode()
    assert 'value="nina@example.com"' in answer.content.decode()


def test_the_last_owner_stays_and_the_page_says_why(house, owner, browse):
    answer = browse(owner).post(f"/settings/people/{owner.pk}/deactivate")

    assert answer.status_code == 409
    assert "is the last owner" in answer.content.decode()
