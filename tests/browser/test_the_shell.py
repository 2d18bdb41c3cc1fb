"""What stands around every page: languages, themes, keys, the way out, and what script cannot do."""

import re

from playwright.sync_api import expect


def test_the_language_is_switched_on_the_page_and_stays(sign_in):
    page = sign_in("ana")
    page.get_by_role("button", name="Português").click()

    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.goto("/changes")
    expect(page.get_by_role("heading", level=1)).to_have_text("Mudanças")


def test_the_theme_is_switched_on_the_page_and_stays(sign_in):
    page = sign_in("ana")
    page.get_by_role("button", name="Dark").click()
    page.goto("/changes")

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


def test_the_keyboard_goes_everywhere(sign_in):
    page = sign_in("ana")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url(re.compile(r"/changes$"))
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.wait_for_url(re.compile(r"/changes/new$"))


def test_the_menu_opens_on_a_phone(sign_in):
    page = sign_in("ana", size="phone")
    expect(page.get_by_role("link", name="Gate log")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Gate log").click()

    page.wait_for_url(re.compile(r"/gate$"))


def test_nothing_inline_runs_and_nothing_foreign_loads(sign_in):
    page = sign_in("helena")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto("/changes/1006")

    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert {url.split("/")[2] for url in asked} == {page.url.split("/")[2]}
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")


def test_signing_out_leaves_nothing_open(sign_in):
    page = sign_in("ana")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile(r"/sign-in$"))
    page.goto("/changes")

    page.wait_for_url(re.compile(r"/sign-in\?next="))


def test_a_wrong_password_is_said_and_the_field_is_marked(browser, site):
    page = browser.new_page(base_url=site)
    page.goto("/sign-in")
    page.locator("#username").fill("ana")
    page.locator("#password").fill("not this")
    page.locator("form[aria-labelledby=sign-in] button[type=submit]").click()

    expect(page.get_by_role("alert")).to_have_text("User name and password do not belong together. Try again.")
    expect(page.locator("#username")).to_have_attribute("aria-invalid", "true")


def test_what_changes_by_itself_leaves_the_focus_where_it_was(sign_in):
    page = sign_in("davi")
    page.route("**/live/1008?part=live", lambda route: route.continue_(headers=_asking_anew(route.request.headers)))
    page.goto("/live/1008")
    page.get_by_role("button", name=re.compile("Go back to")).first.focus()
    page.evaluate("document.activeElement.dataset.old = ''")

    expect(page.locator("[data-old]")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("Go back to")).first).to_be_focused()


def test_of_two_presses_with_the_same_words_the_focus_stays_on_the_same_one(sign_in):
    page = sign_in("davi")
    retry = page.get_by_role("button", name="Retry this step")

    def with_a_twin(route):
        answer = route.fetch(headers=_asking_anew(route.request.headers))
        twin = '<form action="/another"><button type="submit">Retry this step</button></form>'
        route.fulfill(response=answer, body=answer.text().replace("<h1", f"{twin}<h1", 1))

    page.route("**/live/1009?part=live", with_a_twin)
    page.goto("/live/1009")
    there = retry.locator("xpath=..").get_attribute("action")
    retry.focus()

    expect(retry).to_have_count(2, timeout=60_000)
    expect(page.locator(f"form[action='{there}'] button")).to_be_focused()


def _asking_anew(headers):
    return {name: value for name, value in headers.items() if name != "if-none-match"}
