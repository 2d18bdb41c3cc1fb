"""The faults that the network and a proxy before Gate are known for, each by its name."""

import contextlib
import socket
import struct
import threading
from dataclasses import replace

import pytest

from gmud.sandbox.server import Sandbox, json_answer, running
from gmud.sandbox.spinnaker.api import Gate as Spinnaker
from releases.core import http
from releases.core.errors import External, Unreachable
from releases.delivery.ports import Handle
from releases.delivery.spinnaker.adapter import SpinnakerDelivery
from releases.delivery.states import State
from tests.factories.certificates import a_certificate
from tests.factories.delivery import fault
from tests.factories.spinnaker import TARGET, a_world, door_to, order
from tests.factories.tls import over_tls

PATIENCE = 10.0


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def patches(world):
    return [one for one in world.cluster.log if one["method"] == "PATCH"]


@pytest.mark.parametrize(
    ("do", "word"),
    [
        ("500", "answered 500"),
        ("drip", "took longer than"),
        ("huge", "more than 1 MiB"),
        ("gzip", "not JSON"),
        ("length:400", "did not answer"),
        ("length:-9", "not JSON"),
        ("html", "not JSON"),
    ],
)
def test_an_answer_that_cannot_be_read_is_unknown_and_its_cause_is_named(world, monkeypatch, do, word):
    handle = world.ended(world.adapter.start(order()).handle).handle
    if do == "drip":
        monkeypatch.setattr(http, "TOTAL_SECONDS", 0.6)
    for ask in (lambda: world.adapter.look(handle), lambda: world.adapter.preflight(TARGET)):
        fault(world.url, do, method="GET", seconds=0.1)
        with pytest.raises(Unreachable, match=word):
            ask()

    assert world.adapter.look(handle).state is State.SUCCEEDED


def test_an_execution_that_says_two_things_at_once_says_nothing(world):
    handle = world.ended(world.adapter.start(order()).handle).handle
    told = '[{"id": "x", "status": "TERMINAL", "status": "SUCCEEDED", "stages": [], "buildTime": 1, "trigger": {}}]'
    fault(world.url, "status:200", path="^/executions", body=told)

    with pytest.raises(Unreachable):
        world.adapter.look(handle)


@pytest.mark.parametrize("do", ["drip", "huge", "gzip", "html", "500", "length:50"])
def test_the_answer_to_an_order_that_cannot_be_read_never_doubles_it(world, do):
    """Faults that answer instead of Gate carried nothing out; those that garble its answer did."""
    wanted = order()
    fault(world.url, do, method="POST", path="/pipelines/", seconds=0.01)
    with contextlib.suppress(Unreachable):
        world.adapter.start(wanted)

    assert world.ended(world.adapter.start(wanted).handle).state is State.SUCCEEDED
    assert len(world.executions()) == len(patches(world)) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_not_followed_and_its_host_hears_nothing(world, method):
    class Elsewhere(Sandbox):
        def answer(self, call):
            return json_answer({})

    with running(other := Elsewhere()) as url:
        fault(world.url, "status:302", method=method, headers={"Location": f"{url}/login"})
        with pytest.raises(External, match="sign-in page"):
            world.adapter.start(order())

        assert list(other.log) == []
    assert world.executions() == []


@pytest.mark.parametrize(
    ("made", "is_trusted", "word"),
    [
        ({"begins": -3, "ends": -1}, True, "has expired"),
        ({"host": "other.example"}, True, "for another host"),
        ({}, False, "self-signed"),
    ],
)
def test_a_certificate_that_does_not_hold_is_named_and_nothing_is_sent(tmp_path, made, is_trusted, word):
    certificate = a_certificate(tmp_path, **made)
    with a_world() as world, over_tls(spinnaker := Spinnaker(world.spinnaker.works), certificate) as url:
        door = replace(door_to(url), ca_bundle=certificate if is_trusted else "")
        with pytest.raises(Unreachable, match=f"{word}.*Nothing was sent"):
            SpinnakerDelivery(door).start(order())

        assert list(spinnaker.log) == []


def test_a_connection_reset_in_the_handshake_is_named_and_nothing_is_sent():
    listener = socket.create_server(("127.0.0.1", 0))

    def reset():
        connection, _address = listener.accept()
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    thread = threading.Thread(target=reset)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with listener, pytest.raises(Unreachable, match=r"broke while it was made\. Nothing was sent"):
        SpinnakerDelivery(door_to(url)).version()
    thread.join(PATIENCE)


def test_a_name_that_does_not_resolve_is_named(monkeypatch):
    def unknown(*_asked, **_how):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(Unreachable, match=r"The name gate\.example does not resolve"):
        SpinnakerDelivery(door_to("https://gate.example")).start(order())


def test_a_pipeline_deleted_or_renamed_while_it_runs_is_followed_by_its_execution_to_the_end(world):
    """Orca keeps the execution under its own id; only a search by the old name would prove nothing."""
    world.settings(hold="Deploy")
    seen = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)
    config = next(one for one in world.spinnaker.pipelines.values() if one.name == "Deploy ledgerwriter")
    config.name = "Deploy the ledger"

    with pytest.raises(Unreachable, match="has no pipeline"):
        world.adapter.find(TARGET, "gmud-any")
    config.name, name = "Deploy ledgerwriter", config.name
    world.settings(hold="")
    config.name = name

    assert world.ended(seen.handle).state is State.SUCCEEDED


def test_an_execution_that_is_gone_is_lost(world):
    handle = world.ended(world.adapter.start(order()).handle).handle

    assert world.adapter.look(Handle(handle.key, handle.job, run="pipelines/01K8ZZZZZZZZZZZZZZZZZZZZZZ")).state is (
        State.LOST
    )
