"""Restoring many routes at once against the slowest single one, through the engine that carries a rollback out."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
from django.core.management import call_command
from django.db import transaction

from releases.accounts import services as accounts
from releases.audit.actor import system
from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.catalog.cards import RouteCard
from releases.catalog.kinds import ConnectionKind, EnvironmentKind
from releases.core import clock
from releases.operations import bell
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.states import OperationState
from releases.traffic.steps import STEP_KIND, ShiftStep, plan
from tests.bench.outside import HEADERS, many_routes

ACTOR = system("bench")
ANSWER_SECONDS = 0.02
HANDLERS = {STEP_KIND: ShiftStep(hold_seconds=0)}
HEAD = ("restoring", "slowest single ms", "all at once ms", "ratio")
NOTE = f"to be 4 at most; every answer of the cluster takes {ANSWER_SECONDS * 1000:.0f} ms here, as over a network"


def restored(folder: Path) -> list[str]:
    """Return the line: so many routes of one cluster, one after the other and in one operation."""
    call_command("migrate", verbosity=0, interactive=False)
    bell.install(lambda _queue, _kind, _row: None)
    with many_routes(folder) as (url, names):
        routes = _registered(url, names)
        slow = {"match": {}, "times": 10**9, "do": "slow", "seconds": ANSWER_SECONDS}
        httpx2.post(f"{url}/_sandbox/faults", json=slow).raise_for_status()
        single = max(_seconds(url, [route]) for route in routes)
        together = _seconds(url, routes)
    return [f"{len(names)} routes", f"{single * 1000:.0f}", f"{together * 1000:.0f}", f"{together / single:.1f}"]


def _seconds(url: str, routes: Sequence[RouteCard]) -> float:
    """Move all traffic of these routes away, restore it, and return how long that took."""
    for route in routes:
        _move_away(url, route.locator["name"])
    operation = _begin(routes)
    since = time.perf_counter()
    operations.run(operation_id=operation.pk, worker="bench", handlers=HANDLERS, now=clock.now)
    took = time.perf_counter() - since
    operation.refresh_from_db()
    assert operation.state == OperationState.SUCCEEDED
    return took


def _begin(routes: Sequence[RouteCard]) -> Operation:
    """Begin what a rollback does first: the steps of one stage that restore the weights of a snapshot."""
    before = {"stable": 100, "canary": 0}
    steps = [plan(route=one, weights=before, literal=True, name=f"restore {one.locator['name']}") for one in routes]
    with transaction.atomic(durable=True):
        return operations.begin(
            kind="restore",
            target=f"bench:{uuid4()}",
            subject=uuid4(),
            steps=steps,
            actor=ACTOR,
            deadline=clock.now() + timedelta(minutes=5),
            key=str(uuid4()),
            now=clock.now(),
            urgent=True,
        )


def _move_away(url: str, name: str) -> None:
    weights = [
        {"op": "add", "path": f"/spec/http/0/route/{at}/weight", "value": one} for at, one in enumerate((0, 100))
    ]
    httpx2.patch(
        f"{url}/apis/networking.istio.io/v1/namespaces/shop/virtualservices/{name}",
        json=weights,
        headers={**HEADERS["kubernetes"], "Content-Type": "application/json-patch+json"},
    ).raise_for_status()


def _registered(url: str, names: Sequence[str]) -> list[RouteCard]:
    """Register the services and their routes, through the real services."""
    now = clock.now()
    team = accounts.register_team(actor=ACTOR, name="shop", now=now)
    place = catalog.register_environment(actor=ACTOR, name="production", kind=EnvironmentKind.PRODUCTION, now=now)
    kind, secret = ConnectionKind.KUBERNETES, HEADERS["kubernetes"]["Authorization"].removeprefix("Bearer ")
    mesh = catalog.connect(actor=ACTOR, name="mesh", kind=kind, origin=url, secret=secret, now=now)
    found = []
    for name in names:
        service = catalog.register_service(actor=ACTOR, name=name, team_id=team.pk, now=now)
        route = catalog.register_route(
            actor=ACTOR,
            service_id=service.pk,
            environment_id=place.pk,
            connection_id=mesh.pk,
            locator={"namespace": "shop", "name": name, "route": "primary"},
            stable="stable",
            canary="canary",
            now=now,
        )
        found.append(catalog_queries.route(route.pk))
    return found
