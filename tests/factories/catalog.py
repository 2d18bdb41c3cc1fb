"""Services, artifacts and connections, made through the real services."""

from datetime import datetime
from itertools import count
from typing import Any

from releases.accounts.models import Team
from releases.catalog import queries, services
from releases.catalog.kinds import ConnectionKind, EnvironmentKind, Purpose
from releases.catalog.models import Artifact, Binding, Connection, Customer, Environment, Service
from tests.factories.accounts import NOW, SETUP, a_team

TOKEN = "canary-0123456789abcdef-WXYZ"
_numbers = count(1)


def a_digest(seed: int | None = None) -> str:
    """Return a digest of its own."""
    return f"sha256:{seed if seed is not None else next(_numbers):064x}"


def a_service(name: str = "", *, team: Team | None = None, **facts: Any) -> Service:
    """Register a service."""
    team = team or Team.objects.filter(name="ledger").first() or a_team("ledger")
    return services.register_service(
        actor=SETUP, name=name or f"service-{next(_numbers)}", team_id=team.pk, now=NOW, **facts
    )


def an_environment(name: str = "production", kind: EnvironmentKind = EnvironmentKind.PRODUCTION) -> Environment:
    """Return the environment with that name, registered when it is new."""
    there = Environment.objects.filter(name=name).first()
    return there or services.register_environment(actor=SETUP, name=name, kind=kind, rank=30, now=NOW)


def an_artifact(service: Service, version: str = "v1.0.0", digest: str = "") -> Artifact:
    """Register an artifact of a service."""
    return services.register_artifact(
        actor=SETUP, service_id=service.pk, version=version, digest=digest or a_digest(), now=NOW
    )


def a_customer(*services_: Service, name: str = "Partner banks", **facts: Any) -> Customer:
    """Register a customer whom these services serve."""
    told = {"segment": "partner", "size": 6, **facts}
    return services.register_customer(
        actor=SETUP, name=name, service_ids=[one.pk for one in services_], now=NOW, **told
    )


def a_budget(service: Service, environment: Environment, *, left: float | None = None, now: datetime = NOW) -> Binding:
    """Say where the error budget of a service is read, and what was read of it, if anything."""
    there = Connection.objects.filter(name="budgets").first()
    connection = there or a_connection(
        "budgets", ConnectionKind.PROMETHEUS, origin="https://prometheus.example.com", account="", now=now
    )
    place = {"service_id": service.pk, "environment_id": environment.pk}
    row = services.bind(
        actor=SETUP,
        **place,
        purpose=Purpose.BUDGET,
        connection_id=connection.pk,
        settings={"query": "error_budget_left"},
        now=now,
    )
    if left is not None:
        binding = queries.binding_for(service.pk, environment.pk, Purpose.BUDGET)
        assert binding is not None
        services.note_budget(binding=binding, left=left, now=now)
    return row


def a_connection(
    name: str = "",
    kind: ConnectionKind = ConnectionKind.JENKINS,
    *,
    origin: str = "https://ci.example.com",
    account: str = "gmud",
    secret: str | None = TOKEN,
    now: datetime = NOW,
) -> Connection:
    """Open a connection."""
    return services.connect(
        actor=SETUP,
        name=name or f"connection-{next(_numbers)}",
        kind=kind,
        origin=origin,
        account=account,
        secret=secret,
        now=now,
    )
