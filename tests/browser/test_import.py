"""A release manager takes a spreadsheet over in the browser, and decides where somebody wrote otherwise."""

import pytest
from playwright.sync_api import expect

from tests.browser.eyes import troubles
from tests.browser.test_every_page import VISITS

BAD = "name,team,criticality\npix-gateway,payments,9\n"
GOOD = "name,title,team\nledgerwriter,Escreve no razão,ledger\npix-{n},Pix,payments\n"


@pytest.mark.parametrize(("size", "language"), VISITS)
def test_a_spreadsheet_is_mended_looked_at_answered_and_taken_over(sign_in, keep, size, language):
    page = sign_in("olga", size=size, language=language)

    def is_fine(name: str) -> None:
        assert list(troubles(page, keep, f"{name}-{language}")) == []

    page.goto("/settings/services?q=ledgerwriter")
    page.locator("tbody th a").first.click()
    page.locator("main a.btn[href$='/edit']").click()
    page.locator("#title").fill(f"Books every transaction ({size})")
    page.locator("main form[method=post] button[type=submit]").last.click()
    page.wait_for_load_state()

    page.goto("/catalog")
    page.locator("main a[href='/settings/import']").first.click()
    page.locator("#text").fill(BAD)
    page.locator("main form button[type=submit]").click()
    expect(page.locator("main .banner")).to_contain_text("criticality")
    is_fine("import-error")

    page.locator("#text").fill(GOOD.format(n=size))
    page.locator("main form button[type=submit]").click()
    expect(page.locator("main fieldset")).to_have_count(1)
    is_fine("import-plan")
    page.locator("#apply button").click()
    expect(page.locator("main fieldset .error")).to_be_visible()
    is_fine("import-missed")

    page.locator("main input[value=theirs]").check()
    page.locator("#apply button").click()
    page.wait_for_url("**/settings/import")
    page.goto("/catalog/ledgerwriter")
    expect(page.locator("main")).to_contain_text("Escreve no razão")
