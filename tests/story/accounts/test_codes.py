"""Codes: each counts once, within a minute of its time, and only while its secret can be opened."""

from datetime import timedelta

import pytest

from releases.accounts import services
from releases.accounts.models import User
from releases.accounts.rules import Visitor
from releases.accounts.services.factors import fits as is_taken
from releases.accounts.services.proving import Unproved
from releases.core import keyring
from releases.core.errors import Refused
from tests.factories.accounts import SETUP, a_person
from tests.factories.factors import an_app, code_at, fresh

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    return User.objects.select_related("person").get(person=a_person("Ana Reis", username="ana"))


def test_the_code_that_turned_the_app_on_does_not_sign_in_again(ana, now):
    services.add_app(
        actor=fresh(ana, now), account=ana, secret="JBSWY3DPEHPK3PXP", code=code_at(now, "JBSWY3DPEHPK3PXP"), now=now
    )
    again = {"account": ana, "code": code_at(now, "JBSWY3DPEHPK3PXP"), "visitor": Visitor()}
    with pytest.raises(Unproved):
        services.prove_code(**again, now=now)
    later = now + timedelta(seconds=30)
    again["code"] = code_at(later, "JBSWY3DPEHPK3PXP")
    assert services.prove_code(**again, now=later) == "totp"


@pytest.mark.parametrize(("drift", "fits"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_differ_by_one_code(ana, now, drift, fits):
    an_app(ana, now - timedelta(hours=1))
    code = code_at(now + timedelta(seconds=drift))
    assert (is_taken(account=ana, code=code, now=now) == "totp") is fits


def test_a_code_older_than_one_that_was_used_counts_no_more(ana, now):
    an_app(ana, now - timedelta(hours=1))
    assert is_taken(account=ana, code=code_at(now), now=now)
    assert is_taken(account=ana, code=code_at(now - timedelta(seconds=30)), now=now) is None
    assert is_taken(account=ana, code=code_at(now), now=now) is None


def test_after_a_rotation_the_secrets_are_sealed_again_and_codes_still_fit(ana, now, settings, tmp_path):
    settings.GMUD_KEYS = str(tmp_path)
    codes = an_app(ana, now - timedelta(hours=1))
    first = keyring.load(tmp_path).first
    keyring.rotate(tmp_path)

    assert services.reseal_factors(actor=SETUP, now=now) == 2
    assert services.reseal_factors(actor=SETUP, now=now) == 0
    keyring.drop(tmp_path, first)
    assert is_taken(account=ana, code=code_at(now), now=now) == "totp"
    assert is_taken(account=ana, code=codes[0], now=now) == "recovery_codes"


def test_without_the_key_no_code_fits_and_the_resealing_says_whose(ana, now, settings, tmp_path):
    settings.GMUD_KEYS = str(tmp_path)
    codes = an_app(ana, now - timedelta(hours=1))
    first = keyring.load(tmp_path).first
    keyring.rotate(tmp_path)
    keyring.drop(tmp_path, first)

    assert is_taken(account=ana, code=code_at(now), now=now) is None
    assert is_taken(account=ana, code=codes[0], now=now) is None
    with pytest.raises(Refused, match="A second factor of ana does not open"):
        services.reseal_factors(actor=SETUP, now=now)
