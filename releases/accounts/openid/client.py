"""Speak to a provider through the HTTP door, in the shape that allauth expects of a session of ``requests``.

The door's rules hold: hosts and networks the operator allows, the address that was checked is the one that is called,
no redirects, 1 MiB, 20 s. On top: ``https``, unless the provider is on this very machine.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from releases.accounts.openid.tokens import Untrusted
from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import Allowance, Door, Reply
from releases.core.words import mark as _

ERROR = 400
WELL_KNOWN = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def is_safe(address: object) -> bool:
    """Say whether an address is one a provider may have: ``https``, or ``http`` on this very machine."""
    if not isinstance(address, str):
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host) and not parts.username and not parts.fragment
    return parts.scheme == "http" and not parts.username and _is_here(host)


def checked(document: object, *, issuer: str) -> dict[str, Any]:
    """Return a provider's description of itself.

    :raises Untrusted: it describes another provider, or misses an address, or has one that anybody could listen to
    """
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise Untrusted("the description is of another issuer")
    for name in ENDPOINTS:
        if not is_safe(document.get(name)):
            raise Untrusted(f"{name} is not an address we call")
    return document


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply as ``requests`` would give it."""

    reply: Reply

    @property
    def status_code(self) -> int:
        """Return the status."""
        return self.reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers, by lower-case names; there is always a content type."""
        return {"content-type": "", **self.reply.headers}

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.reply.text

    @property
    def content(self) -> str:
        """Return nothing of the body: allauth writes it into its errors, and it may hold tokens."""
        return f"status {self.reply.status}"

    def json(self) -> Any:
        """Return the body as JSON.

        :raises Unreachable: it is not JSON
        """
        return self.reply.json()

    def raise_for_status(self) -> None:
        """Let pass only what went well.

        :raises Unreachable: it did not, or leads elsewhere
        """
        if not 200 <= self.reply.status < 300:
            text = _("The sign-in provider answered with status %(status)s.")
            raise Unreachable(Sentence(text, {"status": self.reply.status}))


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls a provider."""

    allowance: Allowance

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for something.

        :raises Unreachable: no answer
        :raises Rejected: the address is not allowed
        """
        return self.request("GET", url, headers=headers)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: Any = None,
    ) -> Answer:
        """Make one call; ``auth`` carries a user name and a password.

        :raises Unreachable: no answer
        :raises Rejected: the address is not allowed
        """
        if not is_safe(url):
            raise Rejected(Sentence(_("A sign-in provider is called by https, or on this very machine.")))
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        door = Door(
            name=f"sign-in provider {parts.netloc}",
            origin=f"{parts.scheme}://{parts.netloc}",
            headers={"Accept": "application/json"},
            allowance=self.allowance,
        )
        proof = {"Authorization": f"Basic {_basic(auth.username, auth.password)}"} if auth else {}
        return Answer(door.call(method, path, params=params, form=data, headers={**(headers or {}), **proof}))


def _basic(name: str, password: str) -> str:
    return base64.b64encode(f"{name}:{password}".encode()).decode()


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
