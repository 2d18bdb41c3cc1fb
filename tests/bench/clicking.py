"""From the click on Start to the request that reaches Jenkins: everything of ours that lies between.

That is the look at the traffic, the gate and the commit of the start; the bell; a worker's claim; the deployment's own
question to the gate and its permit; the look at the job and the search for a twin. The bell rings in a worker's thread
of this process, who hears nothing but deployments: what a broker takes comes on top. Each click is another service's,
and Jenkins takes them all at once, so that none waits for another.
"""

import queue
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.core.management import call_command

from gmud.demo import story
from releases.catalog.rules import AT_ONCE
from releases.core import clock
from releases.operations import bell
from releases.operations import services as operations
from releases.worker.handlers import HANDLERS
from tests.factories.rollout import Bank, a_bank, scheduled

NOWHERE = "http://127.0.0.1:9"  # where the jobs look for the gate: by then the clock has stopped
PATIENCE_SECONDS = 60.0
Calls = queue.Queue[str]
OVER = ""


def clicks(folder: Path) -> list[float]:
    """Return the milliseconds of each click, on a database of our own."""
    call_command("migrate", verbosity=0)
    with a_bank(NOWHERE, folder, services=tuple(story.SERVICES)) as bank, _a_worker():
        bank.wires.jenkins.config |= {AT_ONCE: len(story.SERVICES)}
        bank.wires.jenkins.save()
        return [_clicked(bank, service) for service in story.SERVICES]


def middle(taken: list[float]) -> float:
    """Return the middle one; the first has loaded what the others need, and does not count."""
    return statistics.median(taken[1:])


def _clicked(bank: Bank, service: str) -> float:
    change = scheduled(bank.house, (service, "v1.5.0"))
    known, began = len(bank.orders()), time.perf_counter()
    bank.start(change)
    while len(bank.orders()) == known:
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise TimeoutError(service)
        time.sleep(0.0005)
    return (time.perf_counter() - began) * 1000


@contextmanager
def _a_worker() -> Iterator[None]:
    """Let a worker hear the bell while the block lasts."""
    calls: Calls = queue.Queue()
    bell.install(lambda _queue, kind, row: calls.put(row) if kind == "operation" else None)
    worker = threading.Thread(target=_work, args=(calls,))
    worker.start()
    try:
        yield
    finally:
        calls.put(OVER)
        worker.join()


def _work(calls: Calls) -> None:
    while row := calls.get():
        operations.run(operation_id=UUID(row), worker="bench", handlers=HANDLERS, now=clock.now)
