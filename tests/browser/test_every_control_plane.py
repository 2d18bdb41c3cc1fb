"""Releases go out in staging and are taken back, through all five control planes at once, with real workers.

Three are pushed: GMUD starts the job of Jenkins or the pipeline of Spinnaker. Two are pulled: people start them there.
"""

import re
from collections.abc import Callable
from itertools import groupby

import pytest
from playwright.sync_api import Page, expect

from gmud.demo import story
from releases.traffic.ports import System
from tests.browser.eyes import SIZES, sticks_out
from tests.browser.house import House, until
from tests.browser.test_journey import MINUTE, file_over_the_api, the_page_says

pytestmark = pytest.mark.once

VERSION = "v0.8.0"
BY_JENKINS, BY_SPINNAKER = story.served_by(System.LINKERD)[-1], story.PULLED[0]
RUNS = {BY_JENKINS: r"jenkins:ledger/deploy-\w+#\d+", BY_SPINNAKER: r"spinnaker:[0-9A-Z]{26}"}
WATCHERS = {BY_JENKINS: "davi", BY_SPINNAKER: "marta"}  # they may take back
WORK_SECONDS = 240  # five releases share two workers
STABLE, ALL = ({"stable": 100 - share, "canary": share} for share in (0, 100))
SHIFTED = ["stable 90, canary 10", "stable 0, canary 100", "stable 100, canary 0"]


def test_a_release_goes_out_and_comes_back_through_every_control_plane(
    house: House, enter: Callable[..., Page]
) -> None:
    services = {plane: story.served_by(plane)[-1] for plane in System}
    numbers = {
        service: file_over_the_api(house, service, VERSION, title=f"Through {plane}", environment="staging")
        for plane, service in services.items()
    }
    ana, bruno = enter("ana"), enter("bruno")
    starts = {BY_JENKINS: house.build, BY_SPINNAKER: house.execute}
    watchers = {service: enter(name) for service, name in WATCHERS.items()}
    for number in numbers.values():
        bruno.goto(f"/changes/{number}")
        bruno.get_by_role("button", name="Approve as Engineering").click()
        expect(bruno.locator("#decision-sheet")).to_contain_text("Authorized")
    for service, number in numbers.items():
        ana.goto(f"/changes/{number}")
        until(lambda: the_page_says(ana) == "allow")
        if service in starts:
            starts[service](service, VERSION)
            continue
        ana.get_by_role("button", name="Start the rollout").click()
        ana.wait_for_url(f"**/live/{number}")
    for service, page in watchers.items():
        it_is_seen_that_others_deploy(page, service, numbers[service])

    seen: dict[str, list[dict[str, int]]] = {service: [STABLE] for service in numbers}

    def all_are_back() -> bool:
        """Look at every control plane; go back where all traffic is on the new side."""
        for service, number in numbers.items():
            now = house.weights(service, "staging")
            if now == seen[service][-1] or now not in (STABLE, ALL):
                continue  # what stands in between is gone too soon to be always seen
            watcher = watchers.get(service) if now == ALL else None
            if watcher and not is_watched(watcher):
                continue  # its people look at Live
            seen[service].append(now)
            if watcher:
                go_back(watcher)
            elif now == ALL:
                status, answer = house.ask("POST", f"changes/{number}/rollback", {"reason": "tried"})
                assert status == 202, answer
        return all(len(steps) > 1 and steps[-1] == STABLE for steps in seen.values())

    until(all_are_back, seconds=WORK_SECONDS)
    assert list(seen.values()) == [[STABLE, ALL, STABLE]] * len(System)
    for service, number in numbers.items():
        ana.goto(f"/live/{number}")
        back = re.compile(f"Everything is back on {re.escape(story.RUNNING)}")
        expect(ana.locator("#live h1")).to_have_text(back, timeout=MINUTE)
        assert shifts_of(ana, service, number) == SHIFTED
    ana.set_viewport_size(SIZES["phone"])
    ana.goto("/deployments")
    expect(ana.locator("#rows")).to_contain_text(re.compile(r"Spinnaker [0-9A-Z]{26}"))
    assert list(sticks_out(ana)) == []


def it_is_seen_that_others_deploy(page: Page, service: str, number: int) -> None:
    """Find on Deployments what a run reports, with its name; stay on Live, where its change goes on by itself."""
    page.goto(f"/deployments?service={service}&environment=staging")
    mine = page.locator("#rows tbody tr", has_text=f"CHG-{number}")
    expect(mine.get_by_role("link", name=f"{service} {VERSION}")).to_be_visible(timeout=MINUTE)
    mine.get_by_role("link", name=f"{service} {VERSION}").click()
    expect(page.locator("#deployment")).to_contain_text(re.compile(RUNS[service]))
    page.goto(f"/live/{number}")


def shifts_of(page: Page, service: str, number: int) -> list[str]:
    """Return how the traffic of a service was split for a change, by the history of its route, the first first."""
    page.goto("/traffic")
    mine = page.locator(".asks li", has_text=service).filter(has_text="staging")
    mine.get_by_role("link", name="History", exact=True).click()
    rows = page.locator("tbody tr", has=page.get_by_role("link", name=f"CHG-{number}"))
    expect(rows.first).to_be_visible()
    weights = (text.partition("\n")[0] for text in reversed(rows.locator("td:nth-of-type(2)").all_inner_texts()))
    return [one for one, _again in groupby(weights)]


def is_watched(page: Page) -> bool:
    """Say whether Live shows that the new version serves everybody."""
    return f"{VERSION} serves everybody" in page.locator("#live h1").inner_text()


def go_back(page: Page) -> None:
    """Press the button, and the one that is sure."""
    for place in (page.locator("#live"), page.locator("#go-back")):
        place.get_by_role("button", name=f"Go back to {story.RUNNING}").click()
