"""A token and a client certificate that are sealed as one text, and what may never be shown of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from releases.catalog import credentials
from releases.catalog.credentials import Credentials
from tests.factories.certificates import a_certificate

TOKEN = "eyJhbGciOi.canary-token.0123456789"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return Path(a_certificate(tmp_path_factory.mktemp("pem"))).read_text().strip()


def key_of(pem):
    return "-----BEGIN PRIVATE KEY-----" + pem.split("-----BEGIN PRIVATE KEY-----")[1]


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("has_certificate", [False, True])
def test_what_is_sealed_is_read_as_it_was(pem, token, has_certificate):
    held = Credentials(token, pem if has_certificate else "")
    assert Credentials.read(held.text) == held
    assert TOKEN not in repr(held)
    assert "BEGIN" not in repr(held)


def test_what_must_never_be_shown_is_the_token_and_every_line_of_the_key(pem):
    found = set(credentials.secrets_in(Credentials(TOKEN, pem).text))
    assert found == {TOKEN, *key_of(pem).splitlines()[1:-1]}
    assert set(credentials.secrets_in(TOKEN)) == {TOKEN}


def test_words_around_a_certificate_are_left_out(pem):
    pasted = f"Bag Attributes\r\n  friendlyName: gmud\r\n{pem}\r\n# end"
    assert credentials.pem_of(pasted) == pem
    assert credentials.certificate_problem(credentials.pem_of(pasted)) is None


def test_a_certificate_that_cannot_be_shown_is_told_why(pem, tmp_path):
    other = Path(a_certificate(tmp_path)).read_text()
    for text, word in (
        ("", "no private key"),
        (pem.replace(key_of(pem), ""), "no private key"),
        (key_of(pem), "no certificate"),
        (pem.replace(key_of(pem), key_of(other)), "belongs to another certificate"),
        (pem.replace(key_of(pem).splitlines()[1], "AAAA"), "cannot be read"),
    ):
        assert word in str(credentials.certificate_problem(text)), text


def test_an_authority_has_certificates_and_no_key(pem):
    assert credentials.authority_problem(pem.replace(key_of(pem), "")) is None
    assert "private key" in str(credentials.authority_problem(pem))
    assert "no certificate" in str(credentials.authority_problem("trust me"))


def test_the_last_day_is_the_certificates_own(pem):
    assert credentials.last_day(pem) == (datetime.now(UTC) + timedelta(days=1)).date()
    assert credentials.last_day("") is None
