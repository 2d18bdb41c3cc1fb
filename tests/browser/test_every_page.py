"""Every page, in both themes, both languages, wide and on a phone: nothing for axe to find, nothing sticks out."""

import pytest
from axe_playwright_python.sync_playwright import Axe

PAGES = {
    "today": ("helena", "/"),
    "changes": ("ana", "/changes"),
    "new": ("ana", "/changes/new"),
    "draft": ("ana", "/changes/1005/edit"),
    "change": ("helena", "/changes/1003"),
    "scheduled": ("marta", "/changes/1002"),
    "held": ("ana", "/changes/1006"),
    "live": ("davi", "/live"),
    "gate": ("marta", "/gate"),
    "catalog": ("ana", "/catalog"),
    "service": ("ana", "/catalog/ledgerwriter"),
    "again": ("ana", "/sign-in/again"),
    "missing": ("ana", "/changes/9999"),
}
LOOKS = (
    ("wide", "light", "en-US"),
    ("wide", "dark", "pt-BR"),
    ("phone", "light", "pt-BR"),
    ("phone", "dark", "en-US"),
)


@pytest.mark.parametrize(("size", "theme", "language"), LOOKS)
def test_every_page_is_accessible_and_fits(sign_in, keep, size, theme, language):
    found = {}
    for who in sorted({who for who, _path in PAGES.values()}):
        page = sign_in(who, size=size, theme=theme, language=language)
        for name, (whose, path) in PAGES.items():
            if whose != who:
                continue
            page.goto(path)
            keep(page, f"{name}-{size}-{theme}-{language}")
            troubles = [(one["id"], one["nodes"][0]["target"]) for one in Axe().run(page).response["violations"]]
            if page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                troubles.append(("sticks out", []))
            if page.locator("html").get_attribute("lang") != ("pt-BR" if language == "pt-BR" else "en"):
                troubles.append(("language", []))
            if troubles:
                found[name] = troubles

    assert found == {}


def test_the_way_in_is_accessible(browser, site, keep):
    page = browser.new_page(base_url=site)
    page.goto("/sign-in")

    keep(page, "sign-in")
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []
