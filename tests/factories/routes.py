"""A release of several routes without a CI system: its deployments have ended, its routes stand in a real sandbox."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Route, Service
from releases.changes.models import ChangeRequest
from releases.core import breaker, clock
from releases.delivery.models import Deployment
from releases.gate import keys
from releases.operations.models import Operation, Step
from releases.rollout.models import Rollout
from releases.rollout.states import shift_stage
from releases.traffic import services as traffic
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_connection, a_service
from tests.factories.changes import a_house
from tests.factories.rollout import EARLIER, STANDS, Bank, Wires, calls, runs, wire
from tests.factories.shifts import running_cluster

NOBODY = "http://127.0.0.1:9"  # the discard port: what is not asked need not answer


@contextlib.contextmanager
def some_routes(*names: str, calling: Mapping[str, str] | None = None) -> Iterator[Bank]:
    """Return a bank whose services have a route each, and nothing that measures them; ``calling`` is who calls whom."""
    breaker._breakers.clear()
    if keys.signing(Path(settings.GMUD_KEYS)) is None:
        keys.make(Path(settings.GMUD_KEYS))
    now = clock.now()
    with running_cluster() as cluster:
        house = a_house(now - EARLIER, service=names[0])
        kubernetes = a_connection(
            "kubernetes", ConnectionKind.KUBERNETES, origin=cluster.url, account="", secret="sandbox-full", now=now
        )
        jenkins = a_connection("jenkins", ConnectionKind.JENKINS, origin=NOBODY, now=now)
        wires = Wires(jenkins, kubernetes, None)
        services: dict[str, Service] = {}
        for name in names:
            services[name] = house.service if name == names[0] else a_service(name, criticality=2)
            runs(house, services[name], STANDS)
            wire(house, wires, services[name], health=False)
        for caller, callee in (calling or {}).items():
            calls(services[caller], services[callee], house.now)
        bank = Bank(house, wires, None, "", cluster, None, "", "")  # type: ignore[arg-type]  # nothing here asks them
        bank.releaser, bank.on_call = house.actor("manager"), house.actor("on_call")
        yield bank


def a_second_route(bank: Bank, service: Service, *, label: str, stands_at: str) -> Route:
    """Register one more route of a service: another object of the cluster."""
    row = catalog.register_route(
        actor=SETUP,
        service_id=service.pk,
        environment_id=bank.house.environment.pk,
        connection_id=bank.wires.kubernetes.pk,
        locator={"namespace": "bank-production", "name": stands_at, "route": "primary"},
        stable="stable",
        canary="canary",
        label=label,
        now=bank.house.now,
    )
    traffic.look(route_id=row.pk, now=bank.house.now)
    assert len(catalog_queries.routes_for(service.pk, bank.house.environment.pk)) > 1
    return row


def deployed(bank: Bank, change: ChangeRequest) -> Rollout:
    """Begin the release and write down that every deployment ended well."""
    row = bank.start(change)
    ended: dict[str, Any] = {"state": "succeeded", "ended_at": clock.now()}
    Deployment.objects.filter(change_id=change.pk).update(**ended)
    Step.objects.filter(operation=row.operation, kind="delivery.deploy").update(state="confirmed")
    Operation.objects.filter(pk=row.operation).update(stage=shift_stage(1), state="running")
    return row
