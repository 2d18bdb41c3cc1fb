"""What the database says at the moment of the scrape: every process says the same, and no restart loses any of it.

Decisions of the gate are a moving window, because a table of years is not counted every few seconds. Ages are seconds;
an age of something that never was is ``+Inf``, so that "larger than" finds it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from math import inf

from django.db import Error
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily as Gauge

from releases.audit import queries as audit
from releases.gate import queries as gate
from releases.gate.states import Verdict
from releases.operations import queries as operations

WINDOW = timedelta(minutes=5)
QUEUES = ("default", "deploy", "notify", "rollback")


def collect(now: datetime) -> Iterator[Metric]:
    """Yield every figure; without a database only that it does not answer."""
    up = Gauge("gmud_database_up", "1 when the database answered this scrape.")
    try:
        found = [metric for read in READ for metric in read(now)]
    except Error:
        up.add_metric([], 0)
        yield up
        return
    up.add_metric([], 1)
    yield up
    yield from found


def _gate(now: datetime) -> Iterator[Metric]:
    verdicts: Counter[str] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    for verdict, codes in gate.answers_since(now - WINDOW):
        verdicts[verdict] += 1
        reasons.update((verdict, code) for code in codes)
    decisions = Gauge("gmud_gate_decisions_recent", "Answers of the gate in the last five minutes.", labels=["verdict"])
    for verdict in Verdict:
        decisions.add_metric([verdict], verdicts[verdict])
    yield decisions
    told = Gauge(
        "gmud_gate_reasons_recent",
        "Reasons that those answers gave; an answer gives every reason there is.",
        labels=["verdict", "reason"],
    )
    for (verdict, reason), number in sorted(reasons.items()):
        told.add_metric([verdict, reason], number)
    yield told
    permits = Gauge("gmud_permits", "Permits by what became of them.", labels=["state"])
    for state, number in gate.permits_by_state(now).items():
        permits.add_metric([state], number)
    yield permits


def _work(now: datetime) -> Iterator[Metric]:
    waiting = Gauge("gmud_outbox_waiting", "Messages that are due and not delivered.", labels=["queue"])
    oldest = Gauge("gmud_outbox_oldest_seconds", "How long the oldest of them has been due.", labels=["queue"])
    backlog = operations.backlog(now)
    for queue in QUEUES:
        number, since = backlog.get(queue, (0, now))
        waiting.add_metric([queue], number)
        oldest.add_metric([queue], _seconds(now, since))
    yield from (waiting, oldest)
    quarantined = Gauge("gmud_outbox_quarantined", "Messages that were given up and wait for a human.")
    quarantined.add_metric([], operations.quarantined_messages())
    yield quarantined
    swept = Gauge("gmud_sweep_lag_seconds", "How long ago a worker of the queue last swept.", labels=["queue"])
    seen = operations.last_swept()
    for queue in QUEUES:
        swept.add_metric([queue], _seconds(now, seen[queue]) if queue in seen else inf)
    yield swept
    states = Gauge("gmud_operations", "Operations by kind and state.", labels=["kind", "state"])
    for (kind, state), number in operations.by_state().items():
        states.add_metric([kind, state], number)
    yield states


def _record(_now: datetime) -> Iterator[Metric]:
    sealing = audit.sealing()
    for name, what, value in (
        ("gmud_sealer_waiting", "Events that wait for the sealer.", sealing.waiting),
        ("gmud_sealer_lag_seconds", "How long the oldest of them has waited.", sealing.oldest_waits_seconds),
        ("gmud_witness_lag_events", "Sealed events the witness has not seen.", sealing.unwitnessed),
        ("gmud_witness_lag_seconds", "How long the oldest of them waits.", sealing.unwitnessed_seconds),
        ("gmud_witness_agrees", "0 when the witness saw another record: stop, and call for people.", sealing.agrees),
    ):
        figure = Gauge(name, what)
        figure.add_metric([], float(value))
        yield figure


def _seconds(now: datetime, since: datetime) -> float:
    return max((now - since).total_seconds(), 0.0)


READ: tuple[Callable[[datetime], Iterator[Metric]], ...] = (_gate, _work, _record)
