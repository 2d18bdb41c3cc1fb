"""What a connection shows at the other side's entrance: a token, a client certificate with its key, or both.

Both are sealed as one text: the token, and below it the certificate and key as PEM. Nothing here asks a table.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from releases.core.errors import Sentence
from releases.core.words import mark as _

_BLOCK = re.compile(r"-----BEGIN (?P<what>[A-Z0-9 ]+)-----\s.*?-----END (?P=what)-----", re.DOTALL)
_KEY = "PRIVATE KEY"
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token and a client certificate (PEM, with its key), each empty when there is none; neither is ever printed."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)

    @classmethod
    def read(cls, sealed: str) -> "Credentials":
        """Read what :attr:`text` wrote."""
        return cls(_BLOCK.sub("", sealed).strip(), pem_of(sealed))

    @property
    def text(self) -> str:
        """Return both as the one text that is sealed."""
        return "\n".join(part for part in (self.token, self.certificate) if part)


def pem_of(text: str) -> str:
    """Return the blocks of PEM in a text, without what people and programs write around them."""
    return "\n".join("\n".join(line.strip() for line in one[0].splitlines()) for one in _BLOCK.finditer(text))


def secrets_in(sealed: str) -> Iterator[str]:
    """Give everything in a sealed text that must never be shown: the token, and each line of a private key."""
    held = Credentials.read(sealed)
    if not held.certificate:
        yield sealed
        return
    if held.token:
        yield held.token
    for one in _BLOCK.finditer(held.certificate):
        if one["what"].endswith(_KEY):
            yield from one[0].splitlines()[1:-1]


def certificate_problem(pem: str) -> Sentence | None:
    """Return why a text cannot be shown as a client certificate, or ``None``."""
    if not any(one["what"].endswith(_KEY) for one in _BLOCK.finditer(pem)):
        text = _("There is no private key in it. Put the certificate and its key here, one below the other, as PEM.")
        return Sentence(text)
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except _UNREADABLE:
        return Sentence(_("There is no certificate in it. Put the certificate above its key, as PEM."))
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except _UNREADABLE:
        text = _("Its private key cannot be read: it has a password, or is damaged. Put it here without a password.")
        return Sentence(text)
    written = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificates[0].public_key().public_bytes(*written) != key.public_key().public_bytes(*written):
        return Sentence(_("The key belongs to another certificate than the first one here."))
    return None


def authority_problem(pem: str) -> Sentence | None:
    """Return why a text cannot say whom to trust, or ``None``."""
    if any(one["what"].endswith(_KEY) for one in _BLOCK.finditer(pem)):
        return Sentence(_("There is a private key in it. Put only the certificates of the authority here."))
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except _UNREADABLE:
        return Sentence(_("There is no certificate in it. Put the certificates of the authority here, as PEM."))
    return None


def last_day(pem: str) -> date | None:
    """Return the last day of a client certificate; ``None`` when there is none."""
    return x509.load_pem_x509_certificates(pem.encode())[0].not_valid_after_utc.date() if pem else None
