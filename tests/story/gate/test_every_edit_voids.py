"""Whatever is edited after the approval, through the services or behind them, the approval is void.

The tables below are compared with the page that says what is in the digest, so that a new field cannot be forgotten.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from releases.accounts.roles import Role
from releases.catalog import services as catalog
from releases.catalog.models import Connection, Route
from releases.changes import services
from releases.changes.document import IN_DIGEST
from releases.changes.models import ChangeRequest, Item, RollbackPlan
from releases.changes.pace import Step
from releases.changes.states import ChangeType, MigrationClass, State
from releases.committee import services as committee
from releases.committee.models import Vote
from releases.committee.rules import Decision
from releases.core.errors import Refused
from releases.gate.states import Verdict
from tests.factories.accounts import SETUP, a_person, actor_of
from tests.factories.catalog import a_connection, a_digest, an_artifact, an_environment
from tests.factories.changes import House, a_change, a_house, approve, fields
from tests.factories.gate import a_permit, a_wired_house, ask, bind_job, codes, redeem

pytestmark = pytest.mark.django_db

PAIRS = [(model, name) for model in sorted(IN_DIGEST) for name in sorted(IN_DIGEST[model])]


@pytest.fixture
def house(db: None, now) -> House:
    return a_wired_house(now)


@pytest.fixture
def place(house):
    """Return another service in the same environment, for second items."""
    return a_house(house.now, service="contacts")


@pytest.fixture
def change(house, place):
    return a_change(house, at=State.SCHEDULED, items=two(house, place), parameters={"REGION": "sa-east-1"})


def two(house: House, place: House) -> list[Any]:
    first, second = fields(house).items[0], fields(place).items[0]
    return [replace(first, digest=a_digest(1501)), replace(second, digest=a_digest(1502))]


def a_reading(house: House) -> None:
    route = Route.objects.get(service=house.service)
    catalog.note_reading(
        route_id=route.pk, weights={"stable": 0, "canary": 100}, version="2", healthy=True, now=house.now
    )


def another_job(house: House) -> None:
    bind_job(house, Connection.objects.get(name=f"jenkins-{house.service.name}").pk, "team/app/another")


# What the form or the API would send instead, for every field they reach; functions of (house, items).
Sent = Callable[[House, list[Any]], dict[str, Any]]
EDITS: dict[tuple[str, str], Sent] = {
    ("ChangeRequest", "title"): lambda _house, _items: {"title": "Another title"},
    ("ChangeRequest", "why"): lambda _house, _items: {"why": "Another reason."},
    ("ChangeRequest", "plan"): lambda _house, _items: {"plan": "1. Deploy everything at once."},
    ("ChangeRequest", "type"): lambda _house, _items: {"type": ChangeType.EMERGENCY},
    ("ChangeRequest", "parameters"): lambda _house, _items: {"parameters": {"REGION": "us-east-1"}},
    ("ChangeRequest", "steps"): lambda _house, _items: {"steps": (Step(5, 10), Step(100))},
    ("ChangeRequest", "test_evidence"): lambda _house, _items: {"tests_passed": 213},
    ("ChangeRequest", "starts_at"): lambda house, _items: {"starts_at": house.now + timedelta(minutes=61)},
    ("ChangeRequest", "ends_at"): lambda house, _items: {"ends_at": house.now + timedelta(minutes=181)},
    ("ChangeRequest", "implementers"): lambda _house, _items: {
        "implementers": ["nina"] if a_person("Nina", username="nina") else []
    },
    ("ChangeRequest", "committers"): lambda _house, _items: {
        "committers": ["nuno"] if a_person("Nuno", username="nuno") else []
    },
    ("ChangeRequest", "authors"): lambda _house, _items: {},  # the same words, by somebody else
    ("Item", "service"): lambda _house, items: {"items": items[:1]},
    ("Item", "environment"): lambda _house, items: {
        "items": [
            replace(items[0], environment=an_environment("drill").name, back_version="v1", back_digest=a_digest(7)),
            items[1],
        ]
    },
    ("Item", "artifact"): lambda _house, items: {"items": [replace(items[0], digest=a_digest(8)), items[1]]},
    ("Item", "position"): lambda _house, items: {"items": items[::-1]},
    ("RollbackPlan", "target_artifact"): lambda _house, items: {
        "items": [replace(items[0], back_version="v1.3.0", back_digest=a_digest(9)), items[1]]
    },
    ("RollbackPlan", "migration_class"): lambda _house, items: {
        "items": [replace(items[0], migration_class=MigrationClass.CONTRACT), items[1]]
    },
    ("RollbackPlan", "traffic_snapshot"): lambda house, _items: a_reading(house) or {},
    ("RollbackPlan", "job"): lambda house, _items: another_job(house) or {},
}
OUT_OF_REACH = {("ChangeRequest", name) for name in ("id", "requester", "assessment", "policy", "revision_number")}


# The same, written past the services: what to put where, by SQL. The id alone is the change itself.
Values = Callable[[ChangeRequest, House], dict[str, Any]]
ON_THE_CHANGE: dict[str, Values] = {
    "title": lambda _change, _house: {"title": "Another title"},
    "why": lambda _change, _house: {"why": "Another reason."},
    "plan": lambda _change, _house: {"plan": "2."},
    "type": lambda _change, _house: {"type": ChangeType.EMERGENCY},
    "steps": lambda _change, _house: {"steps": [{"percent": 100, "pause_minutes": 0}]},
    "parameters": lambda _change, _house: {"parameters": {"REGION": "sa-east-1", "FORCE": "yes"}},
    "test_evidence": lambda _change, _house: {"test_evidence": {"passed": 215, "failed": 0, "url": ""}},
    "starts_at": lambda change, _house: {"starts_at": change.starts_at - timedelta(microseconds=1)},
    "ends_at": lambda change, _house: {"ends_at": change.ends_at + timedelta(microseconds=1)},
    "requester": lambda _change, house: {"requester": house.on_call},
    "revision_number": lambda change, _house: {"revision_number": change.revision_number + 1},
    "assessment": lambda change, _house: {"assessment": twin(change.assessment, level="low", revision_number=99)},
    "policy": lambda change, _house: {"policy": twin(change.policy, version=99, is_current=False)},
}
ON_AN_ITEM: dict[str, Values] = {
    "service": lambda _change, house: {"service": a_house(house.now, service="frontend").service},
    "environment": lambda _change, _house: {"environment": an_environment("drill")},
    "artifact": lambda _change, house: {"artifact": an_artifact(house.service, "v9")},
    "position": lambda _change, _house: {"position": 9},
}
ON_A_PLAN: dict[str, Values] = {
    "target_artifact": lambda _change, house: {"target_artifact": an_artifact(house.service, "v8")},
    "traffic_snapshot": lambda _change, _house: {"traffic_snapshot": {}},
    "job": lambda _change, _house: {"job": {"job": "evil"}},
    "migration_class": lambda _change, _house: {"migration_class": MigrationClass.EXPAND},
}
PEOPLE = {"authors", "committers", "implementers"}
PAST_THE_SERVICES = [
    *(("ChangeRequest", name) for name in (*ON_THE_CHANGE, *sorted(PEOPLE))),
    *(("Item", name) for name in ON_AN_ITEM),
    *(("RollbackPlan", name) for name in ON_A_PLAN),
]


def twin(row: Any, **changed: Any) -> Any:
    """Store a copy of a row that differs in this."""
    fields_of_it = {field.attname: getattr(row, field.attname) for field in row._meta.fields if not field.primary_key}
    return type(row).objects.create(**{**fields_of_it, **changed})


def overwrite(pair: tuple[str, str], change: ChangeRequest, house: House) -> None:
    """Put something else into one column, as somebody with the database's password would."""
    model, name = pair
    if name in PEOPLE:
        getattr(change, name).add(house.on_call)
    elif model == "ChangeRequest":
        ChangeRequest.objects.filter(pk=change.pk).update(**ON_THE_CHANGE[name](change, house))
    elif model == "Item":
        Item.objects.filter(change=change, position=1).update(**ON_AN_ITEM[name](change, house))
    else:
        plans = RollbackPlan.objects.filter(item__change=change, item__position=1)
        plans.update(**ON_A_PLAN[name](change, house))


def test_the_tables_reach_every_field_of_the_digest():
    assert set(EDITS) | OUT_OF_REACH == set(PAIRS)
    assert set(PAST_THE_SERVICES) == set(PAIRS) - {("ChangeRequest", "id")}


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair not in OUT_OF_REACH], ids=".".join)
def test_an_edit_of_any_field_voids_the_approval(house, place, change, pair):
    permit = a_permit(house, change)
    votes = list(Vote.objects.order_by("pk").values())
    before = change.content_digest
    editor = house.actor("engineer")
    if pair[1] == "authors":
        editor = actor_of(a_person("Otto", Role.ENGINEER, Role.RELEASE_MANAGER))
    sent = {"items": two(house, place), "parameters": {"REGION": "sa-east-1"}, **EDITS[pair](house, two(house, place))}

    services.revise(change_id=change.pk, actor=editor, fields=fields(house, **sent), now=house.now)

    change.refresh_from_db()
    assert change.state == State.DRAFT
    assert change.content_digest != before
    decision = ask(house, change, change_number=change.number, digest=permit.decision.digest)
    assert decision.verdict == Verdict.DENY
    with pytest.raises(Refused):
        redeem(permit)
    assert list(Vote.objects.order_by("pk").values()) == votes
    assert len(votes) == 2


@pytest.mark.parametrize("pair", PAST_THE_SERVICES, ids=".".join)
def test_an_edit_of_any_field_behind_the_services_voids_the_approval(house, change, pair):
    permit = a_permit(house, change)
    votes = list(Vote.objects.order_by("pk").values())

    overwrite(pair, change, house)

    decision = ask(house, change, change_number=change.number, digest=permit.decision.digest)
    assert decision.verdict == Verdict.DENY
    assert "approval_void" in codes(decision)
    with pytest.raises(Refused):
        redeem(permit)
    assert list(Vote.objects.order_by("pk").values()) == votes
    assert len(votes) == 2


def another_origin(house: House) -> None:
    a_connection(f"jenkins-{house.service.name}", origin="https://evil.example.com", now=house.now)


def another_route(house: House) -> None:
    route = Route.objects.get(service=house.service)
    catalog.register_route(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        connection_id=route.connection_id,
        locator={**route.locator, "name": "another"},
        stable="stable",
        canary="canary",
        now=house.now,
    )
    a_reading_as_before(house)


def a_reading_as_before(house: House) -> None:
    route = Route.objects.get(service=house.service)
    catalog.note_reading(
        route_id=route.pk, weights={"stable": 100, "canary": 0}, version="9", healthy=True, now=house.now
    )


@pytest.mark.parametrize("edit", [another_origin, another_job, another_route])
def test_an_edit_of_a_connection_or_a_binding_voids_the_approval(house, change, edit):
    permit = a_permit(house, change)

    edit(house)

    decision = ask(house, change)
    assert decision.verdict == Verdict.DENY
    assert codes(decision) == {"approval_void"}
    with pytest.raises(Refused) as refused:
        redeem(permit)
    assert {str(reason.code) for reason in refused.value.reasons} == {"approval_void"}
    change.refresh_from_db()
    assert change.state == State.SCHEDULED


def test_a_new_secret_for_the_same_origin_voids_nothing(house, change):
    a_connection(f"jenkins-{house.service.name}", secret="canary-another-secret-9999", now=house.now)

    assert ask(house, change).verdict == Verdict.ALLOW


def test_traffic_that_moved_meanwhile_denies_because_the_way_back_is_another(house, change):
    a_reading(house)

    assert codes(ask(house, change)) == {"rollback_unproved"}


def test_a_weaker_policy_that_comes_into_force_after_a_vote_does_not_lower_the_bar(house):
    change = a_change(house, at=State.AUTHORIZING)
    approve(house, change, "engineering")
    weaker = [{"seats": {"seat_engineering": 1}}, {"when": {"type": ["standard"]}, "seats": {}}]
    owner = actor_of(a_person("Olga", Role.OWNER))
    proposed = committee.save_policy(actor=owner, name="Weaker", rules=weaker, now=house.now)
    for who in ("engineering", "security"):
        committee.vote_on_policy(
            policy_id=proposed.pk,
            actor=house.actor(who),
            decision=Decision.APPROVE,
            seen_digest=proposed.digest,
            now=house.now,
        )
    proposed.refresh_from_db()
    assert proposed.is_current

    change.refresh_from_db()
    assert change.state == State.AUTHORIZING
    decision = ask(house, change)
    assert decision.verdict == Verdict.WAIT
    assert codes(decision) == {"approvals_missing"}


def test_the_same_words_handed_in_again_are_a_new_revision_that_nobody_approved(house, change):
    permit = a_permit(house, change)
    services.withdraw(change_id=change.pk, actor=house.actor("engineer"), now=house.now)
    assert ask(house, change, change_number=change.number).verdict == Verdict.DENY

    services.submit(change_id=change.pk, actor=house.actor("engineer"), now=house.now)

    change.refresh_from_db()
    assert change.state == State.AUTHORIZING
    assert ask(house, change).verdict == Verdict.WAIT
    with pytest.raises(Refused):
        redeem(permit)
    approve(house, change, "engineering")
    approve(house, change, "security")
    assert ask(house, change).verdict == Verdict.ALLOW
    with pytest.raises(Refused):
        redeem(permit)


def test_what_was_sent_back_can_be_handed_in_again_and_everybody_decides_again(house):
    change = a_change(house, at=State.AUTHORIZING)
    approve(house, change, "engineering")
    services.vote(
        change_id=change.pk,
        actor=house.actor("security"),
        decision=Decision.REQUEST_CHANGES,
        seen_digest=change.content_digest,
        reason="Say what happens to transfers under way.",
        now=house.now,
    )
    services.submit(change_id=change.pk, actor=house.actor("engineer"), now=house.now)

    approve(house, change, "security")
    change.refresh_from_db()
    assert change.state == State.AUTHORIZING
    approve(house, change, "engineering")
    change.refresh_from_db()
    assert change.state == State.SCHEDULED
