"""The tasks Celery may call: each takes the id of a row and does what the row says, if there is anything to do."""

import os
import socket
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from uuid import UUID

import structlog
from celery import shared_task

from releases.changes import services as changes
from releases.gate import services as gate
from releases.health import budgets
from releases.notify import occasions
from releases.operations import bell, queries, services
from releases.operations.trouble import AWAY, tell
from releases.traffic import services as traffic
from releases.worker.handlers import HANDLERS
from releases.worker.reactions import REACTIONS

_log = structlog.get_logger(__name__)
Given = ParamSpec("Given")


def or_later(work: Callable[Given, None]) -> Callable[Given, None]:
    """Leave work to the next sweep when the database is busy or away."""

    @wraps(work)
    def patient(*args: Given.args, **kwargs: Given.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except AWAY as error:
            tell("work_postponed", error, work=work.__name__, rows=args)

    return patient


@shared_task(name="operation_run")
@or_later
def operation_run(operation_id: str) -> None:
    """Run the due steps of an operation."""
    if found := _uuid(operation_id):
        services.run(operation_id=found, worker=worker_name(), handlers=HANDLERS, now=queries.database_now)


@shared_task(name="message_deliver")
@or_later
def message_deliver(message_id: str) -> None:
    """Tell everybody who reacts to an outbox message."""
    if found := _uuid(message_id):
        services.deliver(message_id=found, worker=worker_name(), reactions=REACTIONS, now=queries.database_now)


@shared_task(name="sweep")
@or_later
def sweep() -> None:
    """Call for what the bell missed; the clock adds this to the sweep of every worker process."""
    for call in services.sweep(now=queries.database_now()):
        bell.ring(call)


@shared_task(name="changes_due")
@or_later
def changes_due() -> None:
    """Move what time alone moves: a watch that is over, a window that passed unused."""
    now = queries.database_now()
    changes.settle_due(now=now)
    changes.expire_due(now=now)


@shared_task(name="answers_due")
@or_later
def answers_due() -> None:
    """Ask the gate again for those who wait and gave an address to be called at."""
    gate.look_again(now=queries.database_now())


@shared_task(name="notices_due")
@or_later
def notices_due() -> None:
    """Tell what time alone brings: a window that comes near, a review that is overdue, a page nobody takes."""
    occasions.foresee(now=queries.database_now())


@shared_task(name="budgets_due")
@or_later
def budgets_due() -> None:
    """Read the error budgets; the gate looks at what is kept of them, and never asks anybody."""
    budgets.read_due(now=queries.database_now)


@shared_task(name="readings_due")
@or_later
def readings_due() -> None:
    """Look at the routes that nobody looked at for a while, and say which of them drifted."""
    traffic.read_due(now=queries.database_now())


@shared_task(name="readings_thin")
@or_later
def readings_thin() -> None:
    """Forget what was seen of routes long ago."""
    traffic.forget(now=queries.database_now())


WORK: dict[str, Callable[[str], None]] = {"operation": operation_run, "message": message_deliver}


def worker_name() -> str:
    """Return how this process is called in leases and journals."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _uuid(text: object) -> UUID | None:
    """Return the id, or ``None`` for what nobody of ours would send."""
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        _log.warning("not_an_id", length=len(str(text)))
        return None
