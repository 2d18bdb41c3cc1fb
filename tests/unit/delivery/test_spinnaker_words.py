"""What Orca's words mean to us, and what an order to Spinnaker is made of."""

from datetime import UTC, datetime

import pytest

from gmud.sandbox.spinnaker.models import COMPLETE, HALTS, WAITING, ulid
from releases.core.errors import Rejected, Unreachable
from releases.core.http import Reply
from releases.delivery.ports import Handle
from releases.delivery.spinnaker import executions, tasks
from releases.delivery.spinnaker.client import failure
from releases.delivery.spinnaker.executions import MEANINGS
from releases.delivery.spinnaker.orders import parted, permit_id, reference, told_at
from releases.delivery.states import ENDS, Act, State
from tests.factories.delivery import permit

STATUSES = COMPLETE | WAITING | {"RUNNING", "PAUSED", "SUSPENDED", "REDIRECT"}


HANDLE = Handle("k", "a/b")


def seen(status, stages=(), handle=HANDLE, **more):
    return executions.sighting({"status": status, "stages": list(stages), **more}, handle, "")


def a_stage(status, **more):
    return {"id": "1", "name": "One", "type": "wait", "status": status, **more}


def test_every_status_has_a_meaning_and_the_complete_ones_are_ends():
    assert MEANINGS.keys() == STATUSES
    assert {status for status, meaning in MEANINGS.items() if meaning.run in ENDS} == COMPLETE
    assert {status for status, meaning in MEANINGS.items() if not meaning.acts} == COMPLETE


@pytest.mark.parametrize("status", sorted(HALTS | {"SKIPPED"}))
def test_what_halts_or_was_skipped_is_no_success(status):
    assert seen(status, [a_stage("SUCCEEDED")]).state is not State.SUCCEEDED


def test_a_success_needs_a_stage_that_did_something():
    assert seen("SUCCEEDED", [a_stage("SUCCEEDED"), a_stage("SKIPPED")]).state is State.SUCCEEDED
    assert seen("SUCCEEDED", [a_stage("SKIPPED")]).state is State.UNCHANGED
    assert seen("SUCCEEDED").state is State.UNCHANGED


def test_stages_that_orca_made_of_others_stand_on_no_ladder():
    stages = [a_stage("SUCCEEDED"), a_stage("RUNNING", parentStageId="1")]

    assert [one.state for one in seen("RUNNING", stages).stages] == [State.SUCCEEDED]


def test_progress_is_the_share_of_stages_that_ended():
    assert seen("RUNNING", [a_stage("SUCCEEDED"), a_stage("RUNNING"), a_stage("NOT_STARTED")]).progress == 1 / 3
    assert seen("RUNNING", [a_stage("SUCCEEDED")]).progress == 0.99
    assert seen("RUNNING").progress is None


def test_what_is_being_canceled_still_runs_and_can_be_stopped_once_more_at_most():
    one = seen("RUNNING", [a_stage("RUNNING")], canceled=True)

    assert (one.state, one.acts) == (State.RUNNING, {Act.STOP})


@pytest.mark.parametrize(
    ("told", "stop_asked", "state"),
    [
        ({"canceledBy": "spinnaker"}, False, State.SUPERSEDED),
        ({"canceledBy": "spinnaker", "startTime": 1}, False, State.ABORTED_EXTERNALLY),
        ({"canceledBy": "ana"}, False, State.ABORTED_EXTERNALLY),
        ({"canceledBy": "gmud"}, True, State.CANCELED),
    ],
)
def test_who_canceled_it_decides_what_it_is(told, stop_asked, state):
    assert seen("CANCELED", [], Handle("k", "a/b", stop_asked=stop_asked), **told).state is state


def test_a_run_carries_its_key_whatever_its_parameters_say():
    trigger = {"correlationId": "k1", "parameters": {"VERSION": 1, "KEY": "forged"}}
    one = {"id": "01K", "status": "SUCCEEDED", "stages": [a_stage("SUCCEEDED")], "trigger": trigger, "endTime": 1000}

    told = executions.run(one, "KEY")

    assert (told.name, told.parameters) == ("pipelines/01K", {"VERSION": "1", "KEY": "k1"})
    assert told.ended_at == datetime.fromtimestamp(1, tz=UTC)
    assert executions.run({**one, "status": "RUNNING", "endTime": None}, "KEY").ended_at is None


def test_an_execution_that_never_began_ended_when_it_was_made():
    one = {"id": "01K", "status": "TERMINAL", "stages": [], "trigger": {}, "endTime": None, "buildTime": 2000}

    assert executions.run(one, "KEY").ended_at == datetime.fromtimestamp(2, tz=UTC)


@pytest.mark.parametrize(
    ("stands", "stood", "wanted", "state"),
    [
        ("b", "a", "b", State.SUCCEEDED),
        ("b", "b", "b", State.SUCCEEDED),
        ("a", "a", "b", State.UNCHANGED),
        ("c", "a", "b", State.FAILED),
        ("a", "a", "", State.UNCHANGED),
        ("c", "a", "", State.SUCCEEDED),
        ("", "a", "b", State.FAILED),
        ("", "a", "", State.SUCCEEDED),
    ],
)
def test_a_task_is_believed_by_what_stands_there(stands, stood, wanted, state):
    assert tasks.proof(stands=stands, before={"stood": stood, "wanted": wanted}) is state


@pytest.mark.parametrize(
    ("job", "parts"),
    [("shop/Deploy to prod", ("shop", "Deploy to prod")), ("shop/a/b", ("shop", "a/b")), ("shop", ("shop", ""))],
)
def test_the_first_slash_parts_application_and_pipeline(job, parts):
    assert parted(job) == parts


def test_a_reference_tells_when_it_was_given():
    assert abs((told_at(f"pipelines/{ulid()}") - datetime.now(UTC)).total_seconds()) < 5
    assert told_at("pipelines/6f1c0000-0000-4000-8000-000000000000") is None


@pytest.mark.parametrize("ref", ["/pipelines/01K8", "/tasks/01K8"])
def test_a_reference_is_kept_without_its_slash(ref):
    assert reference(Reply(202, {}, f'{{"ref": "{ref}"}}'.encode()), {202}) == ref[1:]


@pytest.mark.parametrize("ref", ["https://elsewhere/pipelines/1", "/pipelines/../../x", "", "/applications/x"])
def test_a_reference_that_leads_elsewhere_is_none(ref):
    with pytest.raises(Unreachable):
        reference(Reply(202, {}, f'{{"ref": "{ref}"}}'.encode()), {202})


def test_the_id_of_a_permit_is_read_out_of_it_and_nothing_out_of_anything_else():
    assert permit_id(permit("one")) == "one"
    assert [permit_id(text) for text in ("", "a.b", "a.e30.c", "a.W10.c")] == [""] * 4


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 405, 409, 422])
def test_a_clear_no_is_a_rejection(status):
    assert isinstance(failure(Reply(status, {}, b'{"message": "no"}')), Rejected)


@pytest.mark.parametrize("status", [200, 204, 408, 425, 429, 500, 502, 503, 504])
def test_everything_else_is_not_known(status):
    assert isinstance(failure(Reply(status, {}, b"")), Unreachable)


def test_what_is_offered_to_do_is_what_the_status_allows():
    assert MEANINGS["RUNNING"].acts == {Act.STOP, Act.PAUSE}
    assert MEANINGS["PAUSED"].acts == {Act.STOP, Act.RESUME}
    assert MEANINGS["NOT_STARTED"].acts == MEANINGS["SUSPENDED"].acts == {Act.STOP}
