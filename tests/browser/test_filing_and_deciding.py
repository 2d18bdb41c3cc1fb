"""A change is filed in the browser, checked while typing, decided by two other people."""

import re
from datetime import datetime, timedelta

from playwright.sync_api import expect

DIGEST = "sha256:" + "ab" * 32


def test_the_checklist_follows_the_typing_and_the_change_is_handed_in(sign_in, keep):
    page = sign_in("ana")
    page.goto("/changes/new")
    expect(page.locator("#ready")).to_contain_text("Give the change a title.")

    page.locator("#title").fill("Refuse a transfer that was booked before")
    page.locator("#why").fill("A retry after a time-out books twice.")
    expect(page.locator("#ready")).not_to_contain_text("Give the change a title.")

    page.locator("#items-0-service").select_option("ledgerwriter")
    page.locator("#items-0-environment").select_option("production")
    page.locator("#items-0-version").fill("v1.6.0")
    page.locator("#items-0-digest").fill(DIGEST)
    expect(page.locator("#backs")).to_contain_text("back to v1.5.0")
    expect(page.locator("#reach")).to_contain_text("frontend")
    expect(page.locator("#ready")).to_contain_text("Helena Costa")
    assert page.locator("#title").input_value() == "Refuse a transfer that was booked before"

    page.locator("#plan").fill("1. Deploy. 2. Shift.")
    page.locator("#tests_passed").fill("12")
    start = datetime.now() + timedelta(days=3)  # noqa: DTZ005  # the field takes the reader's own clock
    page.locator("#starts_at").fill(start.strftime("%Y-%m-%dT%H:%M"))
    page.locator("#ends_at").fill((start + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M"))
    keep(page, "new-filled")
    page.locator("#ready button[value=submit]").click()

    page.wait_for_url(re.compile(r"/changes/\d+$"))
    expect(page.locator("#head")).to_contain_text("Authorizing")
    expect(page.locator("#decision-sheet")).to_contain_text("You asked for this change, so you cannot vote on it.")
    number = page.url.rsplit("/", 1)[1]

    for name in ("bruno", "helena"):
        voter = sign_in(name)
        voter.goto(f"/changes/{number}")
        voter.get_by_role("button", name=re.compile("^Approve as")).click()
        expect(voter.locator("#decision-sheet")).to_contain_text(re.compile("1 of 2|Authorized: 2 of 2"))
    page.reload()
    expect(page.locator("#head")).to_contain_text("Scheduled")
    keep(page, "scheduled-after-votes")


def test_a_tag_instead_of_a_digest_is_said_at_the_field(sign_in):
    page = sign_in("ana")
    page.goto("/changes/new")
    page.locator("#title").fill("By tag")
    page.locator("#items-0-service").select_option("frontend")
    page.locator("#items-0-environment").select_option("production")
    page.locator("#items-0-version").fill("v2")
    page.locator("#items-0-digest").fill("latest")
    page.locator("#ready button[value=save]").click()

    expect(page.locator("#items-0-digest-error")).to_contain_text("sha256:")
    expect(page.locator("#items-0-digest")).to_have_value("latest")


def test_requesting_changes_needs_a_reason(sign_in):
    page = sign_in("bruno")
    page.goto("/changes/1003")
    page.get_by_role("button", name="Request changes").click()

    expect(page.locator("#reason-error")).to_be_visible()
    expect(page.locator("#reason")).to_be_focused()


def test_a_vote_on_what_was_edited_meanwhile_shows_the_difference(sign_in):
    voter, author = sign_in("bruno"), sign_in("ana")
    author.goto("/changes/1004/edit")
    voter.goto("/changes/1004")
    author.locator("#title").fill("Twice as many database connections")
    author.locator("#ready button[value=submit]").click()
    author.wait_for_url(re.compile(r"/changes/1004$"))
    voter.get_by_role("button", name=re.compile("^Approve as")).click()

    expect(voter.locator("#decision-sheet")).to_contain_text("This moved while you looked")
    expect(voter.locator("#decision-sheet")).to_contain_text("Twice as many database connections")
    expect(voter.locator("#decision-sheet")).to_contain_text("0 of 2")
