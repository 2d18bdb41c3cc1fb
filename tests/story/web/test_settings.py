"""Pages of the settings: people, teams, roles and seats, delegations, machines."""

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth import authenticate
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from releases.accounts import queries as accounts
from releases.accounts import services
from releases.accounts.models import ApiClient, Person, Team, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.committee import services as committee
from releases.committee.models import Delegation
from releases.web.looks import ROLES
from releases.web.pages.settings.words import RIGHTS
from tests.factories.accounts import SETUP, a_person, a_team, a_token, actor_of

SECTIONS = ("people", "teams", "roles", "delegations", "machines")
SECRET = re.compile(r'<code class="secret"[^>]*>([^<]+)</code>')
WAS = re.compile(r'name="(was-[^"]+)" value="([^"]*)"')


@pytest.fixture
def owner(house):
    return a_person("Olga Dias", Role.OWNER, username="olga")


@pytest.fixture
def at_work(owner, browse):
    """Return the browser of an owner."""
    return browse(owner)


def moment(at):
    return timezone.localtime(at).strftime("%Y-%m-%dT%H:%M")


def opened(browser, path):
    """Return what a form carries unseen: the values it was opened with."""
    return dict(WAS.findall(browser.get(path).content.decode()))


def in_words(answer):
    return answer.content.decode()


# --- the doors, whatever the section ---


@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_the_list_of_sections_leads_to_each_in_both_languages(house, browse, language):
    browser = browse(house.engineer)
    overview = browser.get("/settings", headers={"Accept-Language": language}).content.decode()

    for slug in SECTIONS:
        assert f'href="/settings/{slug}"' in overview
        assert browser.get(f"/settings/{slug}", headers={"Accept-Language": language}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/settings/gods", "/settings/people/x", "/settings/roles/emperor", "/settings/gods/add"]
)
def test_what_does_not_exist_is_not_found(at_work, path):
    assert at_work.get(path).status_code == 404


def test_an_act_that_is_none_is_not_found(at_work, owner):
    assert at_work.get(f"/settings/people/{owner.pk}/crown").status_code == 404
    assert at_work.post(f"/settings/people/{owner.pk}/crown").status_code == 404


def test_who_may_not_edit_sees_the_buttons_and_whom_to_ask_once(house, owner, browse):
    browser = browse(house.engineer)
    whole, one = in_words(browser.get("/settings/people")), in_words(browser.get(f"/settings/people/{owner.pk}"))

    for page in (whole, one):
        assert 'aria-disabled="true"' in page
        assert page.count("Olga Dias can help.") == 1
    assert "/revoke?" not in one


@pytest.mark.parametrize("path", ["people/add", "people/{}/edit", "people/{}/deactivate", "teams/add", "machines/add"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_who_may_not_edit_is_refused_at_the_form_too(house, owner, browse, path, method):
    given = {"name": "eve", "email": "", "owner_id": str(owner.pk), "scopes": ["gate.ask"]}
    given["expires_at"] = moment(house.now + timedelta(days=5))
    answer = getattr(browse(house.manager), method)(f"/settings/{path.format(owner.pk)}", given)

    assert answer.status_code == 403
    assert "Olga Dias" in in_words(answer)
    owner.refresh_from_db()
    assert (owner.name, owner.is_active) == ("Olga Dias", True)


@pytest.mark.parametrize("slug", SECTIONS)
def test_the_queries_of_a_list_do_not_grow_with_its_rows(house, at_work, now, slug):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert at_work.get(f"/settings/{slug}").status_code == 200
        return len(seen)

    def more():
        person = a_person("", Role.ENGINEER, Role.SEAT_SECURITY, now=now)
        a_team("", person)
        a_token(now=now)
        committee.delegate(
            actor=actor_of(person),
            to_person=house.security.pk,
            seat=Role.SEAT_SECURITY,
            starts_at=now,
            ends_at=now + timedelta(days=1),
            now=now,
        )

    more()
    few = queries()
    for _ in range(5):
        more()

    assert queries() == few


def test_a_form_that_stands_on_old_data_says_what_changed_and_keeps_what_was_typed(at_work, house, now):
    path = f"/settings/people/{house.engineer.pk}/edit"
    unseen = opened(at_work, path)
    services.rename_person(
        actor=SETUP, person_id=house.engineer.pk, name="Ana Reis Lima", email="x@example.com", now=now
    )

    answer = at_work.post(path, {**unseen, "name": "Ana Maria", "email": "typed@example.com"})

    page = in_words(answer)
    assert answer.status_code == 422
    assert "it is “Ana Reis Lima” now" in page
    assert 'value="Ana Maria"' in page
    assert 'value="typed@example.com"' in page
    assert at_work.post(path, {**dict(WAS.findall(page)), "name": "Ana Maria", "email": ""}).status_code == 302


def test_the_history_of_one_is_told_from_the_record_newest_first(house, at_work, now):
    services.grant(actor=SETUP, person_id=house.engineer.pk, role=Role.ON_CALL, now=now)
    page = in_words(at_work.get(f"/settings/people/{house.engineer.pk}"))

    assert page.index("Installation gave Ana Reis the role on call.") < page.index("Installation added Ana Reis.")


def test_the_history_of_a_person_tells_what_was_changed_and_not_when_they_came_and_went(house, owner, at_work, now):
    account = User.objects.get(person=house.engineer)
    password = services.set_password(actor=actor_of(owner, signed_in_at=now), account_id=account.pk, now=now)
    theirs = Client()
    theirs.post("/sign-in", {"username": account.username, "password": password})
    theirs.post("/sign-out")

    told = in_words(at_work.get(f"/settings/people/{house.engineer.pk}")).split('id="history"')[1].split("</ol>")[0]
    assert "set a new password" in told
    assert "signed in" not in told
    assert "session" not in told


def test_every_right_and_every_role_has_a_word():
    assert set(RIGHTS) == set(Right)
    assert set(ROLES) == set(Role)


# --- people ---


def test_a_search_finds_by_name_address_and_user_name(house, at_work):
    a_person("Zoé Prado", username="zp.admin")
    for asked in ("ZOÉ" if connection.vendor == "postgresql" else "Prado", "zp.adm"):
        page = in_words(at_work.get("/settings/people", {"q": asked}))
        assert "Zoé Prado" in page
        assert "Bruno Lima" not in page


def test_a_search_without_an_answer_says_so_without_believing_its_words(house, at_work):
    page = in_words(at_work.get("/settings/people", {"q": "<b>nobody"}))
    assert "&lt;b&gt;nobody" in page


def test_an_owner_adds_somebody_with_a_password_that_is_shown_once(at_work):
    answer = at_work.post(
        "/settings/people/add",
        {"name": "Nina Prado", "email": "nina@example.com", "username": "nina", "with_password": "on"},
    )

    person = Person.objects.get(name="Nina Prado")
    secret = SECRET.search(in_words(answer))[1]
    assert answer.headers["Cache-Control"] == "no-store"
    assert authenticate(username="nina", password=secret).person == person
    assert secret not in in_words(at_work.get(f"/settings/people/{person.pk}"))
    assert secret not in str(at_work.session.items())


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Nina\u202e Prado"}, "name"),
        ({"name": "Nina\x07"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"email": "nina at home"}, "email"),
        ({"username": "OLGA"}, "username"),
        ({"username": "nína"}, "username"),
        ({"username": "", "with_password": "on"}, "username"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_what_was_typed_stays(at_work, given, field):
    asked = {"name": "Nina Prado", "email": "nina@example.com", "username": "nina", **given}
    answer = at_work.post("/settings/people/add", asked)

    page = in_words(answer)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in page
    assert all(f'value="{typed}"' in page for name, typed in asked.items() if name != field and typed not in {"", "on"})
    assert not Person.objects.filter(email=asked["email"]).exists()


def test_nobody_gives_a_seat_to_themselves_and_the_page_says_so(at_work, owner):
    answer = at_work.post(f"/settings/people/{owner.pk}/grant", {"role": "seat_security"})
    assert answer.status_code == 409
    assert "Ask another owner." in in_words(answer)


def test_a_role_is_given_and_taken_and_both_are_told(at_work, house):
    path = f"/settings/people/{house.engineer.pk}"
    at_work.post(f"{path}/grant", {"role": "auditor"})
    page = in_words(at_work.get(path))
    assert "given by Olga Dias" in page
    assert f'href="{path}/revoke?role=auditor"' in page

    assert 'value="auditor" selected' in " ".join(in_words(at_work.get(f"{path}/revoke?role=auditor")).split())
    at_work.post(f"{path}/revoke", {"role": "auditor"})
    assert Role.AUDITOR not in accounts.roles_of(house.engineer.pk)
    assert "Olga Dias took the role auditor from Ana Reis." in in_words(at_work.get(path))


def test_a_role_that_is_not_held_meanwhile_is_said_at_its_field(at_work, house):
    answer = at_work.post(f"/settings/people/{house.engineer.pk}/revoke", {"role": "auditor"})
    assert answer.status_code == 422
    assert 'id="role-error"' in in_words(answer)


def test_the_last_holder_of_a_needed_seat_keeps_it_and_the_page_says_why(at_work, house):
    answers = (
        at_work.post(f"/settings/people/{house.security.pk}/revoke", {"role": "seat_security"}),
        at_work.post(f"/settings/people/{house.security.pk}/deactivate"),
        at_work.post("/settings/roles/seat_security/take", {"person": str(house.security.pk)}),
    )
    for answer in answers:
        assert answer.status_code == 409
        assert "Without Helena Costa nobody could fill the seat Security" in in_words(answer)
        assert "Give the seat to somebody else first" in in_words(answer)
    assert Role.SEAT_SECURITY in accounts.roles_of(house.security.pk)


def test_the_last_owner_stays_and_the_page_says_why(at_work, owner):
    for path, given in (("deactivate", {}), ("revoke", {"role": "owner"})):
        answer = at_work.post(f"/settings/people/{owner.pk}/{path}", given)
        assert answer.status_code == 409
        assert "is the last owner" in in_words(answer)


def test_somebody_leaves_and_comes_back(at_work, house):
    path = f"/settings/people/{house.engineer.pk}"
    at_work.post(f"{path}/deactivate")
    page = in_words(at_work.get(path))
    assert "Left" in page
    assert f'href="{path}/deactivate"' not in page

    at_work.post(f"{path}/reactivate")
    house.engineer.refresh_from_db()
    assert house.engineer.is_active
    assert accounts.roles_of(house.engineer.pk) == frozenset()


def test_an_account_is_added_closed_opened_and_given_a_password(at_work, house):
    path = f"/settings/people/{house.engineer.pk}"
    at_work.post(f"{path}/account", {"username": "ana.admin"})
    account = User.objects.get(username="ana.admin")
    given = {"account": str(account.pk)}

    shown = SECRET.search(in_words(at_work.post(f"{path}/password", given)))[1]
    assert authenticate(username="ana.admin", password=shown) == account
    at_work.post(f"{path}/close", given)
    assert authenticate(username="ana.admin", password=shown) is None
    at_work.post(f"{path}/reopen", given)
    assert authenticate(username="ana.admin", password=shown) == account


def test_who_signed_in_long_ago_is_asked_again_and_comes_back_with_what_was_typed(house, owner, browse, now):
    account = User.objects.get(person=house.engineer)
    path = f"/settings/people/{house.engineer.pk}/password"
    answer = browse(owner, signed_in_at=now - timedelta(minutes=6)).post(path, {"account": str(account.pk)})

    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/sign-in/again?{urlencode({'next': f'{path}?account={account.pk}'})}"


def test_an_owner_ends_the_sessions_of_somebody_and_removes_a_lost_second_factor(at_work, owner, house, now):
    account = User.objects.get(person=house.engineer)
    password = services.set_password(actor=actor_of(owner, signed_in_at=now), account_id=account.pk, now=now)
    theirs = Client()
    theirs.post("/sign-in", {"username": account.username, "password": password})
    assert theirs.get("/settings").status_code == 200
    Authenticator.objects.create(user=account, type=Authenticator.Type.TOTP, data={"secret": "x"})
    path = f"/settings/people/{house.engineer.pk}"

    at_work.post(f"{path}/factors")
    at_work.post(f"{path}/sessions")

    assert theirs.get("/settings").status_code == 302
    assert not Authenticator.objects.filter(user=account).exists()
    assert f'href="{path}/factors"' not in in_words(at_work.get(path))


def test_where_a_provider_is_set_up_an_owner_links_somebody_and_unlinks_them(at_work, owner, house, settings, now):
    settings.GMUD_OIDC_ISSUER = "https://id.example.com"
    account = User.objects.get(person=house.engineer)
    path = f"/settings/people/{house.engineer.pk}"
    given = {"account": str(account.pk), "subject": "a1b2"}

    at_work.post(f"{path}/link", given)
    [identity] = accounts.identities_of(account)
    assert (identity.issuer, identity.subject) == ("https://id.example.com", "a1b2")
    taken = at_work.post(
        f"/settings/people/{house.security.pk}/link",
        {**given, "account": str(User.objects.get(person=house.security).pk)},
    )
    assert taken.status_code == 409

    services.set_password(actor=actor_of(owner, signed_in_at=now), account_id=account.pk, now=now)
    at_work.post(f"{path}/unlink", {"link": f"{account.pk} {identity.id}"})
    assert accounts.identities_of(account) == []


def test_where_nobody_signs_in_with_a_password_none_is_offered(at_work, house, settings):
    settings.GMUD_PASSWORDS = False
    assert "with_password" not in in_words(at_work.get("/settings/people/add"))
    assert "/password?" not in in_words(at_work.get(f"/settings/people/{house.engineer.pk}"))


def test_somebody_elses_account_is_not_reached_through_this_person(at_work, house):
    theirs = User.objects.get(person=house.security)
    answer = at_work.post(f"/settings/people/{house.engineer.pk}/password", {"account": str(theirs.pk)})
    assert answer.status_code == 422
    assert SECRET.search(in_words(answer)) is None


# --- teams ---


def test_a_team_is_added_described_joined_left_and_removed(at_work, house):
    made = at_work.post("/settings/teams/add", {"name": "payments", "title": "Payments"})
    team = Team.objects.get(name="payments")
    path = f"/settings/teams/{team.pk}"
    assert made.headers["Location"] == path

    at_work.post(f"{path}/edit", {**opened(at_work, f"{path}/edit"), "name": "pay", "title": "Pay"})
    at_work.post(f"{path}/join", {"person": str(house.engineer.pk)})
    assert "Ana Reis" in in_words(at_work.get(path))
    at_work.post(f"{path}/leave", {"person": str(house.engineer.pk)})
    assert at_work.post(f"{path}/remove").headers["Location"] == "/settings/teams"
    assert [one.kind.split(".")[1] for one in audit.story(team.stream)] == [
        *("registered", "described", "joined", "left", "removed")
    ]


@pytest.mark.parametrize("name", ["ledger", "The Ledger", "ledger\u200b"])
def test_a_team_name_that_is_taken_or_no_slug_is_said_at_its_field(at_work, name):
    a_team("ledger")
    answer = at_work.post("/settings/teams/add", {"name": name, "title": "Another"})
    assert answer.status_code == 422
    assert 'id="name-error"' in in_words(answer)
    assert 'value="Another"' in in_words(answer)
    assert Team.objects.filter(title="Another").count() == 0


def test_a_team_in_use_is_not_removed_and_the_page_names_what_uses_it(at_work, house):
    answer = at_work.post(f"/settings/teams/{house.service.team_id}/remove")
    assert answer.status_code == 409
    assert "ledgerwriter" in in_words(answer)


def test_nobody_unknown_joins_a_team(at_work, house):
    answer = at_work.post(f"/settings/teams/{house.service.team_id}/join", {"person": str(house.service.pk)})
    assert answer.status_code == 422
    assert 'id="person-error"' in in_words(answer)


# --- roles and seats ---


def test_a_seat_says_who_holds_it_and_what_the_policy_asks(at_work, house):
    page = in_words(at_work.get("/settings/roles/seat_security"))
    assert "Helena Costa" in page
    assert "up to 1" in page


def test_a_role_tells_who_held_it_also_when_nobody_holds_it_now(at_work, house):
    at_work.post("/settings/roles/auditor/give", {"person": str(house.engineer.pk)})
    at_work.post("/settings/roles/auditor/take", {"person": str(house.engineer.pk)})
    page = in_words(at_work.get("/settings/roles/auditor"))

    assert "Nobody holds it." in page
    assert "Olga Dias gave Ana Reis the role auditor." in page
    assert "Olga Dias took the role auditor from Ana Reis." in page
    assert "release manager" not in page.split("History")[1]


# --- delegations ---


@pytest.fixture
def lent(house, now):
    return committee.delegate(
        actor=house.actor("security"),
        to_person=house.engineering.pk,
        seat=Role.SEAT_SECURITY,
        starts_at=now,
        ends_at=now + timedelta(days=3),
        now=now,
    )


def test_a_member_lends_their_own_seat_and_takes_it_back(house, browse, now):
    browser = browse(house.security)
    given = {"seat": "seat_security", "to_person": str(house.engineering.pk)}
    times = {"starts_at": moment(now), "ends_at": moment(now + timedelta(days=3))}

    answer = browser.post("/settings/delegations/add", {**given, **times})
    path = answer.headers["Location"]
    assert "Helena Costa lends Security to Bruno Lima" in in_words(browser.get(path))

    browser.post(f"{path}/revoke")
    assert Delegation.objects.get().revoked_at is not None
    assert "Helena Costa took the seat Security back." in in_words(browser.get(path))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"seat": "seat_engineering"}, "seat"),  # somebody else's
        ({"to_person": "me"}, "to_person"),
        ({"to_person": "engineer"}, "to_person"),  # holds no seat
        ({"ends_at": -1}, "ends_at"),
        ({"ends_at": "soon"}, "ends_at"),
    ],
)
def test_a_seat_is_lent_within_its_bounds_only(house, browse, now, given, field):
    people = {"me": house.security, "engineer": house.engineer, "other": house.engineering}
    asked = {"seat": "seat_security", "to_person": "other", "starts_at": 0, "ends_at": 3, **given}
    posted = {
        **asked,
        "to_person": str(people[asked["to_person"]].pk),
        **{
            name: moment(now + timedelta(days=asked[name])) if isinstance(asked[name], int) else asked[name]
            for name in ("starts_at", "ends_at")
        },
    }
    answer = browse(house.security).post("/settings/delegations/add", posted)

    assert answer.status_code == 422
    assert f'id="{field}-error"' in in_words(answer)
    assert not Delegation.objects.exists()


def test_a_seat_lent_twice_in_one_span_is_refused_in_words(house, browse, lent, now):
    answer = browse(house.security).post(
        "/settings/delegations/add",
        {
            "seat": "seat_security",
            "to_person": str(house.engineering.pk),
            "starts_at": moment(now + timedelta(days=1)),
            "ends_at": moment(now + timedelta(days=2)),
        },
    )
    assert answer.status_code == 409
    assert "take it back first" in in_words(answer)


def test_only_who_lent_a_seat_takes_it_back_and_the_page_says_so(house, browse, lent):
    browser = browse(house.engineering)
    assert "Only Helena Costa, who lent the seat, takes it back." in in_words(
        browser.get(f"/settings/delegations/{lent.pk}")
    )
    assert browser.post(f"/settings/delegations/{lent.pk}/revoke").status_code == 403
    lent.refresh_from_db()
    assert lent.revoked_at is None


# --- machines ---


def test_a_token_is_shown_once_and_then_never_again(at_work, owner, now):
    asked = {"name": "Jenkins", "owner_id": str(owner.pk), "scopes": ["gate.ask", "permit.redeem"]}
    answer = at_work.post("/settings/machines/add", {**asked, "expires_at": moment(now + timedelta(days=60))})

    client, token = ApiClient.objects.get(), SECRET.search(in_words(answer))[1]
    assert answer.headers["Cache-Control"] == "no-store"
    assert accounts.rights_of(accounts.client_for(token, now)) == {Right.GATE_ASK, Right.PERMIT_REDEEM}
    page = in_words(at_work.get(f"/settings/machines/{client.pk}")) + in_words(at_work.get("/settings/machines"))
    assert token not in page
    assert token.split("_", 2)[2] not in page
    assert f"gmud_{client.prefix}" in page
    assert "never" in page


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "ci\u2066"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["gate.ask", "change.vote"]}, "scopes"),
        ({"scopes": ["people.edit"]}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "0192c1d0-0000-7000-8000-000000000000"}, "owner_id"),
        ({"team_id": "0192c1d0-0000-7000-8000-000000000000"}, "team_id"),
        ({"expires_at": 91}, "expires_at"),
        ({"expires_at": -1}, "expires_at"),
    ],
)
def test_a_token_that_cannot_be_is_refused_at_its_field(at_work, owner, now, given, field):
    asked = {"name": "Jenkins", "owner_id": str(owner.pk), "scopes": ["gate.ask"], "expires_at": 30, **given}
    answer = at_work.post(
        "/settings/machines/add", {**asked, "expires_at": moment(now + timedelta(days=asked["expires_at"]))}
    )

    assert answer.status_code == 422
    assert f'id="{field}-error"' in in_words(answer)
    assert not ApiClient.objects.exists()


def test_a_scope_no_machine_may_hold_is_refused_in_words(at_work, owner, now):
    answer = at_work.post(
        "/settings/machines/add",
        {
            "name": "Jenkins",
            "owner_id": str(owner.pk),
            "scopes": ["change.vote"],
            "expires_at": moment(now + timedelta(days=30)),
        },
    )
    assert "A token can never hold this: vote. It takes a person." in in_words(answer)


def test_a_new_token_takes_the_place_of_the_old_one(at_work, now):
    client, old = a_token(now=now)
    answer = at_work.post(f"/settings/machines/{client.pk}/rotate", {"expires_at": moment(now + timedelta(days=10))})
    new = SECRET.search(in_words(answer))[1]
    assert accounts.client_for(old, now) is None
    assert accounts.client_for(new, now).id == str(client.pk)


def test_a_machine_is_described_and_revoked(at_work, house, now):
    client, token = a_token(now=now)
    path = f"/settings/machines/{client.pk}"
    asked = {"name": "Jenkins", "owner_id": str(house.engineer.pk), "team_id": str(house.service.team_id)}
    at_work.post(f"{path}/edit", {**opened(at_work, f"{path}/edit"), **asked})
    client.refresh_from_db()
    assert (client.name, client.owner, client.team_id) == ("Jenkins", house.engineer, house.service.team_id)

    at_work.post(f"{path}/revoke")
    assert accounts.client_for(token, now) is None
    page = in_words(at_work.get(path))
    assert "Revoked" in page
    assert f'href="{path}/rotate"' not in page
