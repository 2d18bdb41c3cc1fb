"""By the sign-in provider's button: there, and back to where somebody wanted to go; or refused, with another way in."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.eyes import Keep, troubles
from tests.browser.seed import PASSWORD, SUBJECT
from tests.browser.site import UNKNOWN, Site

DEEP = "/changes?state=closed&q=login"


@pytest.fixture
def page(browser: Browser, open_site: Site) -> Iterator[Page]:
    """Return a browser of somebody who opened an address that asks who they are; its console stays empty."""
    complaints: list[str] = []
    page = browser.new_page(base_url=open_site.address, locale="en-US")
    page.context.route(re.compile("^https:"), lambda route: route.abort())  # the provider's page would dress up there
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    page.goto(DEEP)
    page.wait_for_url("**/sign-in?next=*")
    yield page
    page.close()
    assert complaints == []


def leave(page: Page, site: Site, word: str) -> None:
    """Press the button, and arrive at the provider."""
    page.get_by_role("button", name=word).click()
    page.wait_for_url(f"{site.environment['GMUD_OIDC_ISSUER']}/**")


def test_who_signs_in_there_lands_where_they_wanted_to_go_in_their_language(
    page: Page, open_site: Site, keep: Keep
) -> None:
    page.get_by_role("button", name="Português").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Entrar")
    assert list(troubles(page, keep, "sign-in")) == []
    leave(page, open_site, "Entrar com Keycloak")
    page.get_by_role("button", name=SUBJECT).click()
    page.wait_for_url(f"{open_site.address}{DEEP}")

    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    expect(page.get_by_role("heading", level=1)).to_have_text("Mudanças")
    expect(page.locator("nav .person")).to_have_text("Rita Alves")
    page.goto("/profile")
    expect(page.locator("#main")).to_contain_text(SUBJECT)
    assert list(troubles(page, keep, "profile-by-provider")) == []


def test_who_says_no_there_reads_so_and_still_gets_where_they_wanted_to_go(
    page: Page, open_site: Site, keep: Keep
) -> None:
    leave(page, open_site, "Sign in with Keycloak")
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url(f"{open_site.address}/sign-in/provider/back**")

    expect(page.get_by_role("alert")).to_contain_text("The sign-in at the provider did not come to an end")
    assert list(troubles(page, keep, "sign-in-denied")) == []
    page.locator("#username").fill("tomas")
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{open_site.address}{DEEP}")


def test_whom_nobody_here_knows_is_told_whom_to_ask_and_is_not_let_in(page: Page, open_site: Site) -> None:
    leave(page, open_site, "Sign in with Keycloak")
    page.get_by_role("button", name=UNKNOWN["sub"]).click()
    page.wait_for_url(f"{open_site.address}/sign-in/provider/back**")

    expect(page.get_by_role("alert")).to_contain_text("Ask an owner to link your account here to the subject eve-9.")
    page.goto("/profile")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
