"""The main way without a mouse: file, vote, advance, go back. Settings and policies have tests of their own."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from gmud.demo import story
from tests.browser.eyes import SIZES, Keep, troubles
from tests.browser.house import House, digest, until
from tests.browser.keyboard import press, sign_in, tab_to, write, write_moment
from tests.browser.seed import PASSWORD
from tests.browser.test_journey import HERE, MINUTE, cancel_what_the_demo_booked, the_page_says

SERVICE, VERSION, BACK = "frontend", "v0.7.0", story.RUNNING
Hands = Callable[..., Page]


@pytest.fixture
def hands(browser: Browser) -> Iterator[Hands]:
    """Return a function that gives a browser in which somebody signed in by keys."""
    opened = []

    def as_person(address: str, name: str, password: str, *, size: str = "wide", language: str = "en-US") -> Page:
        page = browser.new_page(
            base_url=address, viewport=SIZES[size], locale=language, timezone_id=str(HERE), has_touch=size == "phone"
        )
        opened.append(page)
        sign_in(page, name, password)
        return page

    yield as_person
    for page in opened:
        page.close()


def test_a_change_is_filed_voted_on_advanced_and_taken_back_with_nothing_but_keys(
    house: House, hands: Hands, keep: Keep
) -> None:
    ana, bruno, helena, davi = (
        hands(house.address, name, house.password(name)) for name in ("ana", "bruno", "helena", "davi")
    )
    nothing_judges(house, hands)
    cancel_what_the_demo_booked(ana, story.AT_OTHERS["kong"])
    number = file(ana)
    bruno.keyboard.press("g")
    bruno.keyboard.press("t")
    expect(bruno.locator("#decide-sheet")).to_contain_text(f"CHG-{number}")
    press(bruno, bruno.locator("#decide-sheet").get_by_role("link", name=f"CHG-{number}"))
    bruno.wait_for_url(f"**/changes/{number}**")
    press(bruno, bruno.get_by_role("button", name="Approve as Engineering"))
    expect(bruno.locator("#decision-sheet")).to_contain_text("1 of 2 needed has approved.")
    helena.keyboard.press("g")
    helena.keyboard.press("c")
    helena.wait_for_url("**/changes")
    press(helena, helena.locator("main").get_by_role("link", name=re.compile(f"CHG-{number}")).first)
    helena.wait_for_url(f"**/changes/{number}")
    press(helena, helena.get_by_role("button", name="Approve as Security"))
    expect(helena.locator("#decision-sheet")).to_contain_text("Authorized: 2 of 2 approved.")
    until(lambda: the_page_says(ana) == "allow", seconds=150)

    press(ana, ana.get_by_role("button", name="Start the rollout"))
    ana.wait_for_url(f"**/live/{number}")
    advance = ana.get_by_role("button", name="Advance now")
    expect(advance).to_be_visible(timeout=MINUTE)
    the_figures_are_those_of_the_cluster(house, (ana, helena), number, 10)
    wrong = [*troubles(ana, keep, "live-waits-for-a-person"), *troubles(helena, keep, "change-waits-for-a-person")]
    davi.goto(f"/live/{number}")
    wrong += look_at_the_dialog(davi, keep)
    watcher = hands(house.address, "davi", house.password("davi"), size="phone", language="pt-BR")
    watcher.goto(f"/live/{number}")
    wrong += troubles(watcher, keep, "live-waits-for-a-person-pt")

    tab_to(ana, advance)
    ana.keyboard.press("Space")
    expect(ana.locator("#live h1")).to_contain_text(f"{VERSION} serves everybody", timeout=MINUTE)
    the_figures_are_those_of_the_cluster(house, (ana, helena), number, 100)
    wrong += troubles(ana, keep, "live-serves-everybody")

    tab_to(davi, davi.get_by_role("button", name=f"Go back to {BACK}"))
    davi.keyboard.press("Space")
    davi.keyboard.press("Enter")
    expect(davi.locator("#live h1")).to_contain_text(f"Everything is back on {BACK}", timeout=MINUTE)
    assert house.weights(SERVICE) == {"stable": 100, "canary": 0}
    wrong += troubles(davi, keep, "live-back")
    watcher.reload()
    wrong += troubles(watcher, keep, "live-back-pt")
    assert wrong == []


def nothing_judges(house: House, hands: Hands) -> None:
    """Take the question of health away, as an owner: without it a release waits for a person to advance it."""
    owner = hands(house.address, "owner", house.password("owner"))
    owner.goto(f"/settings/bindings?q={SERVICE}")
    health = owner.get_by_role("cell", name="Health", exact=True)
    row = owner.locator("tbody tr", has_text="production").filter(has=health)
    press(owner, row.get_by_role("link", name=SERVICE))
    press(owner, owner.get_by_role("link", name="Remove the binding"))
    press(owner, owner.locator("main").get_by_role("button", name="Remove the binding"))
    owner.wait_for_url(re.compile(r"/settings/bindings(\?.*)?$"))


def file(ana: Page) -> int:
    """Fill the form, every field by keys, and hand it in; return its number."""
    ana.keyboard.press("g")
    ana.keyboard.press("t")
    ana.wait_for_url(re.compile("/$"))
    ana.keyboard.press("c")
    ana.wait_for_url(re.compile("/changes/new$"))
    write(ana, ana.locator("#title"), "Sign in with a passkey")
    write(ana, ana.locator("#why"), "Passwords are phished twice a week.")
    write(ana, ana.locator("#items-0-service"), SERVICE)
    write(ana, ana.locator("#items-0-environment"), "production")
    write(ana, ana.locator("#items-0-version"), VERSION)
    write(ana, ana.locator("#items-0-digest"), digest(SERVICE, VERSION))
    write(ana, ana.locator("#plan"), "Deploy, then shift.")
    write(ana, ana.locator("#tests_passed"), "12")
    start = (datetime.now(HERE) + timedelta(seconds=120)).replace(second=0)  # the keys know no seconds
    write_moment(ana, ana.locator("#starts_at"), start)
    write_moment(ana, ana.locator("#ends_at"), start + timedelta(hours=1))
    ana.keyboard.press("Tab")
    expect(ana.locator("#ready [data-tone=stop]")).to_have_count(0)
    press(ana, ana.locator("#ready button[value=submit]"))
    ana.wait_for_url(re.compile(r"/changes/\d+$"))
    return int(ana.url.rsplit("/", 1)[1])


def look_at_the_dialog(page: Page, keep: Keep) -> list[object]:
    """Open it, go round in it, and leave it: nothing behind it is reached, and the focus comes back."""
    button = page.get_by_role("button", name=f"Go back to {BACK}").first
    press(page, button)
    dialog = page.locator("#go-back")
    expect(dialog.get_by_role("button", name=f"Go back to {BACK}")).to_be_focused()
    wrong = list(troubles(page, keep, "live-go-back-dialog"))
    stops = set()
    for _stop in range(12):
        page.keyboard.press("Tab")
        stops.add(page.evaluate(WHERE))
    assert stops - {"out of the page"} == {"#go-back-reason", "Stay", "Go back"}
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    return wrong


WHERE = """() => {
  const here = document.activeElement
  if (here === document.body) return "out of the page"
  if (!here.closest("dialog")) return "behind: " + here.outerHTML.slice(0, 80)
  return here.id ? "#" + here.id : here.matches("[data-close]") ? "Stay" : "Go back"
}"""


def the_figures_are_those_of_the_cluster(house: House, pages: tuple[Page, ...], number: int, share: int) -> None:
    """Compare what is printed as asked and as observed, on the live page and on the change's own, with the cluster."""
    live, page = pages
    page.goto(f"/changes/{number}")
    for one in (live, page):
        expect(one.locator(".bars > .num")).to_have_text([f"{share} %"] * 2, timeout=MINUTE)
    assert house.weights(SERVICE)["canary"] == share


def test_changes_are_requested_with_a_reason_with_nothing_but_keys(site: str, hands: Hands) -> None:
    helena = hands(site, "helena", PASSWORD)
    helena.keyboard.press("g")
    helena.keyboard.press("c")
    helena.wait_for_url("**/changes")
    press(helena, helena.locator("main").get_by_role("link", name=re.compile("CHG-1003")))
    helena.wait_for_url("**/changes/1003")
    press(helena, helena.get_by_role("button", name="Request changes"))
    expect(helena.locator("#reason")).to_be_focused()

    press(helena, helena.get_by_role("button", name="Abstain"))
    expect(helena.locator("#decision-sheet")).to_contain_text("Helena Costa")
