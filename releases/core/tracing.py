"""Spans of what is done for a request, for whoever follows it with OpenTelemetry; without that, nothing at all.

What opens spans is installed when a process starts (``gmud/traces.py``). Attributes hold names and figures only: no
query, no header, no body, no message of an error.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Protocol


class SpanKind(StrEnum):
    """What we are in a span, in OpenTelemetry's words."""

    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"
    INTERNAL = "internal"


class Span(Protocol):
    """One thing that is done, while it is done."""

    def tell(self, attributes: Mapping[str, str | int]) -> None:
        """Add what is known only now."""

    def rename(self, name: str) -> None:
        """Say better what it is."""


Opener = Callable[[str, SpanKind, Mapping[str, str | int]], AbstractContextManager[Span]]


class _Nothing:
    def tell(self, attributes: Mapping[str, str | int]) -> None:
        """Leave it."""

    def rename(self, name: str) -> None:
        """Leave it."""


@contextmanager
def _nothing(_name: str, _kind: SpanKind, _attributes: Mapping[str, str | int]) -> Iterator[Span]:
    yield _Nothing()


_open: Opener = _nothing


def install(opener: Opener | None) -> None:
    """Say what opens spans from now on; ``None``: nothing does."""
    global _open  # noqa: PLW0603  # one for the whole process, set when it starts
    _open = opener or _nothing


def span(name: str, kind: SpanKind, attributes: Mapping[str, str | int] | None = None) -> AbstractContextManager[Span]:
    """Open a span for as long as a block lasts."""
    return _open(name, kind, attributes or {})
