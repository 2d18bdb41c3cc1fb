"""The wire under the HTTP door: sockets on which nothing waits past one deadline, and what TLS trusts.

A limit per read is no limit: whoever sends one byte a second never meets it. Here every wait on a socket (connect, TLS,
each read, each write) gets what is left of the whole call, so that no second thread has to watch over it.

A connection outlives a look (GET) for a moment, because one look follows another at once. Nobody can know that the
other side is not hanging up just now, nor that what arrives next answers what is asked next. So whatever is no look
goes out on a connection of its own, and a look that breaks on a kept one is repeated on a new one: it changes nothing.
"""

import os
import select
import ssl
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

import httpcore2
import httpx2

PEM = "-----BEGIN "
CONTEXTS = 32  # one per pair that connections name; each holds a few hundred kilobytes of authorities
LOOK = b"GET"
KEPT_SECONDS = 1.0  # for the next look; the longer, the likelier that the other side has hung up
Problem = type[httpcore2.TimeoutException] | type[httpcore2.NetworkError]
FileState = tuple[str, int]
Whom = tuple[httpcore2.Origin, str, ssl.SSLContext | None]  # the address, the name that TLS verifies, by what it trusts


class Line:
    """The way to one outside, with at most one connection that waits for the next look. Threads may share it."""

    def __init__(self) -> None:
        """Begin without any."""
        self._waiting: Queue[_Connection] = Queue(maxsize=1)

    @contextmanager
    def ask(
        self, request: httpcore2.Request, *, deadline: float, trusted: ssl.SSLContext | None
    ) -> Iterator[httpcore2.Response]:
        """Send a request and yield the answer, whose body is still to be read, both before ``deadline``.

        The deadline is by the monotonic clock; ``trusted`` is what TLS trusts, for https. The request carries its own
        limits and the name for TLS, as ``httpcore2`` has them (extensions ``timeout`` and ``sni_hostname``).
        """
        connection, answer = self._answered(request, deadline, trusted)
        with closing(answer):  # closes the connection, too, unless the whole answer was read
            yield answer
        if request.method == LOOK and connection.is_idle():
            self._keep(connection)
        else:
            connection.close()

    def _answered(
        self, request: httpcore2.Request, deadline: float, trusted: ssl.SSLContext | None
    ) -> "tuple[_Connection, httpcore2.Response]":
        whom = request.url.origin, request.extensions["sni_hostname"], trusted
        kept = self._kept(whom) if request.method == LOOK else None
        if kept:
            with suppress(httpcore2.NetworkError, httpcore2.ProtocolError):  # it is closed then, and a new one is asked
                return kept, kept.ask(request, deadline)
        new = _Connection(whom, _opened(request, trusted, deadline))
        return new, new.ask(request, deadline)

    def _kept(self, whom: Whom) -> "_Connection | None":
        """Return the connection that waits, if it is beyond doubt; else it ends here."""
        try:
            connection = self._waiting.get_nowait()
        except Empty:
            return None
        if connection.serves(whom):
            return connection
        connection.close()
        return None

    def _keep(self, connection: "_Connection") -> None:
        try:
            self._waiting.put_nowait(connection)
        except Full:  # another thread was first
            connection.close()


class _Connection(httpcore2.HTTP11Connection):
    """A connection that speaks HTTP/1.1, and whom it was made to."""

    def __init__(self, whom: Whom, wire: "_Wire") -> None:
        super().__init__(whom[0], wire, keepalive_expiry=KEPT_SECONDS)
        self._whom, self._wire = whom, wire

    def ask(self, request: httpcore2.Request, deadline: float) -> httpcore2.Response:
        """Send a request and return the answer, whose body is still to be read, both before the deadline."""
        self._wire.deadline = deadline
        return self.handle_request(request)

    def serves(self, whom: Whom) -> bool:
        """Say whether the next look may use it.

        Not when the other side hung up or waited too long, nor when it said more than it was asked for: what is left
        over would be taken for the next answer. That is read from the parser, whose state ``httpcore2`` does not show.
        """
        left_over, _has_ended = self._h11_state.trailing_data
        return self._whom == whom and not left_over and not self.has_expired()


class _Wire(httpcore2.NetworkStream):
    """A connected socket, plain or TLS, on which nothing waits past ``deadline``.

    It ends when nobody refers to it any more, if it was not closed before: a door may just be dropped.
    """

    def __init__(self, connected: Any, deadline: float) -> None:
        self._socket = connected
        self.deadline = deadline
        self._end = weakref.finalize(self, connected.close)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _named(httpcore2.ReadTimeout, httpcore2.ReadError):
            self._wait_at_most(timeout)
            return bytes(self._socket.recv(max_bytes))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        with _named(httpcore2.WriteTimeout, httpcore2.WriteError):
            while rest:
                self._wait_at_most(timeout)
                rest = rest[self._socket.send(rest) :]

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Wire":
        try:
            with _named(httpcore2.ConnectTimeout, httpcore2.ConnectError):
                self._wait_at_most(timeout)  # the whole handshake, as OpenSSL's socket counts it
                return _Wire(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname), self.deadline)
        except BaseException:
            self.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        """Say whether something came in (``is_readable``), which on an idle connection is the end of it."""
        if info != "is_readable":
            return None
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        self._end()

    def _wait_at_most(self, timeout: float | None) -> None:
        self._socket.settimeout(_left(self.deadline, timeout))


def _opened(request: httpcore2.Request, trusted: ssl.SSLContext | None, deadline: float) -> _Wire:
    """Connect to the address that a request names, with TLS if there is something to trust."""
    timeout = request.extensions["timeout"]["connect"]
    with _named(httpcore2.ConnectTimeout, httpcore2.ConnectError):
        left = _left(deadline, timeout)
    origin = request.url.origin
    plain = httpcore2.SyncBackend().connect_tcp(origin.host.decode("ascii"), origin.port, left)
    stream = _Wire(plain.get_extra_info("socket"), deadline)
    return stream.start_tls(trusted, request.extensions["sni_hostname"], timeout) if trusted else stream


def tls(*, ca_bundle: str = "", client_certificate: str = "") -> ssl.SSLContext:
    """Return what TLS trusts and shows: made once per pair, and again when a file was replaced.

    ``ca_bundle`` is PEM of authorities, the system's when empty; ``client_certificate`` PEM of one certificate and its
    key. Each is the text itself or the path of a file.

    :raises OSError: a file is not there, or what it should hold is something else
    """
    return _context(_state(ca_bundle), _state(client_certificate))


@lru_cache(maxsize=CONTEXTS)
def _context(authorities: FileState, client: FileState) -> ssl.SSLContext:
    if authorities[0]:
        is_text = PEM in authorities[0]
        file, text = (None, authorities[0]) if is_text else (authorities[0], None)
        context = ssl.create_default_context(cafile=file, cadata=text)
    else:
        context = httpx2.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    if client[0]:
        with _readable(client[0]) as path:
            context.load_cert_chain(path)
    return context


@contextmanager
def _readable(given: str) -> Iterator[str]:
    """Give a path at which OpenSSL, which reads only files, finds a PEM: for a text one in memory, if there is such."""
    if PEM not in given:
        yield given
    elif hasattr(os, "memfd_create"):
        with open(os.memfd_create("pem"), "w", encoding="ascii") as file:  # noqa: PTH123 - there is no path to open
            file.write(given)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as named:
            named.write(given)
            named.flush()
            yield named.name


def _state(given: str) -> FileState:
    return (given, Path(given).stat().st_mtime_ns) if given and PEM not in given else (given, 0)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for the whole call is over")
    return left if timeout is None else min(timeout, left)


@contextmanager
def _named(late: Problem, broken: Problem) -> Iterator[None]:
    """Say what went wrong on the socket in the words that the HTTP client above waits for."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        raise broken(str(error)) from error
