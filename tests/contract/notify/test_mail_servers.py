"""A mail server that wants TLS and a password: letters arrive, and what is wrong is said without the password."""

import logging
from collections.abc import Iterator

import pytest

from gmud.smtp import options
from releases.core.errors import Unreachable
from releases.notify import mail
from tests.factories.certificates import a_certificate
from tests.factories.mailbox import ACCOUNT, PASSWORD, Mailbox, a_mailbox
from tests.factories.notify import a_letter

TO = "ana@example.com"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> str:
    return a_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["smtps", "smtp+starttls"])
def server(request, tmp_path_factory, certificate) -> Iterator[Mailbox]:
    with a_mailbox(tmp_path_factory.mktemp("mail"), scheme=request.param, certificate=certificate) as found:
        yield found


@pytest.fixture
def box(server, certificate, monkeypatch, settings) -> Mailbox:
    """Return a server whose certificate this process trusts, and which knows our password."""
    for place in server.folder.iterdir():
        place.unlink()
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    settings.GMUD_SMTP = options(server.url)
    settings.GMUD_MAIL_FROM = "GMUD <gmud@example.com>"
    return server


def refusal(caplog) -> str:
    """Return why a letter did not leave, after a look at whether anything that was said holds the password."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Unreachable) as refused:
        mail.send(a_letter(), to=TO)
    assert PASSWORD not in f"{refused.value.detail}{refused.getrepr(style='long', chain=True)}{caplog.text}"
    return str(refused.value.detail)


def test_a_letter_arrives_over_tls_with_the_password(box):
    mail.send(a_letter(), to=TO)

    [arrived] = box.mails()
    assert arrived["X-Rcpt"] == TO


def test_a_wrong_password_is_told_in_words_and_shown_nowhere(box, settings, caplog):
    settings.GMUD_SMTP |= {"password": PASSWORD + "!"}

    assert refusal(caplog) == "The mail server does not let us in. Check GMUD_SMTP_URL."
    assert box.mails() == []


def test_a_certificate_that_nobody_here_trusts_is_refused_before_the_password_is_said(box, caplog, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")

    assert refusal(caplog).startswith("The certificate of the mail server is not trusted here.")
    assert box.mails() == []


def test_a_certificate_for_another_host_is_refused(box, caplog, monkeypatch, settings, tmp_path):
    other = a_certificate(tmp_path, host="127.0.0.2")
    with a_mailbox(tmp_path, scheme=box.scheme, certificate=other) as elsewhere:
        monkeypatch.setenv("SSL_CERT_FILE", other)
        settings.GMUD_SMTP = options(elsewhere.url)

        assert refusal(caplog).startswith("The certificate of the mail server is not trusted here.")
        assert elsewhere.mails() == []


@pytest.mark.parametrize("asked", [{"use_tls": True}, {"username": ACCOUNT, "password": PASSWORD}])
def test_a_server_without_tls_or_login_is_not_spoken_to_in_the_open(asked, settings, caplog, tmp_path):
    with a_mailbox(tmp_path) as plain:
        settings.GMUD_SMTP = options(plain.url) | asked
        settings.GMUD_MAIL_FROM = "GMUD <gmud@example.com>"

        assert refusal(caplog) == "The mail server offers no STARTTLS, or no login. Check GMUD_SMTP_URL."
        assert plain.mails() == []
