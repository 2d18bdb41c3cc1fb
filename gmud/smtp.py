"""The address of the mail server: ``smtp://``, ``smtp+starttls://`` or ``smtps://``, with account and password."""

from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from releases.core import redaction

# Scheme: its port when none is named, and how it is made secret.
SCHEMES: dict[str, tuple[int, dict[str, bool]]] = {
    "smtp": (25, {}),
    "smtp+starttls": (587, {"use_tls": True}),
    "smtps": (465, {"use_ssl": True}),
}


def options(address: str) -> dict[str, Any]:
    """Return what a mail connection is opened with, empty when there is no address.

    :raises ImproperlyConfigured: it cannot be read, or a password would travel in the open
    """
    if not address:
        return {}
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ImproperlyConfigured("GMUD_SMTP_URL: the port is a number from 1 to 65535.") from error
    if parts.scheme not in SCHEMES or not host or parts.path.strip("/") or parts.query:
        raise ImproperlyConfigured("GMUD_SMTP_URL looks like smtp+starttls://account:password@host:587.")
    usual, how = SCHEMES[parts.scheme]
    password = unquote(parts.password or "")
    if password and not how:
        raise ImproperlyConfigured("GMUD_SMTP_URL: a password needs smtp+starttls:// or smtps://.")
    redaction.remember(password)
    return {"host": host, "port": port or usual, "username": unquote(parts.username or ""), "password": password, **how}
