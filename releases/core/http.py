"""The HTTP door: the only way out of the house.

Limits (design/trust.md, section 5): connect 3 s, read 10 s, whole call 20 s from the name to the last byte, answer
1 MiB, TLS verified, no redirects, no proxy or credentials from the environment, no cookies. It refuses to speak while a
transaction is open, and to addresses the operator did not allow. What a status means is the client's business, not the
door's.

The system's resolver cannot be interrupted. Its time counts, and when it used up all of it nothing is sent; how long
it may take is its own setting (``RES_OPTIONS``).
"""

import contextlib
import ipaddress
import json as jsonlib
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2
from django.db import connections

from releases.core import http_wire, tracing
from releases.core.breaker import breaker_for
from releases.core.errors import Invalid, Rejected, Sentence, Unreachable
from releases.core.http_causes import cause
from releases.core.redaction import redact
from releases.core.words import mark as _

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
TOTAL_SECONDS = 20.0
BODY_BYTES = 1024 * 1024
SERVER_ERROR = 500
LONGEST_REST = 600.0  # seconds that an outside may ask for
OURS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "gmud"}
TROUBLE = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    httpx2.InvalidURL,
    OSError,
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, headers with lower-case names, body of at most 1 MiB.

    ``is_cut`` says that only the beginning of the body was read, because the caller wanted no more.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False

    @property
    def text(self) -> str:
        """Return the body as text for people, which tables can keep.

        What is not UTF-8 and NUL are replaced, secrets it repeats are blotted out.
        """
        return redact(self.body.decode("utf-8", "replace").replace("\x00", "\ufffd"))

    @property
    def retry_after(self) -> float:
        """Return for how many seconds it asks not to be called again (``Retry-After``), ten minutes at most."""
        said, now = self.headers.get("retry-after", ""), self.headers.get("date", "")
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            if said.isdecimal():
                return float(min(int(said), LONGEST_REST))
            left = parsedate_to_datetime(said) - parsedate_to_datetime(now)
            return min(max(left.total_seconds(), 0.0), LONGEST_REST)
        return 0.0

    def json(self) -> Any:
        """Return the body as JSON.

        :raises Unreachable: the body is not JSON, or names something twice, so what happened is not known
        """
        try:
            return jsonlib.loads(self.body, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            begin = self.text[:80].replace("\n", " ")
            text = _("The answer (%(status)s) is not JSON; it begins: %(begin)s")
            raise Unreachable(Sentence(text, {"status": self.status, "begin": begin})) from error


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where calls may go: exact host names, and networks whose private addresses are legitimate.

    Public addresses are allowed for allowed hosts; private, loopback and link-local ones only inside ``networks``.
    ``hosts`` empty means any host name.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    @classmethod
    def from_environment(cls) -> "Allowance":
        """Read ``GMUD_OUTBOUND_HOSTS`` and ``GMUD_OUTBOUND_NETWORKS`` (comma separated), which the operator owns."""
        hosts = os.environ.get("GMUD_OUTBOUND_HOSTS", "")
        networks = os.environ.get("GMUD_OUTBOUND_NETWORKS", "")
        return cls(
            hosts=frozenset(name.strip().lower() for name in hosts.split(",") if name.strip()),
            networks=tuple(ipaddress.ip_network(one.strip()) for one in networks.split(",") if one.strip()),
        )

    def address_for(self, host: str, port: int) -> str:
        """Resolve the host once and return the address to connect to.

        :raises Invalid: the host or one of its addresses is not allowed
        :raises Unreachable: the name does not resolve
        """
        if self.hosts and host.lower() not in self.hosts:
            refusal = _("%(host)s is not among the hosts the operator allows (GMUD_OUTBOUND_HOSTS).")
            raise Invalid(Sentence(refusal, {"host": host}))
        try:
            found = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            raise Unreachable(Sentence(_("The name %(host)s does not resolve."), {"host": host})) from error
        for text in found:
            self._check(host, str(text))
        return str(found[0])

    def _check(self, host: str, text: str) -> None:
        address = ipaddress.ip_address(text.split("%")[0])
        mapped = _inside(address)
        if any(mapped in network for network in self.networks) or (mapped.is_global and not mapped.is_multicast):
            return
        text = _("%(host)s leads to %(address)s, a private address outside GMUD_OUTBOUND_NETWORKS.")
        raise Invalid(Sentence(text, {"host": host, "address": str(mapped)}))


def _inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 one carries (mapped, 6to4, Teredo, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


@dataclass(frozen=True, slots=True)
class Door:
    """Speak to one origin (``https://host[:port]``, a base path may follow); ``name`` keys the breaker.

    ``ca_bundle`` and ``client_certificate`` are PEM, or the paths of PEM files: whom to trust instead of the system's
    authorities, and what to show, with its key. Looks (GET) through one door that follow each other share a connection.
    """

    name: str
    origin: str
    headers: Mapping[str, str]
    allowance: Allowance
    urgent: bool = False
    ca_bundle: str = ""
    client_certificate: str = field(default="", repr=False)
    _line: http_wire.Line = field(default_factory=http_wire.Line, init=False, repr=False, compare=False)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        cut_at: int | None = None,
    ) -> Reply:
        """Make one call and return the whole answer, whatever its status.

        ``urgent`` (a rollback) passes an open breaker. Bodies: ``json``, ``form`` or raw ``content``.
        Of an answer longer than ``cut_at`` only so many bytes are read, instead of refusing it.

        :raises Unreachable: no answer, too slow, too large, or the breaker is open: the outcome is unknown
        :raises Rejected: the call was never sent because the address is not allowed
        """
        _no_transaction_open()
        breaker = breaker_for(self.name)
        if not breaker.allows(time.monotonic()) and not self.urgent:
            text = _("%(name)s failed several times in a row; calls rest for half a minute.")
            raise Unreachable(Sentence(text, {"name": self.name}))
        told = {"http.request.method": method, "server.address": urlsplit(self.origin).hostname or ""}
        try:
            with tracing.span(f"{method} {self.name}", tracing.SpanKind.CLIENT, told) as span:
                reply = self._send(
                    method, path, params, {**self.headers, **(headers or {})}, json, form, content, cut_at
                )
                span.tell({"http.response.status_code": reply.status})
        except Unreachable:
            breaker.failed(time.monotonic())
            raise
        if reply.status >= SERVER_ERROR:
            breaker.failed(time.monotonic())
        else:
            breaker.succeeded()
        return reply

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        json: Any,
        form: Mapping[str, str] | None,
        content: bytes | None,
        cut_at: int | None,
    ) -> Reply:
        deadline = time.monotonic() + TOTAL_SECONDS
        parts = urlsplit(self.origin)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme not in {"http", "https"} or not host or parts.username:
            text = _("%(name)s: an address looks like https://host:port, without a user name.")
            raise Rejected(Sentence(text, {"name": self.name}))
        try:
            address = self.allowance.address_for(host, port)
        except Invalid as error:
            raise Rejected(error.detail) from error
        pinned = f"[{address}]" if ":" in address else address
        sent = httpx2.Headers({"Host": parts.netloc, **OURS})
        sent.update(headers)
        try:
            request = httpx2.Request(
                method,
                f"{parts.scheme}://{pinned}:{port}{parts.path.rstrip('/')}{path}",
                params=params,
                headers=sent,
                json=json,
                data=form,
                content=content,
            )
            return self._answer(request, deadline, server_name=host, cut_at=cut_at)
        except TROUBLE as error:
            if time.monotonic() >= deadline:
                raise self._too_slow() from error
            raise Unreachable(cause(self.name, error)) from error

    def _answer(self, request: httpx2.Request, deadline: float, *, server_name: str, cut_at: int | None) -> Reply:
        """Send it, and read the whole answer before the deadline."""
        address = request.url
        limits = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS}
        asked = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=address.raw_path),
            headers=request.headers.raw,
            content=request.read() or None,
            extensions={"timeout": limits, "sni_hostname": server_name},
        )
        trusted = self._tls() if address.scheme == "https" else None
        with self._line.ask(asked, deadline=deadline, trusted=trusted) as answer:
            body = bytearray()
            for chunk in answer.iter_stream():
                body += chunk
                if cut_at is not None and len(body) > cut_at:
                    return self._reply(answer, bytes(body[:cut_at]), is_cut=True)
                if len(body) > BODY_BYTES:
                    raise Unreachable(Sentence(_("%(name)s sent more than 1 MiB."), {"name": self.name}))
                if time.monotonic() > deadline:
                    raise self._too_slow()
            return self._reply(answer, bytes(body))

    def _reply(self, answer: httpcore2.Response, body: bytes, *, is_cut: bool = False) -> Reply:
        names = {name.lower(): value for name, value in httpx2.Headers(answer.headers).items()}
        return Reply(answer.status, names, body, is_cut)

    def _tls(self) -> ssl.SSLContext:
        try:
            return http_wire.tls(ca_bundle=self.ca_bundle, client_certificate=self.client_certificate)
        except OSError as error:
            text = _("%(name)s: its certificates cannot be used (%(why)s).")
            raise Rejected(Sentence(text, {"name": self.name, "why": str(error)})) from error

    def _too_slow(self) -> Unreachable:
        text = _("%(name)s took longer than %(seconds)s s to answer.")
        return Unreachable(Sentence(text, {"name": self.name, "seconds": f"{TOTAL_SECONDS:g}"}))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; readers disagree on which of two equal names counts, so it may say either."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_transaction_open() -> None:
    """Refuse to speak inside a transaction; the one that a test case wraps around itself does not count."""
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            raise RuntimeError("No call to the outside while a transaction is open: write first, commit, then call.")
