"""What the stages of gateways share: a door with a key, and somebody else who acts between two of our requests."""

import re
from collections.abc import Callable
from uuid import uuid4

from gmud.sandbox.server import Answer, Call, Sandbox
from releases.core.http import Door
from tests.factories.traffic import LOOPBACK

KEY = "sandbox-admin-key"


def keyed_door(url: str, header: str, key: str = KEY) -> Door:
    """Return a door to a server on the loopback address, with a breaker of its own."""
    return Door(f"test-{uuid4()}", url, {header: key}, LOOPBACK)


def before(sandbox: Sandbox, path: str, act: Callable[[], None]) -> None:
    """Act once, just before the next request below a path (a regular expression) is answered."""
    honest = sandbox.answer

    def answer(call: Call) -> Answer:
        if re.search(path, call.path):
            del sandbox.answer  # type: ignore[method-assign]  # back to the class's own
            act()
        return honest(call)

    sandbox.answer = answer  # type: ignore[method-assign]  # until that request
