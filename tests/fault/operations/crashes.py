"""A worker that dies at the n-th place of the journal it passes, in this process: what was not committed is gone."""

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from releases.operations import failpoints


class Crash(BaseException):
    """The worker's process is gone."""


@dataclass
class Deaths:
    """The places that were passed since :meth:`arm`, and at the how-manyth of them a worker dies.

    At ``between`` somebody else does something first.
    """

    passed: list[str] = field(default_factory=list)
    deadly: Set[int] = frozenset()
    between: Set[int] = frozenset()
    somebody: Callable[[], object] = lambda: None

    def arm(self, points: Set[int], between: Set[int] = frozenset()) -> list[str]:
        """Begin to count anew; return the list of places, which grows."""
        self.passed, self.deadly, self.between = [], points, between
        return self.passed

    def strike(self, name: str) -> None:
        """Pass a place."""
        self.passed.append(name)
        if len(self.passed) in self.between:
            self.somebody()
        if len(self.passed) in self.deadly:
            raise Crash


@contextmanager
def deaths() -> Iterator[Deaths]:
    """Take the place of the product's failpoints while the block lasts."""
    found = Deaths()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GMUD_FAILPOINTS", "all")
        patch.setattr(failpoints, "strike", found.strike)
        yield found
