"""Pages that no address leads to: the verified record, right and rewritten, and what a file would do."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from playwright.sync_api import Page, expect

from releases.audit import guards
from tests.browser.eyes import Keep, troubles
from tests.browser.site import Site
from tests.browser.test_every_page import VISITS

PLACES = """gmud: 1
environments:
- {name: qa, kind: staging, rank: 5}
- {name: staging, kind: staging, rank: 21}
"""
NOT_A_FILE = "gmud: 1\nservices:\n- {name: frontend, colour: blue}\n"
SignIn = Callable[..., Page]


@contextmanager
def rewritten(site: Site) -> Iterator[None]:
    """Rewrite an event as whoever owns the database can, and put it back."""
    with closing(sqlite3.connect(site.database, timeout=20)) as database:
        find = "SELECT leaf_hash, body FROM audit_event WHERE body LIKE '%draft%' LIMIT 1"
        key, body = database.execute(find).fetchone()

        def write(text: str) -> None:
            cursor = database.cursor()
            guards.lower(cursor, "sqlite")
            cursor.execute("UPDATE audit_event SET body = ? WHERE leaf_hash = ?", (text, key))
            guards.lift(cursor, "sqlite")
            database.commit()

        write(body.replace("draft", "DRAFT"))
        try:
            yield
        finally:
            write(body)


def test_the_record_is_verified_found_rewritten_and_right_again(sign_in: SignIn, open_site: Site, keep: Keep) -> None:
    readers = {language: sign_in("marta", size=size, language=language) for size, language in VISITS}
    found = {}

    def verify(tone: str, headline: dict[str, str], name: str) -> None:
        for language, page in readers.items():
            if tone == "go":
                open_site.run("manage.py", "sealer", "--once")
            page.goto("/audit")
            page.locator("form[action='/audit/verify'] button").press("Enter")
            sheet = page.locator("section[aria-labelledby=verified]")
            expect(sheet).to_be_focused()
            expect(sheet.locator(".badge").first).to_have_attribute("data-tone", tone)
            expect(page.get_by_role("heading", level=1)).to_contain_text(headline[language])
            found[f"{name}-{language}"] = list(troubles(page, keep, f"audit-{name}-{language}"))

    verify("go", {"en-US": "events are sealed, and the witness agrees", "pt-BR": "eventos"}, "verified")
    with rewritten(open_site):
        verify("stop", {"en-US": "The record contradicts its witness", "pt-BR": "contradiz"}, "rewritten")
    verify("go", {"en-US": "events are sealed, and the witness agrees", "pt-BR": "eventos"}, "right-again")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_what_a_file_would_do_is_shown_before_it_is_done(sign_in: SignIn, keep: Keep) -> None:
    found = {}
    for size, language in VISITS:
        page = sign_in("olga", size=size, language=language)
        for name, text in (("refused", NOT_A_FILE), ("plan", PLACES)):
            page.goto("/settings/configuration")
            page.locator("#text").fill(text)
            page.locator("form[aria-labelledby=read-in] button").press("Enter")
            expect(page.locator("#main")).to_contain_text("colour" if name == "refused" else "qa")
            found[f"{name}-{language}"] = list(troubles(page, keep, f"configuration-{name}-{language}"))
        expect(page.locator("form[action='/settings/configuration/apply'] button")).to_be_visible()
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
