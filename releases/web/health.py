"""Answers for machines that look after this one: alive, and ready.

``/healthz`` touches nothing: a process that cannot answer it should be started again. ``/readyz`` looks at what a
person's click needs: the database, its migrations, and a worker seen lately on every queue; 503 names what is missing.
Redis is not among it: the gate, votes and rollback work without it.

They are answered before any other middleware: a probe has no session, calls by address instead of host name, and is
not worth a line in the log. So is ``/metrics``, which looks after itself who may read it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from releases.core import clock
from releases.operations import queries as operations
from releases.web.metrics.door import scrape

QUEUES = frozenset({"rollback", "deploy", "notify", "default"})
READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: whether it is well, in a few words what is not, and facts for the curious."""

    ok: bool
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def database(_now: datetime) -> Check:
    """Ask the database for the simplest thing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Check(ok=True)


def migrations(_now: datetime) -> Check:
    """Compare the migrations we carry with those the database has."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Check(not missing, f"{len(missing)} migrations wait: run manage.py migrate" if missing else "")


def workers(now: datetime) -> Check:
    """Look which queues have a worker that was seen lately."""
    alive = operations.workers_alive(now)
    ages = {worker.name: round((now - worker.beat_at).total_seconds(), 1) for worker in alive}
    deserted = sorted(QUEUES.difference(*(worker.queues for worker in alive)))
    detail = f"nobody works on {', '.join(deserted)}: start a worker" if deserted else ""
    return Check(not deserted, detail, {"seconds_since_seen": ages})


CHECKS: Mapping[str, Callable[[datetime], Check]] = MappingProxyType(
    {"database": database, "migrations": migrations, "workers": workers}
)


def alive(_request: HttpRequest, _now: datetime) -> HttpResponse:
    """Answer that this process is alive."""
    return JsonResponse({"alive": True})


def ready(_request: HttpRequest, now: datetime) -> HttpResponse:
    """Answer whether work can be done here now, and name what is missing."""
    found = {name: _look(check, now) for name, check in CHECKS.items()}
    missing = [name for name, check in found.items() if not check.ok]
    checks = {name: {"ok": check.ok, "detail": check.detail, **check.facts} for name, check in found.items()}
    return JsonResponse({"ready": not missing, "missing": missing, "checks": checks}, status=503 if missing else 200)


ANSWERS: Mapping[str, Callable[[HttpRequest, datetime], HttpResponse]] = MappingProxyType(
    {"/healthz": alive, "/readyz": ready, "/metrics": scrape}
)


class Probes:
    """Stand first, answer probes, and let everybody else pass."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Keep the next layer."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe; it is never to be stored."""
        answer = ANSWERS.get(request.path) if request.method in READING else None
        if answer is None:
            return self.get_response(request)
        response = answer(request, clock.now())
        response["Cache-Control"] = "no-store"
        return response


def _look(check: Callable[[datetime], Check], now: datetime) -> Check:
    try:
        return check(now)
    except Error as error:  # an outage is an answer here, not a failure
        return Check(ok=False, detail=f"the database does not answer ({type(error).__name__})")
