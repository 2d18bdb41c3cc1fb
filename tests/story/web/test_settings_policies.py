"""Settings: the policy in force in words, a proposal with its difference and its votes, and the form that proposes."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from releases.accounts import services
from releases.accounts.roles import Role
from releases.catalog.kinds import EnvironmentKind
from releases.committee import queries
from releases.committee import services as committee
from releases.committee.models import Policy, Round, Vote
from releases.committee.rules import Decision
from releases.web.pages.settings import policies as pages
from tests.factories.accounts import SETUP, a_person, actor_of
from tests.factories.catalog import an_environment
from tests.factories.changes import POLICY

PAGE, EDIT = "/settings/policies", "/settings/policies/edit"
# A normal change in production asks for Operations too, with a second factor.
STRICTER = [
    {
        **POLICY[0],
        "seats": {"seat_engineering": 1, "seat_security": 1, "seat_operations": 1},
        "second_factor": True,
        "fresh_sign_in_minutes": 30,
    },
    *POLICY[1:],
]
HIDDEN = re.compile(r'<input type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"')


@pytest.fixture
def owner(house):
    return a_person("Olga Dias", Role.OWNER, username="olga")


@pytest.fixture
def at_work(owner, browse):
    """Return the browser of an owner."""
    return browse(owner)


@pytest.fixture
def proposed(house, now):
    """Return what the release manager proposes."""
    return committee.save_policy(actor=house.actor("manager"), name="Release policy", rules=STRICTER, now=now)


def in_words(answer):
    """Return what a reader sees, without the markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def carried(answer):
    """Return what a page carries along unseen, as it would be posted."""
    found = {}
    for name, value in HIDDEN.findall(answer.content.decode()):
        if name != "csrfmiddlewaretoken":
            found.setdefault(name, []).append(unescape(value))
    return found


def asks_for_a_second_factor(page):
    """Say whether the first rule of the form does."""
    return re.search(r'name="rule-0-factor".*?value="on"\s+selected', page.split('id="rule-1"')[0], re.DOTALL)


def typed(rules=POLICY, *, name="Release policy", seen=(1, 1), **more):
    """Return a policy as the form posts it."""
    data = {"name": name, "rules": len(rules), "seen_in_force": seen[0], "seen_latest": seen[1]}
    for index, rule in enumerate(rules):
        when = rule.get("when", {})
        data |= {
            f"rule-{index}-kinds": when.get("environment_kind", ["production", "staging", "development"]),
            f"rule-{index}-types": when.get("type", ["standard", "normal", "emergency"]),
            f"rule-{index}-level": when.get("risk_at_least", "low"),
            f"rule-{index}-minutes": str(rule.get("fresh_sign_in_minutes") or ""),
            f"rule-{index}-highest": rule.get("highest_risk", ""),
            f"rule-{index}-after": rule.get("after_environment", ""),
            f"rule-{index}-hours": str(rule.get("soak_hours", "")),
            **{f"rule-{index}-{seat}": str(people) for seat, people in rule["seats"].items()},
        }
        if rule.get("second_factor"):
            data[f"rule-{index}-factor"] = "on"
    return data | more


# --- what is in force ---


def test_the_policy_in_force_is_told_in_words_and_never_as_a_document(house, browse):
    page = in_words(browse(house.engineer).get(PAGE))
    assert "Version 1 is in force" in page
    assert "Engineering and Security 2 people" in page
    assert "Nobody: approved beforehand" in page
    assert "At most 5 minutes old" in page  # what high risk asks for, though no rule does
    assert "From 4 rules" in page
    assert "seat_engineering" not in page
    assert "{" not in page


def test_it_is_told_who_put_it_in_force(house, at_work, proposed, now):
    for voter in ("engineering", "security"):
        committee.vote_on_policy(
            policy_id=proposed.pk,
            actor=house.actor(voter),
            decision=Decision.APPROVE,
            seen_digest=proposed.digest,
            now=now,
        )
    page = in_words(at_work.get(PAGE))
    assert "Version 2 is in force" in page
    assert re.search(
        r"Proposed Marta Sá .* For it Bruno Lima and Helena Costa In force .* with the vote of Helena Costa", page
    )
    assert "With a second factor" not in page
    assert "At most 30 minutes old, with a second factor" in page
    assert page.index("Version 2 came into force.") < page.index("Helena Costa voted for version 2.")
    assert page.index("Helena Costa voted for version 2.") < page.index("Version 1 came into force.")


@pytest.mark.parametrize("language", ["en", "pt-br"])
@pytest.mark.parametrize("path", [PAGE, EDIT, f"{PAGE}/1", f"{PAGE}/2", f"{EDIT}?from=2", f"{PAGE}/2/withdraw"])
def test_every_page_opens_in_both_languages(house, browse, proposed, path, language):
    answer = browse(house.manager).get(path, headers={"Accept-Language": language})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", [f"{PAGE}/9", f"{PAGE}/9/withdraw", f"{EDIT}?from=9"])
def test_a_version_there_is_not_is_not_found(at_work, path):
    assert at_work.get(path).status_code == 404


def test_before_the_first_policy_the_page_says_what_to_do_and_it_is_in_force_at_once(house, at_work):
    Policy.objects.all().delete()
    assert "There is no policy yet" in in_words(at_work.get(PAGE))
    shown = at_work.post(EDIT, typed(seen=(0, 0), do="show"))
    assert "it would be in force at once" in in_words(shown)
    assert not Policy.objects.exists()

    assert at_work.post(EDIT, carried(shown) | {"do": "propose"}).status_code == 302
    assert queries.current_policy().version == 1


def test_a_policy_changed_behind_its_digest_is_named_as_what_it_is(house, at_work):
    Policy.objects.update(rules="[]")
    assert "cannot be read" in in_words(at_work.get(PAGE))
    assert "cannot be read" in in_words(at_work.get(f"{PAGE}/1"))


def test_who_may_not_edit_sees_the_button_and_whom_to_ask(house, owner, browse):
    browser = browse(house.engineer)
    page = browser.get(PAGE)
    assert 'aria-disabled="true"' in page.content.decode()
    assert "can help." in in_words(page)
    assert browser.get(EDIT).status_code == 403
    assert browser.post(EDIT, typed(STRICTER, do="show")).status_code == 403
    assert browser.post(EDIT, typed(STRICTER, do="propose")).status_code == 403
    assert Policy.objects.count() == 1


def test_the_queries_of_the_page_do_not_grow_with_the_versions(house, at_work, now):
    def seen():
        with CaptureQueriesContext(connection) as queries_made:
            assert at_work.get(PAGE).status_code == 200
        return len(queries_made)

    def another(number):
        rules = [{**STRICTER[0], "fresh_sign_in_minutes": number}, *POLICY[1:]]
        saved = committee.save_policy(actor=house.actor("manager"), name="Release policy", rules=rules, now=now)
        committee.withdraw_policy(policy_id=saved.pk, actor=house.actor("manager"), now=now)

    another(10)
    few = seen()
    for number in range(11, 16):
        another(number)
    assert seen() == few


# --- the form, and the difference before anything is saved ---


def test_the_form_begins_with_every_field_of_the_policy_in_force(house, at_work, proposed):
    page = at_work.get(f"{EDIT}?from=2").content.decode()
    assert re.search(r'name="rule-0-seat_operations"\s+type="number"\s+value="1"', page)
    assert re.search(r'name="rule-0-minutes"\s+type="number"\s+value="30"', page)
    assert asks_for_a_second_factor(page)
    assert re.search(r'name="rule-0-kinds"\s+value="production"\s+checked', page)
    assert not re.search(r'name="rule-0-kinds"\s+value="staging"\s+checked', page)
    assert 'name="rule-3-level"' in page


def test_what_would_change_is_shown_and_nothing_is_saved(house, at_work):
    answer = at_work.post(EDIT, typed(STRICTER, do="show"))
    page = in_words(answer)
    assert answer.status_code == 200
    assert "Engineering and Security → Engineering, Operations and Security" in page
    assert "At most 30 minutes old, with a second factor" in page
    assert "asks for more" in page
    assert "Rule by rule: 1 changes, 3 stay as they are" in page
    assert "This edit needs 2 votes." in page
    assert Policy.objects.count() == 1

    assert at_work.post(EDIT, carried(answer) | {"do": "propose"}).status_code == 302
    saved = Policy.objects.get(version=2)
    assert (saved.created_by, saved.in_force_at) == ("Olga Dias", None)
    assert saved.document[0]["second_factor"] is True
    assert saved.document[0]["fresh_sign_in_minutes"] == 30


AFTER_STAGING = [
    {**POLICY[0], "highest_risk": "high", "after_environment": "staging", "soak_hours": 24},
    *POLICY[1:],
]


def test_what_a_policy_asks_of_a_release_is_typed_shown_proposed_and_begun_with_again(house, at_work):
    an_environment("staging", EnvironmentKind.STAGING)
    shown = at_work.post(EDIT, typed(AFTER_STAGING, do="show"))
    page = in_words(shown)
    assert "Anything → High risk or lower; After 24 hours in staging" in page
    assert "asks for more" in page

    assert at_work.post(EDIT, carried(shown) | {"do": "propose"}).status_code == 302
    saved = Policy.objects.get(version=2)
    asked = ("highest_risk", "after_environment", "soak_hours")
    assert [saved.document[0][name] for name in asked] == ["high", "staging", 24]
    assert "soak_hours" not in saved.document[1]

    again = at_work.get(f"{EDIT}?from=2").content.decode().split('id="rule-1"')[0]
    for name, value in (("highest", "high"), ("after", "staging")):
        assert re.search(rf'name="rule-0-{name}".*?value="{value}"\s+selected', again, re.DOTALL)
    assert re.search(r'name="rule-0-hours"\s+type="number"\s+value="24"', again)


@pytest.mark.parametrize(
    ("changed", "field", "told"),
    [
        ({"after_environment": "moon"}, "after", "There is no environment moon"),
        ({"after_environment": "production"}, "after", "cannot come before itself"),
        ({"soak_hours": 24}, "hours", "Say in after_environment where"),
        ({"after_environment": "staging", "soak_hours": "many"}, "hours", "Give whole hours"),
        ({"highest_risk": "enormous"}, "highest", "Choose one of: low, moderate, high, or nothing."),
    ],
)
def test_what_no_release_could_ever_keep_is_said_at_its_field(house, at_work, changed, field, told):
    an_environment("staging", EnvironmentKind.STAGING)
    answer = at_work.post(EDIT, typed([{**POLICY[0], **changed}, *POLICY[1:]], do="show"))
    assert answer.status_code == 422
    assert re.search(rf'id="rule-0-{field}-error"[^>]*>[^<]*{told}', answer.content.decode())


def test_what_asks_for_less_says_so(at_work):
    weaker = [{**POLICY[0], "seats": {"seat_engineering": 1}}, *POLICY[1:]]
    assert "asks for less" in in_words(at_work.post(EDIT, typed(weaker, do="show")))


def test_nothing_is_proposed_that_was_not_shown(at_work):
    shown = carried(at_work.post(EDIT, typed(STRICTER, do="show")))
    answer = at_work.post(EDIT, shown | {"rule-0-seat_operations": "", "rule-0-seat_security": "", "do": "propose"})
    assert answer.status_code == 200
    assert "Nothing is saved yet." in in_words(answer)
    assert at_work.post(EDIT, typed(STRICTER, do="propose")).status_code == 200
    assert Policy.objects.count() == 1


def test_a_reordering_or_a_rule_too_many_says_that_nothing_is_asked_otherwise(at_work):
    page = in_words(at_work.post(EDIT, typed([*POLICY, POLICY[0]], do="show")))
    assert "What is asked stays the same everywhere." in page
    assert "is added" in page


def test_a_rule_is_added_and_taken_away_without_losing_the_others(at_work):
    longer = at_work.post(EDIT, typed(STRICTER, name="My policy", do="add"))
    page = longer.content.decode()
    assert 'name="rule-4-kinds"' in page
    assert 'value="My policy"' in page
    assert asks_for_a_second_factor(page)
    shorter = at_work.post(EDIT, typed(STRICTER, do="remove-0")).content.decode()
    assert 'name="rule-2-kinds"' in shorter
    assert 'name="rule-3-kinds"' not in shorter
    alone = at_work.post(EDIT, typed(POLICY[3:], do="remove-0")).content.decode()
    assert 'name="rule-0-kinds"' in alone
    assert "Remove this rule" not in alone


def test_going_back_from_the_difference_keeps_everything(at_work):
    shown = at_work.post(EDIT, typed(STRICTER, name="My policy", do="show"))
    page = at_work.post(EDIT, carried(shown) | {"do": "back"}).content.decode()
    assert 'value="My policy"' in page
    assert re.search(r'name="rule-0-minutes"\s+type="number"\s+value="30"', page)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rule-0-kinds": []}, "Choose at least one."),
        ({"rule-0-types": []}, "Choose at least one."),
        ({"rule-0-seat_security": "many"}, "Give a whole number from 1 to 20."),
        ({"rule-0-seat_security": "21"}, "Give a whole number from 1 to 20."),
        ({"rule-0-minutes": "1441"}, "Give whole minutes from 1 to 1440, or nothing."),
        ({"rule-0-minutes": "99999999999999999999"}, "Give whole minutes from 1 to 1440, or nothing."),
        ({"rule-0-level": "dire"}, "Choose one of"),
        ({f"rule-0-{seat}": "" for seat in STRICTER[0]["seats"]}, "Ask for at least one person"),
        ({"name": " "}, "Give the policy a name."),
        ({"rules": "0"}, "Give a list with at least one rule."),
    ],
)
def test_what_cannot_be_is_said_under_its_field_and_the_rest_is_kept(at_work, given, said):
    answer = at_work.post(EDIT, typed(STRICTER, do="show") | given)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert re.search(rf'class="error"[^>]*>\s*{re.escape(said)}', page)
    assert given.keys() == {"rules"} or asks_for_a_second_factor(page)
    assert Policy.objects.count() == 1


@pytest.mark.parametrize(
    ("seats", "said"),
    [
        ({"seat_business": 1}, "Nobody holds the seat Business: give it to somebody, or ask for fewer."),
        ({"seat_security": 2}, "The seat Security is held by Helena Costa: give it to more people, or ask for fewer."),
    ],
)
def test_a_policy_nobody_can_satisfy_is_refused_with_the_seat_and_the_people(at_work, seats, said):
    answer = at_work.post(EDIT, typed([{**POLICY[0], "seats": seats}, *POLICY[1:]], do="show"))
    assert answer.status_code == 409
    assert said in in_words(answer)
    assert 'name="rule-3-kinds"' in answer.content.decode()


def test_a_hole_is_named_by_what_it_leaves_out(at_work):
    answer = at_work.post(EDIT, typed(POLICY[:3], do="show"))
    assert answer.status_code == 409
    assert "No rule of the policy covers a standard change of low risk in staging" in in_words(answer)


def test_an_edit_that_changes_nothing_calls_nobody_to_vote(at_work):
    answer = at_work.post(EDIT, typed(do="show"))
    assert answer.status_code == 409
    assert "in force already" in in_words(answer)


def test_names_are_shown_and_never_believed(at_work):
    answer = at_work.post(EDIT, typed(STRICTER, name="<script>alert(1)</script>", do="show"))
    assert "<script>alert" not in answer.content.decode()
    assert "&lt;script&gt;alert(1)" in answer.content.decode()


@pytest.mark.parametrize("do", ["show", "propose"])
def test_the_second_of_two_editors_is_told_and_loses_nothing(house, at_work, proposed, do):
    mine = [{**POLICY[0], "seats": {"seat_security": 1}}, *POLICY[1:]]
    answer = at_work.post(EDIT, typed(mine, name="Mine", do=do))
    page = in_words(answer)
    assert answer.status_code == 409
    assert "Marta Sá proposed version 2." in page
    assert "Version 2 waits for votes too." in page
    assert "Engineering and Security → Security" in page
    assert Policy.objects.count() == 2

    assert at_work.post(EDIT, carried(answer) | {"do": "propose"}).status_code == 302
    assert Policy.objects.get(version=3).name == "Mine"


def test_an_editor_whose_ground_moved_sees_the_difference_against_what_is_in_force_now(house, at_work, proposed, now):
    shown = carried(at_work.post(EDIT, typed(POLICY, name="Mine", seen=(1, 2), do="show")))
    for voter in ("engineering", "security"):
        committee.vote_on_policy(
            policy_id=proposed.pk,
            actor=house.actor(voter),
            decision=Decision.APPROVE,
            seen_digest=proposed.digest,
            now=now,
        )
    answer = at_work.post(EDIT, shown | {"do": "propose"})
    assert answer.status_code == 409
    assert "Version 2 is in force now." in in_words(answer)
    assert "asks for less" in in_words(answer)
    assert Policy.objects.count() == 2


# --- votes ---


def vote_of(browser, proposed, decision="approve", **more):
    given = {"decision": decision, "seen_digest": proposed.digest, **more}
    return browser.post(f"{PAGE}/{proposed.version}/vote", given)


def test_the_page_tells_what_is_proposed_who_may_vote_and_how_many_are_missing(house, browse, proposed):
    page = in_words(browse(house.security).get(PAGE))
    assert "version 2 waits for 2 votes" in page
    assert "Marta Sá proposed it" in page
    assert "Engineering, Operations and Security" in page
    assert "Engineering Bruno Lima" in page
    assert "Vote for it" in page

    assert "Vote for it" not in in_words(browse(house.engineer).get(PAGE))
    theirs = in_words(browse(house.manager).get(PAGE))
    assert "You proposed it, so you cannot vote on it." in theirs
    assert "Vote for it" not in theirs


def test_two_people_vote_a_policy_in(house, browse, proposed):
    assert vote_of(browse(house.engineering), proposed).status_code == 302
    page = in_words(browse(house.security).get(PAGE))
    assert "version 2 waits for 1 vote" in page
    assert "1 of 2 needed has approved." in page

    assert vote_of(browse(house.security), proposed, reason="Good.").status_code == 302
    assert queries.current_policy().version == 2
    assert "The committee approved it." in in_words(browse(house.security).get(f"{PAGE}/2"))


def test_a_vote_against_needs_a_reason_and_ends_it(house, browse, proposed):
    browser = browse(house.security)
    answer = vote_of(browser, proposed, "reject")
    assert answer.status_code == 422
    assert "Say why" in in_words(answer)
    assert not Vote.objects.exists()

    assert vote_of(browser, proposed, "reject", reason="Too much.").status_code == 302
    page = in_words(browser.get(PAGE))
    assert "rejected" in page
    assert "Too much." in page
    assert queries.current_policy().version == 1


def test_nobody_votes_twice_nor_on_what_they_did_not_see_nor_on_nothing(house, browse, proposed):
    browser = browse(house.engineering)
    assert vote_of(browser, proposed, seen_digest="sha256:other").status_code == 409
    assert vote_of(browser, proposed, "maybe").status_code == 400
    assert not Vote.objects.exists()
    vote_of(browser, proposed)
    again = vote_of(browser, proposed)
    assert again.status_code == 409
    assert "You have voted already" in in_words(again)
    assert vote_of(browse(house.engineer), proposed).status_code == 403
    assert Vote.objects.count() == 1


def test_an_old_sign_in_is_renewed_before_the_vote_and_the_reason_survives(house, browse, proposed, now):
    browser = browse(house.security, signed_in_at=now - timedelta(hours=1))
    page = in_words(browser.get(PAGE))
    assert "Sign in again to vote" in page
    assert "Vote for it" not in page
    answer = vote_of(browser, proposed, reason="It is good.")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/sign-in/again?next=")
    assert "It is good." in browse(house.security).get(f"{PAGE}?reason=It+is+good.").content.decode()
    assert not Vote.objects.exists()


def test_a_second_factor_the_policy_in_force_asks_for_is_asked_before_the_vote(house, browse, proposed, now):
    for voter in ("engineering", "security"):
        committee.vote_on_policy(
            policy_id=proposed.pk,
            actor=house.actor(voter),
            decision=Decision.APPROVE,
            seen_digest=proposed.digest,
            now=now,
        )
    committee.save_policy(actor=house.actor("manager"), name="Back", rules=POLICY, now=now)
    page = in_words(browse(house.security).get(PAGE))
    assert "second factor before this vote" in page
    assert "Add a second factor" in page
    assert "Vote for it" not in page


def test_its_author_withdraws_it_after_being_asked(house, browse, at_work, proposed):
    mine = browse(house.manager)
    assert f"{PAGE}/2/withdraw" in mine.get(PAGE).content.decode()
    assert f"{PAGE}/2/withdraw" not in at_work.get(PAGE).content.decode()
    assert at_work.post(f"{PAGE}/2/withdraw").status_code == 403
    assert Round.objects.get().closed_at is None

    assert mine.post(f"{PAGE}/2/withdraw", {"reason": "Not yet."}).status_code == 302
    page = in_words(mine.get(PAGE))
    assert "Marta Sá withdrew version 2." in page
    assert "not decided" in page
    assert mine.post(f"{PAGE}/2/withdraw").status_code == 409
    assert Round.objects.get().outcome == "void"


def test_an_edit_by_the_only_holder_of_a_seat_says_that_nobody_is_left_to_vote(house, browse, now):
    services.grant(actor=SETUP, person_id=house.security.pk, role=Role.RELEASE_MANAGER, now=now)
    page = in_words(browse(house.security).post(EDIT, typed(STRICTER, do="show")))
    assert "Security nobody is left who may decide" in page


# --- search ---

EASIER = [{"seats": {"seat_engineering": 1}}]


def versions(answer):
    """Return the numbers of the versions in the list, the newest first."""
    (part,) = re.findall(r'<section class="sheet last" aria-labelledby="versions">.*?</section>', answer, re.DOTALL)
    return [int(one) for one in re.findall(r'href="/settings/policies/(\d+)"', part)]


@pytest.mark.parametrize(
    ("asked", "found"), [("quarter", [3]), ("MARTA", [2]), ("policy", [2, 1]), ("nobody", []), ("", [3, 2, 1])]
)
def test_versions_are_found_by_name_and_by_who_proposed_them(house, proposed, owner, browse, now, asked, found):
    committee.save_policy(actor=actor_of(owner, signed_in_at=now), name="End of quarter", rules=EASIER, now=now)
    answer = browse(owner).get(PAGE, {"q": asked})

    assert versions(answer.content.decode()) == found
    assert ("Nothing here answers to “nobody”." in in_words(answer)) is (not found)
    assert "Proposed: version 2" in in_words(answer)


def test_there_are_more_versions_than_the_page_shows(house, owner, browse, monkeypatch, proposed):
    monkeypatch.setattr(pages, "MOST_VERSIONS", 1)
    assert versions((answer := browse(owner).get(PAGE)).content.decode()) == [2]
    assert "search for the rest" in in_words(answer)
    found = browse(owner).get(PAGE, {"q": "setup"})
    assert versions(found.content.decode()) == [1]
    assert "search for the rest" not in in_words(found)
