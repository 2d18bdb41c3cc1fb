"""Today holds every decision that waits for somebody: changes, and what the committee is to decide about itself."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from releases.accounts.roles import Role
from releases.changes.states import State
from releases.committee import services as committee
from releases.committee.rules import Decision
from tests.factories.accounts import a_person
from tests.factories.changes import POLICY, a_change

STRICTER = [{**POLICY[0], "seats": {"seat_engineering": 1, "seat_security": 1, "seat_operations": 1}}, *POLICY[1:]]
HEADLINE = re.compile(r'<h1 id="waits"[^>]*>(.*?)</h1>', re.DOTALL)


@pytest.fixture
def proposed(house, now):
    """Return a policy that the release manager proposes."""
    return committee.save_policy(actor=house.actor("manager"), name="Release policy", rules=STRICTER, now=now)


def today(browser, **more):
    """Return the page as it is read, without the markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", browser.get("/", **more).content.decode())).split())


def headline(browser):
    """Return the first heading."""
    return HEADLINE.search(browser.get("/").content.decode())[1]


def vote(proposed, actor, now, decision=Decision.APPROVE):
    committee.vote_on_policy(
        policy_id=proposed.pk, actor=actor, decision=decision, seen_digest=proposed.digest, reason="So.", now=now
    )


def test_a_proposed_policy_waits_for_every_voter_with_its_reason_and_leads_to_the_vote(house, proposed, browse):
    browser = browse(house.security)
    page = browser.get("/").content.decode()

    assert headline(browser) == "1 decision waits for you"
    assert 'href="/settings/policies#decision-2"' in page
    assert 'href="/settings/policies#reason-2"' in page
    assert "Policy, version 2 Release policy Marta Sá proposed it; with 2 more votes it comes into force." in today(
        browser
    )
    assert "instead of version 1" in page
    opened = browser.get("/settings/policies").content.decode()
    assert 'id="decision-2"' in opened
    assert 'id="reason-2"' in opened


@pytest.mark.parametrize("decision", [Decision.APPROVE, Decision.ABSTAIN])
def test_who_voted_is_asked_no_more_and_the_others_are(house, proposed, browse, now, decision):
    vote(proposed, house.actor("engineering"), now, decision)

    assert headline(browse(house.engineering)) == "Nothing waits for you"
    missing = "1 more vote it" if decision is Decision.APPROVE else "2 more votes it"
    assert f"Marta Sá proposed it; with {missing} comes into force." in today(browse(house.security))


def test_nobody_is_asked_once_it_is_decided(house, proposed, browse, now):
    vote(proposed, house.actor("security"), now, Decision.REQUEST_CHANGES)

    assert headline(browse(house.engineering)) == "Nothing waits for you"


def test_who_proposed_it_and_who_holds_no_seat_is_not_asked(house, proposed, browse):
    for nobody in (house.manager, house.engineer):
        assert "Policy, version 2" not in today(browse(nobody))


def test_changes_and_policies_stand_in_one_list_oldest_first_and_are_counted_together(house, proposed, browse):
    change = a_change(replace(house, now=house.now + timedelta(seconds=1)), at=State.AUTHORIZING)
    browser = browse(house.security)
    page = today(browser)

    assert headline(browser) == "2 decisions wait for you"
    assert page.index("Policy, version 2") < page.index(change.name, page.index("You decide"))
    assert re.search(r'href="/"[^>]*>Today\s*<span[^>]*>\s*2<', browser.get("/").content.decode())


def test_changes_alone_are_called_changes(house, browse):
    a_change(house, at=State.AUTHORIZING)
    a_member = browse(a_person("Iara Melo", Role.SEAT_SECURITY))

    assert headline(a_member) == "1 change waits for you"


def test_it_is_asked_in_portuguese(house, proposed, browse):
    page = today(browse(house.security), headers={"Accept-Language": "pt-br"})

    assert "1 decisão espera por você" in page
    assert "Política, versão 2 Release policy Marta Sá a propôs; com mais 2 votos ela entra em vigor." in page
