"""What the pages answer to who is not allowed, to what is not there, and to what is hostile."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from releases.accounts.models import User
from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.changes.states import State
from tests.factories.changes import a_change, approve
from tests.factories.factors import an_app

UNSAFE = (
    "/changes/1001/vote",
    "/changes/1001/do/cancel",
    "/today/1001/approve",
    "/live/1001/go-back",
    "/changes/new/check",
)
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7|add:7 }}{% now 'Y' %}",
    '<div hx-post="/changes/1/vote" hx-trigger="load">',
    "javascript:alert(1)",
)


@pytest.mark.parametrize("path", ["/", "/changes", "/changes/new", "/gate", "/live", "/catalog"])
def test_a_stranger_is_sent_to_the_door_and_back_afterwards(db, path):
    answer = Client().get(path)

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/sign-in?next=")


def test_a_part_of_a_page_sends_a_stranger_to_the_door_by_htmx(db):
    answer = Client().get("/changes", headers={"HX-Request": "true"})

    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in")


@pytest.mark.parametrize("path", UNSAFE)
def test_what_changes_something_is_never_a_link(house, browse, path):
    assert browse(house.engineer).get(path).status_code == 405


@pytest.mark.parametrize("path", UNSAFE)
def test_a_form_of_another_site_is_refused(house, browse, path):
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = browse(house.engineer).cookies

    assert browser.post(path).status_code == 403


@pytest.mark.parametrize(("path", "status"), [("/changes/9999", 404), ("/nothing", 404), ("/catalog/nothing", 404)])
def test_what_is_not_there_is_said(house, browse, path, status):
    answer = browse(house.engineer).get(path)

    assert answer.status_code == status
    assert "GMUD" in answer.content.decode()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_people_write_is_printed_as_text(house, browse, payload):
    change = a_change(house, at=State.AUTHORIZING, title=payload[:150], why=payload, plan=payload)
    browser = browse(house.security)

    for path in ("/", "/changes", f"/changes/{change.number}"):
        text = browser.get(path).content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert '<div hx-post="/changes/1/vote"' not in text
        assert 'href="javascript:' not in text


def test_a_vote_on_high_risk_asks_for_a_fresh_sign_in_where_the_policy_does(house, browse, now):
    change = a_change(house, at=State.AUTHORIZING)
    change.round.fresh_sign_in_minutes = 5
    change.round.save()

    stale = browse(house.security, signed_in_at=now - timedelta(minutes=6)).get(f"/changes/{change.number}")
    fresh = browse(house.security).get(f"/changes/{change.number}")

    assert f"/sign-in/again?next=%2Fchanges%2F{change.number}" in stale.content.decode()
    assert "Approve as Security" in fresh.content.decode()


def test_a_vote_asks_for_a_second_factor_where_the_policy_does(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    change.round.second_factor = True
    change.round.save()
    without = browse(house.security)
    page = without.get(f"/changes/{change.number}").content.decode()
    assert "The policy asks for a sign-in with a second factor before this vote." in page
    assert 'href="/profile">Add a second factor' in " ".join(page.split())
    answer = without.post(
        f"/changes/{change.number}/vote", {"decision": "approve", "seen_digest": change.content_digest}
    )
    assert answer.status_code == 403

    an_app(User.objects.get(person=house.security))
    assert (
        f"/sign-in/again?next=%2Fchanges%2F{change.number}" in without.get(f"/changes/{change.number}").content.decode()
    )
    session = without.session
    session["methods"] = ["password", "totp"]
    session.save()
    assert "Approve as Security" in without.get(f"/changes/{change.number}").content.decode()


def test_who_asked_reads_why_they_cannot_vote(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    text = browse(house.engineer).get(f"/changes/{change.number}?part=decision").content.decode()

    assert "You asked for this change, so you cannot vote on it." in text
    assert "Bruno Lima" in text
    assert 'value="approve"' not in text


def test_approving_in_the_inbox_takes_it_out_of_the_inbox(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    answer = browse(house.security).post(
        f"/today/{change.number}/approve", {"seen_digest": change.content_digest}, headers={"HX-Request": "true"}
    )

    assert answer.status_code == 200
    assert "Your approval of" in answer.content.decode()
    assert change.title not in answer.content.decode()


def test_a_vote_on_another_content_is_409_and_shows_the_panel_again(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    answer = browse(house.security).post(
        f"/changes/{change.number}/vote",
        {"decision": "approve", "seen_digest": "sha256:" + "0" * 64},
        headers={"HX-Request": "true"},
    )

    assert answer.status_code == 409
    assert "This moved while you looked" in answer.content.decode()
    assert "0 of 2" in answer.content.decode()


def test_an_unknown_answer_to_a_vote_is_refused_in_words(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    answer = browse(house.security).post(f"/changes/{change.number}/vote", {"decision": "maybe", "seen_digest": "x"})

    assert answer.status_code == 422


def test_a_change_may_not_be_canceled_by_who_only_votes(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    answer = browse(house.security).post(f"/changes/{change.number}/do/cancel", {"reason": "no"})

    change.refresh_from_db()
    assert (answer.status_code, change.state) == (403, State.AUTHORIZING)


def test_the_list_costs_the_same_number_of_queries_however_long_it_is(house, browse):
    browser = browse(house.engineer)
    a_change(house)
    with CaptureQueriesContext(
        connection,
    ) as few:
        browser.get("/changes")
    for _ in range(4):
        a_change(house)
    with CaptureQueriesContext(connection) as many:
        browser.get("/changes")

    assert len(many) == len(few)


def test_a_change_that_was_authorized_says_so(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    approve(house, change, "engineering")
    approve(house, change, "security")

    text = browse(house.engineer).get(f"/changes/{change.number}").content.decode()

    assert "Authorized: 2 of 2 approved." in text
    assert "Start the rollout" in text


@pytest.mark.parametrize(
    ("hours", "says"),
    [((0, 2), "The gate opens"), ((0, 9), "The gate will refuse."), ((2, 9), "The gate will refuse.")],
    ids=["over the beginning", "over all of it", "over the end"],
)
def test_who_chooses_a_window_reads_of_the_freeze_that_lies_over_it(house, browse, hours, says):
    calendar.set_window(
        kind=WindowKind.FREEZE,
        actor=house.actor("manager"),
        environment_id=house.environment.pk,
        title="End of month",
        starts_at=house.now + timedelta(hours=hours[0]),
        ends_at=house.now + timedelta(hours=hours[1]),
        now=house.now,
    )
    change = a_change(house)  # from the first to the third hour

    text = browse(house.engineer).get(f"/changes/{change.number}/edit").content.decode()

    assert "End of month" in text
    assert says in text


@pytest.mark.parametrize("path", ["/settings/people/%00", "/settings/roles/a%00b/give", "/changes?q=%00"])
def test_a_sign_that_no_text_may_hold_is_refused_before_a_page_looks(house, browse, path):
    assert browse(house.engineer).get(path).status_code == 400
