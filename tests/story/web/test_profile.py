"""The profile: where I am signed in, how my account is guarded, and what only I may change."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session as StoredSession
from django.test import Client

from releases.accounts import queries, services
from releases.accounts.models import Session, User
from releases.accounts.roles import Role
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent
from releases.core import clock
from releases.core.errors import Missing, NotPermitted, Refused
from tests.factories.accounts import PASSWORD, SETUP, a_person, an_actor
from tests.factories.factors import SECRET, an_app, code_at, fresh

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"
NEW = "another horse battery"


@pytest.fixture
def ana() -> User:
    return User.objects.select_related("person").get(
        person=a_person("Ana Reis", Role.ENGINEER, username="ana", password=PASSWORD)
    )


def inside(username: str = "ana", *, device: str = FIREFOX, address: str = "203.0.113.7") -> Client:
    browser = Client(HTTP_USER_AGENT=device, REMOTE_ADDR=address)
    assert browser.post("/sign-in", {"username": username, "password": PASSWORD}).status_code == 302
    return browser


def is_inside(browser: Client) -> bool:
    return browser.get("/profile").status_code == 200


def text_of(browser: Client, path: str = "/profile") -> str:
    return " ".join(browser.get(path).content.decode().split())


def test_the_profile_names_every_session_with_device_address_and_age(ana):
    here = inside()
    inside(device=IPHONE, address="198.51.100.7")
    page = text_of(here)

    assert "Firefox, Linux" in page
    assert "Safari, iPhone" in page
    assert "198.51.100.7" in page
    assert "with password" in page
    first, second = here.get("/profile").context["sessions"]
    assert (first[0].is_here, second[0].is_here) == (True, False)


def test_a_session_is_seen_once_a_minute(ana, time_machine):
    browser = inside()
    began = Session.objects.get().seen_at
    browser.get("/changes")
    assert Session.objects.get().seen_at == began
    time_machine.move_to(datetime.now(UTC) + timedelta(seconds=61))
    browser.get("/changes")
    assert Session.objects.get().seen_at > began


def test_one_session_is_ended_at_once_and_recorded(ana):
    here, lost = inside(), inside(device=IPHONE)
    other = next(one for one, _how in here.get("/profile").context["sessions"] if not one.is_here)
    answer = here.post(f"/profile/sessions/{other.id}/end")

    assert answer.status_code == 302
    assert not is_inside(lost)
    assert is_inside(here)
    (event,) = AuditEvent.objects.filter(kind=Kind.SESSION_ENDED)
    assert json.loads(event.body)["data"]["why"] == "ended"


def test_all_others_are_ended_and_this_one_stays(ana):
    here, *others = (inside() for _ in range(3))
    assert "2 sessions were ended." in here.post("/profile/sessions/end", follow=True).content.decode()

    assert is_inside(here)
    assert not any(is_inside(one) for one in others)
    assert Session.objects.count() == StoredSession.objects.count() == 1


def test_the_session_of_somebody_else_is_nobodys_to_end_but_an_owners(ana, now):
    a_person("Eve", Role.ENGINEER, username="eve", password=PASSWORD)
    browser, eve = inside(), inside("eve")
    row = Session.objects.get(user=ana)

    assert eve.post(f"/profile/sessions/{row.pk}/end").status_code == 404
    assert is_inside(browser)
    with pytest.raises(NotPermitted):
        services.end_sessions(actor=an_actor(Role.ENGINEER), person_id=ana.person_id, now=now)

    owner = an_actor(Role.OWNER, name="Helena")
    services.end_session(actor=owner, session_id=row.pk, now=now)
    assert not is_inside(browser)
    browser = inside()
    assert services.end_sessions(actor=owner, person_id=ana.person_id, now=now) == 1
    assert not is_inside(browser)
    with pytest.raises(Missing):
        services.end_session(actor=owner, session_id=row.pk, now=now)
    told = AuditEvent.objects.filter(kind=Kind.SESSION_ENDED)
    assert {json.loads(one.body)["actor"]["name"] for one in told} == {"Helena"}


def test_an_ended_session_does_not_come_back_through_a_request_that_was_under_way(ana, now):
    browser = inside()
    under_way = browser.session
    assert under_way["methods"] == ["password"]
    services.end_sessions(actor=an_actor(Role.OWNER), person_id=ana.person_id, now=now)
    under_way["late"] = True
    with pytest.raises(UpdateError):
        under_way.save()
    assert not is_inside(browser)


def test_the_password_is_changed_and_every_other_session_ends(ana):
    here, other = inside(), inside(device=IPHONE)
    answer = here.post("/profile/password", {"password": NEW, "repeated": NEW}, follow=True)

    assert "Your password is changed" in answer.content.decode()
    assert is_inside(here)
    assert not is_inside(other)
    assert [one.is_here for one, _how in here.get("/profile").context["sessions"]] == [True]
    assert Client().post("/sign-in", {"username": "ana", "password": PASSWORD}).status_code == 422
    assert Client().post("/sign-in", {"username": "ana", "password": NEW}).status_code == 302
    assert NEW not in "".join(AuditEvent.objects.values_list("body", flat=True))


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (NEW, "something else", "Both differ. Type the new password twice."),
        ("short", "short", "at least 12 characters"),
        ("1q2w3e4r5t6y", "1q2w3e4r5t6y", "too common"),
        ("", "", "This field is required."),
    ],
)
def test_a_password_that_will_not_do_is_said_and_changes_nothing(ana, first, second, said):
    browser = inside()
    answer = browser.post("/profile/password", {"password": first, "repeated": second})

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert User.objects.get(pk=ana.pk).check_password(PASSWORD)


@pytest.mark.parametrize(
    "path", ["/profile/password", "/profile/app/new", "/profile/codes", "/profile/factors/1/remove"]
)
def test_what_guards_the_account_is_changed_within_five_minutes_of_a_sign_in(ana, path, time_machine):
    browser = inside()
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=6))
    answer = browser.post(path, {"password": NEW, "repeated": NEW})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in/again?next=%2Fprofile")
    assert User.objects.get(pk=ana.pk).check_password(PASSWORD)


def test_an_app_is_added_with_its_first_code_and_the_recovery_codes_are_shown_once(ana):
    browser = inside()
    shown = browser.post("/profile/app/new").content.decode()
    secret = browser.session[SECRET_SESSION_KEY]
    assert "<svg" in shown
    assert " ".join(re.findall("....", secret)) in shown

    wrong = browser.post("/profile/app", {"code": "000000"})
    assert wrong.status_code == 422
    assert "This code does not fit." in wrong.content.decode()
    assert browser.session[SECRET_SESSION_KEY] == secret
    answer = browser.post("/profile/app", {"code": code_at(clock.now(), secret)})

    codes = [str(one) for one in answer.context["codes"]]
    assert len(codes) == 10
    assert all(re.fullmatch(r"\d{5}-\d{5}", one) for one in codes)
    assert SECRET_SESSION_KEY not in browser.session
    assert "10 are left" in text_of(browser)
    assert codes[0] not in text_of(browser)


def test_the_secret_is_sealed_in_the_table_and_in_no_event(ana):
    an_app(ana)
    kept = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    assert SECRET not in kept
    assert SECRET not in "".join(AuditEvent.objects.values_list("body", flat=True))


def test_new_recovery_codes_end_the_old_ones(ana):
    old = an_app(ana)
    browser = inside_with_app(ana, old[0])
    answer = browser.post("/profile/codes")
    new = [str(one).replace("-", "") for one in answer.context["codes"]]

    assert not set(old) & set(new)
    again = Client()
    again.post("/sign-in", {"username": "ana", "password": PASSWORD})
    assert again.post("/sign-in/second", {"code": old[1]}).status_code == 422
    assert again.post("/sign-in/second", {"code": new[1]}).status_code == 302


def inside_with_app(ana: User, code: str) -> Client:
    browser = inside()
    assert browser.post("/sign-in/second", {"code": code}).status_code == 302
    return browser


def test_the_app_is_removed_and_the_recovery_codes_with_it(ana):
    codes = an_app(ana)
    browser = inside_with_app(ana, codes[0])
    app = Authenticator.objects.get(user=ana, type="totp")
    browser.post(f"/profile/factors/{app.pk}/remove")

    assert not Authenticator.objects.filter(user=ana).exists()
    assert inside()
    assert AuditEvent.objects.filter(kind=Kind.FACTOR_REMOVED).count() == 1


def test_the_factor_of_somebody_else_is_not_there_for_me(ana):
    eve = User.objects.get(person=a_person("Eve", Role.ENGINEER, username="eve", password=PASSWORD))
    an_app(eve)
    app = Authenticator.objects.get(user=eve, type="totp")

    assert inside().post(f"/profile/factors/{app.pk}/remove").status_code == 404
    assert Authenticator.objects.filter(user=eve).count() == 2


def test_only_whose_account_it_is_adds_a_factor_to_it(ana, now):
    eve = fresh(User.objects.get(person=a_person("Eve", username="eve")), now)
    with pytest.raises(NotPermitted):
        services.add_app(actor=eve, account=ana, secret="JBSWY3DPEHPK3PXP", code="000000", now=now)


def test_an_owner_resets_the_factors_of_somebody_who_lost_theirs_and_never_their_own(ana, now):
    an_app(ana)
    owner = an_actor(Role.OWNER)

    assert services.reset_factors(actor=owner, person_id=ana.person_id, now=clock_of(owner)) == 2
    assert inside()
    with pytest.raises(Refused):
        services.reset_factors(actor=owner, person_id=owner.person_id, now=clock_of(owner))
    with pytest.raises(NotPermitted):
        services.reset_factors(actor=an_actor(Role.ENGINEER), person_id=ana.person_id, now=now)
    with pytest.raises(NotPermitted):
        services.reset_factors(actor=owner, person_id=ana.person_id, now=clock_of(owner) + timedelta(minutes=6))


def clock_of(actor) -> datetime:
    assert actor.signed_in_at is not None
    return actor.signed_in_at


def test_the_language_of_the_account_is_kept(ana):
    browser = inside()
    browser.post("/profile/language", {"language": "pt-br"})

    assert 'lang="pt-BR"' in browser.get("/profile").content.decode()
    assert User.objects.get(pk=ana.pk).language == "pt-br"
    assert browser.post("/profile/language", {"language": "tlh"}).status_code == 400


def test_somebody_without_a_role_has_a_profile(db):
    a_person("New", username="new", password=PASSWORD)
    browser = inside("new")

    assert browser.get("/profile").status_code == 200
    assert browser.get("/changes").status_code == 403


def test_a_stranger_has_none(db):
    assert Client().get("/profile").headers["Location"] == "/sign-in?next=%2Fprofile"


@pytest.mark.parametrize(
    "path",
    [
        "/profile/language",
        "/profile/password",
        "/profile/app/new",
        "/profile/app",
        "/profile/passkey",
        "/profile/codes",
        "/profile/sessions/end",
        "/profile/identities/1/unlink",
    ],
)
def test_what_changes_something_takes_a_form_of_ours(ana, path):
    browser = inside()
    assert browser.get(path).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    assert strict.post(path).status_code == 403


def test_sessions_of_a_person_are_those_of_all_their_accounts(ana, now):
    services.add_account(actor=SETUP, person_id=ana.person_id, username="ana.two", password=PASSWORD, now=now)
    here = inside()
    inside("ana.two")
    found = queries.sessions_of(ana.person_id, now=clock.now(), here=here.session.session_key)
    assert [one.username for one in found] == ["ana", "ana.two"]
