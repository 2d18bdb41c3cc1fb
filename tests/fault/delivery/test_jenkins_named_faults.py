"""The faults that the network, a proxy and Jenkins itself are known for, each by its name."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gmud.sandbox.jenkins import VERSION, Jenkins
from gmud.sandbox.server import Sandbox, Server, json_answer, running
from releases.core import breaker, http
from releases.core.errors import Rejected, Unreachable
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.ports import Handle
from releases.delivery.states import Act, State
from tests.factories.certificates import a_certificate
from tests.factories.delivery import JOB, PARAMETERS, TARGET, a_world, control, door_to, fault, order, requests_of

PATIENCE = 10.0


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def posts(world):
    return [one for one in requests_of(world.url) if one["method"] == "POST" and "buildWith" in one["path"]]


def patches(world):
    return [one for one in world.cluster.log if one["method"] == "PATCH"]


def settings(world, **job):
    control(world.url, "settings", {"jobs": {JOB: job}})


def until(seen):
    """Wait until it is so."""
    calm = threading.Event()
    for _round in range(int(PATIENCE / 0.02)):
        if seen():
            return
        calm.wait(0.02)
    raise AssertionError("it never became so")


# The answer is lost, or late


@pytest.mark.parametrize("times", [12, pytest.param(300, marks=pytest.mark.long)])
def test_answers_that_are_lost_after_the_order_was_carried_out_never_double_it(times):
    with a_world(speed=400.0) as world:
        for _order in range(times):
            wanted = order()
            fault(world.url, "close_after", method="POST", path="buildWithParameters")
            with pytest.raises(Unreachable):
                world.adapter.start(wanted)
            breaker._breakers.clear()
            found = world.adapter.find(TARGET, wanted.key)
            assert found.state is not State.NOT_FOUND
            assert world.ended(world.adapter.start(wanted).handle).state is State.SUCCEEDED

        assert len(posts(world)) == len(world.job.builds) == len(patches(world)) == times


def delayed(world, wanted, monkeypatch):
    """Let a request reach Jenkins only after its sender gave up and sent it again; return what the second became."""
    monkeypatch.setattr(http, "READ_SECONDS", 0.2)
    fault(world.url, "slow", method="POST", path="buildWithParameters", seconds=0.8)
    with pytest.raises(Unreachable):
        world.adapter.start(wanted)
    monkeypatch.undo()
    assert world.adapter.find(TARGET, wanted.key).state is State.NOT_FOUND
    return world.adapter.start(wanted)


def test_a_request_delayed_past_its_retry_starts_two_builds_and_one_deploys(world, monkeypatch):
    wanted = order()
    again = delayed(world, wanted, monkeypatch)
    done = world.ended(again.handle)
    until(lambda: len(world.job.builds) == 2 and not any(one.in_progress for one in world.job.builds.values()))

    assert done.state is State.SUCCEEDED
    assert sorted(one.result for one in world.job.builds.values()) == ["FAILURE", "SUCCESS"]
    assert len(patches(world)) == 1
    assert world.adapter.find(TARGET, wanted.key).state is State.SUCCEEDED  # the newer one failed at the gate


def test_when_the_late_twin_got_through_the_gate_first_it_is_the_one_that_counts(world):
    wanted = order()
    settings(world, concurrent=True, stages=[["Permit", 40.0], ["Deploy", 0.1]])
    first = world.until(world.adapter.start(wanted).handle, lambda one: one.state is State.RUNNING)
    ours = world.jenkins.controller.items[1]
    settings(world, stages=[["Permit", 0.1], ["Deploy", 0.1]])
    twin, _folded = world.jenkins.controller.schedule(ours.job, dict(ours.parameters), "gmud", 0.0, "")
    until(lambda: twin.build and not twin.build.in_progress)
    until(lambda: not ours.build.in_progress)

    seen = world.adapter.look(first.handle)

    assert (ours.build.result, twin.build.result) == ("FAILURE", "SUCCESS")
    assert (seen.state, seen.handle.run) == (State.SUCCEEDED, "2")
    assert len(patches(world)) == 1


# Answers that prove nothing


@pytest.mark.parametrize("status", [429, 503])
def test_whoever_asks_to_be_left_alone_is_left_alone_for_so_long(world, status):
    handle = world.ended(world.adapter.start(order()).handle).handle
    fault(world.url, f"status:{status}", headers={"Retry-After": "42"}, times=2)

    for ask in (lambda: world.adapter.look(handle), lambda: world.adapter.start(order())):
        with pytest.raises(Unreachable) as caught:
            ask()
        assert caught.value.after_seconds == 42


@pytest.mark.parametrize(
    ("do", "word"),
    [
        ("500", "answered 500"),
        ("drip", "took longer than"),
        ("huge", "more than 1 MiB"),
        ("gzip", "not JSON"),
        ("length:400", "did not answer"),
        ("length:-9", "not JSON"),
        ("html", "sign-in page or a proxy"),
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


def test_a_build_that_says_two_things_at_once_says_nothing(world):
    handle = world.ended(world.adapter.start(order()).handle).handle
    build = '{"number": 1, "inProgress": false, "result": "FAILURE", "result": "SUCCESS", "actions": []}'
    fault(world.url, "status:200", path="/1/api/json", body=build)

    with pytest.raises(Unreachable):
        world.adapter.look(handle)


@pytest.mark.parametrize("do", ["drip", "huge", "gzip", "html", "500", "length:50"])
def test_the_answer_to_an_order_that_cannot_be_read_never_doubles_it(world, monkeypatch, do):
    """Faults that answer instead of Jenkins carried nothing out; those that garble its answer did."""
    wanted = order()
    fault(world.url, do, method="POST", path="buildWithParameters", seconds=0.1)
    with contextlib.suppress(Unreachable):
        world.adapter.start(wanted)

    assert world.ended(world.adapter.start(wanted).handle).state is State.SUCCEEDED
    assert len(world.job.builds) == len(patches(world)) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_refused_and_its_host_hears_nothing(world, method):
    class Elsewhere(Sandbox):
        def answer(self, call):
            return json_answer({})

    with running(other := Elsewhere()) as url:
        fault(world.url, "status:302", method=method, headers={"Location": f"{url}/job"})
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+, which is never followed"):
            world.adapter.start(order())

        assert list(other.log) == []
    assert world.job.builds == {}


# Before a word is said


@contextlib.contextmanager
def over_tls(certificate):
    """Serve Jenkins over TLS with this certificate; gives the sandbox and its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Server(Jenkins(), 0)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.sandbox, server.url.replace("http://", "https://")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("made", "is_trusted", "word"),
    [
        ({"begins": -3, "ends": -1}, True, "has expired"),
        ({"begins": 1, "ends": 3}, True, "not valid yet"),
        ({"host": "10.1.2.3"}, True, "for another host"),
        ({"host": "other.example"}, True, "for another host"),
        ({}, False, "self-signed"),
        ({"by": "Somebody's authority"}, False, "not trusted here"),
    ],
)
def test_a_certificate_that_does_not_hold_is_named_and_nothing_is_sent(tmp_path, made, is_trusted, word):
    certificate = a_certificate(tmp_path, **made)
    with over_tls(certificate) as (jenkins, url):
        door = replace(door_to(url), ca_bundle=certificate if is_trusted else "")
        with pytest.raises(Unreachable, match=f"{word}.*Nothing was sent"):
            JenkinsDelivery(door).start(order())

        assert list(jenkins.log) == []


def test_over_a_certificate_that_holds_jenkins_is_spoken_to(tmp_path):
    certificate = a_certificate(tmp_path)
    with over_tls(certificate) as (jenkins, url):
        version = JenkinsDelivery(replace(door_to(url), ca_bundle=certificate)).version()

        assert (version, len(jenkins.log)) == (VERSION, 1)


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
        JenkinsDelivery(door_to(url)).version()
    thread.join(PATIENCE)


def test_nobody_listening_is_named_and_nothing_is_sent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(Unreachable, match=r"nothing listens at its address\. Nothing was sent"):
        JenkinsDelivery(door_to(f"http://127.0.0.1:{port}")).version()


def test_a_name_that_does_not_resolve_is_named(monkeypatch):
    def unknown(*_asked, **_how):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(Unreachable, match=r"The name ci\.example does not resolve"):
        JenkinsDelivery(door_to("https://ci.example")).start(order())


# Jenkins itself


def test_a_restart_in_the_middle_is_seen_through(world):
    settings(world, hold="Deploy")
    running_one = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)
    waiting = world.adapter.start(order())
    begun = Handle(running_one.handle.key, JOB, ticket=running_one.handle.ticket)  # known by its queue item alone

    control(world.url, "settings", {"starting": True})
    for handle in (begun, waiting.handle, running_one.handle):
        with pytest.raises(Unreachable, match="starting"):
            world.adapter.look(handle)
    control(world.url, "settings", {"starting": False, "restarted": True})

    assert world.adapter.look(waiting.handle).state is State.QUEUED
    assert world.adapter.look(begun).handle.run == "1"
    settings(world, hold="")
    assert [world.ended(one).state for one in (begun, waiting.handle)] == [State.SUCCEEDED] * 2
    assert len(world.job.builds) == 2


def test_a_restart_right_after_the_order_was_taken_is_found_out_by_its_key(world):
    wanted = order()
    fault(world.url, "close_after", method="POST", path="buildWithParameters")
    with pytest.raises(Unreachable):
        world.adapter.start(wanted)
    control(world.url, "settings", {"starting": True})
    with pytest.raises(Unreachable):
        world.adapter.find(TARGET, wanted.key)
    control(world.url, "settings", {"starting": False, "restarted": True})

    assert world.ended(world.adapter.start(wanted).handle).state is State.SUCCEEDED
    assert len(posts(world)) == 1


def test_a_freestyle_build_that_a_restart_cut_short_was_not_stopped_by_us(world):
    settings(world, hold="Deploy", freestyle=True)
    running_one = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)

    control(world.url, "settings", {"restarted": True})

    assert world.ended(running_one.handle).state is State.ABORTED_EXTERNALLY


def test_a_queue_item_that_vanished_leads_to_its_build_and_without_one_it_is_lost(world):
    begun = world.adapter.start(order())
    world.ended(begun.handle)
    control(world.url, "settings", {"left_seconds": 0})
    assert world.adapter.look(begun.handle).state is State.SUCCEEDED

    world.job.builds.clear()
    gone = world.adapter.look(begun.handle)

    assert gone.state is State.LOST
    assert "no longer knows this run" in str(gone.why)


@pytest.mark.parametrize(
    "change", [{"jobs": {JOB: None}}, {"rename": [JOB, "ledger/deploy-writer"]}], ids=["deleted", "renamed"]
)
def test_a_job_that_was_deleted_or_renamed_while_it_ran_is_lost_by_name(world, change):
    settings(world, hold="Deploy")
    seen = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)

    control(world.url, "settings", change)
    gone = world.adapter.look(seen.handle)

    assert gone.state is State.LOST
    assert str(gone.why) == f"The job {JOB} was deleted, moved or renamed in Jenkins."
    with pytest.raises(Rejected):
        world.adapter.start(order())


def test_an_order_that_left_the_queue_while_it_was_canceled_is_stopped_as_a_build(world):
    """The item is told to be there, and is a build by the time the cancelling arrives."""
    settings(world, hold="Deploy")
    begun = world.adapter.start(order())
    item = json.dumps(
        {"id": 1, "why": "…", "actions": [{"parameters": [{"name": "GMUD_CORRELATION", "value": begun.handle.key}]}]}
    )
    world.until(begun.handle, lambda one: one.state is State.RUNNING)
    fault(world.url, "status:200", path="/queue/item/1/", body=item)

    stopped = world.adapter.act(begun.handle, Act.STOP)

    asked = [one["path"].rsplit("/", 1)[1] for one in requests_of(world.url) if one["method"] == "POST"]
    assert asked == ["buildWithParameters", "cancelItem", "stop"]
    assert world.ended(stopped.handle).state is State.CANCELED
    assert world.deployed() != PARAMETERS["VERSION"]


def test_an_item_that_was_forgotten_long_ago_is_searched_back_to_when_it_was_taken(world, monkeypatch):
    monkeypatch.setattr("releases.delivery.jenkins.client.NEWEST", 2)
    first = world.ended(world.adapter.start(order()).handle)
    ours = world.ended(world.adapter.start(order()).handle)
    for _other in range(5):
        world.ended(world.adapter.start(order()).handle)
    control(world.url, "settings", {"left_seconds": 0})
    before = len(requests_of(world.url))

    found = world.adapter.look(ours.handle.moved(run=""))
    searched = [one for one in requests_of(world.url)[before:] if "]{" in str(one["query"].get("tree"))]
    forgotten = world.adapter.look(Handle("gmud-nowhere", JOB, ticket=first.handle.ticket))

    assert (found.state, found.handle.run) == (State.SUCCEEDED, "2")
    assert len(searched) == 3  # builds 7 and 6, 5 and 4, 3 and 2
    assert forgotten.state is State.LOST


def test_a_job_with_more_builds_than_one_answer_holds_is_searched_as_far_as_ours_can_be(world, monkeypatch):
    monkeypatch.setattr("releases.delivery.jenkins.client.NEWEST", 2)
    wanted = order()
    done = world.ended(world.adapter.start(wanted).handle)
    for _other in range(5):
        world.ended(world.adapter.start(order()).handle)
    long_ago = replace(TARGET, since=datetime.now(UTC) - timedelta(days=1))

    assert world.adapter.find(long_ago, wanted.key).handle.run == done.handle.run
    assert world.adapter.find(long_ago, "gmud-nowhere").state is State.NOT_FOUND
