from datetime import timedelta

import pytest
from django.conf import settings
from django.db import transaction

from releases.audit import queries as audit
from releases.core.ids import uuid7
from releases.operations import bell, queries, services
from releases.operations.models import OutboxMessage
from tests.factories.operations import Clock, Outside, a_pending, an_operation, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def rings():
    """Return the calls of the bell."""
    calls = []
    bell.install(lambda *call: calls.append(call))
    return calls


def deliver(message, clock, *reactions, worker="one"):
    services.deliver(message_id=message.pk, worker=worker, reactions={"happened": reactions}, now=clock)
    message.refresh_from_db()
    return message


def a_message(clock, kind="happened"):
    return services.post(kind=kind, ref=uuid7(), now=clock(), data={"a": 1})


def test_the_bell_rings_when_the_transaction_is_committed(clock, rings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        message = a_message(clock)
        assert rings == []

    assert rings == [("default", "message", str(message.pk))]


def test_a_message_of_a_transaction_that_failed_was_never_posted(clock, rings, django_capture_on_commit_callbacks):
    def fail():
        with transaction.atomic():
            a_message(clock)
            raise ValueError("no")

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ValueError, match="no"):
        fail()

    assert (rings, OutboxMessage.objects.count()) == ([], 0)


def test_a_broken_bell_harms_nobody(clock, django_capture_on_commit_callbacks):
    def broken(*_):
        raise ConnectionError("The broker is gone.")

    bell.install(broken)
    with django_capture_on_commit_callbacks(execute=True):
        message = a_message(clock)

    assert message in OutboxMessage.objects.due(clock())


def test_everybody_who_reacts_hears_it_once(clock, heard):
    message = deliver(a_message(clock), clock, heard.append, heard.append)
    deliver(message, clock, heard.append)

    assert [(one.kind, one.ref, one.data) for one in heard] == [("happened", message.ref, {"a": 1})] * 2
    assert message.done_at == clock()


def test_a_message_nobody_waits_for_is_done(clock):
    assert deliver(a_message(clock, kind="of no interest"), clock).done_at


def test_an_unknown_message_is_left_alone(clock, heard):
    services.deliver(message_id=uuid7(), worker="x", reactions={}, now=clock)

    assert heard == []


def test_one_that_fails_does_not_keep_it_from_the_others_and_is_tried_again_later(clock, heard):
    def fails(_):
        raise ValueError("not today")

    message = deliver(a_message(clock), clock, fails, heard.append)
    assert (len(heard), message.done_at, message.available_at > clock()) == (1, None, True)
    assert "fails: ValueError('not today')" in message.last_error

    deliver(message, clock, heard.append)
    assert len(heard) == 1  # too early
    clock.tick(5)
    assert deliver(message, clock, heard.append).done_at


def test_poison_is_quarantined_after_five_tries_and_recorded(clock):
    def poison(_):
        raise ValueError("poison \x00")

    message, tries = a_message(clock), 0
    for _ in range(8):
        tries += 1
        if deliver(message, clock, poison).dead_at:
            break
        clock.tick(60)

    assert (tries, message.attempts, message.done_at) == (5, 5, None)
    [entry] = audit.story(f"message:{message.pk}")
    assert (entry.kind, entry.data["attempts"]) == ("message.quarantined", 5)
    assert queries.quarantined_messages() == 1


def test_one_that_kills_its_worker_counts_and_is_quarantined_too(clock):
    class Killed(BaseException):
        pass

    def kills(_):
        raise Killed

    message = a_message(clock)
    for _ in range(5):
        with pytest.raises(Killed):
            deliver(message, clock, kills)
        clock.tick(settings.GMUD_LEASE_SECONDS)

    assert deliver(message, clock, kills).dead_at
    assert message.attempts == 5


def test_a_claimed_message_waits_for_its_worker_or_for_the_end_of_the_claim(clock, heard):
    message = a_message(clock)

    def meanwhile(_):
        deliver(OutboxMessage.objects.get(pk=message.pk), clock, heard.append, worker="two")

    deliver(message, clock, meanwhile)
    assert heard == []


def test_a_late_worker_does_not_finish_what_another_has_taken(clock, heard):
    message = a_message(clock)

    def slow(_):
        clock.tick(settings.GMUD_LEASE_SECONDS)
        deliver(OutboxMessage.objects.get(pk=message.pk), clock, fails, worker="two")

    def fails(_):
        raise ValueError

    deliver(message, clock, slow, heard.append)
    assert heard == []  # the claim was lost: the rest is the other's
    assert (message.done_at, message.attempts) == (None, 2)


def test_the_sweep_finds_what_the_bell_missed_once_per_interval(clock):
    message, operation = a_message(clock), an_operation(now=clock(), urgent=True)
    assert services.sweep(now=clock()) == []  # they were rung a moment ago

    clock.tick(settings.GMUD_SWEEP_SECONDS)
    assert [(ring.queue, ring.kind, ring.id) for ring in services.sweep(now=clock())] == [
        ("rollback", "operation", operation.pk),
        ("default", "message", message.pk),
    ]
    assert services.sweep(now=clock()) == []
    clock.tick(settings.GMUD_SWEEP_SECONDS)
    assert len(services.sweep(now=clock())) == 2


def test_the_sweep_finds_every_row_whatever_the_order_of_commits(clock):
    posted = [a_message(clock) for _ in range(120)]
    late = OutboxMessage.objects.get(pk=posted[3].pk)
    OutboxMessage.objects.filter(pk=late.pk).update(available_at=clock() + timedelta(seconds=30))
    found = []
    for _ in range(10):
        clock.tick(settings.GMUD_SWEEP_SECONDS)
        for ring in services.sweep(now=clock()):
            found.append(ring.id)
            services.deliver(message_id=ring.id, worker="x", reactions={}, now=clock)

    assert sorted(found) == sorted(message.pk for message in posted)


def test_a_postponed_look_is_swept_when_it_is_due_not_later(clock):
    outside = Outside(outcomes=[a_pending(seconds=1)])
    operation = work(an_operation(now=clock()), outside, clock)

    assert services.next_due(now=clock()) == clock() + timedelta(seconds=1)
    clock.tick(1)
    assert operation.pk in [ring.id for ring in services.sweep(now=clock())]


def test_a_worker_is_alive_while_it_says_so(clock):
    services.heartbeat(worker="one", queues=["deploy"], now=clock())
    services.heartbeat(worker="one", queues=["deploy"], now=clock())

    assert [(card.name, card.queues) for card in queries.workers_alive(clock())] == [("one", ("deploy",))]
    clock.tick(60)
    assert queries.workers_alive(clock()) == []
