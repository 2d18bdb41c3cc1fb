"""Peers for the door, plain and with TLS."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.factories.certificates import a_certificate
from tests.factories.peers import PATIENCE, Peer


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """Start peers, and end them and their threads with the test."""
    started: list[tuple[Peer, threading.Thread]] = []

    def start(treat: Callable[[Peer, socket.socket], None], *where: str | int) -> Peer:
        one = Peer(treat, *where)
        thread = threading.Thread(target=one.serve)
        thread.start()
        started.append((one, thread))
        return one

    yield start
    for one, thread in started:
        one.over.set()
        one.listener.shutdown(socket.SHUT_RDWR)
        one.listener.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def certificate(tmp_path) -> str:
    """Return a file with a certificate for this machine, signed by itself, and its key."""
    return a_certificate(tmp_path)


@pytest.fixture
def secured(peer, certificate) -> Callable[..., Peer]:
    """Start a peer that speaks TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])

    def start(treat: Callable[[Peer, socket.socket], None]) -> Peer:
        def shake(one: Peer, connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as inside:
                treat(one, inside)

        return peer(shake)

    return start
