"""A passkey in a real browser: made in the profile, opening the house without a password, as second factor, again."""

import re
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.eyes import troubles
from tests.browser.seed import KEEPS_A_PASSKEY, PASSWORD

KEEPER = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def keeper(context: BrowserContext, page: Page) -> tuple[Any, str]:
    """Give the browser a keeper of passkeys that always finds the right finger."""
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": KEEPER})
    return devtools, made["authenticatorId"]


def test_a_passkey_is_made_and_opens_the_house_alone_and_as_second_factor(browser, site, keep):
    here = site.replace("127.0.0.1", "localhost")  # passkeys belong to names, never to numbers
    context = browser.new_context(base_url=here, locale="en-US")
    page = context.new_page()
    devtools, which = keeper(context, page)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)

    page.goto("/sign-in")
    page.locator("#username").fill(KEEPS_A_PASSKEY)
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{here}/")
    page.goto("/profile")
    expect(page.get_by_role("heading", level=1)).to_contain_text("no second factor yet")
    page.get_by_label("Name of a new passkey").fill("Work laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keep these recovery codes")
    assert page.locator("ol.recovery li").count() == 10
    assert list(troubles(page, keep, "recovery-codes")) == []
    page.get_by_role("link", name="I have them").click()
    expect(page.get_by_text("Passkey Work laptop")).to_be_visible()
    remove = page.get_by_role("button", name=re.compile("^Remove ?: Work laptop"))
    remove.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert list(troubles(page, keep, "remove-passkey")) == []
    page.keyboard.press("Escape")
    expect(remove).to_be_focused()
    assert list(troubles(page, keep, "profile-with-passkey")) == []

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/sign-in$"))
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{here}/")

    page.goto("/sign-in/again?next=/profile")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{here}/profile")

    page.get_by_role("button", name="Sign out").click()
    page.locator("#username").fill(KEEPS_A_PASSKEY)
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{here}/sign-in/second")
    assert list(troubles(page, keep, "second-factor")) == []
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{here}/")

    assert complaints == []
    page.get_by_role("button", name="Sign out").click()
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": which, "isUserVerified": False})
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing came from the keeper of your passkeys")
    context.close()
