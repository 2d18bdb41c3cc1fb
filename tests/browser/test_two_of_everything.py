"""On PostgreSQL and Redis the house of all browser tests is two of everything; here is shown that both are at work."""

import os
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

import pytest
from playwright.sync_api import Page

from tests.browser.house import House, until

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="as in production: PostgreSQL and Redis"),
]
WEBS = {"web-1", "web-2"}


def answered(house: House, path: str) -> Counter[str]:
    """Return how many requests for a path each web server answered."""
    lines = (house.folder / "house.log").read_text(errors="replace").splitlines()
    return Counter(line.split("|", 1)[0].strip() for line in lines if f"GET {path} " in line)


def test_a_session_is_good_at_both_web_servers_and_ended_at_both(house: House, enter: Callable[..., Page]) -> None:
    page = enter("ana")

    def seen_by_both(status: int) -> bool:
        answer = page.request.get(f"{house.address}/changes/new", max_redirects=0)
        assert answer.status == status
        return set(answered(house, "/changes/new")) == WEBS

    until(lambda: seen_by_both(HTTPStatus.OK))
    kept = page.context.storage_state()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in**")
    before = answered(house, "/gate")
    page.context.clear_cookies()
    page.context.add_cookies(kept["cookies"])  # type: ignore[arg-type]  # Playwright reads what it wrote

    def refused_by_both() -> bool:
        answer = page.request.get(f"{house.address}/gate", max_redirects=0)
        assert answer.status == HTTPStatus.FOUND
        return set(answered(house, "/gate") - before) == WEBS

    until(refused_by_both)


def test_both_web_servers_publish_the_same_keys_and_are_ready(house: House, enter: Callable[..., Page]) -> None:
    page, said = enter("ana"), set()

    def asked_both() -> bool:
        said.add(page.request.get(f"{house.address}/api/v1/gate/jwks.json").text())
        assert page.request.get(f"{house.address}/readyz").status == HTTPStatus.OK
        return set(answered(house, "/api/v1/gate/jwks.json")) == WEBS

    until(asked_both)
    assert len(said) == 1
