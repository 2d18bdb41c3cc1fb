"""Somebody without a mouse: goes with the Tab key, types, chooses by letters, presses Enter."""

from datetime import datetime

from playwright.sync_api import Locator, Page, expect

MOST = 120  # further than that nobody goes with the Tab key


def tab_to(page: Page, target: Locator) -> None:
    """Go there with the Tab key."""
    expect(target).to_be_visible()
    for _ in range(MOST):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reached {target}")


def press(page: Page, target: Locator) -> None:
    """Go there with the Tab key and press Enter."""
    tab_to(page, target)
    page.keyboard.press("Enter")


def write(page: Page, target: Locator, text: str) -> None:
    """Go there and type; in a list of choices that chooses what begins so."""
    tab_to(page, target)
    page.keyboard.type(text)


def write_moment(page: Page, target: Locator, at: datetime) -> None:
    """Go to a field of day and hour and type them, part by part."""
    tab_to(page, target)
    page.keyboard.type(f"{at:%m%d%Y}")
    page.keyboard.press("ArrowRight")
    page.keyboard.type(f"{at:%I%M%p}")


def sign_in(page: Page, username: str, password: str) -> None:
    """Sign in with nothing but keys."""
    page.goto("/sign-in")
    expect(page.locator("#username")).to_be_focused()
    page.keyboard.type(username)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")


def prove_again(page: Page, password: str) -> None:
    """Prove once more who it is, so that what weighs a lot is not refused; come back to the same page."""
    here = page.url.partition("://")[2].partition("/")[2]
    page.goto(f"/sign-in/again?next=/{here}")
    expect(page.locator("#password")).to_be_focused()
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{here}")
