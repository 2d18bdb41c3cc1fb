"""Every page, in both themes, both languages, wide and on a phone: nothing for axe to find, nothing sticks out."""

import pytest
from axe_playwright_python.sync_playwright import Axe

# Who looks at which address; after " > " stands the link to follow from there, where the address is not known.
PAGES = {
    "today": ("helena", "/"),
    "board": ("davi", "/board"),
    "changes": ("ana", "/changes"),
    "new": ("ana", "/changes/new"),
    "draft": ("ana", "/changes/1005/edit"),
    "change": ("helena", "/changes/1003"),
    "scheduled": ("marta", "/changes/1002"),
    "held": ("ana", "/changes/1006"),
    "live": ("davi", "/live"),
    "gate": ("marta", "/gate"),
    "audit": ("marta", "/audit"),
    "catalog": ("ana", "/catalog"),
    "service": ("ana", "/catalog/ledgerwriter"),
    "again": ("ana", "/sign-in/again"),
    "profile": ("helena", "/profile"),
    "missing": ("ana", "/changes/9999"),
    "settings": ("olga", "/settings"),
    "people": ("olga", "/settings/people"),
    "person": ("olga", "/settings/people?q=Ana%20Reis > tbody th a"),
    "somebody": ("marta", "/settings/people?q=Ana%20Reis > tbody th a"),
    "new-person": ("olga", "/settings/people/add"),
    "teams": ("olga", "/settings/teams"),
    "team": ("olga", "/settings/teams > tbody th a"),
    "roles": ("olga", "/settings/roles"),
    "seat": ("olga", "/settings/roles/seat_security"),
    "give-seat": ("olga", "/settings/roles/seat_security/give"),
    "delegations": ("olga", "/settings/delegations"),
    "delegation": ("olga", "/settings/delegations > tbody th a"),
    "machines": ("olga", "/settings/machines"),
    "machine": ("olga", "/settings/machines > tbody th a"),
    "new-token": ("olga", "/settings/machines/add"),
    "notices": ("helena", "/notices"),
    "channels": ("olga", "/settings/channels"),
    "new-channel": ("olga", "/settings/channels/add"),
    "configuration": ("olga", "/settings/configuration"),
    "services": ("olga", "/settings/services"),
    "service-set-up": ("olga", "/settings/services > tbody th a"),
    "new-service": ("olga", "/settings/services/add"),
    "environments": ("olga", "/settings/environments"),
    "dependencies": ("olga", "/settings/dependencies"),
    "customers": ("olga", "/settings/customers"),
    "connections": ("olga", "/settings/connections"),
    "new-connection": ("olga", "/settings/connections/add"),
    "bindings": ("olga", "/settings/bindings"),
    "new-binding": ("olga", "/settings/bindings/add"),
    "routes": ("olga", "/settings/routes"),
    "nothing-found": ("olga", "/settings/people?q=nobody"),
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
            address, _sep, link = path.partition(" > ")
            answer = page.goto(address)
            if link:
                page.locator(link).first.click()
                page.wait_for_load_state()
            keep(page, f"{name}-{size}-{theme}-{language}")
            if answer is None or answer.status >= 500:
                found[name] = [("broken", [])]
                continue
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
