"""Real workers, broker and database: killed, paused, raced and lied to; the outside counts what was done to it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client

from releases.changes.states import State
from releases.core import clock
from releases.core.ids import uuid7
from releases.operations import bell, failpoints, queries, services
from releases.operations.models import Operation, OutboxMessage, Step
from releases.operations.ports import StepPlan
from tests.factories.changes import a_change, a_house
from tests.factories.operations import an_operation
from tests.fault.harness import ROOT, House, house, kill, state_of, wait_for
from tests.fault.operations.outside import Outside, outside_system

APP = "tests.fault.operations.app"
# What else must go wrong for a worker to come by; a place that is not here is on everybody's way.
BEFORE = {"after_probe": "after_send", "after_found": "after_send", "after_not_found": "after_intent"}
ELSEWHERE = {"before_ring"}  # it is not a worker that dies there
PLACES = [name for name in failpoints.names() if name not in ELSEWHERE]
NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def outside():
    with outside_system() as outside:
        yield outside


@pytest.fixture(scope="module")
def place(tmp_path_factory, django_db_setup, django_db_blocker, outside):
    more = {"GMUD_TEST_OUTSIDE": outside.address}
    with django_db_blocker.unblock(), house(tmp_path_factory.mktemp("house"), app=APP, more=more) as place:
        yield place


@pytest.fixture(autouse=True)
def ready(place, outside, silent_bell):
    """Begin each test with nothing armed and our own bell."""
    place.crew.disarm()
    outside.lose = 0
    bell.install(place.broker.ring)
    yield
    place.crew.disarm()
    for worker in place.crew.alive():
        if state_of(worker.pid) == "T":
            kill(worker)


def staff(place: House, people: int) -> None:
    """See to it that so many workers live, all of the plain kind."""
    place.crew.hire(max(0, people - len(place.crew.alive())))


def begin(*, polls: int = 0, steps: int = 1) -> Operation:
    plans = [StepPlan(name=str(n), kind="test.effect", desired={"polls": polls}) for n in range(steps)]
    with transaction.atomic():
        return an_operation(now=clock.now(), steps=plans)


def ended(operation: Operation) -> bool:
    operation.refresh_from_db()
    return operation.state not in {"pending", "running"}


def settled(operation: Operation) -> list[OutboxMessage]:
    return list(OutboxMessage.objects.filter(kind="test.settled", ref__in=operation.steps.values("pk")))


def check(operation: Operation, outside: Outside, report: Callable[[], str]) -> None:
    """Everything was done once, everything is told once, nothing is left."""
    wait_for(lambda: ended(operation), what=f"the end of {operation.pk}", report=report)
    assert operation.state == "succeeded"
    for step in operation.steps.all():
        assert (step.name, step.state, outside.done[step.op_key]) == (step.name, "confirmed", 1)
    wait_for(lambda: all(message.done_at for message in settled(operation)), what="the messages", report=report)
    assert len(settled(operation)) == operation.steps.count()


@pytest.mark.parametrize("name", PLACES)
def test_a_worker_killed_at_any_place_is_replaced_and_nothing_is_done_twice(place, outside, name):
    staff(place, 3 if name in BEFORE else 2)
    outside.lose = 1 if name == "after_unknown" else 0
    for armed in filter(None, [BEFORE.get(name), name]):
        place.crew.arm(armed)
    before = len(place.crew.alive())

    operation = begin(polls=1)

    check(operation, outside, place.crew.report)
    wait_for(lambda: place.crew.struck(name), what=name)
    wait_for(lambda: len(place.crew.alive()) < before, what="a death")
    for message in settled(operation):
        # heard at least once, and twice only when the worker died between the reaction and its tick
        assert 1 <= outside.heard[str(message.pk)] <= 1 + (name == "outbox_reacted")


def test_the_id_of_a_click_stands_in_the_line_that_a_real_worker_writes_about_it(place):
    staff(place, 1)
    team = a_house(clock.now())
    change = a_change(team, at=State.DRAFT)
    browser = Client()
    browser.force_login(team.engineer.accounts.get(), backend="releases.accounts.backends.PersonBackend")

    answer = browser.post(f"/changes/{change.number}/do/submit")

    name = answer.headers["X-Request-ID"]
    message = OutboxMessage.objects.get(kind="change.submit", ref=change.pk)

    def told() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in place.crew.logs().splitlines() if line.startswith("{")]
        return [one for one in lines if one.get("event") == "reaction_failed" and one["message"] == str(message.pk)]

    wait_for(told, what="the line", report=place.crew.report)
    OutboxMessage.objects.filter(pk=message.pk).update(done_at=clock.now())  # enough of it
    assert len(name) == 36
    assert {one["request_id"] for one in told()} == {name}
    assert "It stumbles." in str(told()[0]["exception"])


def test_a_web_process_killed_between_commit_and_bell_loses_nothing(place, outside):
    staff(place, 1)
    place.crew.arm("before_ring")
    script = (
        "import django; django.setup()\n"
        "from django.db import transaction\n"
        "from releases.core import clock\n"
        "from releases.operations.ports import StepPlan\n"
        "from tests.factories.operations import an_operation\n"
        "with transaction.atomic():\n"
        "    step = StepPlan(name='a', kind='test.effect')\n"
        "    an_operation(now=clock.now(), target='killed in the web', steps=[step])\n"
    )
    environment = {
        **place.crew.environment,
        "GMUD_FAILPOINTS": "before_ring",
        "DJANGO_SETTINGS_MODULE": "gmud.settings",
        "PYTHONPATH": str(ROOT),
    }
    died = subprocess.run((sys.executable, "-c", script), env=environment, cwd=ROOT, check=False, capture_output=True)

    assert died.returncode == -signal.SIGKILL, died.stderr
    check(Operation.objects.get(target="killed in the web"), outside, place.crew.report)


def test_a_killed_worker_is_started_again_by_its_supervisor(place, outside):
    place.crew.dismiss()
    supervisor = place.crew.supervise()
    place.crew.arm("after_send")

    check(begin(), outside, place.crew.report)
    assert place.crew.struck("after_send")
    assert supervisor.poll() is None
    place.crew.release(supervisor)


def test_a_worker_that_no_longer_hears_does_the_work_and_makes_place_for_one_that_does(place, outside):
    place.crew.dismiss()
    supervisor = place.crew.supervise(more={"GMUD_TEST_SILENCE": "2", "GMUD_TEST_DEAF": str(place.folder / "deaf")})

    check(begin(), outside, place.crew.report)
    wait_for(lambda: "it no longer hears the broker" in place.crew.logs(), what="an end", report=place.crew.report)
    check(begin(), outside, place.crew.report)
    assert supervisor.poll() is None
    place.crew.release(supervisor)


def test_a_worker_whose_task_does_not_end_makes_place_for_another_that_does_it(place, outside):
    place.crew.dismiss()
    supervisor = place.crew.supervise(more={"GMUD_TEST_LONGEST": "2"})

    hanging = services.post(kind="test.hang", ref=uuid7(), now=clock.now())

    wait_for(lambda: OutboxMessage.objects.get(pk=hanging.pk).done_at, what="its end", report=place.crew.report)
    assert OutboxMessage.objects.get(pk=hanging.pk).attempts == 2
    assert "a task does not end" in place.crew.logs()
    assert supervisor.poll() is None
    place.crew.release(supervisor)


def test_workers_that_race_for_the_same_steps_do_each_once(place, outside):
    staff(place, 2)
    operations = [begin(steps=3) for _ in range(3)]
    for _ in range(5):
        for operation in operations:
            place.broker.ring("deploy", "operation", str(operation.pk))

    for operation in operations:
        check(operation, outside, place.crew.report)
    workers = set(Step.objects.filter(operation__in=operations).values_list("lease_owner", flat=True))
    assert len(workers) >= 1


@pytest.mark.postgres
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a paused process may hold SQLite's one lock")
@pytest.mark.parametrize("name", ["after_intent", "after_send"])
def test_a_worker_paused_past_its_lease_may_not_write_when_it_wakes(place, outside, name):
    place.crew.dismiss()
    [sleeper] = place.crew.hire(pause=name)
    place.crew.arm(name)
    operation = begin()
    wait_for(lambda: state_of(sleeper.pid) == "T", what="the pause")
    place.crew.hire()
    check(operation, outside, place.crew.report)
    step = Step.objects.get(operation=operation)

    os.kill(sleeper.pid, signal.SIGCONT)

    wait_for(lambda: "lease_lost" in place.crew.logs(), what="the refusal")
    later = Step.objects.get(operation=operation)
    assert (later.fence, later.state, later.lease_owner) == (step.fence, step.state, step.lease_owner)
    assert outside.done[step.op_key] == 1
    place.crew.dismiss()


def test_when_the_broker_is_gone_the_sweep_does_the_work(place, outside):
    staff(place, 2)
    place.broker.kill()
    try:
        check(begin(polls=2), outside, place.crew.report)
    finally:
        place.broker.start()
    check(begin(), outside, place.crew.report)


def test_a_broker_that_forgets_everything_loses_nothing(place, outside):
    staff(place, 2)
    operations = []
    for _ in range(4):
        operations.append(begin(polls=1, steps=2))
        place.broker.forget()

    for operation in operations:
        check(operation, outside, place.crew.report)


def test_a_message_that_kills_its_worker_is_quarantined_and_the_others_go_on(place, outside):
    place.crew.dismiss()
    supervisor = place.crew.supervise(2, more={"GMUD_LEASE_SECONDS": "0.5"})
    now = clock.now()
    poison = services.post(kind="test.poison", ref=uuid7(), now=now)
    others = [services.post(kind="test.settled", ref=uuid7(), now=now) for _ in range(5)]

    wait_for(lambda: OutboxMessage.objects.get(pk=poison.pk).dead_at, what="the quarantine", report=place.crew.report)
    assert OutboxMessage.objects.get(pk=poison.pk).attempts == 5
    wait_for(lambda: all(outside.heard[str(one.pk)] for one in others), what="the others", report=place.crew.report)
    assert supervisor.poll() is None
    place.crew.release(supervisor)


def test_forged_messages_do_nothing_and_harm_nobody(place, outside):
    staff(place, 1)
    finished = begin()
    check(finished, outside, place.crew.report)
    done, fence = outside.done.total(), finished.steps.get().fence
    publish = place.broker.publish

    publish("deploy", "operation_run", NOBODY)
    publish("deploy", "operation_run", str(finished.pk))
    publish("default", "message_deliver", str(settled(finished)[0].pk))
    publish("deploy", "operation_run", "; touch somewhere")
    publish("deploy", "operation_run", {"id": str(finished.pk)})
    publish("deploy", "operation_run", str(finished.pk), "more", "arguments")
    publish("deploy", "os.system", "touch somewhere")
    publish("deploy", "celery.map", {"task": "operation_run"}, [[str(finished.pk)]])
    publish("deploy", "operation_run", str(finished.pk), serializer="pickle")

    wait_for(lambda: not (place.broker.waiting("deploy") or place.broker.waiting("default")), what="the queues")
    check(begin(), outside, place.crew.report)
    finished.refresh_from_db()
    assert (outside.done.total(), finished.steps.get().fence) == (done + 1, fence)
    assert len(place.crew.alive()) >= 1


def test_every_worker_gives_a_sign_of_life(place):
    staff(place, 1)

    wait_for(lambda: queries.workers_alive(clock.now()), what="a sign of life")
    assert all(
        set(card.queues) == {"rollback", "deploy", "notify", "default"} for card in queries.workers_alive(clock.now())
    )


@pytest.mark.postgres
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="row locks that step aside are PostgreSQL's")
def test_two_sweeps_at_once_never_call_for_the_same_row(place):
    now = clock.now() - timedelta(minutes=1)
    bell.install(lambda *_: None)
    place.crew.dismiss()
    posted = {services.post(kind="of no interest", ref=uuid7(), now=now).pk for _ in range(100)}
    barrier, found = threading.Barrier(4), []

    def sweep():
        barrier.wait()
        for _ in range(3):
            found.extend(call.id for call in services.sweep(now=clock.now()))
        connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ours = [one for one in found if one in posted]
    assert len(ours) == len(set(ours)) > 0
