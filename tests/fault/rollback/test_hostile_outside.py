"""A broker that is gone, a Jenkins that lies, a cluster that always says 409: nothing is lost, nothing done twice."""

import json
import threading
from functools import partial
from secrets import token_hex
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client

from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.services import ItemDraft
from releases.changes.states import State
from releases.core import clock
from releases.operations.models import Attempt, Operation, OutboxMessage
from releases.rollback import services
from releases.rollback.models import Rollback
from releases.rollout import services as rollout
from tests.factories.catalog import a_digest
from tests.factories.changes import a_change
from tests.factories.delivery import ask, control, fault
from tests.factories.races import at_once
from tests.factories.rollout import STANDS
from tests.fault.harness import wait_for
from tests.fault.rollback.outside import AGO, BUILT, HOME, staff
from tests.fault.rollback.test_killed_workers import ended, go_back_and_check, heard

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="as in production: PostgreSQL and Redis"),
]
ROUNDS = 30


def waits(change, outside):
    """Wait until the rollback needs a person, and return its operation."""

    def needs_human():
        row = Rollback.objects.get(change=change)
        return Operation.objects.filter(pk=row.operation, state="needs_human").first()

    wait_for(needs_human, what="the call for a person", report=outside.place.crew.report)
    return needs_human()


def in_browser(outside, person, path, form):
    """Post a form to one of the two web servers as somebody who has just signed in; return the status."""
    browser = Client()
    browser.force_login(person.accounts.get(), backend="releases.accounts.backends.PersonBackend")
    session = browser.session
    session["signed_in_at"], session["methods"] = clock.now().isoformat(), ["password"]
    session.save()
    token = token_hex(16)
    headers = {
        "Cookie": f"sessionid={browser.cookies['sessionid'].value}; csrftoken={token}",
        "X-CSRFToken": token,
        "HX-Request": "true",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return ask(outside.web, "POST", path, body=urlencode(form), headers=headers).status


def test_without_a_broker_votes_and_gate_work_and_the_sweep_carries_the_rollback(outside):
    staff(outside.place, 2)
    outside.house.now = clock.now() - AGO
    service = outside.next_service()
    watched = outside.watched(service)
    item = ItemDraft("contacts" if service != "contacts" else "frontend", "production", "v8.0.0", a_digest())
    change = a_change(outside.house, at=State.AUTHORIZING, items=(item,))
    outside.place.broker.kill()  # while workers are busy with what was posted: some of them never listen again
    try:
        for voter in (outside.house.engineering, outside.house.security):
            said = {"decision": "approve", "seen_digest": change.content_digest}
            assert in_browser(outside, voter, f"/changes/{change.number}/vote", said) == 200
        artifact = {"name": item.service, "digest": item.digest}
        question = {"service": item.service, "environment": "production", "intent": "deploy", "artifact": artifact}
        headers = {"Authorization": f"Bearer {outside.token}", "Content-Type": "application/json"}
        answer = ask(outside.web, "POST", "/api/v1/gate/decisions", body=question, headers=headers)
        go_back_and_check(outside, watched, service)
    finally:
        outside.place.broker.start()
    change.refresh_from_db()
    assert (change.state, answer.status) == ("scheduled", 200)
    assert json.loads(answer.text)["verdict"] == "allow"
    again = outside.next_service()
    go_back_and_check(outside, outside.watched(again), again)  # the same workers, whether they still listen or not
    outside.place.crew.dismiss()
    changes.cancel(change_id=change.pk, actor=outside.house.actor("engineer"), now=clock.now())


@pytest.mark.parametrize("do", ["close_after", "status:500", "html", "close_before"])
def test_an_answer_of_jenkins_that_is_lost_or_worthless_starts_no_second_build(outside, do):
    staff(outside.place, 2)
    service = outside.next_service()
    change = outside.watched(service)
    fault(outside.jenkins, do, method="POST", path=BUILT)

    operation = go_back_and_check(outside, change, service)

    assert Attempt.objects.filter(step__operation=operation, step__kind="delivery.deploy").count() <= 2


def test_a_jenkins_that_falls_silent_is_looked_for_and_not_asked_twice(outside):
    staff(outside.place, 2)
    service = outside.next_service()
    change = outside.watched(service)
    fault(outside.jenkins, "silence", method="POST", path=BUILT, seconds=60)

    go_back_and_check(outside, change, service)


def test_a_cluster_that_answers_409_for_ever_asks_a_person_and_nothing_is_overwritten(outside):
    staff(outside.place, 2)
    service = outside.next_service()
    change = outside.watched(service)
    writes = outside.writes(service)
    control(outside.kubernetes, "conflict", {"times": -1, "what": "touch"})

    services.begin(change_id=change.pk, actor=outside.on_call, now=clock.now())
    operation = waits(change, outside)

    assert outside.writes(service) == writes
    assert outside.stands(service)[0] == {"stable": 0, "canary": 100}
    assert operation.steps.get(kind="delivery.deploy").state == "todo"
    control(outside.kubernetes, "conflict", {"times": 0})
    services.take_over(change_id=change.pk, actor=outside.on_call, now=clock.now())
    wait_for(lambda: ended(change), what="the end", report=outside.place.crew.report)
    assert outside.stands(service) == (HOME, {"stable": STANDS, "canary": STANDS})


@pytest.mark.long
def test_clicks_against_running_workers_never_end_in_a_deadlock(outside):
    """Workers end steps of the rollout while somebody goes back and another takes over, thirty times."""
    staff(outside.place, 3)
    control(outside.kubernetes, "conflict", {"times": 0})
    outside.house.now = clock.now() - AGO
    manager = outside.house.actor("manager", signed_in_at=clock.now())
    errors, under_way = [], {}
    for round_ in range(ROUNDS):
        service = outside.next_service()
        if service in under_way:
            wait_for(partial(ended, under_way[service]), what=f"round {round_}", report=outside.place.crew.report)
        outside.house.now = clock.now() - AGO
        item = ItemDraft(service, "production", f"v7.0.{round_}", a_digest())
        change = under_way[service] = a_change(outside.house, at=State.SCHEDULED, items=(item,))
        rollout.start(change_id=change.pk, actor=manager, now=clock.now())
        threading.Event().wait(0.02 * round_)
        click = partial(services.begin, change_id=change.pk, actor=outside.on_call, now=clock.now())
        over = partial(services.take_over, change_id=change.pk, actor=outside.on_call, now=clock.now())

        answers = at_once([click, click, click]) + at_once([over, over])

        errors += [one for one in answers if not isinstance(one, Rollback)]
    for change in under_way.values():
        wait_for(partial(ended, change), what="the last ones", report=outside.place.crew.report)

    assert errors == []
    wait_for(heard, what="the messages", report=outside.place.crew.report)
    assert not OutboxMessage.objects.exclude(dead_at=None).exists()
    assert ChangeRequest.objects.filter(state="rolling_back").count() == 0
    assert "deadlock" not in outside.place.crew.logs()
