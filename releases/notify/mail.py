"""Letters by e-mail: plain text and simple HTML, in the thread they belong to."""

import smtplib
import ssl
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.template.loader import render_to_string

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.notify.ports import Letter
from releases.notify.wording import plain

BACKEND = "django.core.mail.backends.smtp.EmailBackend"
SECONDS = 5
FOR_EVER = 500
_NOT_OFFERED = _("This installation sends no e-mail: GMUD_SMTP_URL and GMUD_MAIL_FROM are not set.")

# What is wrong with how we come in; somebody has to look at the settings.
_REFUSED: dict[type[Exception], str] = {
    smtplib.SMTPAuthenticationError: _("The mail server does not let us in. Check GMUD_SMTP_URL."),
    smtplib.SMTPNotSupportedError: _("The mail server offers no STARTTLS, or no login. Check GMUD_SMTP_URL."),
    ssl.SSLCertVerificationError: _(
        "The certificate of the mail server is not trusted here. Check the host in GMUD_SMTP_URL and SSL_CERT_FILE."
    ),
}


def why_not_offered() -> Sentence | None:
    """Return why nobody can be told by e-mail here, or ``None``."""
    return None if settings.GMUD_SMTP and settings.GMUD_MAIL_FROM else Sentence(_NOT_OFFERED)


def send(letter: Letter, *, to: str) -> None:
    """Hand a letter to the mail server.

    :raises Rejected: the server, or the address, will never take it
    :raises Unreachable: it did not take it now
    """
    if why := why_not_offered():
        raise Unreachable(why)
    try:
        with get_connection(BACKEND, **settings.GMUD_SMTP, timeout=SECONDS) as server:  # left without a login, too
            _message(letter, to, server).send()
    except tuple(_REFUSED) as error:  # before others, whose kinds some of these are, too
        raise Unreachable(next(said for kind, said in _REFUSED.items() if isinstance(error, kind))) from error
    except ValueError as error:  # an address with a line end, or one no mail server could read
        raise Rejected(Sentence(_("The address %(address)s cannot be used."), {"address": to})) from error
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _trouble(code, said) from error
    except smtplib.SMTPResponseException as error:
        raise _trouble(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        sentence = _("The mail server does not answer (%(kind)s).")
        raise Unreachable(Sentence(sentence, {"kind": type(error).__name__})) from error


def _message(letter: Letter, to: str, server: Any) -> EmailMultiAlternatives:
    context = {"letter": letter}
    domain = urlsplit(settings.PUBLIC_URL).hostname or "gmud"
    thread = f"<{letter.thread.replace(':', '.')}@{domain}>"
    answers = f"<{letter.answers}@{domain}>" if letter.answers else ""
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=render_to_string("emails/letter.txt", context),
        from_email=settings.GMUD_MAIL_FROM,
        to=[to],
        headers={
            "Auto-Submitted": "auto-generated",
            "Content-Language": letter.language,
            "Message-ID": f"<{letter.id}@{domain}>",
            "References": f"{thread} {answers}".strip(),
            "In-Reply-To": answers or thread,
            **({"Importance": "high"} if letter.is_page else {}),
        },
        connection=server,
    )
    message.attach_alternative(render_to_string("emails/letter.html", context), "text/html")
    return message


def _trouble(code: int, said: bytes | str) -> Rejected | Unreachable:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    sentence = Sentence(
        _("The mail server refused it with %(code)s: %(said)s"), {"code": code, "said": plain(text)[:200]}
    )
    return Rejected(sentence) if code >= FOR_EVER else Unreachable(sentence)
