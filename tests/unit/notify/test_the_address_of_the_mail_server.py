"""GMUD_SMTP_URL: what it may say, and that every mistake names it."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from gmud.smtp import options


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("smtp://mail.example.com", {"host": "mail.example.com", "port": 25}),
        ("smtp://127.0.0.1:2525", {"host": "127.0.0.1", "port": 2525}),
        ("smtp+starttls://ana@mail.example.com", {"port": 587, "username": "ana", "use_tls": True}),
        (
            "smtps://ana%40example.com:p%2Fw-123456@mail.example.com",
            {"port": 465, "password": "p/w-123456", "use_ssl": True},
        ),
    ],
)
def test_an_address_is_read(address, expected):
    assert expected.items() <= options(address).items()


def test_no_address_is_no_mail():
    assert options("") == {}


@pytest.mark.parametrize(
    "address",
    [
        "mail.example.com",
        "https://mail.example.com",
        "smtp://",
        "smtp://host:port",
        "smtp://host/path",
        "smtps://host?x=1",
        "smtp://ana:secret-in-the-open@host",
    ],
)
def test_a_mistake_names_the_setting_and_no_secret(address):
    with pytest.raises(ImproperlyConfigured, match="GMUD_SMTP_URL") as refused:
        options(address)

    assert "secret-in-the-open" not in str(refused.value)
