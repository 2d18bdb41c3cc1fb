"""Questions to the gate and permits, and a house whose service is wired to a job and to a route."""

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from releases.audit.actor import Actor, system
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest
from releases.gate import keys, services
from releases.gate.models import GateDecision, Permit
from releases.gate.rules import Request, Run
from releases.gate.services import Redeemed
from releases.gate.states import Intent, Verdict
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_connection
from tests.factories.changes import House, a_house, inside

CI = system("ci")
RUN = Run("jenkins", "team/app/deploy#77", "https://ci.example.com/77")
OTHER_RUN = Run("jenkins", "team/app/deploy#78", "https://ci.example.com/78")


def with_keys(settings: Any, folder: Path) -> None:
    """Give the gate a key of its own to sign with."""
    settings.GMUD_KEYS = str(folder)
    keys.make(folder)


def a_wired_house(now: datetime = NOW, **more: Any) -> House:
    """Return a house whose service is deployed by a job and has all its traffic on the stable target."""
    house = a_house(now, **more)
    jenkins = a_connection(f"jenkins-{house.service.name}", now=now)
    cluster = a_connection(
        f"cluster-{house.service.name}",
        ConnectionKind.KUBERNETES,
        origin="https://cluster.example.com",
        now=now,
    )
    place: dict[str, Any] = {
        "actor": SETUP,
        "service_id": house.service.pk,
        "environment_id": house.environment.pk,
        "now": now,
    }
    bind_job(house, jenkins.pk)
    route = catalog.register_route(
        **place,
        connection_id=cluster.pk,
        locator={"namespace": "bank-production", "name": house.service.name, "route": "primary"},
        stable="stable",
        canary="canary",
    )
    catalog.note_reading(route_id=route.pk, weights={"stable": 100, "canary": 0}, version="1", healthy=True, now=now)
    return house


def bind_job(house: House, connection_id: UUID, job: str = "team/app/deploy") -> None:
    """Say which job deploys the service of this house."""
    catalog.bind(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        purpose=Purpose.DEPLOY,
        connection_id=connection_id,
        settings={"job": job, "parameters": {}},
        now=house.now,
    )


def a_question(house: House, change: ChangeRequest | None = None, **changed: Any) -> Request:
    """Return the question whether the artifact of a change may be deployed in the place of this house."""
    digest = items_of(change)[0].artifact.digest if change else house.running.digest
    asked: dict[str, Any] = {
        "service": house.service.name,
        "environment": house.environment.name,
        "artifact_name": house.service.name,
        "digest": digest,
        "intent": Intent.DEPLOY,
        "run": RUN,
    }
    return Request(**{**asked, **changed})


def ask(
    house: House,
    change: ChangeRequest | None = None,
    *,
    now: datetime | None = None,
    actor: Actor = CI,
    key: str = "",
    **changed: Any,
) -> GateDecision:
    """Ask the gate, inside the window of the change when nothing else is said."""
    moment = now or (inside(change) if change else house.now)
    return services.ask(actor=actor, request=a_question(house, change, **changed), key=key, now=moment).decision


def a_permit(house: House, change: ChangeRequest, *, now: datetime | None = None, **changed: Any) -> Permit:
    """Return the permit behind an allow."""
    decision = ask(house, change, now=now, **changed)
    assert decision.verdict == Verdict.ALLOW, decision.reasons
    return Permit.objects.select_related("decision").get(decision=decision)


def redeem(
    permit: Permit, *, now: datetime | None = None, run: Run = RUN, actor: Actor = CI, digest: str = ""
) -> Redeemed:
    """Redeem a permit, a moment after it was given when nothing else is said."""
    return services.redeem(
        actor=actor,
        jti=permit.jti,
        run=run,
        artifact_digest=digest or permit.decision.digest,
        now=now or permit.issued_at,
    )


def codes(decision: GateDecision) -> set[str]:
    """Return the reason codes of a decision."""
    return {reason["code"] for reason in decision.reasons}
