"""Answers for machines that look after this one: alive, and ready.

``/healthz`` touches nothing: a process that cannot answer it should be started again. ``/readyz`` looks at what a
person's click needs: the database, its migrations, and a worker that was seen lately; 503 names what is missing.
Redis is not among it: the gate, votes and rollback work without it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe

from releases.core import clock
from releases.operations import queries as operations


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: whether it is well, and in a few words what is not; ``facts`` are for the curious."""

    ok: bool
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def database(_now: datetime) -> Check:
    """Ask the database for the simplest thing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Check(ok=True)


def migrations(_now: datetime) -> Check:
    """Compare the migrations we carry with those the database has."""
    executor = MigrationExecutor(connection)
    missing = [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    return Check(not missing, f"{len(missing)} migrations wait: run manage.py migrate" if missing else "")


def workers(now: datetime) -> Check:
    """Look when the workers were last seen."""
    alive = operations.workers_alive(now=now)
    ages = {worker.name: round((now - worker.seen_at).total_seconds(), 1) for worker in alive}
    return Check(bool(ages), "" if ages else "no worker was seen lately: start one", {"age_seconds": ages})


CHECKS: dict[str, Callable[[datetime], Check]] = {"database": database, "migrations": migrations, "workers": workers}


@require_safe
def alive(_request: HttpRequest) -> JsonResponse:
    """Answer that this process is alive."""
    return JsonResponse({"alive": True})


@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Answer whether work can be done here now, and name what is missing."""
    now = clock.now()
    found = {name: _look(check, now) for name, check in CHECKS.items()}
    missing = [name for name, check in found.items() if not check.ok]
    checks = {name: {"ok": check.ok, "detail": check.detail, **check.facts} for name, check in found.items()}
    return JsonResponse({"ready": not missing, "missing": missing, "checks": checks}, status=503 if missing else 200)


def _look(check: Callable[[datetime], Check], now: datetime) -> Check:
    try:
        return check(now)
    except DatabaseError as error:  # an outage is an answer here, not a failure; the words stay in our log
        return Check(ok=False, detail=f"the database does not answer ({type(error).__name__})")


urlpatterns = [
    path("healthz", alive, name="healthz"),
    path("readyz", ready, name="readyz"),
]
