"""A provider that lies, errs or is played by somebody else: twelve bad tokens and more, and nobody gets in."""

import base64
import hmac
import json
import re
from datetime import timedelta
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from releases.accounts import queries, services
from releases.accounts.models import Grant, Person, User
from releases.accounts.openid.groups import mapping
from releases.accounts.roles import Role
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent
from releases.core import clock
from tests.factories.accounts import PASSWORD, SETUP, a_person
from tests.factories.factors import an_app, code_at
from tests.factories.providers import Scripted, come_back, leave, round_trip

pytestmark = [pytest.mark.django_db, pytest.mark.once]  # it is the provider on trial
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HOUR = 3600


@pytest.fixture
def ana(provider: Scripted) -> User:
    """Return an account that ``ana-1`` at the scripted provider opens."""
    account = User.objects.select_related("person").get(
        person=a_person("Ana Reis", Role.ENGINEER, username="ana", password=PASSWORD)
    )
    services.link_identity(
        actor=queries.actor_for(account, signed_in_at=clock.now()),
        account_id=account.pk,
        issuer=provider.issuer,
        subject="ana-1",
        now=clock.now(),
    )
    return account


def is_inside(browser: Client) -> bool:
    return browser.get("/profile").status_code == 200


def by_hand(header, claims, sign=lambda _text: b""):
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, claims)]
    text = b".".join(parts)
    return (text + b"." + base64.urlsafe_b64encode(sign(text)).rstrip(b"=")).decode()


def unsigned(_provider, claims):
    return by_hand({"alg": "none", "kid": "one"}, claims)


def with_the_public_key_as_secret(provider, claims):
    pem = provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return by_hand({"alg": "HS256", "kid": "one"}, claims, lambda text: hmac.digest(pem, text, sha256))


def by_an_unknown_key(_provider, claims):
    return jwt.encode(claims, OTHER, algorithm="RS256", headers={"kid": "nine"})


def by_another_key_under_a_known_name(_provider, claims):
    return jwt.encode(claims, OTHER, algorithm="RS256", headers={"kid": "one"})


BAD = {
    "wrong audience": {"claims": {"aud": "somebody-else"}},
    "no audience": {"claims": {"aud": None}},
    "no issuer": {"claims": {"iss": None}},
    "wrong issuer": {"claims": {"iss": "https://id.example"}},
    "wrong nonce": {"claims": {"nonce": "of another request"}},
    "no nonce": {"claims": {"nonce": None}},
    "asked for by another party": {"claims": {"azp": "somebody-else"}},
    "expired": {"claims": {"exp": 1}},
    "not signed": {"token": unsigned},
    "signed with the public key as a secret": {"token": with_the_public_key_as_secret},
    "by an unknown key": {"token": by_an_unknown_key},
    "by another key under a known name": {"token": by_another_key_under_a_known_name},
    "several audiences and another party": {"claims": {"aud": ["gmud", "somebody-else"], "azp": "somebody-else"}},
    "several audiences and no party": {"claims": {"aud": ["gmud", "somebody-else"]}},
    "about nobody": {"claims": {"sub": None}},
    "from the future": {"claims": {"iat": 2**33}},
    "rubbish": {"token": lambda _provider, _claims: "rubbish"},
    "a number": {"token": lambda _provider, _claims: 7},
    "a list": {"token": lambda _provider, _claims: ["a"]},
}


def test_the_scripted_provider_told_honestly_lets_ana_in(provider, ana):
    browser = Client()
    assert round_trip(browser, provider).status_code == 302
    assert is_inside(browser)
    (authorization,) = [proof for path, proof, _form in provider.asked if path == "/token"]
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"gmud:the-secret-of-the-client"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_lets_nobody_in_and_is_recorded(provider, ana, name):
    for part, value in BAD[name].items():
        setattr(provider, part, value)
    browser = Client()
    answer = round_trip(browser, provider)

    assert answer.status_code == 403
    assert "cannot be trusted" in answer.content.decode()
    assert not is_inside(browser)
    (event,) = AuditEvent.objects.filter(kind=Kind.SESSION_REFUSED)
    assert json.loads(event.body)["data"]["proof"] == "oidc"
    assert "rubbish" not in event.body


def test_the_address_of_somebody_here_opens_nothing_verified_or_not(provider, ana, settings):
    Person.objects.filter(pk=ana.person_id).update(email="ana@example.com")
    settings.GMUD_OIDC_REGISTER = True
    for number, verified in enumerate((True, False, "true")):
        provider.claims = {
            "sub": f"eve-{number}",
            "email": "ana@example.com",
            "email_verified": verified,
            "name": "Eve",
        }
        browser = Client()
        round_trip(browser, provider)
        assert browser.get("/profile").context["account"].person.name == "Eve"
    assert [one.email for one in Person.objects.filter(name="Eve").order_by("pk")] == ["ana@example.com", "", ""]


def test_the_user_name_of_somebody_here_opens_nothing(provider, ana, settings):
    settings.GMUD_OIDC_REGISTER = True
    provider.claims = {"sub": "eve-1", "preferred_username": "Ana", "name": "Eve"}
    browser = Client()
    round_trip(browser, provider)

    shown = browser.get("/profile")
    assert shown.status_code == 200, shown.content.decode()
    account = shown.context["account"]
    assert account != ana
    assert account.username.startswith("p-")


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://id.example"},
        {"token_endpoint": "http://id.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
    ],
)
def test_a_description_of_another_provider_or_with_unsafe_addresses_is_not_followed(provider, ana, description):
    provider.description = description
    answer = Client().post("/sign-in/provider")

    assert answer.status_code == 403
    assert "cannot be trusted" in answer.content.decode()
    assert {path for path, _proof, _form in provider.asked} == {"/.well-known/openid-configuration"}


@pytest.mark.parametrize("place", ["/token", "/keys", "/.well-known/openid-configuration"])
def test_a_redirect_of_the_provider_is_not_followed(provider, ana, place):
    browser = Client()
    back = provider.consent(leave(browser))
    provider.asked.clear()
    provider.status[place] = 302
    provider.location = "http://169.254.169.254/latest/meta-data/"
    answer = come_back(browser, back)

    assert answer.status_code in {403, 502}
    assert not is_inside(browser)
    assert all(path in {"/token", "/keys", "/.well-known/openid-configuration"} for path, _p, _f in provider.asked)


@pytest.mark.parametrize("place", ["/token", "/keys", "/userinfo"])
def test_a_provider_that_breaks_down_lets_nobody_in_and_says_try_again(provider, ana, place):
    provider.status[place] = 503
    browser = Client()
    answer = round_trip(browser, provider)

    assert answer.status_code in {403, 502}
    assert not is_inside(browser)


def test_a_provider_the_operator_does_not_allow_is_not_called(provider, ana, monkeypatch):
    monkeypatch.setenv("GMUD_OUTBOUND_HOSTS", "id.example")
    answer = Client().post("/sign-in/provider")

    assert answer.status_code == 502
    assert provider.asked == []


def test_a_private_address_outside_the_operators_networks_is_not_called(trust, ana, provider, monkeypatch):
    monkeypatch.setenv("GMUD_OUTBOUND_NETWORKS", "10.0.0.0/8")
    assert Client().post("/sign-in/provider").status_code == 502
    assert provider.asked == []


def test_user_info_about_somebody_else_is_not_believed(provider, ana):
    provider.userinfo = {"sub": "eve-1", "groups": ["g-owners"]}
    browser = Client()

    assert round_trip(browser, provider).status_code == 403
    assert not is_inside(browser)


def test_without_a_provider_its_addresses_lead_nowhere(db):
    assert Client().post("/sign-in/provider").status_code == 404
    assert Client().get("/sign-in/provider/back?code=1&state=2").status_code == 404


def test_leaving_for_the_provider_takes_a_form_of_ours(provider, ana):
    assert Client().get("/sign-in/provider").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/sign-in/provider").status_code == 403


def test_what_a_stranger_adds_to_the_request_goes_nowhere(provider, ana):
    answer = Client().post("/sign-in/provider?scope=admin&auth_params=redirect_uri%3Dhttps%3A%2F%2Fevil.example")
    (address,) = re.findall(r'http-equiv="refresh"\s+content="0; url=([^"]+)"', answer.content.decode())
    assert "evil.example" not in address
    assert "admin" not in address


def test_nobody_is_sent_out_of_the_house_on_the_way_back(provider, ana):
    assert round_trip(Client(), provider, next="https://evil.example/").headers["Location"] == "/"


def test_groups_give_roles_and_take_those_they_gave(provider, ana, settings, now):
    settings.GMUD_OIDC_ROLES = mapping('{"g-1": ["auditor", "engineer"], "g-2": ["seat_security"]}')
    a_person("Rita", Role.OWNER)

    provider.claims = {"groups": ["g-1", "g-2"]}
    round_trip(Client(), provider)
    assert queries.roles_of(ana.person_id) == {Role.ENGINEER, Role.AUDITOR, Role.SEAT_SECURITY}
    sources = dict(Grant.objects.filter(person=ana.person).values_list("role", "source"))
    assert sources == {"engineer": "", "auditor": provider.issuer, "seat_security": provider.issuer}

    provider.claims = {"groups": ["g-2"]}
    round_trip(Client(), provider)
    assert queries.roles_of(ana.person_id) == {Role.ENGINEER, Role.SEAT_SECURITY}

    services.grant(actor=SETUP, person_id=ana.person_id, role=Role.SEAT_SECURITY, now=now)
    provider.claims = {}
    round_trip(Client(), provider)
    assert queries.roles_of(ana.person_id) == {Role.ENGINEER, Role.SEAT_SECURITY}
    revoked = AuditEvent.objects.filter(kind=Kind.ROLE_REVOKED)
    assert [json.loads(one.body)["data"]["role"] for one in revoked] == ["auditor"]


def test_groups_may_come_with_the_user_info(provider, ana, settings):
    settings.GMUD_OIDC_ROLES = mapping('{"g-1": ["auditor"]}')
    provider.userinfo = {"sub": "ana-1", "groups": ["g-1"]}
    round_trip(Client(), provider)

    assert Role.AUDITOR in queries.roles_of(ana.person_id)


def test_the_last_owner_keeps_that_role_though_no_group_carries_it_any_more(provider, ana, settings):
    settings.GMUD_OIDC_ROLES = mapping('{"g-1": ["owner", "auditor"]}')
    provider.claims = {"groups": ["g-1"]}
    round_trip(Client(), provider)
    provider.claims = {"groups": []}
    browser = Client()
    round_trip(browser, provider)

    assert queries.roles_of(ana.person_id) == {Role.ENGINEER, Role.OWNER}
    assert is_inside(browser)


def test_a_token_that_is_not_believed_changes_no_role(provider, ana, settings):
    settings.GMUD_OIDC_ROLES = mapping('{"g-1": ["owner"]}')
    provider.claims = {"groups": ["g-1"], "aud": "somebody-else"}
    round_trip(Client(), provider)

    assert queries.roles_of(ana.person_id) == {Role.ENGINEER}


def test_a_second_factor_at_the_provider_is_told_in_the_methods(provider, ana):
    provider.claims = {"amr": ["pwd", "mfa"]}
    browser = Client()
    round_trip(browser, provider)

    assert browser.session["methods"] == ["oidc", "mfa"]


def test_a_second_factor_of_ours_is_asked_after_the_provider_too(provider, ana):
    an_app(ana)
    browser = Client()
    assert round_trip(browser, provider).headers["Location"] == "/sign-in/second"
    assert not is_inside(browser)
    browser.post("/sign-in/second", {"code": code_at(clock.now())})
    assert browser.session["methods"] == ["oidc", "totp"]


def test_signing_in_again_asks_the_provider_to_ask_again_and_checks_that_it_did(provider, ana, time_machine):
    browser = Client()
    round_trip(browser, provider)
    before = browser.session["signed_in_at"]
    time_machine.move_to(clock.now() + timedelta(minutes=10))
    address = leave(browser, **{"for": "again", "next": "/changes"})
    assert dict(parse_qsl(urlsplit(address).query)) | {"prompt": "login", "max_age": "0"} == dict(
        parse_qsl(urlsplit(address).query)
    )

    answer = come_back(browser, provider.consent(address))
    assert answer.headers["Location"] == "/changes"
    assert browser.session["signed_in_at"] > before

    fresh = browser.session["signed_in_at"]
    for claims in ({"auth_time": 1}, {"auth_time": None}):
        provider.claims = claims
        assert round_trip(browser, provider, **{"for": "again"}).status_code == 403
        assert browser.session["signed_in_at"] == fresh


def test_a_session_at_the_provider_that_asked_nobody_makes_no_fresh_sign_in(provider, ana):
    an_hour_ago = (clock.now() - timedelta(hours=1)).replace(microsecond=0)
    for told, fresh_since in ((int(an_hour_ago.timestamp()), an_hour_ago.isoformat()), (None, ""), (10**30, None)):
        provider.claims = {"auth_time": told}
        browser = Client()
        round_trip(browser, provider)
        assert is_inside(browser)
        found = browser.session["signed_in_at"]
        assert found == fresh_since if fresh_since is not None else found <= clock.now().isoformat()


def test_a_second_factor_of_ours_makes_a_sign_in_through_an_old_session_fresh(provider, ana):
    an_app(ana)
    provider.claims = {"auth_time": 1}
    browser = Client()
    before = clock.now()
    round_trip(browser, provider)
    browser.post("/sign-in/second", {"code": code_at(clock.now())})

    assert browser.session["signed_in_at"] >= before.isoformat()


def test_signing_in_again_as_somebody_else_changes_nothing(provider, ana, settings):
    settings.GMUD_OIDC_REGISTER = True
    browser = Client()
    round_trip(browser, provider)
    before = browser.session["signed_in_at"]
    provider.claims = {"sub": "eve-1"}
    answer = round_trip(browser, provider, **{"for": "again"})

    assert answer.status_code == 403
    assert (browser.session["signed_in_at"], browser.get("/profile").context["account"]) == (before, ana)
    assert not Person.objects.filter(name="eve-1").exists()


def test_somebody_links_their_account_in_the_profile_and_unlinks_it(provider):
    a_person("Bruno", username="bruno", password=PASSWORD)
    browser = Client()
    browser.post("/sign-in", {"username": "bruno", "password": PASSWORD})
    answer = round_trip(browser, provider, **{"for": "link", "next": "/profile"})
    assert answer.headers["Location"] == "/profile"
    shown = browser.get("/profile")
    assert "From now on you can sign in with Keycloak." in shown.content.decode()
    (identity,) = shown.context["identities"]

    other = Client()
    assert round_trip(other, provider).status_code == 302
    browser.post(f"/profile/identities/{identity.id}/unlink")
    assert round_trip(Client(), provider).status_code == 403
    kinds = AuditEvent.objects.filter(kind__startswith="identity.").order_by("event_id").values_list("kind", flat=True)
    assert list(kinds) == ["identity.linked", "identity.unlinked"]


def test_an_identity_of_somebody_is_not_taken_over_by_linking_it(provider, ana):
    a_person("Bruno", username="bruno", password=PASSWORD)
    browser = Client()
    browser.post("/sign-in", {"username": "bruno", "password": PASSWORD})
    round_trip(browser, provider, **{"for": "link"})

    assert "This identity signs in to another account." in browser.get("/profile").content.decode()
    assert services.account_of(issuer=provider.issuer, subject="ana-1") == ana


def test_linking_takes_the_session_that_began_it(provider, ana):
    a_person("Bruno", username="bruno", password=PASSWORD)
    browser = Client()
    browser.post("/sign-in", {"username": "bruno", "password": PASSWORD})
    provider.claims = {"sub": "eve-1"}
    back = provider.consent(leave(browser, **{"for": "link"}))
    browser.post("/sign-out")
    browser.post("/sign-in", {"username": "ana", "password": PASSWORD})
    answer = come_back(browser, back)

    assert answer.status_code == 403
    assert services.account_of(issuer=provider.issuer, subject="eve-1") is None


def test_the_secret_of_the_client_is_in_no_page_and_no_log(provider, ana, caplog):
    provider.status["/token"] = 400
    text = round_trip(Client(), provider).content.decode()

    assert "the-secret-of-the-client" not in text
    assert "the-secret-of-the-client" not in caplog.text
