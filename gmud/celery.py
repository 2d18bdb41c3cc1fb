"""Celery, the doorbell: how workers are called, and what each worker process does besides.

The database is the queue. A message carries the id of a row; the worker reads the row and decides by it.
"""

import os
import queue
import threading
import time
from concurrent.futures import Future
from typing import Any

from celery import Celery, signals
from django.apps import AppConfig
from django.core.checks import register

from gmud import strict, traces
from releases.operations import bell

RING_SECONDS = 1.0
WAITING_CALLS = 1000
Call = tuple[str, str, str, Future[None]]
TASKS = {"message": "message_deliver", "operation": "operation_run"}

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gmud.settings")
app = Celery("gmud")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = ("releases.worker.tasks",)
app.conf.result_expires = None  # no results are kept: beat need not call for cleaning up every night


class HouseConfig(AppConfig):
    """Installs the bell and the strict check in every process of the house."""

    name = "gmud"

    def ready(self) -> None:
        """Install the bell, the traces, and what a production installation is held against."""
        bell.install(Ringer())
        traces.begin()
        register(strict.check, strict.TAG, deploy=True)


class Ringer:
    """Publishes from a thread of its own: a broker that hangs costs a caller one second, once, and then nothing."""

    def __init__(self) -> None:
        """Wait with the thread until somebody rings: processes may fork before."""
        self._process = 0
        self._is_answering = True
        self._calls: queue.Queue[Call] = queue.Queue(WAITING_CALLS)

    def __call__(self, queue_name: str, kind: str, row_id: str) -> None:
        """Publish the id of a row.

        :raises queue.Full: the broker has hung for long
        :raises TimeoutError: the broker did not answer in a second
        :raises OperationalError: it cannot be reached
        """
        if self._process != os.getpid():
            self._begin()
        taken: Future[None] = Future()
        self._calls.put_nowait((queue_name, TASKS[kind], row_id, taken))
        try:
            taken.result(RING_SECONDS if self._is_answering else 0)
        except TimeoutError:
            self._is_answering = False
            raise TimeoutError("The broker does not answer.") from None

    def _begin(self) -> None:
        self._process, self._is_answering = os.getpid(), True
        self._calls = queue.Queue(WAITING_CALLS)
        threading.Thread(target=self._publish, args=(self._calls,), name="bell", daemon=True).start()

    def _publish(self, calls: queue.Queue[Call]) -> None:
        quick = {"socket_timeout": RING_SECONDS, "socket_connect_timeout": RING_SECONDS, "max_retries": 0}
        connection: Any = None
        while True:
            queue_name, task, row_id, taken = calls.get()
            began = time.monotonic()
            connection = connection or app.connection_for_write(transport_options=quick)
            try:
                app.send_task(task, args=[row_id], queue=queue_name, connection=connection, retry=False)
            except Exception as error:  # noqa: BLE001 - whatever a broker does, the row is safe in the database
                connection = None
                taken.set_exception(error)
            else:
                taken.set_result(None)
            self._is_answering = time.monotonic() - began < RING_SECONDS  # a quick no is an answer, too


@signals.celeryd_init.connect
@signals.beat_init.connect
def _insist(**_: Any) -> None:
    """Refuse to work in an installation that GMUD_STRICT finds fault with, before the broker is spoken to."""
    strict.insist()


@app.on_after_finalize.connect
def _keep_only_our_tasks(sender: Celery, **_: Any) -> None:
    """Forget the tasks that come with Celery: nobody may call them through the broker."""
    for name in [name for name in sender.tasks if name.startswith("celery.")]:
        sender.tasks.unregister(name)


@signals.worker_ready.connect
def _sweep_beside(sender: Any, **_: Any) -> None:
    """Start the sweep beside the work, in every worker process."""
    from releases.worker.sweeper import Sweeper  # noqa: PLC0415 - it needs Django to be set up

    Sweeper(worker=sender.hostname, queues=sorted(app.amqp.queues.consume_from)).start()
