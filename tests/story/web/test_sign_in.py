"""The way in: what opens it, what does not, what it leaves behind, and what nobody can learn from it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.sessions.models import Session as StoredSession
from django.test import Client
from django.urls import get_resolver

from releases.accounts import queries, services
from releases.accounts.models import Session, SignInAttempt, User
from releases.accounts.roles import Role
from releases.accounts.rules import session_digest
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent, AuditText
from releases.core import clock
from tests.factories.accounts import PASSWORD, SETUP, a_person
from tests.factories.factors import an_app, code_at

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def ana() -> User:
    return User.objects.select_related("person").get(
        person=a_person("Ana Reis", Role.ENGINEER, username="ana", password=PASSWORD)
    )


@pytest.fixture
def app(ana: User) -> User:
    """Return Ana with an authenticator app."""
    an_app(ana)
    return ana


def events(kind: Kind) -> list[dict]:
    return [
        json.loads(body)
        for body in AuditEvent.objects.filter(kind=kind).order_by("event_id").values_list("body", flat=True)
    ]


def sign_in(browser: Client, username: str = "ana", password: str = PASSWORD, **more):
    return browser.post("/sign-in", {"username": username, "password": password, **more})


def is_inside(browser: Client) -> bool:
    return browser.get("/profile").status_code == 200


def test_user_name_and_password_open_the_house_and_leave_a_session_and_an_event(ana):
    browser = Client(HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="203.0.113.7")
    answer = sign_in(browser, "Ana", next="/changes?state=draft")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/changes?state=draft")
    row = Session.objects.get()
    assert (row.user, row.device, row.address, row.methods) == (ana, "Firefox, Linux", "203.0.113.7", ["password"])
    (event,) = events(Kind.SESSION_STARTED)
    assert event["actor"]["session"] == event["data"]["session"] == row.key
    assert event["actor"]["methods"] == ["password"]
    assert event["actor"]["account"] == "ana"
    key = browser.cookies["sessionid"].value
    assert row.key == session_digest(key)
    assert key not in AuditEvent.objects.get(kind=Kind.SESSION_STARTED).body
    assert not StoredSession.objects.filter(session_key=key).exists()
    assert set(AuditText.objects.filter(event_id=event["event_id"]).values_list("body", flat=True)) == {
        "203.0.113.7",
        "Firefox, Linux",
    }


def test_the_actor_of_a_session_is_who_signed_in_when_and_how(ana, rf):
    browser = Client()
    sign_in(browser)
    browser.get("/profile")

    session = browser.session
    assert session["methods"] == ["password"]
    assert timedelta(0) <= clock.now() - datetime.fromisoformat(session["signed_in_at"]) < timedelta(minutes=1)


def test_a_session_ends_after_its_hours_however_busy_it_is(ana, settings):
    browser = Client()
    sign_in(browser)

    stored = StoredSession.objects.get(session_key=session_digest(browser.session.session_key))
    left = stored.expire_date - clock.now()
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
    assert Session.objects.get().ends_at - clock.now() <= timedelta(hours=12)


@pytest.mark.parametrize(
    ("username", "password"),
    [("ana", "wrong password"), ("nobody", PASSWORD), ("", ""), ("ana", ""), ("bot", ""), ("gone", PASSWORD)],
)
def test_every_refusal_says_the_same_and_does_the_same(ana, username, password, now):
    a_person("Bot", username="bot")
    gone = a_person("Gone", username="gone", password=PASSWORD)
    services.deactivate(actor=SETUP, person_id=gone.pk, now=now)
    answer = sign_in(Client(), username, password)

    assert answer.status_code == 422
    assert "User name and password do not belong together. Try again." in answer.content.decode()
    assert SignInAttempt.objects.count() == 1
    (event,) = events(Kind.SESSION_REFUSED)
    assert event["data"]["why"] == "wrong"


def test_what_was_typed_is_in_no_event_unless_it_is_a_user_name_here(ana):
    sign_in(Client(), "my-secret-typed-above", "another-secret")
    sign_in(Client(), "ana", "a-third-secret")

    strangers, known = events(Kind.SESSION_REFUSED)
    assert (strangers["stream"], strangers["data"]["account"]) == ("sign-in:strangers", "")
    assert (known["stream"], known["data"]["account"]) == (ana.person.stream, "ana")
    everything = "".join(AuditEvent.objects.values_list("body", flat=True))
    everything += "".join(AuditText.objects.values_list("body", flat=True))
    assert "secret" not in everything


def test_the_password_is_not_shown_again(ana):
    text = sign_in(Client(), "ana", "not-the-password").content.decode()

    assert "not-the-password" not in text
    assert 'value="ana"' in text


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_out_of_the_house(ana, where):
    assert sign_in(Client(), next=where).headers["Location"] == "/"


def test_the_key_of_the_session_is_another_one_after_signing_in(ana):
    browser = Client()
    session = browser.session
    session["planted"] = "by somebody else"
    session.save()
    before = session.session_key
    browser.cookies["sessionid"] = before
    sign_in(browser)

    assert browser.session.session_key != before
    assert not StoredSession.objects.filter(session_key=session_digest(before)).exists()


def test_a_form_without_its_token_signs_nobody_in(ana):
    browser = Client(enforce_csrf_checks=True)

    assert sign_in(browser).status_code == 403
    assert not is_inside(browser)


def test_signing_out_ends_the_session_and_says_so_in_the_record(ana):
    browser = Client()
    sign_in(browser)
    copied = Client()
    copied.cookies = browser.cookies

    assert browser.get("/sign-out").status_code == 405
    browser.post("/sign-out")

    assert not is_inside(copied)
    assert not Session.objects.exists()
    (event,) = events(Kind.SESSION_ENDED)
    assert (event["data"]["why"], event["actor"]["account"]) == ("signed_out", "ana")


def test_an_app_asks_for_its_code_after_the_password(app):
    browser = Client()
    answer = sign_in(browser, next="/changes")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in/second")
    assert not is_inside(browser)
    assert "Code of your authenticator app" in browser.get("/sign-in/second").content.decode()
    answer = browser.post("/sign-in/second", {"code": code_at(clock.now())})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/changes")
    assert is_inside(browser)
    assert browser.session["methods"] == ["password", "totp"]


def test_a_code_counts_once_whoever_types_it(app):
    code = code_at(clock.now())
    first, second = Client(), Client()
    for browser in (first, second):
        sign_in(browser)

    assert first.post("/sign-in/second", {"code": code}).status_code == 302
    again = second.post("/sign-in/second", {"code": code})
    assert again.status_code == 422
    assert "This code is wrong, or was used before." in again.content.decode()
    assert not is_inside(second)


def test_a_recovery_code_stands_in_once(app):
    now = clock.now()
    codes = services.renew_codes(actor=queries.actor_for(app, signed_in_at=now), account=app, now=now)
    for expected in (302, 422):
        browser = Client()
        sign_in(browser)
        typed = f"{codes[3][:5]}-{codes[3][5:]}"
        assert browser.post("/sign-in/second", {"code": typed}).status_code == expected
    assert events(Kind.SESSION_STARTED)[-1]["data"]["methods"] == ["password", "recovery"]


def test_the_second_step_is_nobodys_without_the_first(app):
    browser = Client()

    assert browser.get("/sign-in/second").headers["Location"] == "/sign-in"
    assert browser.post("/sign-in/second", {"code": code_at(clock.now())}).headers["Location"] == "/sign-in"


def test_between_the_two_steps_five_minutes_pass_at_most(app, time_machine):
    browser = Client()
    sign_in(browser)
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=6))

    assert browser.post("/sign-in/second", {"code": code_at(clock.now())}).headers["Location"] == "/sign-in"
    assert not is_inside(browser)


def test_signing_in_again_keeps_the_session_and_makes_it_fresh(ana, time_machine):
    browser = Client()
    sign_in(browser)
    before, began = browser.session.session_key, Session.objects.get().began_at
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=30))

    wrong = browser.post("/sign-in/again", {"password": "not this", "next": "/changes"})
    assert wrong.status_code == 422
    assert "This is not your password. Try again." in wrong.content.decode()
    answer = browser.post("/sign-in/again", {"password": PASSWORD, "next": "/changes"})

    assert answer.headers["Location"] == "/changes"
    assert browser.session.session_key != before
    row = Session.objects.get()
    assert (row.key, row.began_at) == (session_digest(browser.session.session_key), began)
    assert clock.now() - datetime.fromisoformat(browser.session["signed_in_at"]) < timedelta(minutes=1)
    assert [one["data"]["session"] for one in events(Kind.SESSION_PROVED)] == [row.key]


def test_signing_in_again_asks_for_the_second_factor_too(app, time_machine):
    browser = Client()
    sign_in(browser)
    browser.post("/sign-in/second", {"code": code_at(clock.now())})
    before = browser.session["signed_in_at"]
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=30))

    assert browser.post("/sign-in/again", {"password": PASSWORD}).headers["Location"] == "/sign-in/second"
    assert browser.session["signed_in_at"] == before
    browser.post("/sign-in/second", {"code": code_at(clock.now())})
    assert browser.session["signed_in_at"] > before
    assert browser.session["methods"] == ["password", "totp"]
    assert Session.objects.count() == 1


def test_when_the_record_cannot_be_written_nobody_is_signed_in(ana, monkeypatch):
    from releases.core.errors import Stale

    def no_record(**_kwargs):
        raise Stale("The record is gone.")

    monkeypatch.setattr("releases.audit.services.record", no_record)
    browser = Client()
    answer = sign_in(browser)

    assert answer.status_code == 409
    assert not is_inside(browser)
    assert not Session.objects.exists()


def test_without_passwords_the_form_is_gone_and_nobody_passes(ana, settings):
    settings.GMUD_PASSWORDS = False
    browser = Client()

    assert 'name="password"' not in browser.get("/sign-in").content.decode()
    assert "Nobody signs in with a password here." in sign_in(browser).content.decode()
    assert not is_inside(browser)


@pytest.mark.parametrize(
    "path", ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/accounts/2fa/"]
)
def test_the_pages_of_allauth_are_not_there(db, path):
    assert Client().get(path).status_code == 404


def test_of_allauths_addresses_only_those_it_sends_people_to_have_a_name():
    names = {name for name in get_resolver().reverse_dict if isinstance(name, str)}
    theirs = {one for one in names if one.startswith(("account_", "mfa_", "socialaccount_", "openid_"))}
    assert theirs == {"account_login", "mfa_authenticate"}


def test_an_account_reads_in_its_own_language(ana):
    services.choose_language(actor=queries.actor_for(ana), account=ana, language="pt-br", now=clock.now())
    browser = Client()
    sign_in(browser)

    assert 'lang="pt-BR"' in browser.get("/profile").content.decode()


def test_what_ran_out_is_forgotten_when_the_next_one_signs_in(ana, time_machine):
    sign_in(Client())
    Client().post("/sign-in/passkey/asked")
    assert (Session.objects.count(), StoredSession.objects.count()) == (1, 2)
    time_machine.move_to(datetime.now(UTC) + timedelta(hours=13))
    sign_in(Client())

    assert (Session.objects.count(), StoredSession.objects.count()) == (1, 1)
