"""Guessing: who guesses waits, and nobody who guesses locks a person out."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from releases.accounts import services
from releases.accounts.limits import Proof, TooMany
from releases.accounts.models import SignInAttempt, User
from releases.accounts.rules import Visitor
from releases.core import clock
from tests.factories.accounts import PASSWORD, a_person
from tests.factories.factors import an_app, code_at

pytestmark = pytest.mark.django_db
WRONG = "wrong password"
GUESSER, HOME = "203.0.113.66", "198.51.100.7"


@pytest.fixture
def ana() -> User:
    return User.objects.get(person=a_person("Ana Reis", username="ana", password=PASSWORD))


def sign_in(browser: Client, username: str = "ana", password: str = WRONG):
    return browser.post("/sign-in", {"username": username, "password": password})


def guess(times: int, *, address: str = GUESSER, username: str = "ana") -> None:
    for _ in range(times):
        sign_in(Client(REMOTE_ADDR=address), username)


def test_after_five_wrong_passwords_one_waits_and_is_told_how_long(ana):
    guess(5)
    answer = sign_in(Client(REMOTE_ADDR=GUESSER), password=PASSWORD)

    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert "Too many tries failed. Wait 5 minutes, then try again." in answer.content.decode()
    assert "_auth_user_id" not in answer.client.session


def test_what_is_refused_unseen_makes_nobody_wait_longer(ana, time_machine):
    guess(5)
    guess(20)
    assert SignInAttempt.objects.count() == 5
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=5, seconds=1))

    assert sign_in(Client(REMOTE_ADDR=GUESSER), password=PASSWORD).status_code == 302


def test_an_unknown_name_waits_like_a_known_one(ana):
    for name in ("ana", "nobody"):
        guess(5, username=name)
        assert sign_in(Client(REMOTE_ADDR=GUESSER), name).status_code == 429


def test_the_person_signs_in_from_elsewhere_meanwhile(ana):
    guess(5)
    assert sign_in(Client(REMOTE_ADDR=HOME), password=PASSWORD).status_code == 302


def test_an_address_that_tries_many_names_waits_for_all_of_them(ana):
    for number in range(30):
        guess(1, username=f"name{number}")
    assert sign_in(Client(REMOTE_ADDR=GUESSER), password=PASSWORD).status_code == 429
    assert sign_in(Client(REMOTE_ADDR=HOME), password=PASSWORD).status_code == 302


def test_guesses_from_everywhere_stop_strangers_but_not_the_browsers_the_person_uses(ana):
    mine = Client(REMOTE_ADDR=HOME)
    sign_in(mine, password=PASSWORD)
    mine.post("/sign-out")
    for number in range(100):
        guess(1, address=f"2001:db8:{number:x}::1")

    assert sign_in(Client(REMOTE_ADDR="192.0.2.9"), password=PASSWORD).status_code == 429
    assert sign_in(mine, password=PASSWORD).status_code == 302


def test_a_known_browser_is_counted_too(ana):
    mine = Client(REMOTE_ADDR=HOME)
    sign_in(mine, password=PASSWORD)
    mine.post("/sign-out")
    for _ in range(5):
        assert sign_in(mine).status_code == 422
    assert sign_in(mine, password=PASSWORD).status_code == 429


def test_a_browser_known_to_one_account_is_a_stranger_to_another(ana):
    a_person("Eve", username="eve", password=PASSWORD)
    eve = Client(REMOTE_ADDR=GUESSER)
    sign_in(eve, "eve", PASSWORD)
    eve.post("/sign-out")
    guess(5)

    assert sign_in(eve, "ana", PASSWORD).status_code == 429


def test_a_forged_mark_makes_no_browser_known(ana):
    forged = Client(REMOTE_ADDR=GUESSER)
    forged.cookies["gmud_browser"] = "WyJhbmEiLCJ4Il0:1uXXXX:forged"
    guess(5)
    assert sign_in(forged, password=PASSWORD).status_code == 429


def test_the_mark_of_a_browser_is_for_the_door_only_and_no_script_reads_it(ana):
    browser = Client()
    sign_in(browser, password=PASSWORD)
    cookie = browser.cookies["gmud_browser"]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/sign-in", True, "Lax")


def test_behind_a_proxy_of_ours_the_address_is_the_callers(ana, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for _ in range(5):
        sign_in(Client(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=GUESSER))
    blocked = Client(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=f"8.8.8.8, {GUESSER}")
    free = Client(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=HOME)

    assert sign_in(blocked, password=PASSWORD).status_code == 429
    assert sign_in(free, password=PASSWORD).status_code == 302


def test_without_a_proxy_what_the_caller_says_of_themselves_counts_nothing(ana):
    for number in range(5):
        sign_in(Client(REMOTE_ADDR=GUESSER, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}"))
    assert sign_in(Client(REMOTE_ADDR=GUESSER, HTTP_X_FORWARDED_FOR="192.0.2.99"), password=PASSWORD).status_code == 429


def test_codes_are_limited_too_and_the_password_that_was_right_saves_nobody(ana):
    an_app(ana)
    browser = Client(REMOTE_ADDR=GUESSER)
    sign_in(browser, password=PASSWORD)
    for _ in range(5):
        assert browser.post("/sign-in/second", {"code": "000000"}).status_code == 422
    answer = browser.post("/sign-in/second", {"code": code_at(clock.now())})

    assert answer.status_code == 429
    assert "Retry-After" in answer.headers
    assert "_auth_user_id" not in browser.session


def test_signing_in_again_is_limited_too(ana):
    browser = Client(REMOTE_ADDR=HOME)
    sign_in(browser, password=PASSWORD)
    for _ in range(5):
        assert browser.post("/sign-in/again", {"password": "guess"}).status_code == 422
    assert browser.post("/sign-in/again", {"password": PASSWORD}).status_code == 429


def test_nothing_that_names_a_person_or_a_place_is_kept_of_a_try(ana):
    guess(1)
    (row,) = SignInAttempt.objects.values()

    assert GUESSER not in str(row)
    assert "ana" not in str({name: value for name, value in row.items() if name != "id"})


def test_old_tries_are_forgotten(ana, now):
    visitor = Visitor(address=GUESSER)
    services.begin_attempt(proof=Proof.PASSWORD, account="x", visitor=visitor, now=now)
    services.begin_attempt(proof=Proof.PASSWORD, account="x", visitor=visitor, now=now + timedelta(hours=2))

    assert SignInAttempt.objects.count() == 1


def test_of_tries_at_the_very_same_moment_no_more_pass_than_the_limit(now):
    visitor, passed = Visitor(address=GUESSER), 0
    for _ in range(12):
        try:
            services.begin_attempt(proof=Proof.PASSWORD, account="x", visitor=visitor, now=now)
            passed += 1
        except TooMany:
            continue
    assert passed == 5
