"""Another change takes the place of one that has not begun; the button comes from the table of moves."""

import pytest

from releases.changes.states import State
from tests.factories.catalog import a_digest
from tests.factories.changes import ItemDraft, a_change

pytestmark = pytest.mark.slow


@pytest.fixture
def two(house):
    """Return a change and the one that is to take its place."""
    later = (ItemDraft(house.service.name, house.environment.name, "v1.6.0", a_digest()),)
    return a_change(house, at=State.SCHEDULED), a_change(house, at=State.DRAFT, items=later)


@pytest.mark.parametrize("typed", ["CHG-{0}", " {0} ", "chg-{0}"])
def test_the_other_change_is_named_by_its_number_and_both_pages_say_so(house, two, browse, typed):
    old, new = two
    browser = browse(house.engineer)
    assert 'name="successor"' in browser.get(f"/changes/{old.number}").content.decode()

    answer = browser.post(f"/changes/{old.number}/do/supersede", {"successor": typed.format(new.number)}, follow=True)

    text = answer.content.decode()
    old.refresh_from_db()
    assert (old.state, old.superseded_by) == (State.SUPERSEDED, new)
    assert "The other change took its place." in text
    assert f'href="/changes/{new.number}"' in text
    assert f"Ana Reis put {new.name} in its place." in text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Name the other change by its number, like CHG-1042."),
        ("the new one", "Name the other change by its number, like CHG-1042."),
        ("9" * 40, "Name the other change by its number, like CHG-1042."),
        ("999999", "There is no other change CHG-999999."),
    ],
)
def test_what_names_no_other_change_is_said_and_changes_nothing(house, two, browse, typed, said):
    old, _new = two

    answer = browse(house.engineer).post(f"/changes/{old.number}/do/supersede", {"successor": typed})

    old.refresh_from_db()
    assert (answer.status_code, old.state) == (400, State.SCHEDULED)
    assert said in answer.content.decode()


def test_a_change_cannot_take_its_own_place(house, two, browse):
    old, _new = two

    answer = browse(house.engineer).post(f"/changes/{old.number}/do/supersede", {"successor": str(old.number)})

    assert answer.status_code == 400


def test_what_has_begun_offers_no_such_button(house, browse):
    change = a_change(house, at=State.IMPLEMENTING)

    assert 'name="successor"' not in browse(house.engineer).get(f"/changes/{change.number}").content.decode()
