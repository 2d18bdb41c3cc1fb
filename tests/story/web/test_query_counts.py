"""What a page costs does not grow with what it shows: as many queries for twenty items, or rows, as for one."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from releases.accounts.models import Person, User
from releases.accounts.rights import Right
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.catalog.models import Artifact
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest
from releases.changes.services import ItemDraft
from releases.changes.states import State
from releases.gate import queries, services
from releases.gate.rules import Request
from releases.gate.states import Intent, Verdict
from tests.factories.accounts import SETUP, a_token
from tests.factories.catalog import a_connection, a_digest, a_service, an_artifact
from tests.factories.changes import House, a_change, inside
from tests.factories.gate import CI, ask, with_keys

pytestmark = [pytest.mark.slow, pytest.mark.once]  # every database is asked the same

MANY = 20
WHO = ("engineer", "manager", "security", "on_call")


@pytest.fixture
def items(house: House, now: datetime) -> Sequence[ItemDraft]:
    """Return items of services that run somewhere, are deployed by a job and have their traffic split."""
    jenkins = a_connection("jenkins", now=now)
    cluster = a_connection("cluster", ConnectionKind.KUBERNETES, origin="https://cluster.example.com", now=now)
    return [_an_item(house, f"service-{n}", jenkins.pk, cluster.pk) for n in range(MANY + 1)]


def _an_item(house: House, name: str, jenkins: UUID, cluster: UUID) -> ItemDraft:
    service = a_service(name)
    place: dict[str, Any] = {
        "actor": SETUP,
        "service_id": service.pk,
        "environment_id": house.environment.pk,
        "now": house.now,
    }
    catalog.note_running(**place, artifact_id=an_artifact(service).pk)
    job = {"job": f"bank/{name}", "parameters": {}}
    catalog.bind(**place, purpose=Purpose.DEPLOY, connection_id=jenkins, settings=job)
    locator = {"namespace": "bank", "name": name, "route": "primary"}
    route = catalog.register_route(**place, connection_id=cluster, locator=locator, stable="stable", canary="canary")
    weights = {"stable": 100, "canary": 0}
    catalog.note_reading(route_id=route.pk, weights=weights, version="1", healthy=True, now=house.now)
    return ItemDraft(name, house.environment.name, "v2.0.0", a_digest())


def cost(look: Callable[[], Any]) -> int:
    """Return how many queries a second look needs: what is remembered from the first is free."""
    look()
    with CaptureQueriesContext(connection) as queries:
        answer = look()
    assert getattr(answer, "status_code", 200) == 200, answer.content
    return len(queries)


@pytest.fixture
def narrow_and_wide(house: House, items: Sequence[ItemDraft]) -> Callable[[State], tuple[ChangeRequest, ChangeRequest]]:
    """Return a function that gives a change of one item and one of twenty, in other places but alike."""

    def at(state: State) -> tuple[ChangeRequest, ChangeRequest]:
        return a_change(house, at=state, items=items[:1]), a_change(house, at=state, items=items[1:])

    return at


@pytest.fixture
def machine(db: None, now: datetime) -> Client:
    """Return a client with a token that may read."""
    _row, token = a_token(Right.CHANGE_READ, now=now)
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("state", [State.DRAFT, State.AUTHORIZING, State.SCHEDULED, State.WATCHING])
def test_the_page_of_a_change_costs_the_same_for_one_item_and_for_twenty(house, narrow_and_wide, browse, state):
    narrow, wide = narrow_and_wide(state)

    for who in WHO:
        browser = browse(getattr(house, who))
        for part in ("", "?part=gate", "?part=decision", "?part=traffic", "?part=acts"):
            few, many = (cost(partial(browser.get, f"/changes/{one.number}{part}")) for one in (narrow, wide))
            assert many == few, (who, part)


def test_the_form_costs_the_same_for_one_item_and_for_twenty(house, items, narrow_and_wide, browse):
    browser = browse(house.engineer)
    saved = [partial(browser.get, f"/changes/{one.number}/edit") for one in narrow_and_wide(State.DRAFT)]
    written = [partial(browser.post, "/changes/new/check", typed(some)) for some in (items[:1], items[1:])]

    for few, many in (saved, written):
        assert cost(many) == cost(few)


def typed(items: Sequence[ItemDraft]) -> dict[str, str]:
    """Return a form with these items as a browser sends it."""
    fields = ("service", "environment", "version", "digest")
    rows = {f"items-{n}-{name}": getattr(one, name) for n, one in enumerate(items) for name in fields}
    return {"title": "Many at once", "type": "normal", **rows}


def test_the_api_shows_a_change_at_the_same_cost_for_one_item_and_for_twenty(narrow_and_wide, machine):
    few, many = (
        cost(partial(machine.get, f"/api/v1/changes/{one.number}")) for one in narrow_and_wide(State.SCHEDULED)
    )
    assert many == few


def test_an_answer_of_the_gate_costs_the_same_however_much_the_change_holds(narrow_and_wide, settings, tmp_path):
    with_keys(settings, tmp_path)
    few, many = (
        cost(partial(services.ask, actor=CI, request=question(one), now=inside(one)))
        for one in narrow_and_wide(State.SCHEDULED)
    )
    assert many == few


def test_what_the_gate_would_say_of_many_items_at_once_is_what_it_says_of_each(
    house, narrow_and_wide, settings, tmp_path
):
    with_keys(settings, tmp_path)
    _narrow, wide = narrow_and_wide(State.SCHEDULED)
    now, odd = inside(wide), wide.items.get(position=8)
    catalog.quarantine(actor=SETUP, artifact_id=odd.artifact_id, reason="bad", now=house.now)

    outlooks = queries.would_open(wide, now=now)
    answers = [services.ask(actor=CI, request=question(wide, n), now=now).decision for n in range(MANY)]

    assert [str(one.decision.verdict) for one in outlooks] == [str(one.verdict) for one in answers]
    assert [one.service for one in outlooks if one.decision.verdict == Verdict.DENY] == [odd.service.name]


def question(change: ChangeRequest, position: int = 0) -> Request:
    """Return the question whether one item of a change may be deployed."""
    item = items_of(change)[position]
    return Request(
        service=item.service.name,
        environment=item.environment.name,
        artifact_name=item.service.name,
        digest=item.artifact.digest,
        intent=Intent.DEPLOY,
        change_number=change.number,
    )


def test_a_list_costs_the_same_for_one_row_of_each_kind_and_for_twenty(house, items, browse, machine):
    paths = ("/", "/board", "/changes", "/changes?mine=1", "/gate", "/catalog", f"/catalog/{house.service.name}")
    looks = {(who, path): partial(browse(getattr(house, who)).get, path) for who in WHO for path in paths}
    looks["machine", "/api/v1/changes"] = partial(machine.get, "/api/v1/changes")

    a_row_of_each_kind(house, items[0])
    few = {name: cost(look) for name, look in looks.items()}
    for item in items[1:]:
        a_row_of_each_kind(house, item)
    many = {name: cost(look) for name, look in looks.items()}

    assert many == few


def a_row_of_each_kind(house: House, item: ItemDraft) -> None:
    """Add to every list: a change to decide, one whose voter took part, one to release, an answer, a quarantine."""
    a_change(house, at=State.AUTHORIZING, items=(item,))
    a_change(house, at=State.AUTHORIZING, implementers=(account_of(house.security),))
    due, bad = an_item_of(house), an_item_of(house)
    ask(house, a_change(house, at=State.SCHEDULED, items=(due,), implementers=(account_of(house.engineer),)))
    a_change(house, items=(bad,))
    artifact = Artifact.objects.get(digest=bad.digest)
    catalog.quarantine(actor=SETUP, artifact_id=artifact.pk, reason="bad", now=house.now)


def account_of(person: Person) -> str:
    """Return the user name of a person."""
    return User.objects.get(person=person).username


def an_item_of(house: House) -> ItemDraft:
    """Return another version of the service of this house."""
    return ItemDraft(house.service.name, house.environment.name, "v9", a_digest())
