"""Change requests that walked to where they stand through the real services."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.db import transaction

from releases.accounts.models import Person
from releases.accounts.roles import Role
from releases.audit.actor import Actor
from releases.catalog import services as catalog
from releases.catalog.models import Artifact, Customer, Environment, Service
from releases.changes import queries, services
from releases.changes.models import ChangeRequest, CustomerNotice
from releases.changes.services import ChangeDraft, ItemDraft
from releases.changes.states import ChangeType, State
from releases.committee import queries as committee_queries
from releases.committee import services as committee
from releases.committee.seats import Decision
from tests.factories.accounts import NOW, SETUP, a_person, actor_of
from tests.factories.catalog import a_digest, a_service, an_artifact, an_environment

POLICY = [
    {
        "when": {"environment_kind": ["production"], "type": ["normal"]},
        "seats": {"seat_engineering": 1, "seat_security": 1},
    },
    {"when": {"environment_kind": ["production"], "type": ["emergency"]}, "seats": {"seat_operations": 1}},
    {"when": {"environment_kind": ["production"], "type": ["standard"]}, "seats": {}},
    {"when": {"environment_kind": ["staging", "development"]}, "seats": {"seat_engineering": 1}},
]
_numbers = count(1)


@dataclass
class House:
    """People and places of one story."""

    engineer: Person
    engineering: Person
    security: Person
    operations: Person
    manager: Person
    on_call: Person
    service: Service
    environment: Environment
    running: Artifact
    now: datetime = NOW
    actors: dict[str, Actor] = field(default_factory=dict)

    def actor(self, name: str, *, signed_in_at: datetime | None = None) -> Actor:
        """Return one of the people, signed in just now."""
        return actor_of(getattr(self, name), signed_in_at=signed_in_at or self.now)


def a_house(now: datetime = NOW, *, service: str = "ledgerwriter", environment: str = "production") -> House:
    """Return people with their roles, a policy, and a service that runs v1.4.2 in production."""
    house = House(
        engineer=a_person("Ana Reis", Role.ENGINEER, now=now),
        engineering=a_person("Bruno Lima", Role.SEAT_ENGINEERING, now=now),
        security=a_person("Helena Costa", Role.SEAT_SECURITY, now=now),
        operations=a_person("Rui Paz", Role.SEAT_OPERATIONS, now=now),
        manager=a_person("Marta Sá", Role.RELEASE_MANAGER, now=now),
        on_call=a_person("Davi Nunes", Role.ON_CALL, now=now),
        service=a_service(service, criticality=3, data_classes=["money"]),
        environment=an_environment(environment),
        running=None,  # type: ignore[arg-type]  # set below, it needs the service
        now=now,
    )
    house.running = an_artifact(house.service, "v1.4.2")
    catalog.note_running(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        artifact_id=house.running.pk,
        now=now - timedelta(days=3),
    )
    if committee_queries.current_policy() is None:
        committee.save_policy(actor=SETUP, name="Release policy", rules=POLICY, now=now)
    return house


def fields(house: House, **changed: Any) -> ChangeDraft:
    """Return a complete draft for tonight's window of this house."""
    complete: dict[str, Any] = {
        "title": "Transfers that cannot be booked twice",
        "why": "31 customers were refunded by hand last month.",
        "plan": "1. Deploy. 2. Shift 10 %, then all.",
        "items": (ItemDraft(house.service.name, house.environment.name, "v1.5.0", a_digest()),),
        "tests_passed": 214,
        "tests_failed": 0,
        "tests_url": "https://ci.example.com/report/214",
        "starts_at": house.now + timedelta(hours=1),
        "ends_at": house.now + timedelta(hours=3),
    }
    return ChangeDraft(**{**complete, **changed})


def a_change(
    house: House, *, at: State = State.DRAFT, filed_at: datetime | None = None, **changed: Any
) -> ChangeRequest:
    """Return a change that walked to a state through the services; filed just now when nothing else is said."""
    ana = house.actor("engineer")
    change = services.draft(actor=ana, fields=fields(house, **changed), now=filed_at or house.now)
    for state, step in WALK:
        if change.state == at:
            break
        step(house, change)
        change.refresh_from_db()
        assert change.state == state, (change.state, state)
    assert change.state == at, f"nobody walks to {at}"
    return change


def tell(house: House, change: ChangeRequest, customer: Customer, **changed: Any) -> CustomerNotice:
    """Record that a customer was told of a change, just now when nothing else is said."""
    told: dict[str, Any] = {
        "actor": house.actor("engineer"),
        "seen_digest": queries.told_of(queries.by_id(change.pk)),
        "told_at": house.now,
        "told_by": "Ana Reis",
        "evidence": "MAIL-4711",
        "now": house.now,
    }
    return services.tell_customer(change_id=change.pk, customer_id=customer.pk, **{**told, **changed})


def inside(change: ChangeRequest) -> datetime:
    """Return a moment inside the window of a change."""
    assert change.starts_at is not None
    return change.starts_at + timedelta(minutes=1)


def _submit(house: House, change: ChangeRequest) -> None:
    services.submit(change_id=change.pk, actor=house.actor("engineer"), now=house.now)


def _authorize(house: House, change: ChangeRequest) -> None:
    voters = ("operations",) if change.type == ChangeType.EMERGENCY else ("engineering", "security")
    for voter in voters:
        approve(house, change, voter)


def approve(house: House, change: ChangeRequest, voter: str) -> None:
    """Cast one approval on the content as it stands."""
    change.refresh_from_db()
    services.vote(
        change_id=change.pk,
        actor=house.actor(voter),
        decision=Decision.APPROVE,
        seen_digest=change.content_digest,
        now=house.now,
    )


def start(change: ChangeRequest, *, actor: Actor, now: datetime) -> None:
    """Make the move that the gate makes when a permit is redeemed, and a rollout when it begins."""
    with transaction.atomic():
        services.move(services.locked(change.pk), "start", actor=actor, now=now)


def _start(house: House, change: ChangeRequest) -> None:
    start(change, actor=house.actor("manager"), now=inside(change))


def _deployed(house: House, change: ChangeRequest) -> None:
    services.deployed(change_id=change.pk, actor=house.actor("manager"), now=inside(change))


def _settled(house: House, change: ChangeRequest) -> None:
    assert change.watch_until_at is not None
    assert services.settle_due(now=change.watch_until_at) == 1


WALK = (
    (State.AUTHORIZING, _submit),
    (State.SCHEDULED, _authorize),
    (State.IMPLEMENTING, _start),
    (State.WATCHING, _deployed),
    (State.REVIEWING, _settled),
)
