"""``make bench-delivery``: what following a deployment costs, counted and as ratios in one run; nothing fails by time.

**Polls a minute** follow from the rule alone, over a run of that length whose system knows how long it takes, and of
one that does not. A **look** is one poll of a run under way, a **start** everything between the click's order and the
run that it began: the preflight, the search for a twin, the order itself. A **click** is what lies between Start and
the request that reaches Jenkins. The stand-ins answer at once: against a real server the network comes on top of each
request.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LENGTHS = (60, 300, 1800)
TURNS = 30
HEAD = ("system", "look ms", "requests", "start ms", "requests", "start / look")
CLICK = ("click -> order at Jenkins ms", "the first ms", "click / start")
RULE = ("run of", "polls a minute, estimate known", "polls a minute, unknown")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"GMUD_DATA": folder, "DJANGO_SETTINGS_MODULE": "gmud.settings", "GMUD_LOG_LEVEL": "ERROR"}
        os.environ |= {"GMUD_OUTBOUND_NETWORKS": "127.0.0.0/8", "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3"}
        import django

        django.setup()
        from tests.bench.clicking import clicks, middle
        from tests.contract.delivery.benches import BENCHES

        _print(RULE, [(f"{one} s", *(f"{polls(one, is_known):.1f}" for is_known in (True, False))) for one in LENGTHS])
        measured = {name: _measured(bench) for name, bench in BENCHES.items()}
        _print(HEAD, [(name, *_said(*figures)) for name, figures in measured.items()])
        taken = clicks(Path(folder))
        click, start = middle(taken), measured["jenkins"][2]
        _print(CLICK, [(f"{click:.1f}", f"{taken[0]:.1f}", f"{click / start:.1f}")])


def polls(lasts: float, is_known: bool) -> float:
    """Return how often a run of so many seconds is looked at in a minute."""
    from releases.delivery.rules import look_after
    from releases.delivery.states import State

    age, looks = 0.0, 0
    while age < lasts:
        age += look_after(State.RUNNING, age=age, left=lasts - age if is_known else None)
        looks += 1
    return looks / (lasts / 60)


def _measured(open_bench: Callable[[], Any]) -> tuple[float, int, float, int]:
    """Return the milliseconds and the requests of a look, and those of a start."""
    with open_bench() as bench:
        starts = [_begun(bench) for _turn in range(TURNS // 3)]
        bench.hold()
        handle = bench.adapter.start(bench.order()).handle
        handle = bench.until(handle, lambda seen: bool(seen.handle.run)).handle
        look = _median(lambda: bench.adapter.look(handle))
        before = len(bench.asked())
        bench.adapter.look(handle)
        asked = len(bench.asked()) - before
        bench.release()
    start, requests = statistics.median(one for one, _n in starts), max(n for _one, n in starts)
    return look, asked, start, requests


def _said(look: float, asked: int, start: float, requests: int) -> tuple[str, ...]:
    return f"{look:.1f}", str(asked), f"{start:.1f}", str(requests), f"{start / look:.1f}"


def _begun(bench: Any) -> tuple[float, int]:
    """Start a run, and return the milliseconds and the requests until it was taken there."""
    before, began = len(bench.asked()), time.perf_counter()
    handle = bench.adapter.start(bench.order()).handle
    took, asked = (time.perf_counter() - began) * 1000, len(bench.asked()) - before
    bench.ended(handle)
    return took, asked


def _median(work: Callable[[], object]) -> float:
    """Return the milliseconds of the middle one of many turns."""
    taken = []
    for _turn in range(TURNS):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def _print(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(one.rjust(width) for one, width in zip(row, widths, strict=True)))
    print()


if __name__ == "__main__":
    main()
