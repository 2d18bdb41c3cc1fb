"""Objects, recordings and doors for tests of cluster and traffic."""

import copy
import ipaddress
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from releases.core.http import Allowance, Door

RECORDINGS = Path(__file__).parent.parent / "recordings" / "k8s"
FULL = "sandbox-full"
LOOPBACK = Allowance(networks=(ipaddress.ip_network("127.0.0.0/8"),))


def recording(name: str) -> dict[str, Any]:
    """Return one recorded request and answer."""
    loaded: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return loaded


def checkout(weights: tuple[int | None, int | None] = (90, 10), **meta: Any) -> dict[str, Any]:
    """Return the recorded VirtualService with these weights on its route ``primary``."""
    found = copy.deepcopy(recording("vs-get-200")["response"]["body"])
    found["metadata"] |= meta
    for entry, weight in zip(found["spec"]["http"][1]["route"], weights, strict=True):
        entry.pop("weight", None)
        if weight is not None:
            entry["weight"] = weight
    return dict(found)


def door_to(url: str, *, token: str = FULL) -> Door:
    """Return a door to a server on the loopback address, with a breaker of its own."""
    return Door(f"test-{uuid4()}", url, {"Authorization": f"Bearer {token}"}, LOOPBACK)
