"""Looks that follow each other share a connection; whatever changes something goes out on one of its own."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from releases.core import breaker, http, http_wire
from releases.core.errors import Unreachable
from releases.core.http import Door
from tests.factories.peers import HEAD, LOOPBACK, PATIENCE, PAUSE, Peer, door

SHORT = 0.3
KEPT = http_wire.KEPT_SECONDS


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(http_wire, "KEPT_SECONDS", PATIENCE)
    breaker._breakers.clear()


def answers(one: Peer, connection: socket.socket) -> None:
    """Answer every request of a connection with its path, until the caller hangs up."""
    while request := connection.recv(65536):
        connection.sendall(answer_to(request))
    one.hung_up.set()


def answer_to(request: bytes) -> bytes:
    path = request.split(b" ")[1]
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(path) + path


def asked(through: Door, *paths: str) -> list[str]:
    return [through.call("GET", path).text for path in paths]


def test_looks_through_one_door_share_a_connection(peer):
    one = peer(answers)

    assert asked(door(one), "/a", "/b", "/c") == ["/a", "/b", "/c"]

    assert one.calls == 1


def test_inside_tls_too(secured, certificate):
    one = secured(answers)

    assert asked(door(one, "https", ca_bundle=certificate), "/a", "/b", "/c") == ["/a", "/b", "/c"]

    assert one.calls == 1


def test_tls_agrees_on_the_http_that_is_spoken(secured, certificate):
    agreed = []

    def notes(one: Peer, connection: ssl.SSLSocket) -> None:
        agreed.append(connection.selected_alpn_protocol())
        answers(one, connection)

    asked(door(secured(notes), "https", ca_bundle=certificate), "/a")

    assert agreed == ["http/1.1"]


def test_it_ends_with_the_door(peer):
    one = peer(answers)

    asked(door(one), "/a")

    assert one.hung_up.wait(PATIENCE)


def test_two_doors_share_nothing(peer):
    one = peer(answers)

    asked(door(one), "/a")
    asked(door(one), "/b")

    assert one.calls == 2


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE", "HEAD"])
def test_whatever_is_no_look_has_a_connection_of_its_own(echo, method):
    through = Door("ci", echo.origin, {}, LOOPBACK)
    body = None if method == "HEAD" else {}

    through.call(method, "/a", json=body)
    through.call("GET", "/b")
    assert echo.connections == 2
    through.call(method, "/c", json=body)
    assert echo.connections == 3
    through.call("GET", "/d")

    assert echo.connections == 3
    assert echo.heard == [f"{method} /a", "GET /b", f"{method} /c", "GET /d"]


# What is in doubt is not used again


def hangs_up(_one: Peer, connection: socket.socket) -> None:
    """Answer once and hang up, without a word of warning."""
    connection.sendall(answer_to(connection.recv(65536)))


def says_that_it_hangs_up(one: Peer, connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n/x")
    one.wait_for_the_end(connection)


def says_more_at_once(one: Peer, connection: socket.socket) -> None:
    """Answer, and in the same breath what could be taken for the answer to the next question."""
    connection.sendall(answer_to(connection.recv(65536)) + answer_to(b"GET /forged"))
    one.wait_for_the_end(connection)


def says_more_later(one: Peer, connection: socket.socket) -> None:
    connection.sendall(answer_to(connection.recv(65536)))
    one.over.wait(PAUSE)
    connection.sendall(answer_to(b"GET /forged"))
    one.wait_for_the_end(connection)


def says_something_where_nothing_belongs(one: Peer, connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n<html>")
    one.wait_for_the_end(connection)


ODD = [
    *((told, 0) for told in (hangs_up, says_that_it_hangs_up, says_more_at_once)),
    (says_something_where_nothing_belongs, 0),
    *((seen_in_time, 5 * PAUSE) for seen_in_time in (hangs_up, says_more_later)),
]


@pytest.mark.parametrize(("odd", "waits"), ODD)
def test_whoever_behaved_oddly_is_called_anew(peer, odd, waits):
    def treat(one: Peer, connection: socket.socket) -> None:
        (odd if one.calls == 1 else answers)(one, connection)

    one = peer(treat)
    through = door(one)
    through.call("GET", "/a")
    time.sleep(waits)

    assert asked(through, "/b") == ["/b"]

    assert one.calls == 2


def test_whoever_hangs_up_on_every_look_is_looked_at_all_the_same(peer):
    def treat(_one: Peer, connection: socket.socket) -> None:
        connection.sendall(answer_to(connection.recv(65536)))

    one = peer(treat)
    paths = [f"/{number}" for number in range(50)]

    assert asked(door(one), *paths) == paths

    assert one.calls == len(paths)


def test_a_stream_that_tls_ended_is_not_written_to(secured, certificate):
    def ends(one: Peer, connection: ssl.SSLSocket) -> None:
        request = connection.recv(65536)
        connection.sendall(HEAD + b"\r\n" + request.split(b" ")[1])
        connection.unwrap()

    one = secured(ends)
    through = door(one, "https", ca_bundle=certificate)

    assert asked(through, "/a", "/b") == ["/a", "/b"]

    assert one.calls == 2


def test_an_answer_that_was_cut_off_is_not_read_on(peer):
    one = peer(answers)
    through = door(one)

    assert through.call("GET", "/long", cut_at=2).is_cut
    assert asked(through, "/b") == ["/b"]

    assert one.calls == 2


def test_a_call_that_failed_is_not_followed_on_its_connection(peer, monkeypatch):
    def treat(one: Peer, connection: socket.socket) -> None:
        if one.calls == 1:
            connection.recv(65536)
            one.trickle(connection, HEAD + b"X-Slow: ", b"a")
        else:
            answers(one, connection)

    one = peer(treat)
    through = door(one)
    with monkeypatch.context() as patch:
        patch.setattr(http, "TOTAL_SECONDS", SHORT)
        with pytest.raises(Unreachable):
            through.call("GET", "/a")

    assert asked(through, "/b") == ["/b"]


@pytest.mark.parametrize(("later", "calls"), [(0, 1), (KEPT, 2)])
def test_it_waits_a_second_for_the_next_look(peer, monkeypatch, later, calls):
    monkeypatch.setattr(http_wire, "KEPT_SECONDS", KEPT + (0 if later else PATIENCE))
    one, by_now = peer(answers), time.monotonic
    through = door(one)
    asked(through, "/a")

    monkeypatch.setattr(time, "monotonic", lambda: by_now() + later)
    asked(through, "/b")

    assert (KEPT, one.calls) == (1, calls)


def test_certificates_that_were_replaced_are_asked_for_anew(secured, certificate):
    one = secured(answers)
    through = door(one, "https", ca_bundle=certificate)
    asked(through, "/a")

    os.utime(certificate, ns=(1, 1))
    asked(through, "/b")

    assert one.calls == 2


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
def test_a_name_that_leads_elsewhere_now_is_followed_there(peer, monkeypatch):
    first, resolve, addresses = peer(answers), socket.getaddrinfo, iter(("127.0.0.1", "127.0.0.2"))
    second = peer(answers, "127.0.0.2", first.port)

    def leads(host, *asked, **how):
        return resolve(next(addresses) if host == "ci.example.com" else host, *asked, **how)

    monkeypatch.setattr(socket, "getaddrinfo", leads)
    through = Door("ci", f"http://ci.example.com:{first.port}", {}, LOOPBACK)

    asked(through, "/a", "/b")

    assert (first.calls, second.calls) == (1, 1)


# Each call has its own time, and its own answer


def test_a_call_has_its_own_time_not_what_the_one_before_left(peer, monkeypatch):
    later = 2 * http.TOTAL_SECONDS
    monkeypatch.setattr(http_wire, "KEPT_SECONDS", 2 * later)
    one, by_now = peer(answers), time.monotonic
    through = door(one)
    asked(through, "/a")

    monkeypatch.setattr(time, "monotonic", lambda: by_now() + later)

    assert asked(through, "/b") == ["/b"]

    assert one.calls == 1


def test_a_connection_that_was_kept_is_left_in_time_as_well(peer, monkeypatch):
    def treat(one: Peer, connection: socket.socket) -> None:
        connection.sendall(answer_to(connection.recv(65536)))
        one.wait_for_the_end(connection)

    one = peer(treat)
    through = door(one)
    asked(through, "/a")

    monkeypatch.setattr(http, "TOTAL_SECONDS", SHORT)
    with pytest.raises(Unreachable, match="took longer than"):
        through.call("GET", "/b")

    assert one.hung_up.wait(PATIENCE)
    assert one.calls == 1


class Echo(ThreadingHTTPServer):
    """Answers everything with the path, each connection in a thread; counts them, and keeps what it heard."""

    daemon_threads = True

    def __init__(self) -> None:
        self.connections = 0
        self.heard: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)
        self.origin = f"http://127.0.0.1:{self.server_port}"

    def process_request(self, *connected):
        self.connections += 1
        super().process_request(*connected)


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Echo

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline()
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.heard.append(f"{self.command} {self.path}")
        time.sleep(PAUSE / 4)
        answer = answer_to(self.raw_requestline)
        self.wfile.write(answer[: -len(self.path)] if self.command == "HEAD" else answer)

    def log_message(self, *_said):
        pass


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def test_threads_that_share_a_door_never_get_each_others_answers(echo):
    through, paths = Door("ci", echo.origin, {}, LOOPBACK), [f"/{number}" for number in range(80)]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda path: asked(through, path), paths))

    assert found == [[path] for path in paths]
