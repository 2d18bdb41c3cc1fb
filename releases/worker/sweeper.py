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
from releases.worker.tasks import WORK, changes_due

SHORTEST_PAUSE = 0.1
SILENCE_SECONDS = 15.0
REMEMBERED = 1000
_log = structlog.get_logger(__name__)


class Sweeper(threading.Thread):
    """Calls for every due row again; when nobody hears, another thread does the work of this process's queues.

    Nobody hears when the broker is gone, and when this process no longer listens to it: a Celery worker that was busy
    while its broker broke off may never take a message again, and gives signs of life all the same.
    """

    def __init__(self, *, worker: str, queues: Sequence[str]) -> None:
        """Take the name that the sign of life carries, and the queues this process listens to."""
        super().__init__(name="sweeper", daemon=True)
        self._worker = f"{worker}:{os.getpid()}"
        self._queues = tuple(queues)
        self._stand_in: threading.Thread | None = None
        self._longest_pause = float(settings.GMUD_SWEEP_SECONDS)
        self._heard_at = time.monotonic()
        self._calls: dict[UUID, float] = {}
        signals.task_received.connect(self._hear, weak=False)

    def run(self) -> None:
        """Go on as long as the process lives; a database that is away is waited for."""
        rest = threading.Event()
        while True:
            try:
                pause = self.turn()
            except Exception:  # noqa: BLE001 - the sweep outlives everything but its process
                _log.exception("sweep_failed", worker=self._worker)
                pause = self._longest_pause
            connections.close_all()
            rest.wait(pause)

    def turn(self) -> float:
        """Sweep once, move what time alone moves, and return how many seconds to rest."""
        now = queries.database_now()
        services.heartbeat(worker=self._worker, queues=self._queues, now=now)
        missed = [call for call in services.sweep(now=now) if not bell.ring(call) or self._is_unheard(call)]
        self._work_without_a_bell([call for call in missed if call.queue in self._queues])
        changes_due()
        due = services.next_due(now=now)
        soonest = (due - now) if due else timedelta(seconds=self._longest_pause)
        return min(max(soonest.total_seconds(), SHORTEST_PAUSE), self._longest_pause)

    def _hear(self, **_message: Any) -> None:
        """Note that this process took a message from the broker."""
        self._heard_at = time.monotonic()

    def _is_unheard(self, call: Ring) -> bool:
        """Say whether this row was called for long enough while this process heard nothing at all.

        Long enough means longer than a pool takes to replace a child: a row that kills who works on it must not be
        taken up by this process itself.
        """
        if len(self._calls) > REMEMBERED:
            self._calls.clear()
        first = self._calls.get(call.id, 0.0)
        if first <= self._heard_at:
            self._calls[call.id] = time.monotonic()
            return False
        return time.monotonic() - first >= SILENCE_SECONDS

    def _work_without_a_bell(self, calls: Sequence[Ring]) -> None:
        """Do the work here, one piece after the other, unless the thread before is still at it."""
        if calls and not (self._stand_in and self._stand_in.is_alive()):
            self._stand_in = threading.Thread(target=_work, args=(calls,), name="stand-in", daemon=True)
            self._stand_in.start()


def _work(calls: Sequence[Ring]) -> None:
    for call in calls:
        try:
            WORK[call.kind](str(call.id))
        except Exception:  # noqa: BLE001 - one row's failure is its own; the sweep finds it again
            _log.exception("work_failed", kind=call.kind, id=str(call.id))
    connections.close_all()
