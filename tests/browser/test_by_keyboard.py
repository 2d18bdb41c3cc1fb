"""The main ways without a mouse: sign in, file, vote. Going back stands in the journey, settings in their own test."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.keyboard import press, sign_in, write, write_moment
from tests.browser.seed import PASSWORD

DIGEST = "sha256:" + "cd" * 32


@pytest.fixture
def hands(browser: Browser, site: str) -> Iterator[Callable[[str], Page]]:
    """Return a function that gives a browser in which somebody signed in by keys."""
    opened = []

    def as_person(name: str) -> Page:
        page = browser.new_page(base_url=site)
        opened.append(page)
        sign_in(page, name, PASSWORD)
        return page

    yield as_person
    for page in opened:
        page.close()


def test_a_change_is_filed_and_approved_with_nothing_but_keys(hands):
    ana = hands("ana")
    ana.keyboard.press("c")
    ana.wait_for_url(re.compile("/changes/new$"))
    write(ana, ana.locator("#title"), "Refuse what was booked before")
    write(ana, ana.locator("#why"), "A retry books twice.")
    write(ana, ana.locator("#items-0-service"), "ledgerwriter")
    write(ana, ana.locator("#items-0-environment"), "production")
    write(ana, ana.locator("#items-0-version"), "v1.7.0")
    write(ana, ana.locator("#items-0-digest"), DIGEST)
    write(ana, ana.locator("#plan"), "Deploy, then shift.")
    write(ana, ana.locator("#tests_passed"), "12")
    start = datetime.now() + timedelta(days=5)  # noqa: DTZ005  # the field takes the reader's own clock
    write_moment(ana, ana.locator("#starts_at"), start)
    write_moment(ana, ana.locator("#ends_at"), start + timedelta(hours=1))
    ana.keyboard.press("Tab")
    expect(ana.locator("#ready [data-tone=stop]")).to_have_count(0)
    press(ana, ana.locator("#ready button[value=submit]"))
    ana.wait_for_url(re.compile(r"/changes/\d+$"))
    number = ana.url.rsplit("/", 1)[1]

    bruno = hands("bruno")
    mine = bruno.locator("#decide-sheet li", has_text=f"CHG-{number}")
    press(bruno, mine.get_by_role("link", name=f"CHG-{number}"))
    bruno.wait_for_url(f"**/changes/{number}**")
    press(bruno, bruno.get_by_role("button", name="Approve as Engineering"))

    expect(bruno.locator("#decision-sheet")).to_contain_text("1 of 2 needed has approved.")


def test_changes_are_requested_with_a_reason_with_nothing_but_keys(hands):
    helena = hands("helena")
    helena.keyboard.press("g")
    helena.keyboard.press("c")
    helena.wait_for_url("**/changes")
    press(helena, helena.locator("main").get_by_role("link", name=re.compile("CHG-1003")))
    helena.wait_for_url("**/changes/1003")
    press(helena, helena.get_by_role("button", name="Request changes"))
    expect(helena.locator("#reason")).to_be_focused()

    press(helena, helena.get_by_role("button", name="Abstain"))
    expect(helena.locator("#decision-sheet")).to_contain_text("Helena Costa")
