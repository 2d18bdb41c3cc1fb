"""A running cluster, a route in it, and operations that shift its traffic."""

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction

from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import Call, running
from releases.accounts import services as accounts
from releases.audit.actor import system
from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.catalog.cards import RouteCard
from releases.catalog.kinds import ConnectionKind, EnvironmentKind
from releases.operations import services as operations
from releases.operations.models import Operation, Step
from releases.traffic import steps
from releases.traffic.models import OwnerChoice
from releases.traffic.owners import ARGO_CD
from releases.traffic.states import Choice
from tests.factories.traffic import FULL


def a_route(
    url: str, now: datetime, *, service: str = "frontend", environment: str = "production", **where: Any
) -> RouteCard:
    """Register a service whose route stands in the cluster at that address, through the real services.

    ``where`` replaces what the route is called there.
    """
    actor = system("tests")
    team = accounts.register_team(actor=actor, name="payments", now=now)
    named = catalog.register_service(actor=actor, name=service, team_id=team.pk, now=now)
    place = catalog.register_environment(actor=actor, name=environment, kind=EnvironmentKind.PRODUCTION, now=now)
    connection = catalog.connect(
        actor=actor, name="mesh", kind=ConnectionKind.KUBERNETES, origin=url, secret=FULL, now=now
    )
    row = catalog.register_route(
        actor=actor,
        service_id=named.pk,
        environment_id=place.pk,
        connection_id=connection.pk,
        **{
            "locator": {"namespace": "bank-production", "name": service, "route": "primary"},
            "stable": "stable",
            "canary": "canary",
            **where,
        },
        now=now,
    )
    return catalog_queries.route(row.pk)


class RunningCluster:
    """A sandbox cluster under test and what one asks of it."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        self.cluster, self.url = cluster, url

    def weights(self, service: str = "frontend", namespace: str = "bank-production") -> dict[str, int]:
        """Return the weights that stand in the cluster."""
        for one in self.cluster.state()["traffic"]:
            if (one["service"], one["namespace"]) == (service, namespace):
                return dict(one["weights"])
        raise LookupError(service)

    def control(self, name: str, /, **asked: Any) -> None:
        """Use one of the sandbox's own controls."""
        call = Call("POST", f"/_sandbox/{name}", {}, {}, json.dumps(asked).encode())
        answer = self.cluster.control(call)
        assert answer.status < 300, answer.body

    def edit(self, stable: int, canary: int, *, manager: str = "kubectl-edit", service: str = "frontend") -> None:
        """Have somebody else set the weights."""
        where = "/spec/http/0/route"
        patch = [
            {"op": "add", "path": f"{where}/{place}/weight", "value": weight}
            for place, weight in enumerate((stable, canary))
        ]
        self.control(
            "edit",
            kind="virtualservices",
            namespace="bank-production",
            name=service,
            manager=manager,
            patch=patch,
        )

    def patches(self) -> list[dict[str, Any]]:
        """Return every write that arrived."""
        return [one for one in self.cluster.log if one["method"] == "PATCH" and "dryRun" not in one["query"]]


@contextlib.contextmanager
def running_cluster() -> Iterator[RunningCluster]:
    """Run Bank of Anthos in a sandbox cluster while the block lasts."""
    cluster = Cluster()
    with running(cluster) as url:
        yield RunningCluster(cluster, url)


HANDLERS = {steps.STEP_KIND: steps.ShiftStep(hold_seconds=1, contention_seconds=0)}


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def begin(
    route: RouteCard, weights: dict[str, int | None], now: datetime, *, urgent: bool = False, **parts: Any
) -> Operation:
    """Begin an operation of one shift, as a release or a rollback would."""
    change = uuid4()
    step = steps.plan(route=route, weights=weights, change_id=change, asked_by="Ana", **parts)
    with transaction.atomic(durable=True):
        return operations.begin(
            kind="test",
            target=f"route:{route.id}:{change}",
            subject=change,
            steps=[step],
            actor=system("tests"),
            deadline=now + timedelta(minutes=5),
            key=str(change),
            now=now,
            urgent=urgent,
        )


def a_choice(
    operation: Operation, route: RouteCard, now: datetime, choice: Choice = Choice.GO_ON, *, owner: str = ARGO_CD
) -> OwnerChoice:
    """Let Ana have chosen what becomes of a route that Git holds; the operation has no change that one could ask."""
    return OwnerChoice.objects.create(
        route_id=route.id,
        change_id=operation.subject,
        owner=owner,
        choice=choice,
        reason="the release is urgent",
        chosen_by="Ana",
        chosen_at=now,
    )


def run(operation: Operation, now: datetime, *, looks: int = 6) -> tuple[Operation, Step]:
    """Run an operation until it ended or was looked at so often, two seconds between the looks."""
    clock = Clock(now)
    for _look in range(looks):
        operations.run(operation_id=operation.pk, worker="w", handlers=HANDLERS, now=clock)
        clock.now += timedelta(seconds=2)
    operation = Operation.objects.get(pk=operation.pk)
    return operation, operation.steps.get()
