"""The wire under the HTTP door: sockets on which nothing waits past one deadline, and what TLS trusts.

A limit per read is no limit: whoever sends one byte a second never meets it. Here every wait on a socket (connect, TLS,
each read, each write) gets what is left of the whole call, so that no second thread has to watch over it.
"""

import os
import ssl
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

PEM = "-----BEGIN "
CONTEXTS = 32  # one per pair that connections name; each holds a few hundred kilobytes of authorities
Problem = type[httpcore2.TimeoutException] | type[httpcore2.NetworkError]
FileState = tuple[str, int]


class Wire(httpcore2.SyncBackend):
    """Opens streams that end with the call; ``deadline`` is by the monotonic clock."""

    def __init__(self, deadline: float) -> None:
        """Remember until when."""
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to one address."""
        with _named(httpcore2.ConnectTimeout, httpcore2.ConnectError):
            left = _left(self._deadline, timeout)
        stream = super().connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(stream.get_extra_info("socket"), self._deadline)


class _Stream(httpcore2.NetworkStream):
    """A connected socket, plain or TLS."""

    def __init__(self, connected: Any, deadline: float) -> None:
        self._socket = connected
        self._deadline = deadline

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
    ) -> httpcore2.NetworkStream:
        try:
            with _named(httpcore2.ConnectTimeout, httpcore2.ConnectError):
                self._wait_at_most(timeout)  # the whole handshake, as OpenSSL's socket counts it
                return _Stream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname), self._deadline)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def _wait_at_most(self, timeout: float | None) -> None:
        self._socket.settimeout(_left(self._deadline, timeout))


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
