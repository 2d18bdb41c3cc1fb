"""The way in and the profile as people see them, with a second factor: accessible in every look, by keyboard alone."""

import re
from datetime import UTC, datetime

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.browser.eyes import LOOKS, SIZES, objections
from tests.browser.seed import PASSWORD


def code_of(secret: str) -> str:
    """Return what an authenticator app shows now."""
    return format_hotp_value(hotp_value(secret, int(datetime.now(UTC).timestamp()) // 30))


def type_password(page: Page, password: str = PASSWORD) -> None:
    page.goto("/sign-in")
    expect(page.locator("#username")).to_be_focused()
    page.keyboard.type("tomas")
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


@pytest.mark.parametrize(("size", "theme", "language"), LOOKS)
def test_a_second_factor_is_added_used_and_removed(browser, site, keep, size, theme, language):
    context = browser.new_context(
        base_url=site, viewport=SIZES[size], color_scheme=theme, locale=language, has_touch=size == "phone"
    )
    page = context.new_page()
    found: dict[str, list[object]] = {}

    def seen(name: str) -> None:
        keep(page, f"{name}-{size}-{theme}-{language}")
        if wrong := list(objections(page)):
            found[name] = wrong

    type_password(page, "not this one")
    expect(page.locator("#password")).to_have_attribute("aria-invalid", "true")
    seen("sign-in-refused")
    type_password(page)
    page.wait_for_url(f"{site}/")
    page.goto("/profile")
    page.locator("form[action='/profile/app/new'] button").press("Enter")
    expect(page.locator(".qr svg")).to_be_visible()
    seen("app")
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.locator("#code").fill(code_of(secret))
    page.keyboard.press("Enter")
    expect(page.locator("ol.recovery li")).to_have_count(10)
    seen("codes")
    codes = page.locator("ol.recovery code").all_inner_texts()
    page.goto("/profile")
    seen("profile-guarded")

    context.clear_cookies()
    type_password(page)
    page.wait_for_url(re.compile("/sign-in/second$"))
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    seen("second-refused")
    page.locator("#code").fill(codes[0])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/")
    page.goto("/profile")
    page.locator("[data-open=remove-app]").press("Enter")
    expect(page.locator("dialog#remove-app")).to_be_visible()
    seen("remove")
    page.locator("dialog#remove-app [data-kind=stop]").press("Enter")
    expect(page.locator("form[action='/profile/app/new']")).to_be_visible()
    page.goto("/sign-in/again")
    seen("again")
    context.close()

    assert found == {}
