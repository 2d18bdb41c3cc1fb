"""Each type of change is filed on the New change page, and what is answered fits the type."""

from datetime import timedelta

import pytest
from django.utils import timezone

from releases.changes.models import ChangeRequest, Review
from releases.changes.states import State
from releases.web.pages.new import INPUT_MOMENT
from tests.factories.catalog import a_digest

HANDED_IN = {
    "normal": (State.AUTHORIZING, "Those who decide see it in their inbox."),
    "emergency": (State.AUTHORIZING, "Those who decide see it in their inbox."),
    "standard": (State.SCHEDULED, "The policy pre-approves it: it is scheduled."),
    "retroactive": (State.REVIEWING, "It is reported. The review is open."),
}
NOT_KNOWN = {"plan": "", "tests_passed": "", "tests_failed": ""}


def a_form(house, **changed):
    """Return what the browser posts for a complete request."""
    starts = timezone.localtime(house.now + timedelta(hours=1))
    return {
        "title": "Transfers that cannot be booked twice",
        "why": "31 customers were refunded by hand last month.",
        "type": "normal",
        "plan": "1. Deploy. 2. Shift 10 %, then all.",
        "tests_passed": "214",
        "tests_failed": "0",
        "starts_at": starts.strftime(INPUT_MOMENT),
        "ends_at": (starts + timedelta(hours=2)).strftime(INPUT_MOMENT),
        "items-0-service": house.service.name,
        "items-0-environment": "production",
        "items-0-version": "v1.5.0",
        "items-0-digest": a_digest(),
        **changed,
    }


@pytest.mark.parametrize("type_", HANDED_IN)
def test_a_change_of_each_type_is_filed_and_submitted_from_the_page(house, browse, type_):
    browser = browse(house.engineer)
    form = a_form(house, type=type_)
    assert f'value="{type_}"' in browser.get("/changes/new").content.decode()

    saved = browser.post("/changes/new", {**form, "then": "submit"})
    assert saved.status_code == 307
    answer = browser.post(saved.headers["Location"], form, follow=True)

    state, said = HANDED_IN[type_]
    change = ChangeRequest.objects.get()
    assert (change.type, change.state) == (type_, state)
    assert said in answer.content.decode()


@pytest.mark.parametrize("type_", HANDED_IN)
def test_a_saved_draft_of_each_type_is_submitted_by_the_button_of_its_page(house, browse, type_):
    browser = browse(house.engineer)
    browser.post("/changes/new", {**a_form(house, type=type_), "then": "save"})
    change = ChangeRequest.objects.get()
    verb = {"normal": "submit", "retroactive": "report"}.get(type_, f"submit_{type_}")
    page, door = f"/changes/{change.number}", f"/changes/{change.number}/do/{verb}"
    assert f'action="{door}"' in browser.get(page).content.decode()

    answer = browser.post(door, follow=True)

    change.refresh_from_db()
    assert change.state == HANDED_IN[type_][0]
    assert HANDED_IN[type_][1] in answer.content.decode()


def test_what_ran_already_needs_only_what_and_why_and_asks_nobody(house, browse):
    yesterday = timezone.localtime(house.now - timedelta(days=1))
    form = a_form(
        house,
        type="retroactive",
        starts_at=yesterday.strftime(INPUT_MOMENT),
        ends_at=(yesterday + timedelta(hours=1)).strftime(INPUT_MOMENT),
        **NOT_KNOWN,
    )
    browser = browse(house.engineer)

    checked = browser.post("/changes/new/check", form).content.decode()
    saved = browser.post("/changes/new", {**form, "then": "submit"})
    browser.post(saved.headers["Location"], form)

    assert "3 of 3" in checked
    assert "Nobody: it ran already. What follows is its review." in checked
    assert "Write the plan" not in checked
    change = ChangeRequest.objects.get()
    assert (change.state, Review.objects.get(change=change).written_at) == (State.REVIEWING, None)


def test_the_same_form_of_any_other_type_says_what_is_missing(house, browse):
    checked = browse(house.engineer).post("/changes/new/check", a_form(house, **NOT_KNOWN)).content.decode()

    assert "Write the plan: the steps, in order." in checked
    assert "2 things are missing." in checked


def test_the_type_is_offered_in_both_languages(house, browse):
    browser = browse(house.engineer)

    english = browser.get("/changes/new", headers={"Accept-Language": "en"}).content.decode()
    portuguese = browser.get("/changes/new", headers={"Accept-Language": "pt-br"}).content.decode()

    assert "Retroactive reports what ran without approval: its review opens at once." in english
    assert "Retroativa" in portuguese
    assert "Retroactive reports" not in portuguese
