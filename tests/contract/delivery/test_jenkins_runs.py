"""What can be asked of a run at Jenkins, and who may: inputs, the three ways to end it, its console, its folders."""

import re
from urllib.parse import parse_qs

import pytest

from gmud.sandbox.jenkins import ACCOUNTS
from gmud.sandbox.jenkins_controller import PARAMETERS as DECLARED
from releases.core.errors import Rejected, Unreachable
from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.jenkins.client import LOG_BYTES
from releases.delivery.ports import Answer, Handle, Listed, Order, Parameter, Question, Target
from releases.delivery.states import Act, State
from tests.factories.delivery import (
    JOB,
    PARAMETERS,
    a_world,
    basic,
    control,
    door_to,
    fault,
    order,
    permit,
    requests_of,
)

MESSAGE = "Send customers there?"
TAKES = [
    {"name": "SHARE", "kind": "choice", "choices": ["10", "50"], "default": "10"},
    {"name": "NOTE", "default": "none"},
    {"name": "PIN", "kind": "password", "default": "not for anybody's eyes"},
]


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def settings(world, **job):
    control(world.url, "settings", {"jobs": {JOB: job}})


def asking(world, **question):
    """Return a run that waits with a question."""
    settings(world, ask={"Deploy": {"message": MESSAGE, **question}})
    return world.until(world.adapter.start(order()).handle, lambda one: bool(one.questions))


def posts(world, name="input"):
    return [one for one in requests_of(world.url) if one["method"] == "POST" and name in one["path"]]


def by(world, account):
    return JenkinsDelivery(door_to(world.url, basic(account)), pause=lambda _seconds: None)


# Inputs


def test_an_input_says_what_it_asks_what_it_takes_and_who_may_answer(world):
    seen = asking(world, submitter="ana,release-managers", parameters=TAKES)

    (asked,) = seen.questions
    assert re.fullmatch(r"[0-9A-F][0-9a-f]{31}", asked.id)
    assert asked == Question(
        asked.id,
        MESSAGE,
        ("ana", "release-managers"),
        (
            Parameter("SHARE", "10", ("10", "50")),
            Parameter("NOTE", "none"),
            Parameter("PIN", is_secret=True),
        ),
    )
    assert [one.state for one in seen.stages] == [State.SUCCEEDED, State.WAITING_INPUT]
    assert Question.from_json(asked.as_json()) == asked


def test_an_answer_gives_each_value_and_the_defaults_of_the_rest(world):
    seen = asking(world, parameters=TAKES[:2])
    build = world.job.builds[1]
    given = build.input

    world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=True, values={"SHARE": "50"}))

    (sent,) = posts(world)
    assert sent["path"].endswith(f"/1/input/{seen.questions[0].id}/proceed")
    assert parse_qs(sent["body"]).keys() == {"json"}
    assert (given.goes_on, given.values) == (True, {"SHARE": "50", "NOTE": "none"})
    assert any(line.startswith("Approved by") for line in build.lines)


def test_an_input_that_takes_nothing_goes_on_without_a_form(world):
    seen = asking(world)

    after = world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=True))

    assert [(one["path"].rsplit("/", 1)[1], one["body"]) for one in posts(world)] == [("proceedEmpty", "")]
    assert world.ended(after.handle).state is State.SUCCEEDED


@pytest.mark.parametrize("values", [{"SHARE": "75"}, {"WHO": "me"}], ids=["no choice", "not asked for"])
def test_a_value_that_the_input_does_not_take_is_refused_here(world, values):
    seen = asking(world, parameters=TAKES)

    with pytest.raises(Rejected, match="does not take"):
        world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=True, values=values))

    assert posts(world) == []


def test_an_input_for_others_is_refused_with_the_reason_of_jenkins_and_stays_open(world):
    seen = asking(world, submitter="ana")

    with pytest.raises(Rejected, match="You need to be ana to submit this"):
        world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=True))

    assert world.adapter.look(seen.handle).questions == seen.questions


def test_an_input_that_was_turned_down_from_here_cancels_the_run_and_deploys_nothing(world):
    seen = asking(world)

    after = world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=False))

    assert [one["path"].rsplit("/", 1)[1] for one in posts(world)] == ["abort"]
    assert world.ended(after.handle).state is State.CANCELED
    assert world.deployed() != PARAMETERS["VERSION"]


def test_an_input_that_somebody_answered_meanwhile_is_no_failure(world):
    seen = asking(world)
    fault(
        world.url, "status:400", method="POST", path="input", headers={"X-Error": "This input has been already given"}
    )
    world.jenkins.controller.settle(world.job.builds[1], goes_on=True, user="ana", values={})

    after = world.adapter.answer(seen.handle, Answer(seen.questions[0].id, goes_on=True))

    assert after.questions == ()
    assert world.ended(after.handle).state is State.SUCCEEDED


def test_a_server_without_the_names_of_submitters_shows_the_question_alone(world):
    seen = asking(world, submitter="ana")
    fault(world.url, "status:404", path="input/api/json")

    assert world.adapter.look(seen.handle).questions[0].may_answer == ()


# Three ways to end it


def test_a_build_is_ended_the_way_it_was_asked_and_never_harder_by_itself(world):
    settings(world, hold="Deploy", deaf=["stop", "term"])
    seen = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)

    stopped = world.adapter.act(seen.handle, Act.STOP)
    for _look in range(5):
        assert world.adapter.look(stopped.handle).state is State.RUNNING
    ended = world.adapter.act(stopped.handle, Act.TERMINATE)
    assert world.adapter.look(ended.handle).state is State.RUNNING
    killed = world.adapter.act(ended.handle, Act.KILL)

    assert [one["path"].rsplit("/", 1)[1] for one in posts(world, "/1/")] == ["stop", "term", "kill"]
    assert world.ended(killed.handle).state is State.CANCELED
    assert "Hard kill!" in world.adapter.log(killed.handle).text


def test_a_freestyle_build_knows_one_way_and_no_stages(world):
    settings(world, hold="Deploy", freestyle=True)
    seen = world.until(world.adapter.start(order()).handle, lambda one: one.state is State.RUNNING)

    with pytest.raises(Rejected, match="Only a pipeline"):
        world.adapter.act(seen.handle, Act.KILL)

    assert (seen.acts, seen.stages) == ({Act.STOP}, ())
    assert posts(world, "/1/") == []


@pytest.mark.parametrize("waits", [True, False])
def test_an_account_without_the_right_to_cancel_is_told_so(world, waits):
    settings(world, hold="Deploy")
    if waits:
        control(world.url, "settings", {"executors": 0})
    begun = world.adapter.start(order())
    seen = begun if waits else world.until(begun.handle, lambda one: one.state is State.RUNNING)

    with pytest.raises(Rejected, match="does not let this account" if waits else r"hudson\.model\.Item\.Cancel"):
        by(world, "reader").act(seen.handle, Act.STOP)


# The queue


def test_an_item_tells_why_it_waits_and_when_it_is_stuck(world):
    settings(world, label="mainframe")
    stuck = world.until(world.adapter.start(order()).handle, lambda one: one.is_stuck)
    control(world.url, "settings", {"quieting": True})
    settings(world, label="")
    quiet = world.until(stuck.handle, lambda one: "shut down" in str(one.why))

    assert str(stuck.why) == "Jenkins says: There are no nodes with the label ‘mainframe’"
    assert (quiet.state, quiet.is_stuck) == (State.QUEUED, False)


def test_an_order_skips_the_quiet_period_and_another_trigger_of_the_job_does_not_become_it(world):
    settings(world, quiet_seconds=3600)

    assert world.ended(world.adapter.start(order()).handle).state is State.SUCCEEDED


# The console


def test_the_console_comes_in_parts_that_join_without_notes_or_colours(world):
    settings(world, hold="Deploy")
    seen = world.until(world.adapter.start(order()).handle, lambda one: len(one.stages) == 2)
    first = world.adapter.log(seen.handle)
    world.job.builds[1].lines.append("\x1b[32mgreen\x1b[0m  <b>not markup</b>")
    settings(world, hold="")
    world.ended(seen.handle)
    rest = world.adapter.log(seen.handle, first.next)

    whole = world.adapter.log(seen.handle)
    assert (first.has_more, rest.has_more, whole.has_more) == (True, False, False)
    assert first.text + rest.text == whole.text
    assert first.text.startswith("Started by user gmud\n")
    assert "green  <b>not markup</b>\n" in rest.text
    assert whole.text.endswith("Finished: SUCCESS\n")
    assert first.next > len(first.text)  # what Jenkins counts is not what it sends


def test_of_a_console_without_end_only_the_end_is_read(world):
    seen = world.ended(world.adapter.start(order()).handle)
    build = world.job.builds[1]
    build.lines[:] = [f"line {number:06}" for number in range(300_000)]

    part = world.adapter.log(seen.handle)

    assert len(build.text()) > 3_000_000
    assert LOG_BYTES // 4 < len(part.text) <= LOG_BYTES
    assert part.text.startswith("[…]\nline 29")
    assert part.text.endswith("line 299999\n")
    assert (part.next, part.has_more) == (len(build.text()), False)


def test_a_permit_that_a_job_prints_is_not_shown(world):
    wanted = order()
    seen = world.ended(world.adapter.start(wanted).handle)
    world.job.builds[1].lines.append(f"+ gmud permit redeem {wanted.permit} --service ledgerwriter")

    text = world.adapter.log(seen.handle).text

    assert wanted.permit not in text
    assert "+ gmud permit redeem [token] --service" in text


def test_a_console_that_does_not_say_where_it_goes_on_is_not_believed(world):
    seen = world.ended(world.adapter.start(order()).handle)
    fault(world.url, "status:200", path="progressiveText", body="sign in, please")

    with pytest.raises(Unreachable):
        world.adapter.log(seen.handle)


def test_what_has_not_begun_or_was_deleted_has_no_console(world):
    seen = world.ended(world.adapter.start(order()).handle)
    world.job.builds.clear()

    assert world.adapter.log(Handle("gmud-k", JOB, ticket="1")).text == ""
    assert world.adapter.log(seen.handle, 7) == type(world.adapter.log(seen.handle))(next=7)


# Folders and branches


def test_folders_and_branches_are_listed_and_a_branch_with_a_slash_is_deployed(world):
    name = "ledger/writer/feature%2Ffast path"
    declared = [{"name": one, "kind": kind, "choices": choices} for one, kind, choices in DECLARED]
    control(world.url, "settings", {"jobs": {name: {"branch": True, "parameters": declared}}})
    target = Target(name, PARAMETERS)

    done = world.ended(world.adapter.start(Order("gmud-branch", target, permit())).handle)

    assert Listed("ledger", is_folder=True) in world.adapter.jobs()
    assert Listed("ledger/writer", is_folder=True) in world.adapter.jobs("ledger")
    assert world.adapter.jobs("ledger/writer") == (Listed(name),)
    assert done.state is State.SUCCEEDED
    assert done.url == f"{world.url}/job/ledger/job/writer/job/feature%252Ffast%20path/1/"
    assert {one["path"] for one in posts(world, "build")} == {
        "/job/ledger/job/writer/job/feature%252Ffast%20path/buildWithParameters"
    }


@pytest.mark.parametrize("folder", ["ledger", "ledger/writer"])
def test_a_folder_and_a_multibranch_project_are_not_deployed(world, folder):
    control(world.url, "settings", {"jobs": {"ledger/writer/main": {"branch": True}}})

    (reason,) = world.adapter.preflight(Target(folder, PARAMETERS)).reasons
    with pytest.raises(Rejected, match="Name one of the jobs in it"):
        world.adapter.parameters(folder)

    assert str(reason) == f"{folder} is a folder or has a job for each branch. Name one of the jobs in it."


def test_a_branch_that_is_not_there_hints_at_the_proxy_that_may_have_changed_its_address(world):
    (reason,) = world.adapter.preflight(Target("ledger/writer/feature%2Fx")).reasons

    assert "a proxy changes the % in its address" in str(reason)


def test_a_folder_that_is_not_there_is_a_clear_no(world):
    with pytest.raises(Rejected, match="no folder nowhere"):
        world.adapter.jobs("nowhere")


def test_the_parameters_of_a_job_are_told_with_their_choices(world):
    settings(world, parameters=[{"name": "FAST", "kind": "boolean", "default": "true"}, *TAKES])

    assert world.adapter.parameters(JOB) == (
        Parameter("FAST", "true"),
        Parameter("SHARE", "10", ("10", "50")),
        Parameter("NOTE", "none"),
        Parameter("PIN", is_secret=True),
    )


# Signing in


def test_with_a_password_every_post_gets_a_crumb_and_the_whole_order_is_one_build(world):
    adapter = by(world, "operator")

    done = world.ended(adapter.start(order()).handle)
    settings(world, hold="Deploy")
    running = world.until(adapter.start(order()).handle, lambda one: one.state is State.RUNNING)
    stopped = adapter.act(running.handle, Act.STOP)

    assert done.state is State.SUCCEEDED
    assert world.ended(stopped.handle).state is State.CANCELED
    assert len(world.job.builds) == 2
    taken = [one for one in requests_of(world.url) if one["method"] == "POST" and one["status"] < 400]
    assert all({"cookie", "jenkins-crumb"} <= one["headers"].keys() for one in taken)


def test_with_a_token_no_crumb_is_fetched_and_no_session_kept(world):
    world.ended(world.adapter.start(order()).handle)

    sent = requests_of(world.url)
    assert not [one for one in sent if "crumb" in one["path"]]
    assert not [one for one in sent if {"cookie", "jenkins-crumb"} & one["headers"].keys()]


def test_a_server_without_crumbs_that_asks_for_one_is_refused_clearly(world):
    fault(world.url, "status:404", path="crumbIssuer", times=9)

    with pytest.raises(Rejected):
        by(world, "operator").start(order())

    assert world.job.builds == {}


def test_a_choice_that_jenkins_alone_knows_to_be_illegal_is_a_clear_no(world):
    """Jenkins answers 500; the choices changed between our look at them and the order."""
    fault(world.url, "status:500", method="POST", body="Illegal choice for parameter SLOT: canary")

    with pytest.raises(Rejected, match="parameter SLOT"):
        world.adapter.start(order())


def test_the_stages_of_an_ill_plugin_are_left_out_and_the_build_still_decides(world):
    handle = world.ended(world.adapter.start(order()).handle).handle
    fault(world.url, "500", path="wfapi")

    seen = world.adapter.look(handle)

    assert (seen.state, seen.stages) == (State.SUCCEEDED, ())


def test_an_account_that_does_not_exist_is_a_clear_no():
    assert "stranger" not in ACCOUNTS
    with a_world() as world, pytest.raises(Rejected, match="token"):
        JenkinsDelivery(door_to(world.url, basic("gmud", "11" + "0" * 32))).version()
