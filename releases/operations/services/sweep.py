"""The sweep: whatever the bell missed, or a dead worker left, is called for again. It reads flags, never a cursor."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import F, Min, Q, QuerySet

from releases.operations.models import Heartbeat, Operation, OutboxMessage, Step
from releases.operations.ports import Ring
from releases.operations.states import ACTIVE, OPEN

Row = TypeVar("Row", Operation, OutboxMessage)
AT_ONCE = 50
FORGET_AFTER = timedelta(days=1)


def sweep(*, now: datetime) -> list[Ring]:
    """Return the rows somebody should look at now, rollbacks first, and note that they were called for.

    A row is called for at most once in the time between two sweeps, however many processes sweep.
    """
    quiet = Q(rung_at=None) | Q(rung_at__lte=now - timedelta(seconds=settings.GMUD_SWEEP_SECONDS))
    with transaction.atomic(durable=True):
        due = Step.objects.claimable(now).values("operation")
        operations = _first(Operation.objects.filter(quiet, pk__in=due).order_by("-urgent", "rung_at"))
        messages = _first(OutboxMessage.objects.due(now).filter(quiet).order_by("available_at"))
        Operation.objects.filter(pk__in=[row.pk for row in operations]).update(rung_at=now)
        OutboxMessage.objects.filter(pk__in=[row.pk for row in messages]).update(rung_at=now)
    calls = [Ring(operation.queue, "operation", operation.pk) for operation in operations]
    return calls + [Ring(message.queue, "message", message.pk) for message in messages]


def next_due(*, now: datetime) -> datetime | None:
    """Return when the next postponed row is due after now, if any; what is due already is the sweep's own business."""
    open_steps = Step.objects.filter(state__in=OPEN, look_at__gt=now, stage=F("operation__stage"))
    steps = open_steps.filter(operation__state__in=ACTIVE).aggregate(at=Min("look_at"))["at"]
    messages = OutboxMessage.objects.undone().filter(available_at__gt=now).aggregate(at=Min("available_at"))["at"]
    return min((at for at in (steps, messages) if at), default=None)


def heartbeat(*, worker: str, queues: Sequence[str], now: datetime) -> None:
    """Write that the worker process is alive, and forget those that were not for a day."""
    with transaction.atomic(durable=True):
        Heartbeat.objects.update_or_create(worker=worker, defaults={"queues": list(queues), "beat_at": now})
        Heartbeat.objects.filter(beat_at__lt=now - FORGET_AFTER).delete()


def _first(rows: QuerySet[Row]) -> list[Row]:
    """Lock the first rows, leaving out those that another sweep is noting at this moment."""
    return list(rows.select_for_update(skip_locked=True)[:AT_ONCE])
