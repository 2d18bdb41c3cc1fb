"""Signing in through a provider that others wrote, which runs in a process of its own."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from releases.accounts import queries, services
from releases.accounts.models import Person, User
from releases.accounts.openid.groups import mapping
from releases.accounts.roles import Role
from releases.audit.models import AuditEvent
from releases.core import clock
from tests.factories.accounts import SETUP, a_person
from tests.factories.providers import a_real_provider, come_back, consent, leave

pytestmark = [pytest.mark.django_db, pytest.mark.once]  # it is the provider on trial
ANA = {
    "sub": "ana-1",
    "name": "Ana Reis",
    "preferred_username": "ana.reis",
    "email": "ana@example.com",
    "email_verified": True,
    "groups": ["g-engineers", "g-unknown"],
}
BRUNO = {"sub": "bruno-2", "name": "Bruno Lima", "email": "ana@example.com", "email_verified": False}


@pytest.fixture(scope="module")
def issuer():
    with a_real_provider(ANA, BRUNO) as running:
        yield running


def sign_in(browser: Client, subject: str, **more: str):
    return come_back(browser, consent(leave(browser, **more), subject))


def test_who_is_linked_gets_in(issuer, trust):
    trust(issuer)
    person = a_person("Ana Reis", Role.ENGINEER, username="ana")
    account = User.objects.get(person=person)
    services.link_identity(
        actor=queries.actor_for(account, signed_in_at=clock.now()),
        account_id=account.pk,
        issuer=issuer,
        subject="ana-1",
        now=clock.now(),
    )
    browser = Client()
    answer = sign_in(browser, "ana-1", next="/changes")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/changes")
    assert browser.session["methods"] == ["oidc"]
    assert browser.get("/profile").context["account"] == account


def test_the_request_carries_state_nonce_and_challenge_and_no_secret(issuer, trust):
    trust(issuer)
    asked = parse_qs(urlsplit(leave(Client())).query)

    assert asked["redirect_uri"] == ["http://testserver/sign-in/provider/back"]
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}
    assert len(asked["state"][0]) >= 16
    assert len(asked["nonce"][0]) == len(asked["code_challenge"][0]) == 43
    assert "the-secret-of-the-client" not in str(asked)


def test_who_is_not_known_is_refused_and_told_whom_to_ask(issuer, trust):
    trust(issuer)
    browser = Client()
    answer = sign_in(browser, "ana-1", next="/changes")

    assert answer.status_code == 403
    text = answer.content.decode()
    assert 'name="next" value="/changes"' in text
    assert "GMUD does not know you yet. Ask an owner to link your account here to the subject ana-1." in text
    assert browser.get("/profile").status_code == 302
    assert not Person.objects.exists()


def test_where_the_operator_says_so_who_is_not_known_becomes_a_person_with_the_roles_of_their_groups(issuer, trust):
    trust(issuer, GMUD_OIDC_REGISTER=True, GMUD_OIDC_ROLES=mapping('{"g-engineers": ["engineer", "on_call"]}'))
    browser = Client()
    assert sign_in(browser, "ana-1").status_code == 302

    person = Person.objects.get()
    assert (person.name, person.email) == ("Ana Reis", "ana@example.com")
    assert person.accounts.get().username == "ana.reis"
    assert not person.accounts.get().has_usable_password()
    assert queries.roles_of(person.pk) == {Role.ENGINEER, Role.ON_CALL}
    assert browser.get("/").status_code == 200
    assert sign_in(Client(), "ana-1").status_code == 302
    assert Person.objects.count() == 1


def test_an_address_of_somebody_else_that_nobody_verified_leads_to_nobody(issuer, trust):
    trust(issuer, GMUD_OIDC_REGISTER=True)
    sign_in(Client(), "ana-1")
    sign_in(Client(), "bruno-2")

    ana, bruno = Person.objects.order_by("name")
    assert (ana.email, bruno.email) == ("ana@example.com", "")
    assert {one.uid: one.user.person for one in SocialAccount.objects.all()} == {"ana-1": ana, "bruno-2": bruno}


def test_the_same_subject_and_address_at_another_issuer_is_another_person(issuer, trust):
    trust(issuer, GMUD_OIDC_REGISTER=True)
    sign_in(Client(), "ana-1")
    with a_real_provider(ANA) as other:
        trust(other, GMUD_OIDC_REGISTER=True)
        sign_in(Client(), "ana-1")

    first, second = Person.objects.order_by("pk")
    assert first.email == second.email
    assert {one.provider for one in SocialAccount.objects.filter(uid="ana-1")} == {issuer, other}
    assert first.accounts.get().username == "ana.reis"
    assert second.accounts.get().username.startswith("p-")


def test_who_left_is_refused_however_well_the_provider_knows_them(issuer, trust, now):
    trust(issuer, GMUD_OIDC_REGISTER=True, GMUD_OIDC_ROLES=mapping('{"g-engineers": ["owner"]}'))
    a_person("Rita", Role.OWNER)
    sign_in(Client(), "ana-1")
    person = Person.objects.get(name="Ana Reis")
    services.deactivate(actor=SETUP, person_id=person.pk, now=now)
    browser = Client()
    answer = sign_in(browser, "ana-1")

    assert answer.status_code == 403
    assert "This account is closed. Ask an owner." in answer.content.decode()
    assert browser.get("/profile").status_code == 302


def test_who_says_no_at_the_provider_is_back_at_the_door(issuer, trust):
    trust(issuer)
    browser = Client()
    address = leave(browser, next="/changes?state=closed")
    back = consent(address, "ana-1", deny=True)
    state = parse_qs(urlsplit(address).query)["state"][0]
    answer = come_back(browser, f"{back}&state={state}" if "state=" not in back else back)

    assert answer.status_code == 403
    assert "The sign-in at the provider did not come to an end" in answer.content.decode()
    assert answer.content.decode().count('name="next" value="/changes?state=closed"') == 3  # every way in leads on


def test_what_came_back_counts_once_and_only_in_the_browser_that_asked(issuer, trust):
    trust(issuer, GMUD_OIDC_REGISTER=True)
    victim, other = Client(), Client()
    back = consent(leave(victim), "ana-1")

    assert come_back(other, back).status_code == 403
    assert other.get("/profile").status_code == 302
    assert come_back(victim, back).status_code == 302
    stranger = Client()
    stranger.cookies = victim.cookies
    victim.post("/sign-out")
    assert come_back(victim, back).status_code == 403


def test_nothing_of_the_provider_is_kept_but_issuer_and_subject(issuer, trust):
    trust(issuer, GMUD_OIDC_REGISTER=True)
    sign_in(Client(), "ana-1")

    assert SocialAccount.objects.get().extra_data == {}
    bodies = [json.loads(body) for body in AuditEvent.objects.values_list("body", flat=True)]
    assert "ana@example.com" not in str(bodies)
