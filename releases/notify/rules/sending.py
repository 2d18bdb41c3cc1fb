"""What is sent together, and when a try that failed is repeated."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import groupby

from releases.notify.facts import Due
from releases.notify.kinds import Sink
from releases.notify.rules.manners import MANNERS

ATTEMPTS = 5
"""Times a notice is tried before it is given up."""
MOST_IN_ONE = 40
"""Notices in one digest."""
WAITS = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
WAITS_OF_A_PAGE = (timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40))
LONGEST_ASKED = timedelta(hours=1)
_ALONE = frozenset({Sink.WEBHOOK})  # a program wants one event at a time


def gathered(due: Iterable[Due]) -> list[tuple[Due, ...]]:
    """Return what goes out in one letter each, pages first: all calm notices of one addressee, a page alone."""
    waiting = sorted(due, key=lambda one: (not MANNERS[one.topic].is_page, one.sink, one.addressee))
    letters: list[tuple[Due, ...]] = []
    for (alone, _sink, _addressee), found in groupby(
        waiting, key=lambda one: (_goes_alone(one), one.sink, one.addressee)
    ):
        together = list(found)
        size = 1 if alone else MOST_IN_ONE
        letters += [tuple(together[at : at + size]) for at in range(0, len(together), size)]
    return letters


def next_try(attempts: int, *, is_page: bool, asked: timedelta | None = None) -> timedelta | None:
    """Return how long to wait after so many tries, ``None`` to give up; ``asked`` is what the other side wants."""
    if attempts >= ATTEMPTS:
        return None
    wait = (WAITS_OF_A_PAGE if is_page else WAITS)[attempts - 1]
    return max(wait, min(asked or wait, LONGEST_ASKED))


def _goes_alone(one: Due) -> bool:
    return MANNERS[one.topic].is_page or one.sink in _ALONE
