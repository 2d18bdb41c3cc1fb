"""The wire under the HTTP door: sockets on which nothing waits past one deadline, and what TLS trusts.

A limit per read is no limit: whoever sends one byte a second never meets it. Here every wait on a socket (connect, TLS,
each read, each write) gets what is left of the whole call, so that no second thread has to watch over it.
"""

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

CONTEXTS = 32  # one per pair of files that connections name; each holds a few hundred kilobytes of authorities
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
    """Return what TLS trusts and shows: made once per pair of files, and again when one of them was replaced.

    ``ca_bundle`` is a PEM file of authorities, the system's when empty; ``client_certificate`` one of certificate and
    key.

    :raises OSError: a file is not there or holds something else
    """
    return _context(_state(ca_bundle), _state(client_certificate))


@lru_cache(maxsize=CONTEXTS)
def _context(authorities: FileState, client: FileState) -> ssl.SSLContext:
    if authorities[0]:
        context = ssl.create_default_context(cafile=authorities[0])
    else:
        context = httpx2.create_ssl_context(trust_env=False)
    if client[0]:
        context.load_cert_chain(client[0])
    return context


def _state(place: str) -> FileState:
    return (place, Path(place).stat().st_mtime_ns) if place else ("", 0)


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
