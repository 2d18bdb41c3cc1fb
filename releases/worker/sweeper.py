"""The thread beside the work of every worker process: sweeps, gives a sign of life, and works when no bell rings."""

import os
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from celery import signals
from django.conf import settings
from django.db import connections

from releases.operations import bell, queries, services
from releases.operations.ports import Ring
from releases.operations.trouble import tell
from releases.worker.tasks import WORK, answers_due, changes_due, notices_due

QUEUE = "default"  # whose workers ask again for those who wait for an answer
SHORTEST_PAUSE = 0.1
SILENCE_SECONDS = 15.0
LONGEST_TASK_SECONDS = 120.0
FORESEE_SECONDS = 30.0
REMEMBERED = 1000
GIVEN_UP = 70
_log = structlog.get_logger(__name__)


class Sweeper(threading.Thread):
    """Calls for every due row again; when nobody hears, another thread does the work of this process's queues.

    Nobody hears when the broker is gone, when this process is busy, and when it no longer listens: a Celery worker
    whose broker broke off may never take a message again, and gives signs of life all the same. Such a process, and
    one whose task never ends, ends itself; whoever supervises it starts a new one.
    """

    def __init__(self, *, worker: str, queues: Sequence[str]) -> None:
        """Take the name that the sign of life carries, and the queues this process listens to."""
        super().__init__(name="sweeper", daemon=True)
        self._worker = f"{worker}:{os.getpid()}"
        self._queues = tuple(queues)
        self._longest_pause = float(settings.GMUD_SWEEP_SECONDS)
        self._heard_at = time.monotonic()
        self._busy_since: float | None = None
        self._standing_in_since: float | None = None
        self._is_deaf = False
        self._calls: dict[UUID, float] = {}
        self._foresees_at = 0.0
        signals.task_prerun.connect(self._begins, weak=False)
        signals.task_postrun.connect(self._ends, weak=False)

    def run(self) -> None:
        """Go on as long as the process lives and is of use; a database that is away is waited for."""
        rest = threading.Event()
        while not (why := self.of_no_use()):
            pause = self.try_turn()
            connections.close_all()
            rest.wait(pause)
        _log.error("worker_gives_up", worker=self._worker, why=why)
        os._exit(GIVEN_UP)

    def try_turn(self) -> float:
        """Sweep once, whatever happens, and return how many seconds to rest."""
        try:
            return self.turn()
        except Exception as error:  # noqa: BLE001 - the sweep outlives everything but its process
            tell("sweep_failed", error, worker=self._worker)
            return self._longest_pause

    def turn(self) -> float:
        """Sweep once, move what time alone moves, and return how many seconds to rest."""
        now = queries.database_now()
        services.heartbeat(worker=self._worker, queues=self._queues, now=now)
        calls = services.sweep(now=now)
        silent = [call for call in calls if not bell.ring(call)]
        unheard = [call for call in calls if call not in silent and self._is_unheard(call)]
        self._work_without_a_bell([call for call in silent + unheard if call.queue in self._queues])
        changes_due()
        if QUEUE in self._queues:  # who takes rollbacks over is kept from it by no questions
            answers_due()
        self._foresee()
        due = services.next_due(now=now)
        soonest = (due - now) if due else timedelta(seconds=self._longest_pause)
        return min(max(soonest.total_seconds(), SHORTEST_PAUSE), self._longest_pause)

    def _foresee(self) -> None:
        """Tell what time alone brings, less often than all else: nobody is told the second it becomes true."""
        if time.monotonic() >= self._foresees_at:
            self._foresees_at = time.monotonic() + FORESEE_SECONDS
            notices_due()

    def of_no_use(self) -> str:
        """Say why this process should make place for a new one; empty while it is well."""
        begun = [since for since in (self._busy_since, self._standing_in_since) if since is not None]
        if begun and time.monotonic() - min(begun) > LONGEST_TASK_SECONDS:
            return "a task does not end"
        if self._is_deaf and self._standing_in_since is None:
            return "it no longer hears the broker"
        return ""

    def _begins(self, **_message: Any) -> None:
        """Note that this process took a message from the broker and works on it."""
        self._heard_at = self._busy_since = time.monotonic()

    def _ends(self, **_message: Any) -> None:
        """Note that this process listens again."""
        self._heard_at, self._busy_since = time.monotonic(), None

    def _is_unheard(self, call: Ring) -> bool:
        """Say whether this row was called for long enough while this process heard nothing at all.

        When it had nothing else to do, that is the end of its usefulness.
        """
        if call.queue not in self._queues:
            return False
        if len(self._calls) > REMEMBERED:
            self._calls.clear()
        first = self._calls.get(call.id, 0.0)
        if first <= self._heard_at:
            self._calls[call.id] = time.monotonic()
            return False
        unheard = time.monotonic() - first >= SILENCE_SECONDS
        self._is_deaf = self._is_deaf or (unheard and self._busy_since is None)
        return unheard

    def _work_without_a_bell(self, calls: Sequence[Ring]) -> None:
        """Do the work here, one piece after the other, unless the thread before is still at it."""
        if calls and self._standing_in_since is None:
            self._standing_in_since = time.monotonic()
            threading.Thread(target=self._stand_in, args=(calls,), name="stand-in", daemon=True).start()

    def _stand_in(self, calls: Sequence[Ring]) -> None:
        for call in calls:
            self._standing_in_since = time.monotonic()
            try:
                WORK[call.kind](str(call.id))
            except Exception as error:  # noqa: BLE001 - one row's failure is its own; the sweep finds it again
                tell("work_failed", error, kind=call.kind, id=str(call.id))
        connections.close_all()
        self._standing_in_since = None
