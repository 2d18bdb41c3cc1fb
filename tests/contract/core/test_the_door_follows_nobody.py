"""A redirect is an answer like any other, and so is a name that leads elsewhere now: the door does not go there."""

import ipaddress
import socket
from collections.abc import Callable
from itertools import chain, repeat
from urllib.parse import urlsplit

import pytest

from gmud.sandbox.server import running
from releases.core import breaker
from releases.core.errors import Rejected, Unreachable
from releases.core.http import Allowance, Door
from tests.factories.notify import Listener

# Even where the operator let these addresses be called: nothing but the redirect itself leads there.
EVERYWHERE = Allowance(networks=tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "169.254.0.0/16"))))
NAME = "ci.example.com"
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


@pytest.fixture
def leading(monkeypatch) -> Callable[..., None]:
    """Have the name lead to these addresses when it is first asked for, and to those of the last answer ever after."""
    breaker._breakers.clear()
    resolve = socket.getaddrinfo

    def to(*answers: str) -> None:
        told = chain(answers, repeat(answers[-1]))

        def lying(host, *rest, **more):
            addresses = next(told).split() if host == NAME else [host]
            return [found for one in addresses for found in resolve(one, *rest, **more)]

        monkeypatch.setattr(socket, "getaddrinfo", lying)

    return to


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize(("checked", "later"), [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
def test_a_name_that_leads_elsewhere_once_it_was_checked_is_called_where_it_was_checked(leading, checked, later):
    listener = Listener()
    with running(listener) as here:  # at 127.0.0.1; nobody is at 127.0.0.2
        origin = f"http://{NAME}:{urlsplit(here).port}"
        leading(checked, later)
        door = Door("somebody", origin, {}, Allowance(networks=(ipaddress.ip_network(checked),)))
        if checked == "127.0.0.1":
            door.call("GET", "/")
        else:
            with pytest.raises(Unreachable, match="nothing listens"):
                door.call("GET", "/")

    expected = [urlsplit(origin).netloc] if checked == "127.0.0.1" else []
    assert [call.headers["host"] for call in listener.heard] == expected


@pytest.mark.parametrize("addresses", ["8.8.8.8 127.0.0.1", "127.0.0.1 8.8.8.8", "8.8.8.8 ::ffff:127.0.0.1"])
def test_a_name_that_leads_to_a_private_address_among_public_ones_is_not_called(leading, addresses):
    listener = Listener()
    with running(listener) as here:
        leading(addresses)
        with pytest.raises(Rejected, match=r"127\.0\.0\.1, a private address"):
            Door("somebody", f"http://{NAME}:{urlsplit(here).port}", {}, Allowance()).call("GET", "/")

    assert listener.heard == []
