"""A deployment through the real engine, Jenkins, gate and cluster, all over HTTP."""

from datetime import timedelta

import pytest
from django.db import transaction

from releases.audit import queries as audit
from releases.core import breaker
from releases.core.errors import Missing, Reason, Refused, Sentence
from releases.delivery import queries, services
from releases.delivery.ports import Handle, Sighting
from releases.delivery.states import Act, State
from releases.delivery.steps import CallOffStep, DeployStep
from releases.operations import services as operations
from releases.operations.models import Step
from releases.operations.rules import DELIVERIES
from tests.factories.accounts import SETUP
from tests.factories.delivery import JOB, Clock, a_deployment, a_world, begin, control, fault, permit, run

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def world():
    with a_world() as found:
        yield found


class Permits:
    """Stands for the gate's service: gives permits, or refuses."""

    def __init__(self):
        self.asked = []
        self.refuses = False

    def __call__(self, deployment):
        self.asked.append((deployment.service.name, deployment.artifact.digest, deployment.intent))
        if self.refuses:
            sentence = Sentence("The gate is closed.")
            raise Refused(sentence, reasons=[Reason("outside_window", sentence)])
        return permit(str(deployment.pk))


@pytest.fixture
def permits():
    return Permits()


def deployed(deployment, permits, now, *, looks=200):
    clock = Clock(now)
    operation = begin([services.step_for(deployment)], deployment.change_id, now)
    ended = run(operation, {services.STEP_KIND: DeployStep(permits, clock)}, clock, looks=looks)
    return ended, queries.deployment(deployment.pk, now=clock.now)


def sent(world):
    return [one for one in world.jenkins.log if one["path"].endswith("/buildWithParameters")]


def test_a_deployment_is_requested_permitted_started_and_followed_to_its_end(world, permits, now):
    deployment = a_deployment(world)

    operation, card = deployed(deployment, permits, now)

    assert operation.state == "succeeded"
    assert (card.state, card.version, card.slot, card.job) == (State.SUCCEEDED, "v0.6.11", "canary", JOB)
    assert [(stage.name, stage.state) for stage in card.stages] == [
        ("Permit", State.SUCCEEDED),
        ("Deploy", State.SUCCEEDED),
        ("Verify", State.SUCCEEDED),
    ]
    assert card.url == f"{world.url}/job/ledger/job/deploy-ledgerwriter/1/"
    assert (card.has_ended, card.why, card.progress) == (True, None, None)
    assert card.age is not None
    assert world.deployed() == "v0.6.11"
    assert permits.asked == [("ledgerwriter", card.digest, "deploy")]
    kinds = [entry.kind for entry in audit.story(f"change:{card.change_id}")]
    assert kinds == ["deployment.requested", "deployment.started", "deployment.ended"]


def test_the_story_never_looks_like_a_move_of_the_change(world, permits, now):
    deployment = a_deployment(world)
    deployed(deployment, permits, now)

    assert all("state" not in entry.data for entry in audit.story(deployment.stream))


def test_what_is_approved_is_what_is_sent_whatever_the_binding_says(world):
    deployment = a_deployment(world)

    assert deployment.parameters["DIGEST"] == deployment.artifact.digest


def test_a_lost_answer_ends_in_one_build_and_one_deployment(world, permits, now):
    fault(world.url, "close_after", method="POST", path="buildWithParameters")

    operation, card = deployed(a_deployment(world), permits, now)

    assert (operation.state, card.state) == ("succeeded", State.SUCCEEDED)
    assert len(sent(world)) == len(world.job.builds) == 1


def test_a_sending_that_took_a_lease_to_get_to_its_order_sends_nothing_and_begins_anew(world, now, settings):
    clock, slow = Clock(now), [timedelta(seconds=settings.GMUD_LEASE_SECONDS)]
    deployment = a_deployment(world)

    def permits(one):
        clock.now += slow.pop() if slow else timedelta()
        return permit(str(one.pk))

    operation = begin([services.step_for(deployment)], deployment.change_id, now)
    ended = run(operation, {services.STEP_KIND: DeployStep(permits, clock)}, clock)

    assert (ended.state, len(sent(world)), len(world.job.builds)) == ("succeeded", 1, 1)
    assert Step.objects.get().sends == 2


class Slow:
    """A CI system that does not show at once what it took."""

    def __init__(self, blind):
        self.blind = blind

    def start(self, order):
        return Sighting(State.QUEUED, Handle(order.key, order.target.job, run="1"))

    def look(self, handle):
        self.blind -= 1
        return Sighting(State.LOST if self.blind >= 0 else State.SUCCEEDED, handle)


@pytest.mark.parametrize(("blind", "state"), [(2, "succeeded"), (100, "needs_human")])
def test_what_was_ordered_just_now_is_lost_only_when_it_does_not_show_within_a_minute(world, now, blind, state):
    deployment, clock, system = a_deployment(world), Clock(now), Slow(blind)
    operation = begin([services.step_for(deployment)], deployment.change_id, now)
    step = DeployStep(lambda _deployment: permit(), clock, lambda _deployment, _step: system)

    ended = run(operation, {services.STEP_KIND: step}, clock)

    assert ended.state == state
    assert (clock.now - now < timedelta(minutes=1)) == (state == "succeeded")


@pytest.mark.parametrize("do", ["500", "html", "close_before"])
def test_a_trigger_that_never_arrived_is_sent_again_and_builds_once(world, permits, now, do):
    fault(world.url, do, method="POST", path="buildWithParameters")

    operation, card = deployed(a_deployment(world), permits, now)

    assert (operation.state, card.state) == ("succeeded", State.SUCCEEDED)
    assert (len(sent(world)), len(world.job.builds)) == (2, 1)


def test_a_gate_that_gives_no_permit_sends_nothing_and_asks_a_human(world, permits, now):
    permits.refuses = True

    operation, card = deployed(a_deployment(world), permits, now)

    assert operation.state == "needs_human"
    assert card.state is State.REQUESTED
    assert sent(world) == []


def test_a_job_that_fails_ends_the_operation_with_its_sentence(world, permits, now):
    control(world.url, "settings", {"jobs": {JOB: {"outcomes": {"Verify": "UNSTABLE"}}}})

    operation, card = deployed(a_deployment(world), permits, now)

    assert (operation.state, card.state) == ("failed", State.FAILED)
    assert "unstable" in str(card.why)
    assert audit.story(f"change:{card.change_id}")[-1].data["deployment_state"] == "failed"


def test_a_job_that_cannot_take_the_order_fails_before_anything_is_sent(world, permits, now):
    control(world.url, "settings", {"jobs": {JOB: {"parameters": [{"name": "VERSION"}]}}})

    operation, card = deployed(a_deployment(world), permits, now)

    assert (operation.state, card.state) == ("failed", State.FAILED)
    assert "GMUD_CORRELATION" in str(card.why)
    assert sent(world) == []


def test_a_build_that_others_abort_fails_the_step(world, permits, now):
    control(world.url, "settings", {"jobs": {JOB: {"hold": "Deploy"}}})
    deployment = a_deployment(world)
    clock = Clock(now)
    operation = begin([services.step_for(deployment)], deployment.change_id, now)
    handlers = {services.STEP_KIND: DeployStep(permits, clock)}
    run(operation, handlers, clock, looks=5)
    world.jenkins.controller.stop(world.job.builds[1])

    operation = run(operation, handlers, clock)

    card = queries.deployment(deployment.pk, now=clock.now)
    assert (operation.state, card.state) == ("failed", State.ABORTED_EXTERNALLY)


def test_a_deployment_that_somebody_stops_is_canceled_at_jenkins(world, permits, now):
    control(world.url, "settings", {"jobs": {JOB: {"hold": "Deploy"}}})
    deployment = a_deployment(world)
    clock = Clock(now)
    operation = begin([services.step_for(deployment)], deployment.change_id, now)
    handlers = {services.STEP_KIND: DeployStep(permits, clock)}
    run(operation, handlers, clock, looks=5)
    assert not queries.deployment(deployment.pk, now=clock.now).has_ended

    services.ask(deployment_id=deployment.pk, act=Act.STOP, actor=SETUP, now=clock.now)
    services.ask(deployment_id=deployment.pk, act=Act.STOP, actor=SETUP, now=clock.now)
    operation = run(operation, handlers, clock)

    (card,) = queries.deployments_of(deployment.change_id, now=clock.now)
    assert (operation.state, card.state, card.stop_asked_by) == ("failed", State.CANCELED, SETUP.name)
    kinds = [entry.kind for entry in audit.story(deployment.stream)]
    assert kinds.count("deployment.stop_asked") == 1
    with pytest.raises(Refused):
        services.ask(deployment_id=deployment.pk, act=Act.STOP, actor=SETUP, now=clock.now)


def test_a_run_that_disappeared_asks_a_human(world, permits, now):
    control(world.url, "settings", {"jobs": {JOB: {"hold": "Deploy"}}})
    deployment = a_deployment(world)
    clock = Clock(now)
    operation = begin([services.step_for(deployment)], deployment.change_id, now)
    handlers = {services.STEP_KIND: DeployStep(permits, clock)}
    run(operation, handlers, clock, looks=5)
    world.jenkins.reset()

    operation = run(operation, handlers, clock)

    assert operation.state == "needs_human"
    assert queries.deployment(deployment.pk, now=clock.now).has_ended is False


def stopped(operation, now):
    with transaction.atomic(durable=True):
        operations.stop(operation_id=operation.pk, actor=SETUP, now=now)


def left_running(world, permits, clock):
    """Return a deployment whose build runs on, and the work that calls it off."""
    control(world.url, "settings", {"jobs": {JOB: {"hold": "Deploy"}}})
    deployment = a_deployment(world)
    operation = begin([services.step_for(deployment)], deployment.change_id, clock.now)
    run(operation, {services.STEP_KIND: DeployStep(permits, clock)}, clock, looks=5)
    stopped(operation, clock.now)
    work = services.call_off(operation_id=operation.pk, now=clock.now)
    assert services.call_off(operation_id=operation.pk, now=clock.now) == work
    return deployment, work


def is_back(world):
    """Let Jenkins answer again, and its breaker have rested."""
    world.jenkins.faults.clear()
    breaker._breakers.clear()


def calling_off(clock):
    return {services.CALL_OFF_STEP: CallOffStep(clock)}


def test_what_a_stopped_operation_left_running_is_stopped_at_jenkins_and_followed_to_its_end(world, permits, now):
    clock = Clock(now)
    deployment, work = left_running(world, permits, clock)
    assert queries.deployment(deployment.pk, now=now).has_ended is False

    assert run(work, calling_off(clock), clock).state == "succeeded"

    assert world.job.builds[1].result == "ABORTED"
    assert world.deployed() != "v0.6.11"
    assert queries.deployment(deployment.pk, now=now).state is State.CANCELED


def test_a_jenkins_that_is_down_for_long_is_asked_until_it_answers(world, permits, now):
    clock = Clock(now)
    _deployment, work = left_running(world, permits, clock)
    fault(world.url, "close_before", times=100_000)

    assert run(work, calling_off(clock), clock, looks=60).state == "running"
    assert work.steps.get().blind > DELIVERIES
    assert world.job.builds[1].in_progress
    is_back(world)

    assert run(work, calling_off(clock), clock).state == "succeeded"
    assert world.job.builds[1].result == "ABORTED"


def test_a_jenkins_that_is_down_past_the_deadline_asks_a_human_who_may_try_again(world, permits, now):
    clock = Clock(now)
    deployment, work = left_running(world, permits, clock)
    fault(world.url, "close_before", times=100_000)

    run(work, calling_off(clock), clock, looks=10)
    clock.now = work.deadline_at
    assert run(work, calling_off(clock), clock).state == "needs_human"

    assert queries.deployment(deployment.pk, now=now).has_ended is False
    is_back(world)
    operations.retry_step(step_id=work.steps.get().pk, actor=SETUP, now=clock.now)
    assert run(work, calling_off(clock), clock).state == "succeeded"
    assert world.job.builds[1].result == "ABORTED"


def test_an_order_that_is_nowhere_is_waited_for_until_its_call_has_certainly_died(world, permits, now):
    clock = Clock(now)
    deployment = a_deployment(world)
    operation = begin([services.step_for(deployment)], deployment.change_id, now)
    fault(world.url, "close_before", method="POST", path="buildWithParameters")
    run(operation, {services.STEP_KIND: DeployStep(permits, clock)}, clock, looks=1)
    stopped(operation, clock.now)
    work = services.call_off(operation_id=operation.pk, now=clock.now)

    assert run(work, calling_off(clock), clock, looks=1).state == "running"
    clock.now += timedelta(seconds=30)
    assert run(work, calling_off(clock), clock).state == "succeeded"

    assert world.job.builds == {}
    assert queries.deployment(deployment.pk, now=now).state is State.SUPERSEDED


def test_what_was_never_sent_is_closed_without_a_word_to_jenkins_and_others_are_left_alone(world, now):
    first, second = a_deployment(world), a_deployment(world, version="v0.6.10", intent="rollback")
    operation = begin([services.step_for(first)], first.change_id, now)
    begin([services.step_for(second)], second.change_id, now)
    stopped(operation, now)

    assert services.call_off(operation_id=operation.pk, now=now) is None

    assert list(world.jenkins.log) == []
    assert queries.deployment(first.pk, now=now).state is State.SUPERSEDED
    assert queries.deployment(second.pk, now=now).state is State.REQUESTED


def test_a_service_without_a_deploy_job_is_refused(world, now):
    deployment = a_deployment(world)
    deployment.service.bindings.all().delete()

    with pytest.raises(Refused, match="has no deploy job in production") as caught:
        a_deployment(world, version="v0.6.12")

    assert [reason.code for reason in caught.value.reasons] == ["no_deploy_job"]


def test_what_does_not_exist_is_missing(now):
    with pytest.raises(Missing):
        queries.deployment("01890a5d-ac96-774b-bcce-b302099a8057", now=now)
