"""Whole builds through the stand-in by a client that others wrote for the real Jenkins: what it can do, holds there."""

import time
from types import SimpleNamespace

import api4jenkins.build
import pytest
from api4jenkins import Jenkins
from api4jenkins.exceptions import AuthenticationError, BadRequestError, ItemNotFoundError
from api4jenkins.job import Folder, WorkflowJob, WorkflowMultiBranchProject
from httpx import HTTPStatusError

from gmud.sandbox.jenkins import TOKEN, VERSION
from tests.factories.delivery import JOB, PARAMETERS, a_world, control, permit

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it closes no connection
BRANCH = "ledger/writer/feature%2Fretries"


@pytest.fixture
def world(monkeypatch):
    brief = SimpleNamespace(sleep=lambda _seconds: time.sleep(0.01))
    monkeypatch.setattr(api4jenkins.build, "time", brief)  # it waits a second before each part of a console
    with a_world(speed=40.0) as found:
        yield found


@pytest.fixture
def client(world):
    with a_client(world.url) as found:
        yield found


class a_client:  # noqa: N801 - reads as the sentence it begins
    """The client, signed in; its connections are closed at the end."""

    def __init__(self, url, user="gmud", secret=TOKEN):
        self.jenkins = Jenkins(url, auth=(user, secret))

    def __enter__(self):
        return self.jenkins

    def __exit__(self, *_error):
        self.jenkins.http_client.close()


def job(world, **fields):
    control(world.url, "settings", {"jobs": {JOB: fields}})


def order(**more):
    return {**PARAMETERS, "GMUD_CORRELATION": "by-another-client", "GMUD_PERMIT": permit("one"), **more}


def until(seen):
    deadline = time.monotonic() + 20
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def built(item):
    return until(item.get_build)


def finished(build):
    until(lambda: not build.in_progress)
    return build.result


def test_it_walks_the_folders_to_a_job_and_reads_what_that_takes(client):
    found = client.get_job(JOB)

    assert client.version == VERSION
    assert [type(one) for one in client] == [Folder] * 4
    assert (type(found), found.full_name) == (WorkflowJob, JOB)
    assert (found.buildable, found.next_build_number, found.get_last_build()) == (True, 1, None)
    assert [one["name"] for one in found.get_parameters()][:2] == ["GMUD_CORRELATION", "GMUD_PERMIT"]
    assert client.get_job("ledger/none") is None
    assert client.get_job("nobody/deploy") is None


def test_it_builds_with_parameters_from_queue_to_console(world, client):
    job(world, hold="Deploy")
    item = client.build_job(JOB, delay="0sec", **order())
    build = built(item)
    assert (build.building, build.number, build.queue_id) == (True, 1, item.id)
    job(world, hold="")

    lines = [line for line in build.progressive_output() if line]

    assert finished(build) == "SUCCESS"
    assert lines[0] == "Started by user gmud"
    assert lines[-1] == "Finished: SUCCESS"
    assert lines == [line for line in build.console_text() if line]
    assert {one.name: one.value for one in build.get_parameters()} == order()
    assert [one["userId"] for one in build.get_causes()] == ["gmud"]
    assert client.get_job(JOB).get_last_successful_build() == build == client.get_job(JOB)[1]
    assert world.deployed() == PARAMETERS["VERSION"]


def test_it_finds_what_waits_and_takes_it_out_of_the_queue(world, client):
    control(world.url, "settings", {"executors": 0})
    item = client.build_job(JOB, delay="0sec", **order())
    twin = client.build_job(JOB, delay="0sec", **order())
    waiting = until(lambda: client.queue.get(item.id))
    until(lambda: waiting._class.endswith("BuildableItem"))

    assert (twin, list(client.queue)) == (item, [item])  # folded, and told with 303
    assert waiting.api_json()["why"] == "Waiting for next available executor"
    assert item.get_build() is None
    item.cancel()

    assert list(client.queue) == []
    left = item.api_json()
    assert (left["_class"], left["cancelled"], left["why"]) == ("hudson.model.Queue$LeftItem", True, None)
    with pytest.raises(ItemNotFoundError):
        client.queue.cancel(item.id)


def test_it_sees_what_runs_and_stops_terminates_and_kills(world, client):
    job(world, hold="Deploy", deaf=["stop", "term"])
    build = built(client.build_job(JOB, delay="0sec", **order()))
    assert list(client.nodes.iter_building_builds()) == [build]

    for act in (build.stop, build.term):
        assert act().status_code == 302
        assert build.building
    build.kill()

    assert finished(build) == "ABORTED"
    assert list(client.nodes.iter_builds()) == []
    assert "Hard kill!" in build.console_text()


def test_it_answers_what_a_pipeline_asks(world, client):
    takes = [{"name": "REASON"}, {"name": "AGAIN", "kind": "choice", "choices": ["no", "yes"], "default": "no"}]
    job(world, ask={"Deploy": {"message": "Go live?", "parameters": takes}})
    build = built(client.build_job(JOB, delay="0sec", **order()))
    asked = until(build.get_pending_input)

    with pytest.raises(TypeError, match="input takes arguments"):
        asked.submit(NOBODY="x")
    asked.submit(REASON="agreed", AGAIN="no")

    assert finished(build) == "SUCCESS"
    assert build.get_pending_input() is None
    with pytest.raises(ItemNotFoundError):
        asked.submit()


def test_it_turns_down_what_a_pipeline_asks_and_is_refused_what_others_may_answer(world, client):
    job(world, ask={"Deploy": {"message": "Go live?", "submitter": "operator"}})
    build = built(client.build_job(JOB, delay="0sec", **order()))
    asked = until(build.get_pending_input)

    with pytest.raises(BadRequestError, match="You need to be operator"):
        asked.submit()
    asked.abort()

    assert finished(build) == "ABORTED"


def test_it_builds_a_branch_whose_name_has_a_slash(world, client):
    parameters = [{"name": "GMUD_CORRELATION"}]
    control(world.url, "settings", {"jobs": {BRANCH: {"branch": True, "parameters": parameters}}})
    project = client.get_job("ledger/writer")

    branch = project.get("feature%2Fretries")
    item = branch.build(delay="0sec", GMUD_CORRELATION="one")
    build = built(item)

    assert type(project) is WorkflowMultiBranchProject
    assert branch.url == f"{world.url}/job/ledger/job/writer/job/feature%252Fretries/"
    assert build.url == f"{branch.url}1/"
    assert item.get_job() == branch


def test_builds_stand_beside_each_other(world, client):
    first, second = [
        built(client.build_job(JOB, delay="0sec", **order(GMUD_CORRELATION=key))) for key in ("first", "second")
    ]
    finished(second)

    assert first.get_next_build() == second
    assert second.get_previous_build() == first
    assert (first.get_previous_build(), second.get_next_build()) == (None, None)
    assert list(client.get_job(JOB)) == [second, first]


def test_with_a_password_it_needs_a_crumb_and_with_a_wrong_one_nothing(world):
    job(world, parameters=[{"name": "GMUD_CORRELATION"}])
    with a_client(world.url, "operator", "correct horse battery") as jenkins:
        assert built(jenkins.build_job(JOB, delay="0sec", GMUD_CORRELATION="one")).number == 1
    with a_client(world.url, "gmud", "wrong") as jenkins, pytest.raises(AuthenticationError):
        jenkins.get_job(JOB)
    with a_client(world.url, "reader", TOKEN[::-1]) as jenkins, pytest.raises(PermissionError):
        jenkins.build_job(JOB, GMUD_CORRELATION="two")


def test_a_disabled_job_a_wrong_choice_and_a_server_that_starts_are_errors_to_it(world, client):
    with pytest.raises(HTTPStatusError, match="500"):
        client.build_job(JOB, **order(SLOT="elsewhere"))
    job(world, disabled=True)
    with pytest.raises(HTTPStatusError, match="409"):
        client.build_job(JOB, **order())
    control(world.url, "settings", {"starting": True})
    with pytest.raises(HTTPStatusError, match="503"):
        client.get_job(JOB)
    assert world.job.builds == {}
