"""Somebody at the other end of a socket who treats each connection as a test tells it to."""

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable

from releases.core.http import Allowance, Door

LOOPBACK = Allowance(networks=(ipaddress.ip_network("127.0.0.0/8"),))
PAUSE = 0.02  # between two bytes of somebody who trickles: far below every limit per read
PATIENCE = 8.0  # of a peer that is never left: twenty times what the caller may take, less than its other limits
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


class Peer:
    """Accepts connections and treats each as told; knows what it read, and when the caller hung up."""

    def __init__(self, treat: Callable[["Peer", socket.socket], None], host: str = "127.0.0.1", port: int = 0) -> None:
        self.treat = treat
        self.calls = 0
        self.heard = b""
        self.hung_up = threading.Event()
        self.over = threading.Event()
        self.is_patient = True
        self.listener = socket.create_server((host, port))
        self.port = self.listener.getsockname()[1]

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.calls += 1
                connection.settimeout(PATIENCE)
                with connection:
                    try:
                        self.treat(self, connection)
                        self.is_patient = self.hung_up.is_set() or self.over.is_set()
                    except TimeoutError:
                        self.is_patient = False
                    except (ConnectionError, ssl.SSLError):
                        self.hung_up.set()

    def trickle(self, connection: socket.socket, begin: bytes, unit: bytes) -> None:
        """Send the beginning, then a unit at a time, until the caller hangs up or patience ends."""
        connection.sendall(begin)
        for _ in range(int(PATIENCE / PAUSE)):
            if self.over.wait(PAUSE):
                break
            connection.sendall(unit)

    def wait_for_the_end(self, connection: socket.socket) -> None:
        """Say nothing, read everything, until the caller hangs up or patience ends."""
        while data := connection.recv(65536):
            self.heard += data
        self.hung_up.set()


def door(peer: Peer, scheme: str = "http", **more: str) -> Door:
    """Return a door to a peer."""
    return Door("ci", f"{scheme}://127.0.0.1:{peer.port}", {}, LOOPBACK, **more)
