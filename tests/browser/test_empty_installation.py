"""From an empty database to the first release that was taken back, by pages only: three people in three browsers.

After ``manage.py bootstrap`` nobody opens a shell. Jenkins, the cluster and Prometheus are stand-ins that run as
processes of their own and are reached over HTTP; the machine token that is issued on a page is used by Jenkins and by
CI. What every person clicks, fills and loads is counted and printed. docs/first-use.md tells the same way.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from gmud.demo import story
from gmud.demo.telling import ERROR_LIMIT, ERROR_RATE, JENKINS_ACCOUNT, JENKINS_TOKEN
from tests.browser.eyes import Keep, troubles
from tests.browser.hands import Hands
from tests.browser.house import GIVEN_UP, House, a_house, digest, until
from tests.browser.test_journey import HERE, MINUTE, ask_the_gate, the_page_says, the_record_holds
from tests.factories.factors import code_at

SERVICE, BAD = story.BAD
BACK = story.RUNNING
MOST_CLICKS = 55  # a guard against a way that grows longer; the counts themselves are printed


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a house in which nobody and nothing is."""
    with a_house(tmp_path_factory.mktemp("empty"), is_demo=False) as house:
        yield house


@pytest.fixture
def arrive(browser: Browser, empty: House) -> Iterator[Callable[..., Hands]]:
    """Return a function that gives somebody a browser of their own; its console stays empty."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def as_person(name: str) -> Hands:
        context = browser.new_context(
            base_url=empty.address, viewport={"width": 1280, "height": 900}, locale="en-US", timezone_id=str(HERE)
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        context.on("weberror", lambda failed: complaints.append(str(failed.error)))
        context.on("console", lambda said: None if GIVEN_UP.match(said.text) else complaints.append(said.text))
        return Hands(name, context.new_page())

    yield as_person
    for context in contexts:
        context.close()
    assert not complaints, complaints


def test_three_people_go_from_an_empty_database_to_a_release_taken_back(
    empty: House, arrive: Callable[..., Hands], keep: Keep, capsys: Any
) -> None:
    began = time.monotonic()
    olga, ana, bruno = (arrive(name) for name in ("olga", "ana", "bruno"))
    passwords = {"olga": bootstrap(empty)}

    sign_in(olga, passwords["olga"], at="/start")
    expect(olga.page.get_by_role("heading", level=1)).to_have_text("10 steps to your first change")
    assert list(troubles(olga.page, keep, "start-empty")) == []
    guard(olga)
    passwords |= people(olga, keep)
    catalogue(olga)
    connections(olga, empty, keep)
    wires(olga, keep)
    token(olga, empty)
    policy(olga, keep)

    sign_in(ana, passwords["ana"], at="/")
    ana.sees("First steps: 9 of 10 done.")
    keep(ana.page, "start-today-engineer")
    number = file(ana, keep)
    refused = ask_the_gate(empty, SERVICE, digest(SERVICE, BAD))
    assert (refused["verdict"], refused["permit"]) == ("wait", None)
    assert "approvals_missing" in {one["code"] for one in refused["reasons"]}

    sign_in(bruno, passwords["bruno"], at="/")
    decide(bruno)
    beside = bruno.page.context.new_page()  # looked at until the window begins; nobody has to, so it does not count
    beside.goto(bruno.page.url)
    until(lambda: the_page_says(beside) == "allow")
    allowed = ask_the_gate(empty, SERVICE, digest(SERVICE, BAD))
    assert (allowed["verdict"], allowed["change_request"]) == ("allow", f"CHG-{number}"), allowed

    release(ana, empty, number, keep)
    go_back(bruno, empty, number, keep)

    beside.goto(f"/changes/{number}")
    expect(beside.locator("#head")).to_contain_text("Rolled back")
    denied = ask_the_gate(empty, SERVICE, digest(SERVICE, BAD))
    assert (denied["verdict"], "quarantined_artifact" in {one["code"] for one in denied["reasons"]}) == ("deny", True)
    beside.goto("/start")
    expect(beside.get_by_role("heading", level=1)).to_have_text("This installation is in use")
    beside.goto("/")
    expect(beside.locator("#first-steps")).to_have_count(0)
    the_record_holds(empty)

    everybody = (olga, ana, bruno)
    report(everybody, time.monotonic() - began, capsys)
    assert sum(one.clicks for one in everybody) <= MOST_CLICKS


def bootstrap(house: House) -> str:
    """Make the first owner, the one thing a shell is needed for; return the password it prints."""
    done = house.manage("bootstrap", "--username", "olga", "--name", "Olga Dias", "--email", "olga@example.com")
    assert done.returncode == 0, done.stderr
    assert f"{house.address}/start" in done.stdout
    return re.search(r"Password, shown only now: (\S+)", done.stdout)[1]  # type: ignore[index]  # else it fails here


def sign_in(who: Hands, password: str, *, at: str) -> None:
    """Open an address, be asked who it is, and arrive there."""
    who.page.goto(at)
    who.write(username=who.name, password=password)
    who.press("Sign in")
    who.page.wait_for_url(f"**{at}")


def guard(olga: Hands) -> None:
    """Guard the owner's account with an authenticator app."""
    olga.press("Add a second factor")
    olga.press(olga.page.get_by_role("button", name=re.compile("Add ?: Authenticator app")))
    secret = olga.page.locator("code.secret").inner_text().replace(" ", "")
    olga.write(code=code_at(datetime.now(UTC), secret))
    olga.press("Turn it on")
    olga.press("I have them")
    olga.sees("First steps: 1 of 10 done.")


def people(olga: Hands, keep: Keep) -> dict[str, str]:
    """Add the team, an engineer, and somebody who decides and is on call; return the passwords that were shown."""
    olga.press("Add a team")
    olga.write(name="ledger", title="Ledger")
    olga.press("Add a team")
    keep(olga.page, "start-band")
    passwords = {}
    for word, username, name in (
        ("Add an engineer", "ana", "Ana Reis"),
        ("Add a committee member", "bruno", "Bruno Lima"),
    ):
        olga.press(word)
        olga.write(name=name, email=f"{username}@example.com", username=username)
        olga.choose(team_id="ledger")
        if username == "bruno":
            olga.tick("On call")
        keep(olga.page, f"start-person-{username}")
        olga.press("Add a person")
        passwords[username] = olga.page.locator("#secret").inner_text()
        olga.press("I have it")
    olga.sees("First steps: 3 of 10 done.")
    return passwords


def catalogue(olga: Hands) -> None:
    """Add an environment and a service by hand."""
    olga.press("Add an environment")
    olga.press("Add an environment")
    olga.press("Add a service by hand")
    olga.write(name=SERVICE, title="Bookings")
    olga.choose(team_id="ledger")
    olga.press("Add a service")
    olga.sees("First steps: 5 of 10 done.")


def connections(olga: Hands, house: House, keep: Keep) -> None:
    """Connect Jenkins, the cluster and Prometheus; each is tested when it is added."""
    port = int(house.jenkins.rsplit(":", 1)[1])
    asked = {
        "Connect Jenkins": {"origin": house.jenkins, "account": JENKINS_ACCOUNT, "secret": JENKINS_TOKEN},
        "Connect Kubernetes": {"origin": house.kubernetes, "secret": "sandbox-full"},
        "Connect Prometheus": {"origin": f"http://127.0.0.1:{port + 2}"},
    }
    for word, values in asked.items():
        if word != "Connect Jenkins":
            olga.press(olga.page.locator("#first-steps a").first)
            keep(olga.page, f"start-{word.split()[-1].lower()}")
        olga.press(word)
        olga.write(**values)
        olga.press("Add a connection")
        expect(olga.page.locator("h1 + .badge")).to_have_text("Works")
    keep(olga.page, "start-connection")
    olga.sees("First steps: 6 of 10 done.")


def wires(olga: Hands, keep: Keep) -> None:
    """Say which job deploys, where the traffic is split, and which figure judges."""
    olga.press("Name the deploy job")
    keep(olga.page, "start-binding")
    olga.write(job=f"ledger/deploy-{SERVICE}")
    olga.press("Add a binding")
    olga.press("Name the route")
    olga.write(namespace="bank-production", name=SERVICE, route="primary")
    olga.press("Add a route")
    olga.sees("stable 100 %")
    olga.press("Name the figure")
    olga.write(query=ERROR_RATE, limit=str(ERROR_LIMIT))
    olga.press("Add a binding")
    olga.sees("First steps: 7 of 10 done.")


def token(olga: Hands, house: House) -> None:
    """Issue a token, and put it where Jenkins and CI keep their secrets."""
    olga.press("Issue a token")
    olga.press("Issue a token")
    issued = olga.page.locator("#secret").inner_text()
    for place in (house.folder / "ci.token", house.folder / "outside" / "jenkins.token"):
        place.write_text(issued)
    olga.press("I have it")
    olga.sees("First steps: 8 of 10 done.")


def policy(olga: Hands, keep: Keep) -> None:
    """Write the first policy; it is in force at once."""
    olga.press("Write the policy")
    keep(olga.page, "start-policy")
    olga.write(**{"name": "Release policy", "rule-0-seat_engineering": "1"})
    olga.press(olga.page.locator("main .btn[value=show]"))
    olga.press("Put it in force")
    olga.sees("First steps: 9 of 10 done.")
    keep(olga.page, "start-nearly")


def file(ana: Hands, keep: Keep) -> int:
    """File the first change; nothing is known to run yet, so the version to go back to is written, too."""
    ana.press("File a change request")
    start = datetime.now(HERE) + timedelta(seconds=20)
    ana.write(title="Book transfers side by side", why="Bookings queue for up to 1.9 s at salary peaks.")
    ana.choose(**{"items-0-service": SERVICE, "items-0-environment": "production"})
    ana.write(**{"items-0-version": BAD, "items-0-digest": digest(SERVICE, BAD)})
    ana.press(ana.page.get_by_role("link", name=re.compile("^Name the version")))
    ana.write(
        **{
            "items-0-back_version": BACK,
            "items-0-back_digest": digest(SERVICE, BACK),
            "plan": "Deploy to the idle side, shift 10 %, judge, then all, watch.",
            "tests_passed": "214",
            "tests_failed": "0",
            "starts_at": start.strftime("%Y-%m-%dT%H:%M:%S"),
            "ends_at": (start + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M"),
        }
    )
    expect(ana.page.locator("#ready .checks [data-tone=stop]")).to_have_count(0)
    keep(ana.page, "start-new-change")
    ana.press("Submit")
    ana.page.wait_for_url(re.compile(r"/changes/\d+$"))
    expect(ana.page.locator("#head")).to_contain_text("Authorizing")
    return int(ana.page.url.rsplit("/", 1)[1])


def decide(bruno: Hands) -> None:
    """Open what waits, read it, approve it."""
    mine = bruno.page.locator("#decide-sheet li").first
    expect(mine).to_contain_text("Book transfers side by side")
    bruno.press(mine.locator("h3 a"))
    bruno.press("Approve as Engineering")
    bruno.sees("Authorized: 1 of 1 approved.")


def release(ana: Hands, house: House, number: int, keep: Keep) -> None:
    """Start the rollout; Jenkins redeems the permit with the token of the page, and the version does not hold."""
    ana.page.reload()
    ana.press("Start the rollout")
    ana.page.wait_for_url(f"**/live/{number}")
    until(lambda: house.weights(SERVICE) == {"stable": 90, "canary": 10})
    assert house.builds(SERVICE) == [(BAD, "SUCCESS")]
    expect(ana.page.locator("#live h1")).to_have_text(f"{BAD} did not hold", timeout=MINUTE)
    keep(ana.page, "start-did-not-hold")


def go_back(bruno: Hands, house: House, number: int, keep: Keep) -> None:
    """Go back as whoever is on call: one button, and its question."""
    bruno.page.goto("/")
    bruno.press(bruno.page.locator("main").get_by_role("link", name="Open live").first)
    bruno.page.wait_for_url(f"**/live/{number}")
    bruno.press(bruno.page.locator("#live").get_by_role("button", name=f"Go back to {BACK}").first)
    bruno.press(bruno.page.locator("#go-back").get_by_role("button", name=f"Go back to {BACK}"))
    until(lambda: house.weights(SERVICE) == {"stable": 100, "canary": 0})
    expect(bruno.page.locator("#live h1")).to_have_text(f"Everything is back on {BACK}", timeout=MINUTE)
    assert house.builds(SERVICE) == [(BAD, "SUCCESS"), (BACK, "SUCCESS")]
    keep(bruno.page, "start-back")


def report(everybody: tuple[Hands, ...], seconds: float, capsys: Any) -> None:
    """Print what it took."""
    total = {name: sum(getattr(one, name) for one in everybody) for name in ("clicks", "typed", "pages")}
    lines = [*(one.said() for one in everybody)]
    lines.append(
        f"together {total['clicks']:>3} clicks {total['typed']:>3} fields {total['pages']:>3} pages, "
        f"{seconds:.0f} s from bootstrap to a release taken back"
    )
    with capsys.disabled():
        print("", *lines, sep="\n")
    if folder := os.environ.get("GMUD_SHOTS"):
        (Path(folder) / "counts.json").write_text(json.dumps({**total, "seconds": round(seconds)}))
