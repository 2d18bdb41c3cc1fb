"""Seal and open the secrets of connections and the like: AES-256-GCM, bound to the row and to the origin it is for.

The associated data is ``connection|field|origin|version``. Whoever changes an origin in the database therefore does not
get the secret sent there: it no longer opens.
"""

import logging
from pathlib import Path
from typing import Protocol
from uuid import UUID

from django.conf import settings

from releases.catalog import credentials
from releases.core import keyring, redaction
from releases.core.errors import Refused, Sentence
from releases.core.words import mark as _

log = logging.getLogger(__name__)


class Sealed(Protocol):
    """A row that holds a secret for one origin: a connection here, a channel of notices above."""

    @property
    def pk(self) -> UUID:
        """Return the id of the row."""

    @property
    def name(self) -> str:
        """Return how people call it."""

    @property
    def origin(self) -> str:
        """Return the origin the secret is for."""

    @property
    def secret_version(self) -> int:
        """Return how often the secret was typed."""

    @property
    def secret_box(self) -> bytes | memoryview | None:
        """Return the sealed secret, if there is one."""


class SecretUnreadable(Refused):
    """The stored secret does not belong to this origin, was changed, or its key is gone."""

    code = "secret_unreadable"


def sealed(row: Sealed, secret: str) -> bytes:
    """Return the box of a secret for the row as it stands: its id, origin and secret version."""
    _remember(secret)
    return _ring().seal(secret, bound_to=_bound_to(row))


def opened(row: Sealed) -> str:
    """Return the secret of a row, empty when it has none; from now on no log line shows it.

    :raises SecretUnreadable: the address was changed behind our back, or the key is gone
    """
    if row.secret_box is None:
        return ""
    try:
        secret = _ring().open(bytes(row.secret_box), bound_to=_bound_to(row))
    except keyring.Unopenable as error:
        log.warning("The secret of %s does not open.", row.name)
        raise SecretUnreadable(
            Sentence(
                _("The secret of %(name)s does not belong to %(origin)s. Check it, then type the secret again."),
                {"name": row.name, "origin": row.origin},
            )
        ) from error
    _remember(secret)
    return secret


def _remember(secret: str) -> None:
    for one in credentials.secrets_in(secret):
        redaction.remember(one)


def is_sealed_with_first_key(row: Sealed) -> bool:
    """Say whether a row's box was sealed with the key that seals now."""
    return row.secret_box is not None and keyring.key_name(bytes(row.secret_box)) == _ring().first


def _ring() -> keyring.KeyRing:
    return keyring.load(Path(settings.GMUD_KEYS))


def _bound_to(row: Sealed) -> str:
    return f"{row.pk}|secret|{row.origin}|{row.secret_version}"
