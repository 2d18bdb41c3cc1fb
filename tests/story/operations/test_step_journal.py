from datetime import timedelta

import pytest
from django.conf import settings

from releases.audit import queries as audit
from releases.core.errors import Rejected, Sentence, Stale, Unreachable
from releases.operations import queries, services
from releases.operations.models import OutboxMessage, Step
from releases.operations.ports import Done, Failed, NeedsHuman
from releases.operations.services import journal
from releases.operations.services.journal import LostLease
from tests.factories.operations import KIND, OPERATOR, Clock, Outside, a_pending, a_plan, an_operation, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outside():
    return Outside()


def step_of(operation, position=1):
    return operation.steps.get(position=position)


def states(operation):
    return [step.state for step in operation.steps.all()]


def messages(operation):
    refs = [operation.pk, *operation.steps.values_list("pk", flat=True)]
    return list(OutboxMessage.objects.filter(ref__in=refs).order_by("pk").values_list("kind", flat=True))


def test_a_step_is_looked_at_before_sent_once_and_confirmed(clock, outside):
    operation = work(an_operation(now=clock()), outside, clock)

    step = step_of(operation)
    assert (operation.state, step.state, step.prev) == ("succeeded", "confirmed", {"done": 0})
    assert outside.done == [step.op_key]
    assert [one.outcome for one in step.tries.all()] == ["sent"]


def test_its_end_is_settled_and_told_in_the_same_transaction(clock, outside):
    operation = work(an_operation(now=clock()), outside, clock)

    assert messages(operation) == ["test.settled", "operation.succeeded"]


def test_every_state_has_its_event_and_the_record_replays_to_the_tables(clock, outside):
    operation = work(an_operation(now=clock()), outside, clock)

    story = audit.story(operation.stream)
    moved = [entry.data["step_state"] for entry in story if "step_state" in entry.data]
    assert [entry.data["state"] for entry in story if "state" in entry.data] == ["pending", "running", "succeeded"]
    assert moved == ["sending", "applied", "confirmed"]
    assert audit.states_from_events()[operation.stream]["state"] == dict(queries.states())[operation.stream]


def test_what_takes_long_is_let_go_and_looked_at_when_it_is_due(clock, outside):
    outside.outcomes = [a_pending(seconds=10)]
    operation = work(an_operation(now=clock()), outside, clock)
    step = step_of(operation)
    assert (step.state, step.lease_until, step.data) == ("applied", None, {"progress": 50})

    clock.tick(9)
    assert work(operation, outside, clock).state == "running"
    clock.tick(1)
    assert work(operation, outside, clock).state == "succeeded"
    assert len(outside.done) == 1


def test_a_long_watch_is_not_mistaken_for_a_worker_that_dies(clock, outside):
    outside.outcomes = [a_pending(seconds=10) for _ in range(20)]
    operation = an_operation(now=clock())
    for _ in range(21):
        work(operation, outside, clock)
        clock.tick(10)

    assert operation.state == "succeeded"


def test_a_lost_answer_is_found_again_and_nothing_is_sent_twice(clock, outside):
    outside.sends = ["lost"]
    operation = work(an_operation(now=clock()), outside, clock)
    assert states(operation) == ["unknown"]

    clock.tick(2)
    assert work(operation, outside, clock).state == "succeeded"
    assert len(outside.done) == 1
    assert [one.outcome for one in step_of(operation).tries.all()] == ["found"]


def test_what_never_arrived_is_sent_again_only_when_the_lost_call_has_died(clock, outside):
    outside.sends = ["down"]
    operation = work(an_operation(now=clock()), outside, clock)

    clock.tick(5)
    assert states(work(operation, outside, clock)) == ["unknown"]
    assert outside.done == []
    clock.tick(settings.GMUD_LEASE_SECONDS)
    assert work(operation, outside, clock).state == "succeeded"
    assert [one.outcome for one in step_of(operation).tries.all()] == ["not_found", "sent"]


def test_what_is_harmless_to_repeat_is_sent_again_at_once(clock, outside):
    outside.sends = ["down"]
    operation = work(an_operation(now=clock(), steps=[a_plan(repeatable=True)]), outside, clock)

    clock.tick(2)
    assert work(operation, outside, clock).state == "succeeded"


def test_an_outside_that_never_takes_it_needs_a_human_after_five_sends(clock, outside):
    outside.sends = ["down"] * 9
    operation = an_operation(now=clock(), steps=[a_plan(repeatable=True)])
    for _ in range(12):
        work(operation, outside, clock)
        clock.tick(40)

    assert operation.state == "needs_human"
    assert step_of(operation).sends == 5


def test_three_blind_probes_need_a_human(clock, outside):
    outside.sends, outside.probes = ["lost"], [Unreachable("Silence.") for _ in range(3)]
    operation = work(an_operation(now=clock()), outside, clock)
    seen = []
    for _ in range(4):
        clock.tick(40)
        seen.append(work(operation, outside, clock).state)

    assert seen == ["running", "running", "needs_human", "needs_human"]
    assert messages(operation) == ["test.settled", "operation.needs_human"]


def test_a_clear_no_fails_the_operation_and_skips_what_was_not_begun(clock, outside):
    outside.sends = [Rejected("No such job.")]
    operation = work(an_operation(now=clock(), steps=[a_plan("a"), a_plan("b", stage=2)]), outside, clock)

    assert (operation.state, states(operation)) == ("failed", ["failed", "skipped"])
    assert str(queries.operation(operation.pk).steps[0].note) == "No such job."
    assert messages(operation) == ["test.settled", "operation.failed"]


def test_after_a_failure_a_neighbour_in_flight_is_let_finish(clock, outside):
    outside.outcomes = [a_pending(seconds=5), Failed(Sentence("The build broke."))]
    operation = an_operation(now=clock(), steps=[a_plan("a"), a_plan("b"), a_plan("c", stage=2)])
    work(operation, outside, clock)
    assert (operation.state, states(operation)) == ("running", ["applied", "failed", "skipped"])

    clock.tick(5)
    work(operation, outside, clock)
    assert (operation.state, states(operation)) == ("failed", ["confirmed", "failed", "skipped"])


def test_a_stage_waits_for_all_of_the_one_before(clock, outside):
    outside.outcomes = [a_pending(seconds=5)]
    operation = an_operation(now=clock(), steps=[a_plan("a"), a_plan("b"), a_plan("c", stage=2)])

    assert states(work(operation, outside, clock)) == ["applied", "confirmed", "todo"]
    clock.tick(5)
    assert states(work(operation, outside, clock)) == ["confirmed"] * 3


def test_the_deadline_needs_a_human_and_sends_nothing_any_more(clock, outside):
    operation = an_operation(now=clock(), minutes=10)
    clock.tick(601)

    assert work(operation, outside, clock).state == "needs_human"
    assert outside.done == []


def test_a_wait_past_the_deadline_needs_a_human(clock, outside):
    outside.outcomes = [a_pending(seconds=3600), a_pending(seconds=3600)]
    operation = work(an_operation(now=clock(), minutes=10), outside, clock)
    clock.tick(600)

    assert work(operation, outside, clock).state == "needs_human"


def test_what_finished_while_all_workers_were_dead_is_still_confirmed(clock, outside):
    outside.outcomes = [a_pending(seconds=5)]
    operation = work(an_operation(now=clock(), minutes=10), outside, clock)
    clock.tick(3600)

    assert work(operation, outside, clock).state == "succeeded"


def test_a_guard_of_the_outside_that_says_stale_needs_a_human_and_overwrites_nothing(clock, outside):
    outside.sends = [Stale("Somebody else changed the route.")]
    operation = work(an_operation(now=clock()), outside, clock)
    step = step_of(operation)
    assert (operation.state, outside.done) == ("needs_human", [])

    services.retry_step(step_id=step.pk, actor=OPERATOR, now=clock())
    assert step_of(operation).prev is None  # it is looked at afresh
    assert work(operation, outside, clock).state == "succeeded"


def test_an_error_nobody_foresaw_while_sending_is_unknown_and_probed(clock, outside):
    def send_and_break():
        outside.done.append(step_of(operation).op_key)
        raise KeyError("surprise")

    operation = an_operation(now=clock())
    outside.before_send = send_and_break
    assert states(work(operation, outside, clock)) == ["unknown"]

    clock.tick(40)
    assert work(operation, outside, clock).state == "succeeded"
    assert len(outside.done) == 1


def test_a_step_nobody_knows_how_to_do_needs_a_human_after_five_claims(clock, outside):
    operation = an_operation(now=clock(), steps=[a_plan(kind="no.such")])
    for _ in range(6):
        work(operation, outside, clock)
        clock.tick(40)

    assert operation.state == "needs_human"
    assert "No handler" in queries.operation(operation.pk).steps[0].error


def test_a_handler_that_cannot_settle_still_ends_in_a_call_for_a_human(clock, outside, monkeypatch):
    def broken(*_):
        raise ValueError("broken")

    monkeypatch.setattr(outside, "settle", broken)
    operation = an_operation(now=clock())
    for _ in range(6):
        work(operation, outside, clock)
        clock.tick(40)

    assert operation.state == "needs_human"
    assert len(outside.done) == 1


def test_a_worker_that_lost_its_lease_writes_nothing(clock, outside):
    operation = an_operation(now=clock())
    late = journal.claim(operation_id=operation.pk, worker="late", now=clock())
    clock.tick(settings.GMUD_LEASE_SECONDS)
    work(operation, outside, clock, worker="other")

    for write in (
        lambda: journal.intent(late, now=clock()),
        lambda: journal.sent(late, remote_ref="job/late", now=clock()),
        lambda: journal.end(late, Done(), handler=outside, now=clock()),
        lambda: journal.postpone(late, look_at=clock(), now=clock()),
    ):
        with pytest.raises(LostLease):
            write()
    assert step_of(operation).remote_ref == f"job/{step_of(operation).op_key}"
    assert messages(operation).count("test.settled") == 1


def test_a_worker_paused_past_its_lease_does_not_send(clock, outside):
    operation = an_operation(now=clock())
    held = journal.claim(operation_id=operation.pk, worker="paused", now=clock())
    journal.intent(held, now=clock())
    clock.tick(settings.GMUD_LEASE_SECONDS)

    with pytest.raises(LostLease):
        journal.look(held, now=clock())


def test_a_held_step_is_not_taken_by_another_worker(clock, outside):
    operation = an_operation(now=clock())
    journal.claim(operation_id=operation.pk, worker="first", now=clock())

    assert journal.claim(operation_id=operation.pk, worker="second", now=clock()) is None
    clock.tick(settings.GMUD_LEASE_SECONDS)
    assert journal.claim(operation_id=operation.pk, worker="second", now=clock()).fence == 2


def test_neighbours_of_a_stage_are_taken_by_different_workers(clock):
    operation = an_operation(now=clock(), steps=[a_plan("a"), a_plan("b"), a_plan("c", stage=2)])

    taken = [journal.claim(operation_id=operation.pk, worker=name, now=clock()) for name in "xyz"]
    assert [held and Step.objects.get(pk=held.step_id).name for held in taken] == ["a", "b", None]


def test_an_ended_or_unknown_operation_is_left_alone(clock, outside):
    operation = work(an_operation(now=clock()), outside, clock)
    fence = step_of(operation).fence

    work(operation, outside, clock)
    services.run(operation_id=OPERATION_NOBODY_KNOWS, worker="x", handlers={KIND: outside}, now=clock)
    assert step_of(operation).fence == fence
    assert len(outside.done) == 1


OPERATION_NOBODY_KNOWS = "01890000-0000-7000-8000-000000000000"


def test_a_page_gets_the_steps_with_their_tries(clock, outside):
    outside.outcomes = [NeedsHuman(Sentence("Look at %(what)s.", {"what": "the build"}))]
    operation = work(an_operation(now=clock()), outside, clock)

    view = queries.operation(operation.pk)
    assert (view.state, view.is_active, view.deadline_at - view.begun_at) == ("needs_human", True, timedelta(hours=1))
    assert str(view.steps[0].note) == "Look at the build."
    assert [one.outcome for one in view.steps[0].tries] == ["sent"]
    assert queries.active_on(operation.target) == view == queries.operations_of(operation.subject)[0]
