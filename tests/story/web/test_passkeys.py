"""Passkeys: made in the profile, opening the house alone or as second factor, and every answer that opens nothing."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from releases.accounts import services
from releases.accounts.models import User
from releases.accounts.roles import Role
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent
from tests.factories.accounts import PASSWORD, SETUP, a_person
from tests.factories.passkeys import PRESENT, Keeper

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
HOST = "localhost"


@pytest.fixture(autouse=True)
def _address(settings):
    settings.PUBLIC_URL = "http://localhost"
    settings.ALLOWED_HOSTS = [HOST, "testserver"]


def a_browser() -> Client:
    return Client(headers={"host": HOST})


@pytest.fixture
def ana() -> User:
    return User.objects.get(person=a_person("Ana Reis", Role.ENGINEER, username="ana", password=PASSWORD))


@pytest.fixture
def inside(ana: User) -> Client:
    browser = a_browser()
    browser.post("/sign-in", {"username": "ana", "password": PASSWORD})
    return browser


@pytest.fixture
def keeper(inside: Client) -> Keeper:
    """Return what keeps a passkey of Ana's."""
    made = Keeper()
    assert add(inside, made).status_code == 200
    return made


def add(browser: Client, keeper: Keeper, name: str = "My phone"):
    asked = browser.post("/profile/passkey/asked").json()
    return browser.post("/profile/passkey", {"credential": keeper.create(asked), "name": name})


def asked(browser: Client) -> dict:
    return browser.post("/sign-in/passkey/asked").json()


def is_inside(browser: Client) -> bool:
    return browser.get("/profile").status_code == 200


def test_a_passkey_is_made_in_the_profile_and_the_recovery_codes_are_shown_once(inside, ana):
    keeper = Keeper()
    answer = add(inside, keeper)

    codes = answer.context["codes"]
    assert len(codes) == len(set(codes)) == 10
    shown = inside.get("/profile").content.decode()
    assert "Passkey My phone" in shown
    assert codes[0] not in shown
    (event,) = AuditEvent.objects.filter(kind=Kind.FACTOR_ADDED, body__contains="webauthn")
    assert json.loads(event.body)["data"] == {"account": "ana", "factor": "webauthn"}
    row = Authenticator.objects.get(user=ana, type="recovery_codes")
    assert not any(code.replace("-", "") in str(row.data) for code in codes)


def test_what_the_browser_is_asked_demands_a_finger_a_face_or_a_pin(inside, keeper):
    options = inside.post("/profile/passkey/asked").json()["publicKey"]
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["rp"]["id"] == "localhost"
    assert [one["id"] for one in options["excludeCredentials"]]
    assert asked(a_browser())["publicKey"]["userVerification"] == "required"


def test_a_passkey_alone_opens_the_house(keeper, ana):
    browser = a_browser()
    answer = browser.post("/sign-in/passkey", {"credential": keeper.get(asked(browser)), "next": "/changes"})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/changes")
    assert browser.session["methods"] == ["passkey"]
    assert browser.get("/profile").context["account"] == ana
    assert browser.get("/profile").context["passkeys"][0].used_at is not None


def test_after_a_password_the_passkey_is_the_second_factor(keeper):
    browser = a_browser()
    assert browser.post("/sign-in", {"username": "ana", "password": PASSWORD}).headers["Location"] == "/sign-in/second"
    question = asked(browser)
    assert len(question["publicKey"]["allowCredentials"]) == 1
    answer = browser.post("/sign-in/second", {"credential": keeper.get(question)})

    assert answer.headers["Location"] == "/"
    assert browser.session["methods"] == ["password", "passkey"]


def test_a_passkey_makes_a_session_fresh_again(keeper, inside, time_machine):
    before = inside.session["signed_in_at"]
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=20))
    answer = inside.post("/sign-in/again", {"credential": keeper.get(asked(inside)), "next": "/changes"})

    assert answer.headers["Location"] == "/changes"
    assert inside.session["signed_in_at"] > before
    assert inside.session["methods"] == ["passkey"]


def test_the_passkey_of_somebody_else_makes_no_session_fresh(keeper, ana):
    a_person("Eve", Role.ENGINEER, username="eve", password=PASSWORD)
    eve = a_browser()
    eve.post("/sign-in", {"username": "eve", "password": PASSWORD})
    before = eve.session["signed_in_at"]
    answer = eve.post("/sign-in/again", {"credential": keeper.get(asked(eve))})

    assert answer.status_code == 422
    assert (eve.session["signed_in_at"], eve.get("/profile").context["account"].username) == (before, "eve")


def answers():
    """Return answers that open nothing, by what is wrong with them; each gets the keeper and the question."""

    def changed(keeper, question, **parts):
        said = json.loads(keeper.get(question))
        said["response"].update(parts)
        return json.dumps(said)

    def told(data):
        return urlsafe_b64encode(bytes(32) + data).rstrip(b"=").decode()

    def lying(**how):
        def answer(keeper, question):
            liar = Keeper(origin=keeper.origin, key=keeper.key, id=keeper.id, owner=keeper.owner)
            for name, value in how.items():
                setattr(liar, name, value)
            return liar.get(question)

        return answer

    return {
        "another origin": lying(origin="http://evil.example"),
        "a sister host": lying(origin="http://evil.localhost"),
        "another port": lying(origin="http://localhost:8001"),
        "nobody verified": lying(flags=PRESENT),
        "nobody there": lying(flags=0),
        "another key": lambda keeper, question: Keeper(id=keeper.id, owner=keeper.owner).get(question),
        "an unknown passkey": lambda keeper, question: Keeper(owner=keeper.owner).get(question),
        "another party": lambda keeper, question: keeper.get(question, rp="evil.example"),
        "another person": lambda keeper, question: keeper.get(question, owner=b"0" * 32),
        "no person": lambda keeper, question: keeper.get(question, owner=b""),
        "a person that is no name": lambda keeper, question: keeper.get(question, owner=b"\xff"),
        "another question": lambda keeper, question: keeper.get(
            {"publicKey": {**question["publicKey"], "challenge": "AAAA"}}
        ),
        "a signature of nothing": lambda keeper, question: changed(keeper, question, signature="AAAA"),
        "no signature": lambda keeper, question: changed(keeper, question, signature=None),
        "flags that promise more than there is": lambda keeper, question: changed(
            keeper, question, authenticatorData=told(b"\x80" + bytes(4))
        ),
        "a figure that is cut off": lambda keeper, question: changed(
            keeper, question, authenticatorData=told(b"\x80" + bytes(4) + b"\x1a\x00")
        ),
        "arrays in arrays without end": lambda keeper, question: changed(
            keeper, question, authenticatorData=told(b"\x80" + bytes(4) + b"\x81" * 5_000)
        ),
        "rubbish": lambda _keeper, _question: "rubbish",
        "a number": lambda _keeper, _question: "7",
        "a list": lambda _keeper, _question: "[]",
        "lists in lists without end": lambda _keeper, _question: "[" * 30_000,
        "nothing": lambda _keeper, _question: "",
        "an empty object": lambda _keeper, _question: "{}",
        "too much": lambda keeper, question: keeper.get(question) + " " * 40_000 + "x",
    }


@pytest.mark.parametrize("name", answers())
def test_an_answer_that_does_not_fit_opens_nothing(keeper, name):
    browser = a_browser()
    answer = browser.post("/sign-in/passkey", {"credential": answers()[name](keeper, asked(browser))})

    assert answer.status_code == 422, name
    assert "This passkey does not open this account here." in answer.content.decode()
    assert not is_inside(browser)


def test_an_answer_counts_once_and_only_where_it_was_asked_for(keeper):
    first, second = a_browser(), a_browser()
    said = keeper.get(asked(first))
    asked(second)

    assert second.post("/sign-in/passkey", {"credential": said}).status_code == 422
    assert first.post("/sign-in/passkey", {"credential": said}).status_code == 302
    first.post("/sign-out")
    assert first.post("/sign-in/passkey", {"credential": said}).status_code == 422


def test_a_question_is_answered_once_though_the_first_answer_was_wrong(keeper):
    browser = a_browser()
    question = asked(browser)
    browser.post("/sign-in/passkey", {"credential": "{}"})

    assert browser.post("/sign-in/passkey", {"credential": keeper.get(question)}).status_code == 422


def test_who_left_is_stopped_however_good_the_passkey(keeper, ana, now):
    services.deactivate(actor=SETUP, person_id=ana.person_id, now=now)
    browser = a_browser()
    answer = browser.post("/sign-in/passkey", {"credential": keeper.get(asked(browser))})

    assert answer.status_code == 403
    assert "This account is closed." in answer.content.decode()
    assert not is_inside(browser)


def test_a_passkey_that_nobody_verified_is_not_kept(inside, ana):
    assert add(inside, Keeper(flags=PRESENT)).status_code == 400
    assert add(inside, Keeper(origin="http://evil.example")).status_code == 400
    assert not Authenticator.objects.filter(user=ana).exists()


def test_the_only_way_in_is_not_removed(keeper, ana, inside, settings):
    passkey = Authenticator.objects.get(user=ana, type="webauthn")
    settings.GMUD_PASSWORDS = False
    answer = inside.post(f"/profile/factors/{passkey.pk}/remove")

    assert answer.status_code == 409
    assert "This passkey is the only way into this account." in answer.content.decode()
    settings.GMUD_PASSWORDS = True
    assert inside.post(f"/profile/factors/{passkey.pk}/remove").status_code == 302
    assert not Authenticator.objects.filter(user=ana).exists()


@pytest.mark.parametrize("figures", [bytes(4), b"\x1a\x00", b"\x81" * 5_000], ids=["few", "cut off", "without end"])
def test_a_new_passkey_whose_figures_cannot_be_read_is_refused_and_nothing_is_kept(inside, figures):
    said = json.loads(Keeper().create(inside.post("/profile/passkey/asked").json()))
    said["response"]["attestationObject"] = urlsafe_b64encode(figures).rstrip(b"=").decode()

    assert inside.post("/profile/passkey", {"credential": json.dumps(said), "name": "Mine"}).status_code == 400
    assert not Authenticator.objects.filter(type="webauthn").exists()


def test_making_a_passkey_takes_a_fresh_sign_in(inside, time_machine):
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=6))
    answer = inside.post("/profile/passkey/asked")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in/again?next=%2Fprofile")


@pytest.mark.parametrize("path", ["/sign-in/passkey", "/sign-in/passkey/asked", "/profile/passkey/asked"])
def test_a_page_of_another_site_asks_nothing(inside, path):
    browser = Client(enforce_csrf_checks=True, headers={"host": HOST})
    browser.cookies = inside.cookies

    assert browser.get(path).status_code == 405
    assert browser.post(path).status_code == 403


def test_whose_passkey_it_is_comes_in_and_who_was_in_goes_out(keeper, ana):
    a_person("Eve", Role.ENGINEER, username="eve", password=PASSWORD)
    browser = a_browser()
    browser.post("/sign-in", {"username": "eve", "password": PASSWORD})
    browser.post("/sign-out")
    question = asked(browser)
    browser.post("/sign-in", {"username": "eve", "password": PASSWORD})
    said = keeper.get(question)
    answer = browser.post("/sign-in/passkey", {"credential": said})

    assert answer.status_code == 302
    assert browser.get("/profile").context["account"] == ana
    assert browser.session["methods"] == ["passkey"]
    assert [json.loads(one.body)["data"]["account"] for one in AuditEvent.objects.filter(kind=Kind.SESSION_ENDED)] == [
        "eve",
        "eve",
    ]
