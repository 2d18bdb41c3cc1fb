"""A redirect is an answer like any other: whoever is sent elsewhere, the door does not go there."""

import ipaddress
import socket

import pytest

from gmud.sandbox.server import running
from releases.core import breaker
from releases.core.http import Allowance, Door
from tests.factories.notify import Listener

# Even where the operator let these addresses be called: nothing but the redirect itself leads there.
EVERYWHERE = Allowance(networks=tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "169.254.0.0/16"))))
METADATA = "http://169.254.169.254/latest/meta-data/"


@pytest.fixture
def looked_up(monkeypatch) -> list[str]:
    """Return every host that anybody asks the address of, which comes before each connection."""
    breaker._breakers.clear()
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def listening(host, *rest, **more):
        asked.append(str(host))
        return resolve(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", listening)
    return asked


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_metadata_of_a_cloud_is_not_followed(looked_up, status, method):
    listener = Listener(status=status, headers={"Location": METADATA})
    with running(listener) as here:
        reply = Door("somebody", here, {}, EVERYWHERE).call(method, "/")

    assert (reply.status, reply.headers["location"]) == (status, METADATA)
    assert len(listener.heard) == 1
    assert set(looked_up) == {"127.0.0.1"}
