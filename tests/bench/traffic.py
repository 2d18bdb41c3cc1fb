"""``make bench-traffic``: what moving traffic safely costs, as ratios in one run on one machine; nothing fails by time.

A **bare** write is the request of the change alone (Kong needs two), on a connection that is kept. A **guarded** flip
is the same change with its guards: read, run dry where the server can, write, read back. **All** is what the product
does: it looks besides who drives the weights, whether the targets live and whom the route reaches, once for the people
who are shown it and once more just before the write. The stand-ins answer at once and keep every write on the disk.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

TURNS = 40
HEAD = ("control plane", "bare ms", "guarded ms", "ratio", "all ms", "ratio", "requests", "first look ms")
NOTE = "guarded / bare is to be 3 at most; requests: of all; first look: with a client that knows nothing yet"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        _begin(folder)
        from tests.bench.outside import planes
        from tests.bench.restoring import HEAD as RESTORING
        from tests.bench.restoring import NOTE as SLOWED
        from tests.bench.restoring import restored

        with planes(Path(folder)) as found:
            _print(HEAD, [flips(plane) for plane in found], NOTE)
        _print(RESTORING, [restored(Path(folder))], SLOWED)


def flips(plane: Any) -> list[str]:
    """Return the line of one control plane."""
    first = _taken(lambda: plane.provider().read(plane.route))
    provider = plane.provider()
    with httpx2.Client(base_url=plane.url, headers=dict(plane.headers), timeout=30) as kept:
        ways = (plane.guarded_flip, plane.whole_flip)
        safely = ([partial(way, provider, split) for split in plane.splits] for way in ways)
        bare, guarded, whole = _medians([plane.bare_writes(kept, provider), *safely])
    before = len(plane.requests())
    plane.whole_flip(provider, plane.splits[0])
    asked = len(plane.requests()) - before
    figures = (bare, guarded, guarded / bare, whole, whole / bare)
    return [plane.system, *(f"{one:.1f}" for one in figures), str(asked), f"{first:.1f}"]


def _begin(folder: str) -> None:
    """Set Django up on a database of our own."""
    os.environ |= {"GMUD_DATA": folder, "DJANGO_SETTINGS_MODULE": "gmud.settings", "GMUD_LOG_LEVEL": "ERROR"}
    os.environ |= {"GMUD_OUTBOUND_NETWORKS": "127.0.0.0/8", "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3"}
    import django

    django.setup()


def _medians(ways: Sequence[Sequence[Callable[[], object]]]) -> list[float]:
    """Return how many milliseconds each way takes; they take turns, so that all meet the same machine."""
    took = [[_taken(way[(turn + at) % 2]) for at, way in enumerate(ways)] for turn in range(TURNS)]
    return [statistics.median(one) for one in zip(*took, strict=True)]


def _taken(act: Callable[[], object]) -> float:
    """Return how many milliseconds something takes."""
    since = time.perf_counter()
    act()
    return (time.perf_counter() - since) * 1000


def _print(head: Sequence[str], lines: Sequence[Sequence[str]], note: str) -> None:
    widths = [max(len(line[at]) for line in (head, *lines)) for at in range(len(head))]
    for line in (head, *lines):
        numbers = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        print(line[0].ljust(widths[0]), *numbers, sep="  ")
    print(f"{note}\n")


if __name__ == "__main__":
    main()
