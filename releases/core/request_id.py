"""Which request all this belongs to: from a click through the outbox to the last line a worker writes about it.

It travels in the context of the logs. What is posted or begun keeps it in its row; whoever works on the row takes it
up again, so that what follows from that carries it, too.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bound_contextvars, get_contextvars

from releases.core.ids import uuid7

LONGEST = 64
_NAME = "request_id"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


def current() -> str:
    """Return the id of the request we work for, empty when it is nobody's."""
    return str(get_contextvars().get(_NAME, ""))


def taken_over(given: str) -> str:
    """Return an id that a proxy before us gave, when it is one we would write into a log; else a new one."""
    return given if _PLAIN.fullmatch(given) else str(uuid7())


@contextmanager
def bound(request_id: str, **more: str) -> Iterator[None]:
    """Work for a request: every log line, outbox message, operation and event inside carries it.

    ``more`` is only for the logs. An empty id leaves whatever holds outside.
    """
    with bound_contextvars(**({_NAME: request_id} if request_id else {}), **more):
        yield
