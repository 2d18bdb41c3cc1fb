"""Every page, in both themes, both languages, wide and on a phone: nothing for axe to find, nothing sticks out.

Each page is opened twice at most: wide in English, where the keyboard goes round as well, and on a phone in Portuguese,
whose words are the longest. In both it is looked at in light and in dark. The forms of the settings are one template:
they are opened on the phone only.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.eyes import SIZES, objections, troubles

# Who looks at which address; after each " > " stands the link to follow from there, where the address is not known,
# and after " ! " what to press that opens on the same page.
ASKS = "/deployments?state=waiting_input > tbody th a"
PAGES = {
    "today": ("helena", "/"),
    "start": ("olga", "/start"),
    "start-of-others": ("helena", "/start"),
    "today-called": ("davi", "/"),
    "today-given-up": ("marta", "/"),
    "board": ("davi", "/board"),
    "changes": ("ana", "/changes"),
    "nothing-like-it": ("ana", "/changes?q=nothing"),
    "new": ("ana", "/changes/new"),
    "draft": ("ana", "/changes/1005/edit"),
    "change": ("helena", "/changes/1003"),
    "scheduled": ("marta", "/changes/1002"),
    "held": ("ana", "/changes/1006"),
    "closed": ("ana", "/changes/1001"),
    "review": ("marta", "/changes/1007/review"),
    "live": ("davi", "/live"),
    "live-running": ("davi", "/live/1008"),
    "live-running-manager": ("marta", "/live/1008"),
    "live-running-others": ("tomas", "/live/1008"),
    "live-go-back": ("davi", "/live/1008 ! [data-open=go-back]"),
    "live-needs-human": ("davi", "/live/1009"),
    "live-failed": ("davi", "/live/1010"),
    "live-anew": ("davi", "/live/1010 ! [data-open=go-back]"),
    "live-failed-others": ("tomas", "/live/1010"),
    "live-by-hand": ("davi", "/live/1010/by-hand"),
    "live-routes": ("marta", "/live/1008/routes"),
    "live-ended": ("davi", "/live/1011"),
    "deployments": ("ana", "/deployments"),
    "deployments-none": ("ana", "/deployments?state=lost"),
    "deployment-asks": ("marta", ASKS),
    "deployment-stop": ("marta", f"{ASKS} ! [data-open^=kill]"),
    "deployment-others": ("tomas", ASKS),
    "rolled-back": ("marta", "/changes/1011"),
    "promised": ("ana", "/changes/1012"),
    "told": ("ana", "/changes/1012/told"),
    "traffic": ("davi", "/traffic"),
    "traffic-others": ("tomas", "/traffic"),
    "traffic-route": ("davi", "/traffic > .asks h3 a"),
    "restore": ("davi", "/traffic > a[href*='/drifts/']"),
    "gate": ("marta", "/gate"),
    "audit": ("marta", "/audit"),
    "catalog": ("ana", "/catalog"),
    "service": ("ana", "/catalog/ledgerwriter"),
    "service-wired": ("ana", "/catalog/frontend"),
    "service-history": ("ana", "/catalog/userservice/history"),
    "service-spent": ("ana", "/catalog/statements"),
    "service-retired": ("ana", "/catalog/old-ledger"),
    "again": ("ana", "/sign-in/again"),
    "profile": ("helena", "/profile"),
    "notices": ("helena", "/notices"),
    "missing": ("ana", "/changes/9999"),
    "settings": ("olga", "/settings"),
    "policies": ("helena", "/settings/policies"),
    "policies-mine": ("marta", "/settings/policies"),
    "policies-other": ("ana", "/settings/policies"),
    "policy": ("olga", "/settings/policies/2"),
    "edit-policy": ("olga", "/settings/policies/edit"),
    "policy-difference": ("olga", "/settings/policies/edit?from=2 > [value=remove-1] > .btn[value=show]"),
    "withdraw-policy": ("marta", "/settings/policies/2/withdraw"),
    "configuration": ("olga", "/settings/configuration"),
    "import": ("olga", "/settings/import"),
    "nothing-found": ("olga", "/settings/people?q=nobody"),
    "somebody": ("marta", "/settings/people?q=Ana%20Reis > tbody th a"),
    "with-every-way-in": ("olga", "/settings/people?q=Rita%20Alves > tbody th a"),
    "tables": ("olga", "/tables/"),
    "table": ("olga", "/tables/releases/changerequest/"),
    "table-searched": ("olga", "/tables/releases/person/?q=nobody"),
    "table-row": ("olga", "/tables/releases/changerequest/ > #result_list tbody th a"),
}
# The first of each section, or the one in whom there is more to see.
FIRST = " > tbody th a"
ONES = {
    "connections": f"?q=jenkins{FIRST}",
    "people": f"?q=Ana%20Reis{FIRST}",
    "roles": "/seat_security",
    "services": f"?q=frontend{FIRST}",
    "teams": f"?q=payments{FIRST}",
}
# Acts that are offered on the page of another one, or to somebody else.
ELSEWHERE = {
    ("people", "reactivate"): ("olga", f"?q=Iara{FIRST}"),
    ("customers", "freeze"): ("marta", FIRST),
    ("customers", "lift"): ("marta", f"?q=Varejo{FIRST}"),
    ("connections", "forget"): ("olga", f"?q=figures{FIRST}"),
    ("delegations", "revoke"): ("helena", FIRST),
    **{("people", verb): ("olga", f"?q=Rita%20Alves{FIRST}") for verb in ("link", "unlink", "reopen", "factors")},
}
ADDED_BY = {"delegations": "helena"}
VISITS = (("wide", "en-US"), ("phone", "pt-BR"))
ROUND = """() => {
  const there = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter(
    one => one.tabIndex >= 0 && !one.disabled && one.type !== "hidden"
      && one.checkVisibility({visibilityProperty: true})
      && !(one.type === "radio" && !one.checked) && !one.closest("[popover]:not(:popover-open):not(.nav)"))
  window.missed = new Set(there)
  window.dim = new Set()
  document.addEventListener("focusin", ({target}) => {
    window.missed.delete(target)
    if (getComputedStyle(target).outlineStyle === "none") window.dim.add(target)
  })
  return there.length + 9 * there.filter(one => /date|time/.test(one.type)).length + 8
}"""
SAID = "(name) => [...window[name]].map(one => one.outerHTML.slice(0, 120))"


def pages_of_settings() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield every list, the page of one, and every form that adds or does something, section by section."""
    from releases.web.pages.settings import SECTIONS

    for slug, section in SECTIONS.items():
        listed, one = f"/settings/{slug}", ONES.get(slug, FIRST)
        yield slug, ("olga", listed)
        yield f"{slug}-one", ("olga", f"{listed}{one}")
        if section.form is not None:
            yield f"{slug}-form-add", (ADDED_BY.get(slug, "olga"), f"{listed}/add")
        for act in section.acts:
            if act.form is None and not act.confirm:
                continue
            who, where = ELSEWHERE.get((slug, act.verb), ("olga", one))
            yield f"{slug}-form-{act.verb}", (who, f"{listed}{where} > main a.btn[href*='/{act.verb}']")


@pytest.mark.parametrize(("size", "language"), VISITS)
def test_every_page_is_accessible_and_fits(sign_in, keep, size, language):
    pages = {**PAGES, **dict(pages_of_settings())}
    if size == "wide":
        pages = {name: page for name, page in pages.items() if "-form-" not in name}
    found: dict[str, list[Any]] = {}
    for who in sorted({who for who, _path in pages.values()}):
        page = sign_in(who, size=size, language=language)
        for name, (whose, path) in pages.items():
            if whose == who and (troubles := list(_troubles(page, path, keep, f"{name}-{size}-{language}"))):
                found[name] = troubles

    assert found == {}


def _troubles(page: Page, path: str, keep: Any, name: str) -> Iterator[Any]:
    """Go there, look at it in every way, and go round with the Tab key."""
    path, *opens = path.split(" ! ")
    address, *links = path.split(" > ")
    answer = page.goto(address)
    for link in links:
        if page.locator(link).count() == 0:
            yield f"offers no {link}"
            return
        with page.expect_navigation():
            page.locator(link).first.click()
    for button in opens:
        page.locator(button).first.click()
    if answer is None or answer.status >= 500:
        yield "broken"
        return
    wanted = "pt-br" if "pt-BR" in name else "en"
    if str(page.locator("html").get_attribute("lang")).lower() != wanted:
        yield "language"
    if "-form-" in name:
        keep(page, f"{name}-light")
        yield from objections(page)
        return
    yield from troubles(page, keep, name)
    if page.viewport_size == SIZES["wide"] and not opens:
        yield from _not_reached(page)


def _not_reached(page: Page) -> Iterator[Any]:
    """Go round with the Tab key; yield what it does not reach, and what does not show that it is reached."""
    for _stop in range(page.evaluate(ROUND)):
        page.keyboard.press("Tab")
    yield from (("Tab does not reach", one) for one in page.evaluate(SAID, "missed"))
    yield from (("no sign of focus on", one) for one in page.evaluate(SAID, "dim"))
