import pytest

from releases.changes.states import State
from tests.factories.changes import a_change

STATES = (State.DRAFT, State.AUTHORIZING, State.SCHEDULED, State.IMPLEMENTING, State.WATCHING, State.REVIEWING)


@pytest.mark.parametrize(
    "path", ["/", "/board", "/audit", "/changes", "/changes/new", "/gate", "/live", "/catalog", "/catalog/ledgerwriter"]
)
@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_every_page_answers_in_both_languages(house, browse, path, language):
    a_change(house, at=State.AUTHORIZING)

    answer = browse(house.security).get(path, headers={"Accept-Language": language})

    assert answer.status_code == (403 if path in {"/audit", "/changes/new"} else 200)
    assert f'<html lang="{"pt-BR" if language == "pt-br" else "en"}">' in answer.content.decode()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("who", ["engineer", "security", "manager", "on_call"])
def test_a_change_answers_in_every_state_to_everybody(house, browse, state, who):
    change = a_change(house, at=state)
    browser = browse(getattr(house, who))

    whole = browser.get(f"/changes/{change.number}")
    parts = [
        browser.get(f"/changes/{change.number}?part={name}") for name in ("decision", "gate", "acts", "story", "head")
    ]

    assert whole.status_code == 200
    assert change.title in whole.content.decode()
    assert [part.status_code for part in parts] == [200] * 5


@pytest.mark.parametrize("number", ["9" * 4500, "9999999999", "x", ""])
def test_looking_at_a_form_whose_number_is_none_looks_at_a_new_change(house, browse, number):
    answer = browse(house.engineer).post("/changes/new/check", {"number": number})

    assert answer.status_code == 200
