"""Signing in, and what ends a session."""

import pytest
from django.contrib.auth import authenticate, get_user
from django.contrib.auth.forms import AuthenticationForm
from django.test import Client

from releases.accounts import services
from releases.accounts.models import Person, User
from tests.factories.accounts import PASSWORD, SETUP, a_person

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def ana() -> Person:
    return a_person("Ana", username="ana", password=PASSWORD)


@pytest.mark.parametrize("typed", ["ana", "ANA", " Ana "])
def test_a_person_signs_in_whatever_the_case_of_the_user_name(ana, typed):
    assert authenticate(None, username=typed, password=PASSWORD) == User.objects.get(username="ana")


def test_the_form_of_the_sign_in_page_takes_it(ana):
    assert AuthenticationForm(None, {"username": "Ana", "password": PASSWORD}).is_valid()
    assert not AuthenticationForm(None, {"username": "Ana", "password": "wrong password"}).is_valid()


def test_a_wrong_password_an_unknown_name_and_an_account_without_password_do_not_sign_in(ana):
    a_person("Bot", username="bot")
    assert authenticate(None, username="ana", password="wrong password") is None
    assert authenticate(None, username="nobody", password=PASSWORD) is None
    assert authenticate(None, username="bot", password="") is None


def test_an_account_of_somebody_who_left_does_not_sign_in(ana, now):
    services.deactivate(actor=SETUP, person_id=ana.pk, now=now)
    assert authenticate(None, username="ana", password=PASSWORD) is None


def test_a_person_ended_in_the_table_does_not_sign_in_though_the_account_is_active(ana):
    Person.objects.filter(pk=ana.pk).update(is_active=False)
    assert authenticate(None, username="ana", password=PASSWORD) is None


def test_leaving_ends_an_open_session_at_the_next_request(ana, now):
    browser = Client()
    assert browser.login(username="ana", password=PASSWORD)
    assert get_user(browser_request(browser)).is_authenticated
    services.deactivate(actor=SETUP, person_id=ana.pk, now=now)
    assert not get_user(browser_request(browser)).is_authenticated


def browser_request(browser: Client):
    from django.http import HttpRequest

    request = HttpRequest()
    request.session = browser.session
    return request
