"""Names, tokens and scopes: what counts as one, without a table."""

import hashlib
import ipaddress
import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from releases.accounts.rights import Right
from releases.accounts.roles import NEVER_FOR_MACHINES

LONGEST_TOKEN_LIFE = timedelta(days=90)
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_TOKEN = re.compile(r"gmud_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
_PREFIX_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_READABLE = "abcdefghijkmnpqrstuvwxyz23456789"  # without what looks alike: l and 1, o and 0


def folded(text: str) -> str:
    """Return the text as it is compared: compatible forms joined (NFKC), case folded, no space around."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def visible(text: str) -> str:
    """Return the text without what nobody sees and databases refuse: control and direction signs, half pairs."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n").strip()


def one_line(text: str) -> str:
    """Return the visible text in one line, in composed form (NFC), with single spaces."""
    return " ".join(unicodedata.normalize("NFC", visible(" ".join(text.split()))).split())


def is_slug(name: str) -> bool:
    """Say whether this is a name that nothing else can be mistaken for: lower-case ASCII, digits, hyphens."""
    return _SLUG.fullmatch(name) is not None


def is_username(name: str) -> bool:
    """Say whether a folded user name is plain ASCII."""
    return _USERNAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who stands at the door, before it is known who they are.

    ``address`` is where they come from, ``device`` what they call their browser. ``browser`` is the mark that a browser
    keeps of an account that signed in there before (``browser_of`` is that account), empty when it keeps none.
    """

    address: str = ""
    device: str = ""
    browser: str = ""
    browser_of: str = ""
    request: str = ""

    @property
    def network(self) -> str:
        """Return what counts as one place: an IPv4 address, or the 64 bits of IPv6 that one customer gets."""
        if ":" not in self.address:
            return self.address
        address = ipaddress.IPv6Address(self.address)
        if address.ipv4_mapped:  # an IPv4 caller on a socket that listens on both: the 64 bits are the same for all
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)


_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """Return "Firefox, Windows" for what a browser says of itself; empty when it says nothing known."""
    found = (next((name for sign, name in table if sign in user_agent), "") for table in (_BROWSERS, _SYSTEMS))
    return ", ".join(filter(None, found))


@dataclass(frozen=True, slots=True)
class Token:
    """A new token: its public prefix, its whole text (shown once), and what is stored."""

    prefix: str
    hash: str
    plaintext: str

    def __repr__(self) -> str:
        return f"Token(prefix={self.prefix!r})"


def new_token() -> Token:
    """Make a token ``gmud_<prefix>_<256 random bits>``."""
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(8))
    plaintext = f"gmud_{prefix}_{secrets.token_urlsafe(32)}"
    return Token(prefix, hash_of(plaintext), plaintext)


def new_password() -> str:
    """Make a password that people can read to each other: five groups of five letters and digits, 125 bits."""
    return "-".join("".join(secrets.choice(_READABLE) for _ in range(5)) for _ in range(5))


def hash_of(plaintext: str) -> str:
    """Return what is stored of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


def session_digest(key: str) -> str:
    """Return what the record calls a session: a digest, so that the record opens no session."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def prefix_of(plaintext: str) -> str | None:
    """Return the public part of a token, or ``None`` when this is not one of ours."""
    match = _TOKEN.fullmatch(plaintext)
    return match.group(1) if match else None


def readable_scopes(stored: object) -> frozenset[Right]:
    """Return the rights a stored list names; what is missing or not known gives nothing."""
    if not isinstance(stored, list):
        return frozenset()
    known = {right.value: right for right in Right}
    return frozenset(known[one] for one in stored if isinstance(one, str) and one in known) - NEVER_FOR_MACHINES


def forbidden_scopes(scopes: Iterable[Right]) -> frozenset[Right]:
    """Return those rights that no machine may carry."""
    return frozenset(scopes) & NEVER_FOR_MACHINES


def expiry_is_fair(now: datetime, expires_at: datetime) -> bool:
    """Say whether a token that starts now ends within the longest life allowed, and not in the past."""
    return now < expires_at <= now + LONGEST_TOKEN_LIFE
