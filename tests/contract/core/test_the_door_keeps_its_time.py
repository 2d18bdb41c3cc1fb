"""A call through the door ends in time, whatever the other side does, and leaves nothing behind."""

import os
import socket
import threading

import pytest

from releases.core import breaker, http, http_wire
from releases.core.errors import Rejected, Unreachable
from tests.factories.peers import HEAD, PATIENCE, PAUSE, Peer, door

TOTAL = 0.4
TOO_SLOW = rf"took longer than {TOTAL} s"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", TOTAL)
    monkeypatch.setattr(http, "CONNECT_SECONDS", 2 * PATIENCE)
    monkeypatch.setattr(http, "READ_SECONDS", 2 * PATIENCE)
    breaker._breakers.clear()


def trickles_headers(one: Peer, connection: socket.socket) -> None:
    connection.recv(65536)
    one.trickle(connection, HEAD + b"X-Slow: ", b"a")


def trickles_a_body(one: Peer, connection: socket.socket) -> None:
    connection.recv(65536)
    one.trickle(connection, HEAD + b"Content-Length: 100000\r\n\r\n", b"a")


def trickles_a_chunk(one: Peer, connection: socket.socket) -> None:
    connection.recv(65536)
    one.trickle(connection, HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", b"a")


def trickles_interim_answers(one: Peer, connection: socket.socket) -> None:
    connection.recv(65536)
    one.trickle(connection, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")


def says_nothing(one: Peer, connection: socket.socket) -> None:
    one.wait_for_the_end(connection)


@pytest.mark.parametrize(
    "treat", [trickles_headers, trickles_a_body, trickles_a_chunk, trickles_interim_answers, says_nothing]
)
def test_whoever_answers_too_slowly_is_left(peer, treat):
    one = peer(treat)

    with pytest.raises(Unreachable, match=TOO_SLOW):
        door(one).call("GET", "/job")

    assert one.hung_up.wait(PATIENCE)


def reads_nothing(one: Peer, connection: socket.socket) -> None:
    one.over.wait(PATIENCE)
    connection.recv(1)


def reads_a_little(one: Peer, connection: socket.socket) -> None:
    for _ in range(int(PATIENCE / PAUSE)):
        if one.over.wait(PAUSE) or not connection.recv(2048):
            break


@pytest.mark.parametrize("treat", [reads_nothing, reads_a_little])
def test_whoever_takes_the_question_too_slowly_is_left(peer, treat):
    one = peer(treat)

    with pytest.raises(Unreachable, match=TOO_SLOW):
        door(one).call("POST", "/job", content=b"x" * 50_000_000)

    assert one.is_patient


def trickles_a_handshake(one: Peer, connection: socket.socket) -> None:
    connection.recv(65536)
    one.trickle(connection, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03", b"\0")


@pytest.mark.parametrize("treat", [trickles_a_handshake, says_nothing])
def test_whoever_shakes_hands_too_slowly_is_left(peer, treat):
    one = peer(treat)

    with pytest.raises(Unreachable, match=TOO_SLOW):
        door(one, "https").call("GET", "/job")

    assert one.hung_up.wait(PATIENCE)


def test_a_handshake_has_a_shorter_limit_of_its_own(peer, monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", PATIENCE)
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.2)
    one = peer(trickles_a_handshake)

    with pytest.raises(Unreachable, match="took no connection in time"):
        door(one, "https").call("GET", "/job")

    assert one.hung_up.wait(PATIENCE)


def test_a_name_that_took_all_the_time_is_not_called_any_more(peer, monkeypatch):
    one, resolve, hurry = peer(says_nothing), socket.getaddrinfo, threading.Event()

    def slowly(*asked, **how):
        hurry.wait(TOTAL + 0.05)
        return resolve(*asked, **how)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with pytest.raises(Unreachable, match=TOO_SLOW):
        door(one).call("GET", "/job")

    assert one.calls == 0


def test_no_thread_stays_behind(peer):
    one = peer(trickles_headers)
    before = set(threading.enumerate())

    with pytest.raises(Unreachable):
        door(one).call("GET", "/job")

    assert set(threading.enumerate()) <= before


def test_an_answer_in_time_is_whole(peer):
    def answers(_one: Peer, connection: socket.socket) -> None:
        connection.recv(65536)
        for part in (HEAD, b"X-Two: a\r\nX-Two: b\r\n", b"Content-Length: 4\r\n\r\n", b"bo", b"dy"):
            connection.sendall(part)

    reply = door(peer(answers)).call("GET", "/job")

    assert (reply.status, reply.text, reply.headers["x-two"]) == (200, "body", "a, b")


# TLS


def test_headers_that_trickle_inside_tls_are_cut_off_too(secured, certificate):
    one = secured(trickles_headers)

    with pytest.raises(Unreachable, match=TOO_SLOW):
        door(one, "https", ca_bundle=certificate).call("GET", "/job")

    assert one.hung_up.wait(PATIENCE)


def test_who_is_not_trusted_hears_nothing(secured, monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", PATIENCE)
    one = secured(says_nothing)

    with pytest.raises(Unreachable, match="self-signed"):
        door(one, "https").call("GET", "/job")

    assert one.hung_up.wait(PATIENCE)
    assert one.heard == b""


def test_a_file_of_certificates_that_is_not_there_is_a_clear_no(peer):
    one = peer(says_nothing)

    with pytest.raises(Rejected, match="certificates"):
        door(one, "https", ca_bundle="/nowhere/ca.pem").call("GET", "/job")

    assert one.calls == 0


def test_what_tls_trusts_is_read_once_and_again_when_the_file_was_replaced(certificate):
    first = http_wire.tls(ca_bundle=certificate)
    assert http_wire.tls(ca_bundle=certificate) is first
    assert http_wire.tls(ca_bundle=certificate, client_certificate=certificate) is not first
    assert http_wire.tls() is http_wire.tls()
    assert http_wire.tls() is not first

    os.utime(certificate, ns=(1, 1))
    assert http_wire.tls(ca_bundle=certificate) is not first


def test_no_more_of_what_tls_trusts_is_kept_than_so_much(certificate):
    for stamp in range(http_wire.CONTEXTS + 3):
        os.utime(certificate, ns=(stamp, stamp))
        http_wire.tls(ca_bundle=certificate)

    assert http_wire._context.cache_info().currsize <= http_wire.CONTEXTS
