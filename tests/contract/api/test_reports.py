"""Pull: a run asks the gate, redeems, deploys, and reports its start and its end; the permit is the key of both."""

from datetime import timedelta
from uuid import uuid4

import pytest

from releases.audit import queries as audit
from releases.changes.states import State
from releases.core import clock
from releases.delivery.models import Deployment
from releases.gate.models import Permit
from releases.gate.rules import Run
from releases.operations import queries as operations
from releases.operations import services as work
from releases.operations.models import OutboxMessage, Step
from releases.rollout.models import Rollout
from releases.worker.handlers import HANDLERS
from releases.worker.reactions import REACTIONS
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change
from tests.factories.gate import bind_job

PLACE = "/api/v1/deployments"
JSON = "application/json"
RUN = {"provider": "github", "id": "4711"}
OTHER = {"provider": "github", "id": "4712"}


@pytest.fixture
def change(house, now):
    starts, ends = now + timedelta(milliseconds=1), now + timedelta(hours=2)
    return a_change(house, at=State.SCHEDULED, starts_at=starts, ends_at=ends)


@pytest.fixture
def permit(house, change, ci):
    """Return the id of a permit that nobody took yet."""
    question = {
        "service": house.service.name,
        "environment": "production",
        "artifact": {"name": house.service.name, "digest": change.items.get().artifact.digest},
        "intent": "deploy",
        "run": RUN,
        "change_request": change.name,
    }
    said = ci.post("/api/v1/gate/decisions", question, JSON).json()
    return Permit.objects.get(decision_id=said["decision_id"]).pk


@pytest.fixture
def report(change, permit, ci):
    """Return a function that reports, after the run has redeemed its permit."""
    digest = change.items.get().artifact.digest
    taken = {"run": RUN, "artifact_digest": digest}
    assert ci.post(f"/api/v1/gate/permits/{permit}/redeem", taken, JSON).status_code == 200

    def tell(phase="start", outcome="", **more):
        body = {"permit": str(permit), "run": RUN, "artifact_digest": digest, "phase": phase}
        body |= {"outcome": outcome} if outcome else {}
        return ci.post(PLACE, {**body, **more}, JSON)

    return tell


def refusal(answer):
    said = answer.json()
    return answer.status_code, said["reasons"][0]["code"], said["detail"].partition(":")[0]


def worked(change):
    """Do what is due or waits to be looked at, as a worker would, until nothing is."""
    Step.objects.filter(look_at__isnull=False).update(look_at=clock.now())
    while due := work.sweep(now=clock.now() + timedelta(minutes=1)):
        for call in due:
            if call.kind == "operation":
                work.run(operation_id=call.id, worker="w", handlers=HANDLERS, now=clock.now)
            else:
                work.deliver(message_id=call.id, worker="w", reactions=REACTIONS, now=clock.now)
        if not OutboxMessage.objects.undone().exists():
            break
    change.refresh_from_db()
    return change.state


def test_a_run_reports_its_start_and_its_end_and_the_release_goes_on_by_itself(change, report):
    first, again = report(), report()

    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json()["id"], first.json()["state"]) == (again.json()["id"], "running")
    assert first.json()["reported_by"] == "github:4711"
    assert Rollout.objects.get(change=change).operation
    assert worked(change) == "implementing"

    ended = report("finish", "succeeded")
    assert (ended.status_code, ended.json()["said"], ended.json()["state"]) == (200, "succeeded", "running")
    assert report("finish", "succeeded").json() == ended.json()
    assert worked(change) == "watching"
    row = Deployment.objects.get()
    assert (row.state, row.connection, row.said_at is not None) == ("succeeded", None, True)
    assert report().status_code == 200  # late, or sent again by a proxy
    assert [one.kind for one in audit.story(change.stream) if str(one.kind).startswith("deployment.")].count(
        "deployment.started"
    ) == 1


def test_a_run_that_failed_ends_the_release_and_says_why(change, report):
    report()
    report("finish", "failed", message="no room on the nodes")

    assert worked(change) == "reviewing"
    row = Deployment.objects.get()
    assert (row.state, row.why["parts"]) == ("failed", {"run": "github:4711", "why": "no room on the nodes"})


def test_an_end_that_was_reported_is_never_changed(change, report):
    report()
    report("finish", "failed")

    assert refusal(report("finish", "succeeded")) == (409, "report_contradicts", "outcome")
    assert Deployment.objects.get().said == "failed"


def test_an_end_without_its_start_is_refused(report):
    assert refusal(report("finish", "succeeded")) == (409, "start_missing", "phase")
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("body", [{"phase": "finish"}, {"outcome": "succeeded"}, {"permit": ""}, {"phase": "later"}])
def test_a_report_that_says_too_little_names_the_field(report, body):
    answer = report(**body)

    assert answer.status_code == 400
    assert set(answer.json()["fields"]) <= {"outcome", "permit", "phase"}


def test_nothing_is_reported_before_the_permit_is_redeemed(change, permit, ci):
    digest = change.items.get().artifact.digest
    body = {"permit": str(permit), "run": RUN, "artifact_digest": digest, "phase": "start"}
    assert refusal(ci.post(PLACE, body, JSON)) == (409, "permit_not_redeemed", "permit")

    Permit.objects.filter(pk=permit).update(expires_at=clock.now(), issued_at=clock.now() - timedelta(minutes=5))
    assert refusal(ci.post(PLACE, body, JSON)) == (409, "permit_over", "permit")
    assert ci.post(PLACE, {**body, "permit": str(uuid4())}, JSON).status_code == 404
    assert not Deployment.objects.exists()


def test_a_permit_redeemed_in_time_may_be_reported_on_long_after_it_is_over(permit, report):
    Permit.objects.filter(pk=permit).update(issued_at=clock.now() - timedelta(minutes=6), expires_at=clock.now())

    assert report().status_code == 201
    assert report("finish", "succeeded").status_code == 200


def signals(change):
    rows = OutboxMessage.objects.filter(kind="deployment.report_refused", ref=change.pk)
    return [(row.data["run"], row.data["why"]["text"].partition(":")[0]) for row in rows]


def test_another_artifact_than_the_permits_is_refused_recorded_and_told(change, report):
    answer = report(artifact_digest="sha256:" + "0" * 64)

    assert refusal(answer) == (409, "artifact_mismatch", "artifact_digest")
    assert signals(change) == [("github:4711", "artifact_digest")]
    told = [one for one in audit.story(change.stream) if one.kind == "deployment.report_refused"]
    assert [(one.data["code"], one.data["run"]) for one in told] == [("artifact_mismatch", "github:4711")]
    assert not Deployment.objects.exists()


def test_a_run_that_holds_another_runs_permit_is_refused_recorded_and_told(change, report):
    assert refusal(report(run=OTHER)) == (409, "permit_replayed", "run")
    assert signals(change) == [("github:4712", "run")]


def test_of_two_runs_with_a_permit_each_the_second_can_neither_redeem_nor_report(house, change, report, ci):
    report()
    digest = change.items.get().artifact.digest
    question = {
        "service": house.service.name,
        "environment": "production",
        "artifact": {"name": house.service.name, "digest": digest},
        "intent": "deploy",
        "run": OTHER,
        "change_request": change.name,
    }
    second = Permit.objects.get(decision_id=ci.post("/api/v1/gate/decisions", question, JSON).json()["decision_id"]).pk
    taken = ci.post(f"/api/v1/gate/permits/{second}/redeem", {"run": OTHER, "artifact_digest": digest}, JSON)

    assert (taken.status_code, taken.json()["code"]) == (409, "permit_replayed")
    assert refusal(report(permit=str(second), run=OTHER)) == (409, "permit_not_redeemed", "permit")
    assert Deployment.objects.get().run == Run(**RUN).name


@pytest.fixture
def bound(house):
    """Bind a job of Jenkins to the service, before anything is approved."""
    bind_job(house, a_connection(origin="http://127.0.0.1:9", now=house.now).pk, "team/app/deploy")


def test_a_run_that_is_none_of_the_bound_job_is_refused_recorded_and_told(bound, change, report):
    assert refusal(report()) == (409, "wrong_run", "run")
    assert signals(change) == [("github:4711", "run")]
    assert not Deployment.objects.exists()


def test_what_was_released_by_hand_takes_no_report(change, report, machine):
    from releases.accounts.rights import Right

    assert machine(Right.CHANGE_RELEASE).post(f"/api/v1/changes/{change.number}/deployed", {}, JSON).status_code == 200

    assert report().status_code == 409
    assert not Deployment.objects.exists()


def test_a_report_calls_for_a_look_at_once_and_never_for_two_in_a_second(change, report):
    report()
    worked(change)
    step = Step.objects.get()
    assert step.look_at > clock.now() + timedelta(seconds=5)

    report("finish", "succeeded")
    step.refresh_from_db()
    assert step.look_at <= clock.now() + timedelta(seconds=1)
    assert step.look_at - step.heartbeat_at >= timedelta(seconds=1)


def test_a_release_that_is_stopped_closes_what_others_deploy_and_keeps_what_they_say_later(change, report, house):
    from releases.rollout import services as rollout

    report()
    worked(change)
    rollout.stop(change_id=change.pk, actor=house.actor("manager"), now=clock.now())
    worked(change)

    assert Deployment.objects.get().state == "superseded"
    assert report("finish", "succeeded").json()["said"] == "succeeded"
    assert Deployment.objects.get().state == "superseded"
    assert operations.active_on(change.stream) is None
