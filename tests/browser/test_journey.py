"""The main job as four people in four browsers, with real workers, a real broker and stand-ins of the outside."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, Page, expect

from gmud.demo import story
from tests.browser.house import House, digest, until
from tests.browser.keyboard import press

SERVICE, BAD = story.BAD
BACK = story.RUNNING
MINUTE = 60_000  # what work at Jenkins and the cluster may take, in milliseconds
HERE = ZoneInfo("America/Sao_Paulo")  # the zone the page names beside its window
Keep = Callable[[Page, str], None]


def test_a_bad_version_goes_out_and_comes_back(house: House, enter: Callable[..., Page], keep: Keep) -> None:
    ana, bruno, helena, davi = (enter(name) for name in ("ana", "bruno", "helena", "davi"))
    artifact = digest(SERVICE, BAD)

    cancel_what_the_demo_booked(ana, story.BAD_ONE)
    number = file(ana, artifact, keep)
    expect(ana.locator("#decision-sheet")).to_contain_text("You asked for this change, so you cannot vote on it.")
    expect(ana.get_by_role("button", name=re.compile("^Approve"))).to_have_count(0)
    refused = ask_the_gate(house, SERVICE, artifact)
    assert (refused["verdict"], refused["permit"]) == ("wait", None)
    assert "approvals_missing" in {one["code"] for one in refused["reasons"]}
    assert the_page_says(ana) == "wait"

    edit_while_somebody_reads(ana, helena, number)
    keep(helena, "journey-stale-vote")
    approve_from_today(bruno, number)
    keep(bruno, "journey-today")
    expect(bruno.locator("#toasts")).to_contain_text(f"Your approval of CHG-{number} counts.")
    assert ask_the_gate(house, SERVICE, artifact)["verdict"] == "wait"
    helena.reload()
    helena.get_by_role("button", name="Approve as Security").click()
    expect(helena.locator("#decision-sheet")).to_contain_text("Authorized: 2 of 2 approved.")

    until(lambda: the_page_says(helena) == "allow")
    allowed = ask_the_gate(house, SERVICE, artifact)
    assert allowed["verdict"] == "allow"
    assert allowed["change_request"] == f"CHG-{number}"
    assert allowed["permit"].count(".") == 2
    keep(helena, "journey-authorized")
    helena.goto("/gate")
    expect(helena.locator("#verdicts li").first).to_contain_text(f"CHG-{number}")
    expect(helena.locator("#verdicts li").first.locator("summary .badge")).to_have_text("allow")
    keep(helena, "journey-gate-log")

    ana.goto(f"/changes/{number}")
    ana.get_by_role("button", name="Start the rollout").click()
    ana.wait_for_url(f"**/live/{number}")
    stay(ana)
    until(lambda: house.weights(SERVICE) == {"stable": 90, "canary": 10})
    assert house.builds(SERVICE) == [(BAD, "SUCCESS")]
    expect(ana.locator("#live h1")).to_have_text(f"{BAD} did not hold", timeout=MINUTE)
    expect(ana.locator("#live [aria-labelledby=health]")).to_contain_text("Unhealthy")
    assert stayed(ana)
    keep(ana, "journey-did-not-hold")
    assert "redeemed the permit" in told(helena, number)

    watcher = enter("davi", size="phone", theme="dark", language="pt-BR")
    watcher.goto(f"/live/{number}")
    keep(watcher, "journey-did-not-hold-phone-dark-pt")
    second, late = (open_another_tab(davi, f"/live/{number}") for _ in range(2))
    davi.goto("/live")
    ours = davi.locator("#operations li", has_text=f"CHG-{number}").first
    press(davi, ours.get_by_role("link", name="Open live"))
    davi.wait_for_url(f"**/live/{number}")
    stay(davi)
    press(davi, davi.get_by_role("button", name=f"Go back to {BACK}"))
    dialog = davi.locator("#go-back")
    expect(dialog).to_contain_text(f"At once, every request to {SERVICE} goes to {BACK}.")
    expect(dialog.get_by_role("button", name=f"Go back to {BACK}")).to_be_focused()
    keep(davi, "journey-go-back")
    davi.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    second.locator("#go-back").get_by_role("button", name=f"Go back to {BACK}").click()
    expect(second.locator("#live")).to_contain_text("The rollback is running. A second click is the same rollback.")
    joined = [house.ask("POST", f"changes/{number}/rollback", {"reason": ""}) for _ in range(2)]
    assert [status for status, _answer in joined] == [202, 202]
    assert len({answer["operation"] for _status, answer in joined}) == 1

    until(lambda: house.weights(SERVICE) == {"stable": 100, "canary": 0})
    expect(davi.locator("#live h1")).to_have_text(f"Customers are on {BACK} again", timeout=MINUTE)
    keep(davi, "journey-going-back")
    expect(davi.locator("#live h1")).to_have_text(f"Everything is back on {BACK}", timeout=MINUTE)
    assert stayed(davi)
    keep(davi, "journey-back")
    expect(watcher.locator("#live h1")).to_contain_text(f"Tudo está de volta na {BACK}", timeout=MINUTE)
    keep(watcher, "journey-back-phone-dark-pt")
    assert house.builds(SERVICE) == [(BAD, "SUCCESS"), (BACK, "SUCCESS")]

    late.locator("#go-back").get_by_role("button", name=f"Go back to {BACK}").click()
    status, problem = house.ask("POST", f"changes/{number}/rollback", {"reason": ""})
    assert (status, problem["code"]) == (409, "already_rolled_back")
    expect(late.locator("#live")).to_contain_text(problem["detail"])
    davi.goto(f"/catalog/{SERVICE}")
    expect(davi.locator("[aria-labelledby=quarantine]")).to_contain_text(BAD)
    keep(davi, "journey-quarantine")
    denied = ask_the_gate(house, SERVICE, artifact)
    assert denied["verdict"] == "deny"
    assert "quarantined_artifact" in {one["code"] for one in denied["reasons"]}
    the_record_holds(house)


def test_without_a_mouse_a_change_is_approved_goes_out_and_holds(
    house: House, enter: Callable[..., Page], keep: Keep
) -> None:
    bruno, helena, ana, marta = (enter(name) for name in ("bruno", "helena", "ana", "marta"))
    cancel_what_the_demo_booked(ana, story.AT_OTHERS["linkerd"])
    version = "v0.7.0"
    number = file_over_the_api(house, "transactionhistory", version, title="Statements without duplicates")

    expect(bruno.locator("#decide-sheet")).to_contain_text(f"CHG-{number}", timeout=MINUTE)  # it looks twice a minute
    mine = bruno.locator("#decide-sheet li", has_text=f"CHG-{number}")
    decide_here, open_it = (
        mine.get_by_role("button", name="Approve as Engineering"),
        mine.get_by_role("link", name="Open to decide"),  # where a release before went back, the risk is high
    )
    expect(decide_here.or_(open_it)).to_be_visible()
    if open_it.is_visible():
        press(bruno, open_it)
        bruno.wait_for_url(f"**/changes/{number}**")
        press(bruno, bruno.get_by_role("button", name="Approve as Engineering"))
        expect(bruno.locator("#decision-sheet")).to_contain_text("1 of 2")
    else:
        press(bruno, decide_here)
        expect(bruno.locator("#decide-sheet")).not_to_contain_text(f"CHG-{number}")
    helena.keyboard.press("g")
    helena.keyboard.press("c")
    helena.wait_for_url("**/changes")
    press(helena, helena.locator("main").get_by_role("link", name=re.compile(f"CHG-{number}")).first)
    helena.wait_for_url(f"**/changes/{number}")
    press(helena, helena.get_by_role("button", name="Approve as Security"))
    expect(helena.locator("#decision-sheet")).to_contain_text("Authorized: 2 of 2 approved.")

    ana.goto(f"/changes/{number}")
    until(lambda: the_page_says(ana) == "allow")
    press(ana, ana.get_by_role("button", name="Start the rollout"))
    ana.wait_for_url(f"**/live/{number}")
    stay(ana)
    until(lambda: house.weights("transactionhistory") == {"stable": 90, "canary": 10})
    until(lambda: house.weights("transactionhistory") == {"stable": 0, "canary": 100})
    expect(ana.locator("#live h1")).to_contain_text(f"{version} serves everybody", timeout=MINUTE)
    keep(ana, "journey-watched")
    expect(ana.locator("#live h1")).to_have_text(f"{version} held", timeout=MINUTE)
    assert stayed(ana)
    assert [one for one in house.builds("transactionhistory") if one[0] == version] == [(version, "SUCCESS")]

    marta.goto(f"/changes/{number}/review")
    marta.locator("[name=summary]").fill("As planned.")
    press(marta, marta.locator("main form button[type=submit]"))
    marta.wait_for_url(f"**/changes/{number}")
    expect(marta.locator("#head")).to_contain_text("Closed")
    keep(marta, "journey-closed")
    the_record_holds(house)


def test_the_other_language_keeps_the_place(enter: Callable[..., Page], keep: Keep) -> None:
    page = enter("ana", theme="dark")
    page.goto("/changes?state=closed")
    place = page.url
    page.get_by_role("button", name="Português").click()

    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    assert page.url == place
    keep(page, "journey-changes-dark-pt")


def test_a_session_that_was_ended_opens_nothing(browser: Browser, house: House, enter: Callable[..., Page]) -> None:
    page = enter("ana")
    kept = page.context.storage_state()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in**")

    stolen = browser.new_page(base_url=house.address, storage_state=kept)
    stolen.goto("/changes/new")
    assert "/sign-in" in stolen.url
    assert stolen.request.post("/changes/1041/do/cancel", max_redirects=0).status in {302, 403}
    stolen.close()


def file_over_the_api(house: House, service: str, version: str, *, title: str, environment: str = "production") -> int:
    """File a change as CI does, for Marta, who answers for the token; return its number."""
    start = datetime.now(UTC) + timedelta(seconds=20)
    status, change = house.ask(
        "POST",
        "changes",
        {
            "title": title,
            "why": "Somebody asked for it.",
            "plan": "Deploy, 10 %, judge, all, watch.",
            "items": [
                {
                    "service": service,
                    "environment": environment,
                    "version": version,
                    "digest": digest(service, version),
                }
            ],
            "tests_passed": 98,
            "tests_failed": 0,
            "starts_at": start.isoformat(),
            "ends_at": (start + timedelta(hours=2)).isoformat(),
        },
    )
    assert status == 201, change
    status, submitted = house.ask("POST", f"changes/{change['number']}/submit", {})
    assert (status, submitted["state"]) == (200, "authorizing"), submitted
    return int(change["number"])


def cancel_what_the_demo_booked(ana: Page, one: story.Ready) -> None:
    """Make room: the demo has a change for this very version already."""
    ana.goto("/changes")
    ana.get_by_role("link", name=re.compile(re.escape(one.title))).first.click()
    ana.locator("#cancel-reason").fill("I file it anew.")
    ana.get_by_role("button", name="Cancel").click()
    expect(ana.locator("#head")).to_contain_text("Canceled")


def file(ana: Page, artifact: str, keep: Keep) -> int:
    """File a change on the New change page; the checklist follows the typing. Return its number."""
    ana.goto("/")
    ana.keyboard.press("c")
    ready, digest_field = ana.locator("#ready"), ana.locator("#items-0-digest")
    expect(ready).to_contain_text("Give the change a title.")
    missing = [missing_lines(ana)]
    ana.locator("#title").fill("Book transfers side by side")
    expect(ready).not_to_contain_text("Give the change a title.")
    missing.append(missing_lines(ana))
    ana.locator("#why").fill("Bookings queue for up to 1.9 s at salary peaks.")
    ana.locator("#items-0-service").select_option(SERVICE)
    ana.locator("#items-0-environment").select_option("production")
    ana.locator("#items-0-version").fill(BAD)
    digest_field.fill(f"{SERVICE}:{BAD}")
    expect(ready).to_contain_text("a tag can move to another artifact.")
    ana.get_by_role("button", name="Save draft").click()
    expect(ana.locator("#items-0-digest-error")).to_contain_text("sha256:")
    expect(digest_field).to_have_value(f"{SERVICE}:{BAD}")
    keep(ana, "journey-tag-refused")
    digest_field.fill(artifact)
    expect(ana.locator("#items-0-digest-error")).to_be_hidden()
    expect(ready).not_to_contain_text("a tag can move to another artifact.")
    ana.locator("#plan").fill("1. Deploy to the idle side.\n2. Shift 10 %, judge, then all.\n3. Watch.")
    ana.locator("#tests_passed").fill("214")
    ana.locator("#tests_failed").fill("0")
    expect(ready).not_to_contain_text("Say how many tests passed")
    missing.append(missing_lines(ana))
    choose_window(ana)
    expect(ready.get_by_role("button", name="Submit")).to_be_enabled()
    expect(ready.locator("[data-tone=stop]")).to_have_count(0)
    missing.append(0)
    assert missing == sorted(set(missing), reverse=True)
    expect(ana.locator("#backs")).to_contain_text(f"back to {BACK}")
    keep(ana, "journey-new-complete")
    ana.locator("#ready button[value=submit]").click()
    ana.wait_for_url(re.compile(r"/changes/\d+$"))
    expect(ana.locator("#head")).to_contain_text("Authorizing")
    return int(ana.url.rsplit("/", 1)[1])


def missing_lines(page: Page) -> int:
    """Return how many lines of the checklist still fail."""
    return page.locator("#ready .checks [data-tone=stop]").count()


def choose_window(page: Page) -> None:
    """Choose a window that begins in a moment."""
    start = datetime.now(HERE) + timedelta(seconds=20)
    page.locator("#starts_at").fill(start.strftime("%Y-%m-%dT%H:%M:%S"))
    page.locator("#ends_at").fill((start + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M"))


def edit_while_somebody_reads(ana: Page, helena: Page, number: int) -> None:
    """Let Helena vote on what Ana edits meanwhile: she sees the difference, and her vote does not count."""
    helena.goto(f"/changes/{number}")
    ana.goto(f"/changes/{number}/edit")
    ana.locator("#title").fill("Book transfers in parallel, with a limit")
    choose_window(ana)
    expect(ana.locator("#ready [data-tone=stop]")).to_have_count(0)
    ana.locator("#ready button[value=submit]").click()
    ana.wait_for_url(f"**/changes/{number}")
    expect(ana.locator("#head")).to_contain_text("Authorizing")
    helena.get_by_role("button", name="Approve as Security").click()
    panel = helena.locator("#decision-sheet")
    expect(panel.get_by_role("alert")).to_contain_text("This moved while you looked")
    expect(panel.get_by_role("alert")).to_contain_text("Book transfers in parallel, with a limit")
    expect(panel.get_by_role("alert")).not_to_contain_text("_us")
    expect(panel).to_contain_text("0 of 2 needed have approved.")
    expect(helena.get_by_role("heading", level=1)).to_have_text("Book transfers in parallel, with a limit")
    expect(helena.locator("#what-sheet")).to_contain_text("Revision 2")


def approve_from_today(bruno: Page, number: int) -> None:
    """Approve in the inbox."""
    bruno.goto("/")
    mine = bruno.locator("#decide-sheet li", has_text=f"CHG-{number}").first
    mine.get_by_role("button", name="Approve as Engineering").click()
    expect(bruno.locator("#decide-sheet")).not_to_contain_text(f"CHG-{number}")
    left = bruno.locator("#decide-sheet .asks > li").count()
    expect(bruno.get_by_role("heading", level=1)).to_contain_text(f"{left} change" if left else "Nothing waits")


def ask_the_gate(house: House, service: str, artifact: str) -> dict[str, Any]:
    """Ask as CI does."""
    status, answer = house.ask(
        "POST",
        "gate/decisions",
        {
            "service": service,
            "environment": "production",
            "intent": "deploy",
            "artifact": {"name": service, "digest": artifact},
            "run": {"provider": "ci", "id": "77"},
        },
    )
    assert status == 200, answer
    return answer


def the_page_says(page: Page) -> str:
    """Return what stands under "Would the gate open now?"."""
    page.reload()
    return page.locator("#gate-sheet .badge").inner_text()


def told(page: Page, number: int) -> str:
    """Return the story of a change."""
    page.goto(f"/changes/{number}")
    return page.locator(".story").inner_text()


def stay(page: Page) -> None:
    """Leave a mark that a reload would wipe away."""
    page.evaluate("() => { window.stayed = true }")


def stayed(page: Page) -> bool:
    """Say whether the page is still the one that was marked."""
    return bool(page.evaluate("() => window.stayed === true"))


def open_another_tab(page: Page, path: str) -> Page:
    """Open a tab of the same person with the dialog open."""
    tab = page.context.new_page()
    tab.goto(path)
    tab.get_by_role("button", name=f"Go back to {BACK}").click()
    return tab


def the_record_holds(house: House) -> None:
    """Verify the record with its witness, and replay it against the tables."""
    report = until(lambda: _sealed(house))
    assert report["exit_code"] == 0, report
    replay = house.manage("audit", "replay")
    assert replay.returncode == 0, replay.stdout + replay.stderr


def _sealed(house: House) -> dict[str, Any] | None:
    done = house.manage("audit", "verify", "--json")
    report: dict[str, Any] = {**json.loads(done.stdout), "exit_code": done.returncode}
    return report if report["witnessed_size"] == report["events"] or done.returncode == 1 else None
