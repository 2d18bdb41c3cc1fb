"""Deployments on the page: listed and found, followed with what they print and ask, and told what to do."""

from datetime import timedelta
from uuid import uuid4

import pytest

from releases.accounts.roles import Role
from releases.core import clock
from releases.delivery import console as consoles
from releases.delivery.states import Act, State
from tests.factories.accounts import a_person
from tests.factories.changes import a_change, a_house
from tests.factories.delivery import a_world, control, fault, permit, requests_of
from tests.factories.followed import Followed

pytestmark = pytest.mark.django_db
TAKES = [{"name": "SHARE", "kind": "choice", "choices": ["10", "50"], "default": "10"}]
GO_LIVE = {"ask": {"Deploy": {"message": "Go <live>?", "parameters": TAKES}}}
HX = {"HX-Request": "true"}
LAST = "ffffffff-ffff-7fff-bfff-ffffffffffff"  # asked for after everything else


@pytest.fixture(scope="module")
def open_world():
    with a_world() as found:
        yield found


@pytest.fixture
def world(open_world):
    """Return a Jenkins whose runs begin anew."""
    control(open_world.url, "reset", {})
    return open_world


@pytest.fixture
def house(db, now):
    return a_house(now, service="frontend")


@pytest.fixture
def follow(world, house, now):
    """Return a function that asks for a deployment and looks at it until it rests."""

    def followed(**job):
        return Followed(world, now=now, change_id=a_change(house, title="Ledger first").pk, **job)

    return followed


def text_of(answer):
    return " ".join(answer.content.decode().split())


def test_the_list_shows_each_deployment_with_its_change_its_run_and_who(house, follow, browse):
    one = follow()
    one.look(200)

    text = text_of(browse(house.on_call).get("/deployments"))

    assert "Nothing is being deployed" in text
    assert f'href="/deployments/{one.row.pk}"' in text
    assert "Ledger first" in text
    assert f'href="{one.card.url}"' in text
    assert one.card.requested_by in text


FILTERS = {
    "": True,
    "?service=ledgerwriter&environment=production&system=jenkins&state=running": True,
    "?state=open": True,
    "?service=frontend": False,
    "?environment=staging": False,
    "?system=spinnaker": False,
    "?state=succeeded": False,
    "?state=nonsense&before=nonsense": True,
    f"?before={LAST}": True,
}


def test_filters_in_the_address_keep_what_answers_to_them(house, follow, browse):
    one, browser = follow(hold="Deploy"), browse(house.on_call)

    found = {asked: f"/deployments/{one.row.pk}" in text_of(browser.get(f"/deployments{asked}")) for asked in FILTERS}

    assert found == FILTERS


def test_a_part_of_a_long_list_leads_to_the_older_ones(house, follow, browse, monkeypatch):
    first, second = follow(hold="Deploy"), follow(hold="Deploy")
    monkeypatch.setattr("releases.delivery.queries.page.__kwdefaults__", {"size": 1})
    browser = browse(house.on_call)

    newest = text_of(browser.get("/deployments"))
    older = text_of(browser.get(f"/deployments?before={second.row.pk}"))

    assert f"before={second.row.pk}" in newest
    assert f"/deployments/{first.row.pk}" in older
    assert f"/deployments/{second.row.pk}" not in older


def test_one_deployment_tells_how_it_stands_and_how_its_run_was_found(house, follow, browse):
    one = follow(hold="Deploy")

    text = text_of(browse(house.engineer).get(f"/deployments/{one.row.pk}"))

    assert "Deploy ledgerwriter v0.6.11: production" in text
    for stage in one.card.stages:
        assert stage.name in text
    assert one.card.key in text
    assert "found by its parameter GMUD_CORRELATION" in text
    assert "sha256:planted" not in text
    assert f'href="{one.card.url}"' in text


def test_time_alone_makes_no_other_page(house, follow, browse, monkeypatch):
    one = follow()
    one.look(200)
    one.row.left, one.row.seen_at = 60.0, clock.now()
    one.row.save()
    browser, address = browse(house.on_call), f"/deployments/{one.row.pk}?part=deployment"
    first = browser.get(address)
    later = one.row.seen_at + timedelta(seconds=20)
    monkeypatch.setattr(clock, "now", lambda: later)

    again = browser.get(address, headers={"If-None-Match": first.headers["ETag"]})

    assert "probably done" in first.content.decode()
    assert again.status_code == 304


def test_the_queue_says_why_it_waits_and_that_it_is_stuck(house, follow, browse):
    one = follow(hold="Deploy")
    type(one.row).objects.filter(pk=one.row.pk).update(
        state=State.QUEUED,
        is_stuck=True,
        why={"text": "Jenkins says: %(why)s", "parts": {"why": "Waiting for next available executor"}},
    )

    text = text_of(browse(house.engineer).get(f"/deployments/{one.row.pk}"))

    assert "Jenkins says: Waiting for next available executor" in text
    assert "It is stuck in the queue" in text


def test_what_a_run_prints_is_read_there_escaped_and_without_its_permit(house, follow, browse):
    one = follow(hold="Deploy")
    one.world.job.builds[1].lines.append(f"<b>bold</b> \x1b[31mred\x1b[0m {permit()}")
    browser = browse(house.on_call)

    answer = browser.get(f"/deployments/{one.row.pk}/console")
    text = answer.content.decode()

    assert "&lt;b&gt;bold&lt;/b&gt; red [token]" in text
    assert "\x1b" not in text
    assert f'data-poll="/deployments/{one.row.pk}/console?start=' in text
    assert browser.get(f"/deployments/{one.row.pk}/console?start={'9' * 40}").status_code == 200


def test_what_a_run_prints_is_for_those_who_may_release_or_go_back(house, follow, browse):
    one = follow(hold="Deploy")
    browser = browse(house.security)

    assert browser.get(f"/deployments/{one.row.pk}/console").status_code == 403
    page = browser.get(f"/deployments/{one.row.pk}")
    assert "What it prints:" in text_of(page)
    assert "/console" not in page.content.decode()


def test_of_one_slow_system_one_console_is_read_at_a_time(house, follow, browse):
    one = follow(hold="Deploy")
    browser = browse(house.on_call)

    with consoles.alone_at(one.row.connection_id):
        answer = browser.get(f"/deployments/{one.row.pk}/console")

    assert "somebody else reads there" in text_of(answer)
    assert not any("progressiveText" in each["path"] for each in requests_of(one.world.url))
    assert "somebody else" not in text_of(browser.get(f"/deployments/{one.row.pk}/console"))


def test_a_console_that_cannot_be_read_says_why_in_its_place(house, follow, browse):
    one = follow(hold="Deploy")
    fault(one.world.url, "503", path="progressiveText", times=9)

    answer = browse(house.on_call).get(f"/deployments/{one.row.pk}/console")

    assert answer.status_code == 200
    assert "Jenkins is starting, or too busy to answer." in text_of(answer)
    assert "data-poll" in text_of(answer)


def test_a_question_is_answered_on_the_page_and_the_page_says_that_it_took(house, follow, browse):
    one = follow(**GO_LIVE)
    (question,) = one.card.questions
    browser, place = browse(house.engineer), f"/deployments/{one.row.pk}"
    assert "Go &lt;live&gt;?" in browser.get(place).content.decode()

    field = f"{question.id}:SHARE"
    wrong = browser.post(f"{place}/answer", {"question": question.id, "said": "go", field: "75"}, headers=HX)
    said = {"question": question.id, "said": "go", field: "50", f"{question.id}:": "canary is well"}
    taken = browser.post(f"{place}/answer", said, headers=HX)

    assert (wrong.status_code, "Choose one of: 10, 50." in text_of(wrong)) == (422, True)
    assert (taken.status_code, "Jenkins hears it with the next look." in text_of(taken)) == (200, True)
    one.look(200)
    text = text_of(browser.get(place))
    assert "answered “Go &lt;live&gt;?”: go on" in text
    assert "It took: Jenkins no longer asks." in text
    assert one.card.state is State.SUCCEEDED
    assert len(one.sent("/input/")) == 1


def test_an_answer_that_jenkins_refuses_is_shown_in_its_words_and_the_question_stays(house, follow, browse):
    one = follow(ask={"Deploy": {"message": "Go live?", "submitter": "ana"}})
    (question,) = one.card.questions
    browser, place = browse(house.engineer), f"/deployments/{one.row.pk}"
    assert "Jenkins takes the answer from ana only" in text_of(browser.get(place))

    browser.post(f"{place}/answer", {"question": question.id, "said": "go"})
    one.look()

    text = text_of(browser.get(place))
    assert "You need to be ana" in text
    assert f'value="{question.id}"' in text


def test_the_ways_to_end_a_run_are_separate_and_only_those_it_knows_are_offered(house, follow, browse):
    one = follow(hold="Deploy", deaf=["stop"])
    browser, place = browse(house.engineer), f"/deployments/{one.row.pk}"
    shown = browser.get(place).content.decode()
    assert [act for act in Act if f'action="{place}/{act}"' in shown] == [Act.STOP, Act.TERMINATE, Act.KILL]

    refused = browser.post(f"{place}/pause", headers=HX)
    stopped = browser.post(f"{place}/stop", headers=HX)
    one.look()

    assert (refused.status_code, "The CI system cannot do that" in text_of(refused)) == (409, True)
    assert "asked to stop it" in text_of(stopped)
    assert "Jenkins took it." in text_of(browser.get(place))
    assert (one.card.state, len(one.sent("/1/stop")), one.sent("/1/term")) == (State.RUNNING, 1, [])
    assert browser.post(f"{place}/terminate").status_code == 302
    assert one.look(200).state is State.CANCELED


def test_who_may_not_steer_reads_who_can_and_changes_nothing(house, follow, browse):
    one = follow(hold="Deploy", **GO_LIVE)
    browser, place = browse(a_person("Nina Prado", Role.AUDITOR, now=clock.now())), f"/deployments/{one.row.pk}"

    shown = text_of(browser.get(place))
    refused = browser.post(f"{place}/stop", headers=HX)

    assert f'action="{place}/stop"' not in shown
    assert "can help." in shown
    assert refused.status_code == 403
    assert one.card.wishes == ()


def test_whoever_may_go_back_steers_the_runs_of_the_way_back(house, follow, browse):
    one = follow(hold="Deploy")
    browser, place = browse(house.on_call), f"/deployments/{one.row.pk}"
    assert browser.post(f"{place}/stop").status_code == 403
    type(one.row).objects.filter(pk=one.row.pk).update(intent="rollback")

    assert browser.post(f"{place}/stop").status_code == 302
    assert "Redeploy ledgerwriter" in text_of(browser.get(place))


def test_a_deployment_that_is_not_there_is_missing(house, browse):
    browser, nobody = browse(house.on_call), f"/deployments/{uuid4()}"

    assert browser.get(nobody).status_code == 404
    assert browser.get(f"{nobody}/console").status_code == 404
    assert browser.post(f"{nobody}/stop").status_code in {403, 404}
    assert browser.post(f"{nobody}/answer", {"question": "x"}).status_code in {403, 404}
