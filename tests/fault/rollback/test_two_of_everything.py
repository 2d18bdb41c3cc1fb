"""Two web servers, two workers, two clocks, two sealers on PostgreSQL and Redis: one of each may die, nothing doubles.

The other rounds of this folder run on the same processes; here one of every kind is taken away, and both of a pair are
asked the same at the same moment.
"""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.db import connection

from gmud.sandbox.server import running
from releases.audit.models import AuditEvent, Checkpoint, Leaf, Unsealed
from releases.audit.queries import verify
from releases.audit.witness import FileWitness
from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.services import ItemDraft
from releases.changes.states import State
from releases.core import clock
from releases.core.ids import uuid7
from releases.gate import services as gate
from releases.gate.models import Permit
from releases.gate.rules import Request, Run
from releases.gate.states import Intent
from releases.notify import services as notify
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Notice
from releases.notify.services import Wanted
from releases.operations import failpoints, services
from releases.operations.models import Heartbeat, OutboxMessage
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_digest
from tests.factories.changes import a_change
from tests.factories.delivery import ask
from tests.factories.notify import Listener, a_channel
from tests.factories.races import at_once
from tests.fault.harness import kill, wait_for
from tests.fault.rollback.outside import AGO, SERVICES, Outside, staff
from tests.fault.rollback.test_killed_workers import check_death, go_back_and_check, prepare

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="as in production: PostgreSQL and Redis"),
]
FIRST = ("web-1", "beat-1", "sealer-1")
MIDST = "after_send"
STEP_PLACES = [name for name in failpoints.names() if name not in {"before_ring", "after_unknown", MIDST}]
ROUNDS = [
    (MIDST, FIRST),
    *(pytest.param(MIDST, (name,), marks=pytest.mark.long) for name in ("web-2", "beat-2", "sealer-2")),
    *(pytest.param(name, FIRST, marks=pytest.mark.long) for name in STEP_PLACES),
]
SIX = 6


@pytest.fixture(autouse=True)
def complete(outside: Outside) -> Iterator[None]:
    """Have two of everything at the beginning, and one record at the end."""
    outside.twins.start()
    staff(outside.place, 2)
    yield
    outside.twins.start()
    the_record_is_one(outside)


def the_record_is_one(outside: Outside) -> None:
    """See that every event has one place, every size one root, and that the witness saw the same tree grow."""
    wait_for(lambda: not Unsealed.objects.exists(), what="the seal", report=outside.twins.report)
    witness = FileWitness(Path(configured.GMUD_WITNESS_FILE))

    def handed_over() -> bool:
        newest, last = Checkpoint.objects.order_by("-tree_size").first(), witness.last()
        return newest is None or (last is not None and last.size == newest.tree_size)

    wait_for(handed_over, what="the witness", report=outside.twins.report)
    seen = [one.size for one in witness.all()]
    roots = dict(Checkpoint.objects.values_list("tree_size", "root"))
    assert seen == sorted(set(seen))
    assert {one.size: one.root for one in witness.all()} == roots
    leaves = Counter(Leaf.objects.values_list("event_id", flat=True))
    assert set(leaves.values()) <= {1}
    assert sorted(Leaf.objects.values_list("tree_index", flat=True)) == list(range(len(leaves)))
    assert leaves.total() <= AuditEvent.objects.count()
    report = verify()
    assert [one for one in report.findings if one.table != "audit_unsealed"] == []


def a_free_change(outside: Outside) -> ChangeRequest:
    """Return a scheduled change in its window, of a service nobody else touches."""
    outside.house.now = clock.now() - AGO
    item = ItemDraft(outside.next_service(), "production", "v8.1.0", a_digest())
    return a_change(outside.house, at=State.SCHEDULED, items=(item,))


def done_with(outside: Outside, change: ChangeRequest) -> None:
    change.refresh_from_db()
    end = changes.cancel if change.state == State.SCHEDULED else changes.failed
    actor = outside.house.actor("engineer" if end is changes.cancel else "manager")
    end(change_id=change.pk, actor=actor, now=clock.now())


def post(outside: Outside, path: str, body: object) -> tuple[int, object]:
    """Ask one of the two web servers, on a connection of its own."""
    headers = {"Authorization": f"Bearer {outside.token}", "Content-Type": "application/json"}
    answer = ask(outside.web, "POST", f"/api/v1/gate/{path}", body=body, headers=headers)
    return answer.status, json.loads(answer.text)


@contextmanager
def dying_in_the_midst(outside: Outside, place: str, victims: tuple[str, ...]) -> Iterator[None]:
    """Kill these at the moment a worker dies at that place."""

    def strike() -> None:
        wait_for(lambda: outside.place.crew.struck(place), what=place)
        outside.twins.kill(*victims)

    thread = threading.Thread(target=strike)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize(("moment", "victims"), ROUNDS)
def test_one_of_each_dies_in_the_middle_of_a_rollback_and_all_is_done_once(outside, moment, victims):
    service = outside.next_service()
    change = outside.watched(service)
    before = prepare(outside, moment)

    with dying_in_the_midst(outside, moment, victims):
        go_back_and_check(outside, change, service)

    check_death(outside, moment, before)
    assert not any(outside.twins.lives(name) for name in victims)
    told = Counter(AuditEvent.objects.filter(stream=change.stream).values_list("kind", flat=True))
    assert told["change.rolled_back"] == 1


def test_of_six_runs_at_two_web_servers_exactly_one_takes_the_permit(outside):
    for _ in range(4):
        change = a_free_change(outside)
        item = change.items.get()
        service, digest = item.service.name, item.artifact.digest
        question = Request(service, "production", service, digest, Intent.DEPLOY, Run("jenkins", "team/app/deploy"))
        answer = gate.ask(actor=SETUP, request=question, fuse=f"start-{change.number}", now=clock.now())
        jti = Permit.objects.get(decision=answer.decision).jti
        bodies = [
            {"run": {"provider": "jenkins", "id": f"team/app/deploy#{n}"}, "artifact_digest": digest}
            for n in range(SIX)
        ]

        said = at_once([partial(post, outside, f"permits/{jti}/redeem", body) for body in bodies])

        assert sorted(status for status, _body in said) == [200] + [409] * 5, said
        assert {body["code"] for status, body in said if status == 409} == {"permit_replayed"}
        told = Counter(AuditEvent.objects.filter(stream=change.stream).values_list("kind", flat=True))
        assert (told["permit.redeemed"], told["permit.refused"]) == (1, 5)
        done_with(outside, change)
    assert min(outside.twins.answered("/redeem").values()) > 0, outside.twins.answered("/redeem")


def test_the_gate_says_the_same_at_both_web_servers(outside):
    change = a_free_change(outside)
    item = change.items.get()
    artifact = {"name": item.service.name, "digest": item.artifact.digest}
    question = {"service": item.service.name, "environment": "production", "intent": "deploy", "artifact": artifact}

    def said() -> set[tuple[int, str, tuple[str, ...]]]:
        before = outside.twins.answered("/gate/decisions")
        answers = []
        while not answers or any(outside.twins.answered("/gate/decisions")[name] <= before[name] for name in before):
            bodies = [{**question, "run": {"provider": "ci", "id": str(number)}} for number in range(SIX)]
            answers += at_once([partial(post, outside, "decisions", body) for body in bodies])
            assert len(answers) < 200, "one of the two is never called"
        return {(status, body["verdict"], tuple(one["code"] for one in body["reasons"])) for status, body in answers}

    assert said() == {(200, "allow", ())}
    changes.hold(change_id=change.pk, actor=outside.house.actor("manager"), reason="Wait.", now=clock.now())
    assert said() == {(200, "wait", ("on_hold",))}
    changes.resume(change_id=change.pk, actor=outside.house.actor("manager"), now=clock.now())
    done_with(outside, change)


def test_what_time_brings_is_done_once_and_told_once(outside):
    listener = Listener()
    with running(listener) as origin:
        channel = a_channel(ChannelKind.WEBHOOK, origin=origin, wanted=Wanted(frozenset(Topic)), now=clock.now())
        try:
            outside.house.now = clock.now() - timedelta(hours=5)
            over = []
            for service in SERVICES:
                item = ItemDraft(service, "production", "v8.2.0", a_digest())
                over.append(a_change(outside.house, at=State.DRAFT, items=(item,)))
            for change in over:
                changes.submit(change_id=change.pk, actor=outside.house.actor("engineer"), now=outside.house.now)
            wait_for(lambda: all(stands(one) == State.EXPIRED for one in over), report=outside.place.crew.report)
            wait_for(lambda: not OutboxMessage.objects.undone().exists(), report=outside.place.crew.report)
            turns(outside, 4)
            wait_for(lambda: not Notice.objects.filter(channel=channel, state="pending").exists(), what="the letters")
        finally:
            notify.remove_channel(actor=SETUP, channel_id=channel.pk, now=clock.now())

    for change in over:
        told = Counter(AuditEvent.objects.filter(stream=change.stream).values_list("kind", flat=True))
        assert told["change.expired"] == 1
        assert OutboxMessage.objects.filter(kind="change.expire", ref=change.pk).count() == 1
    heard = Counter(call.headers["webhook-id"] for call in listener.heard)
    assert heard
    assert set(heard.values()) == {1}
    cases = Counter((body["type"], body["data"]["case"]) for body in listener.bodies())
    assert set(cases.values()) == {1}


def test_each_clock_calls_by_itself_also_when_the_broker_was_gone(outside):
    broker, twins = outside.place.broker, outside.twins
    already = {name: len(twins.said(name)) for name in ("beat-1", "beat-2")}
    broker.kill()
    wait_for(lambda: all("refused" in twins.said(name)[at:] for name, at in already.items()), report=twins.report)
    broker.start()
    outside.place.crew.dismiss()
    try:
        for alone, other in (("beat-1", "beat-2"), ("beat-2", "beat-1")):
            os.killpg(twins.processes[other].pid, signal.SIGSTOP)
            broker.forget()
            wait_for(lambda: broker.waiting("default"), what=alone, report=twins.report)
            os.killpg(twins.processes[other].pid, signal.SIGCONT)
    finally:
        broker.forget()
    assert twins.lives("beat-1")
    assert twins.lives("beat-2")


@pytest.mark.long
def test_a_message_that_kills_its_worker_is_quarantined_while_a_rollback_goes_through(outside):
    outside.place.crew.dismiss()
    supervisor = outside.place.crew.supervise(2, more={"GMUD_LEASE_SECONDS": "0.5"})
    poison = services.post(kind="test.poison", ref=uuid7(), now=clock.now())
    service = outside.next_service()
    change = outside.watched(service)
    try:
        wait_for(lambda: OutboxMessage.objects.get(pk=poison.pk).dead_at, report=outside.place.crew.report)
        assert OutboxMessage.objects.get(pk=poison.pk).attempts == 5
        go_back_and_check(outside, change, service)
        assert supervisor.poll() is None
    finally:
        kill(supervisor)
        outside.place.crew.dismiss()


def stands(change: ChangeRequest) -> str:
    """Return where a change stands by now."""
    return ChangeRequest.objects.values_list("state", flat=True).get(pk=change.pk)


def turns(outside: Outside, number: int) -> None:
    """Wait until two workers have swept that often again."""
    for _ in range(number):
        began = clock.now()
        wait_for(lambda began=began: Heartbeat.objects.filter(beat_at__gt=began).count() >= 2, what="a sweep")
