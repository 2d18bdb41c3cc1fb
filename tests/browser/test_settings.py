"""An owner sets up people and machines by keyboard, in the browser."""

import re

from playwright.sync_api import expect

from tests.browser.keyboard import press, prove_again, tab_to, write
from tests.browser.seed import PASSWORD


def test_an_owner_adds_somebody_gives_them_a_role_and_ends_their_access_with_the_keyboard(sign_in):
    page = sign_in("olga")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url(re.compile(r"/settings$"))
    press(page, page.locator("main").get_by_role("link", name="People", exact=True))
    press(page, page.get_by_role("link", name="Add a person"))
    page.wait_for_url(re.compile(r"/settings/people/add$"))
    prove_again(page, PASSWORD)  # whoever is slow on the way here is asked who they are

    press(page, page.get_by_role("button", name="Add a person"))
    expect(page.locator("#name")).to_be_focused()  # nothing was typed: there is the first thing to mend
    expect(page.locator("#name-error")).to_be_visible()
    page.keyboard.type("Nina Prado")
    write(page, page.locator("#username"), "nina.prado")
    tab_to(page, page.get_by_label("Make a password"))
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    secret = page.locator("#secret").inner_text()
    assert re.fullmatch(r"([a-z2-9]{5}-){4}[a-z2-9]{5}", secret)
    press(page, page.get_by_role("link", name="I have it"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nina Prado")
    assert secret not in page.content()

    press(page, page.get_by_role("link", name="Give a role"))
    write(page, page.locator("#role"), "auditor")
    press(page, page.get_by_role("button", name="Give a role"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Nina Prado, auditor")

    prove_again(page, PASSWORD)
    press(page, page.get_by_role("link", name="End the access"))
    press(page, page.get_by_role("button", name="End the access"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Nina Prado left")
    expect(page.locator(".story li").first).to_contain_text("Olga Dias ended the access of Nina Prado.")


def test_a_token_is_shown_in_the_answer_and_not_by_going_back(sign_in):
    page = sign_in("olga")
    page.goto("/settings/machines/add")
    page.locator("#name").fill("Spinnaker")
    page.get_by_label("ask the gate").check()
    page.get_by_role("button", name="Issue a token").click()

    token = page.locator("#secret").inner_text()
    assert re.fullmatch(r"gmud_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", token)
    assert token not in page.url
    page.get_by_role("link", name="I have it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Spinnaker may ask the gate until")
    assert token not in page.content()
