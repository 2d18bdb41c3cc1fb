"""Letters by e-mail: plain text and simple HTML, in the thread they belong to."""

import smtplib
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
        _message(letter, to).send()
    except ValueError as error:  # an address with a line end, or one no mail server could read
        raise Rejected(Sentence(_("The address %(address)s cannot be used."), {"address": to})) from error
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _trouble(code, said) from error
    except smtplib.SMTPAuthenticationError as error:
        raise Unreachable(_("The mail server does not let us in. Check GMUD_SMTP_URL.")) from error
    except smtplib.SMTPResponseException as error:
        raise _trouble(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        sentence = _("The mail server does not answer (%(kind)s).")
        raise Unreachable(Sentence(sentence, {"kind": type(error).__name__})) from error


def _message(letter: Letter, to: str) -> EmailMultiAlternatives:
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
        connection=get_connection(BACKEND, **settings.GMUD_SMTP, timeout=SECONDS),
    )
    message.attach_alternative(render_to_string("emails/letter.html", context), "text/html")
    return message


def _trouble(code: int, said: bytes | str) -> Rejected | Unreachable:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    sentence = Sentence(
        _("The mail server refused it with %(code)s: %(said)s"), {"code": code, "said": plain(text)[:200]}
    )
    return Rejected(sentence) if code >= FOR_EVER else Unreachable(sentence)
