"""What ``make run`` starts, and with which environment."""

import fcntl
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from gmud.demo import story
from gmud.demo.telling import ENTRANCES
from gmud.run import plan as plans
from tests.house.tree import ROOT


def a_plan(tmp_path: Path, *, port: int = 8000, **environment: str) -> plans.Plan:
    return plans.make(data=tmp_path, host="127.0.0.1", port=port, environment=environment)


def test_the_demo_has_stand_ins_on_the_ports_after_its_own(tmp_path):
    plan = a_plan(tmp_path, port=8123, GMUD_DEMO="1")

    assert plan.sandboxes == {
        "jenkins": 8124,
        "kubernetes": 8125,
        "prometheus": 8126,
        "spinnaker": 8127,
        "kong": 8128,
        "apisix": 8129,
    }
    assert [program.name for program in plans.sandboxes(plan)] == list(plan.sandboxes)


def test_the_stand_ins_stay_where_the_first_start_put_them(tmp_path):
    first = a_plan(tmp_path, port=8123, GMUD_DEMO="1")
    plans.make_room(first)

    second = a_plan(tmp_path, port=9000, GMUD_DEMO="1")

    assert second.port == 9000
    assert second.sandboxes == first.sandboxes


def test_the_stand_ins_that_change_keep_their_state_with_the_data(tmp_path):
    commands = {program.name: program.command for program in plans.sandboxes(a_plan(tmp_path, GMUD_DEMO="1"))}

    kept = {name: command[command.index("--state") + 1] for name, command in commands.items() if "--state" in command}
    changing = ("jenkins", "kubernetes", "spinnaker", "kong", "apisix")
    assert kept == {name: str(tmp_path / f"{name}.state.json") for name in changing}


def test_the_stand_ins_split_the_traffic_of_the_services_that_the_story_gives_them(tmp_path):
    commands = {program.name: program.command for program in plans.sandboxes(a_plan(tmp_path, GMUD_DEMO="1"))}

    def told(name, option):
        command = commands[name]
        return [value for at, value in enumerate(command) if command[at - 1] == option]

    assert dict(one.split("=") for one in told("kubernetes", "--plane")) == {
        name: about.plane for name, about in story.SERVICES.items()
    }
    assert (told("kong", "--service"), told("apisix", "--service")) == (["frontend"], ["contacts"])
    assert told("prometheus", "--kong") == ["http://127.0.0.1:8005"]
    assert told("prometheus", "--apisix") == ["http://127.0.0.1:8006"]


def test_the_story_knows_an_entrance_to_every_stand_in_in_the_order_of_their_ports():
    assert tuple(ENTRANCES) == plans.SANDBOXES


def test_the_broker_complains_into_a_file(tmp_path):
    (broker,) = plans.broker(a_plan(tmp_path))

    assert broker.command[-2:] == ("--logfile", str(tmp_path / "broker.log"))


def test_without_the_demo_nothing_stands_in_for_the_outside(tmp_path):
    plan = a_plan(tmp_path, GMUD_DEMO="0")

    assert plans.sandboxes(plan) == []
    assert plan.ports == [8000]
    assert "GMUD_OUTBOUND_NETWORKS" not in plans.environment_of(plan, {})


def test_a_given_broker_replaces_the_embedded_one(tmp_path):
    plan = a_plan(tmp_path, REDIS_URL="redis://127.0.0.1:1")

    assert plans.broker(plan) == []
    assert plans.environment_of(plan, {"REDIS_URL": "redis://127.0.0.1:1"})["REDIS_URL"] == "redis://127.0.0.1:1"


def test_the_embedded_broker_speaks_on_a_socket_in_the_data_folder(tmp_path):
    plan = a_plan(tmp_path)

    assert plans.environment_of(plan, {})["REDIS_URL"] == f"redis+socket://{tmp_path}/broker.sock"


def test_a_folder_too_deep_for_a_socket_gets_one_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)

    assert len(str(a_plan(deep).broker)) < 108


def test_the_rollback_queue_has_workers_of_its_own(tmp_path):
    commands = {program.name: program.command for program in plans.house(a_plan(tmp_path))}

    queues = {name: command[command.index("-Q") + 1] for name, command in commands.items() if "-Q" in command}
    assert queues == {
        "work-1": "deploy,notify,default",
        "work-2": "deploy,notify,default",
        "rollback-1": "rollback",
        "rollback-2": "rollback",
    }


def test_a_worker_is_started_again_however_often_it_dies(tmp_path):
    lasting = {program.name for program in plans.house(a_plan(tmp_path)) if program.lasting}

    assert lasting == set(plans.WORKERS)


def test_of_everything_there_can_be_two(tmp_path):
    programs = {program.name: program.command for program in plans.house(a_plan(tmp_path, GMUD_RUN_EACH="2"))}

    twins = {"web-1", "web-2", "beat-1", "beat-2", "sealer-1", "sealer-2"}
    assert set(programs) == twins | set(plans.WORKERS)
    assert programs["web-1"] == programs["web-2"]  # at one address
    assert {programs[name][-1] for name in ("beat-1", "beat-2")} == {str(tmp_path / f"beat-{n}") for n in (1, 2)}


def test_several_web_servers_count_in_one_folder_that_is_empty_at_the_start_and_one_needs_none(tmp_path):
    alone, both = a_plan(tmp_path), a_plan(tmp_path, GMUD_RUN_EACH="2")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "counter_7.db").touch()

    plans.make_room(both)

    assert plans.environment_of(both, {})["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path / "figures")
    assert list((tmp_path / "figures").iterdir()) == []
    assert "PROMETHEUS_MULTIPROC_DIR" not in plans.environment_of(alone, {})
    plans.make_room(alone)


def test_no_worker_forks(tmp_path):
    assert settings.CELERY_WORKER_POOL == "solo"
    for program in plans.house(a_plan(tmp_path)):
        assert not {"-P", "--pool", "-c", "--concurrency", "--autoscale"} & set(program.command)


def test_what_was_given_wins_over_defaults_but_not_over_the_plan(tmp_path):
    plan = a_plan(tmp_path, GMUD_DEMO="1")

    seen = plans.environment_of(plan, {"GMUD_PUBLIC_URL": "https://gmud.example", "GMUD_DATA": "elsewhere"})

    assert seen["GMUD_PUBLIC_URL"] == "https://gmud.example"
    assert seen["GMUD_DATA"] == str(tmp_path)


def run(tmp_path: Path, port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "gmud.run", "--port", str(port)),
        cwd=ROOT,
        env={"GMUD_DATA": str(tmp_path), "GMUD_DEMO": "0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_said_in_one_line(tmp_path, taken):
    done = run(tmp_path, taken)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Port {taken} is taken: stop what listens there, or say make run PORT={taken + 100}"
    ]
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["jenkins", "kubernetes", "prometheus"])
def test_a_port_that_the_demo_s_data_name_is_refused_in_one_line(tmp_path, name):
    first = a_plan(tmp_path, port=8123, GMUD_DEMO="1")
    plans.make_room(first)
    port = first.sandboxes[name]

    done = run(tmp_path, port, GMUD_DEMO="1")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Port {port} is where {name} of this demo listens: say make run PORT={port + 100}"
    ]
    assert a_plan(tmp_path, port=port, GMUD_DEMO="0").port == port


@pytest.mark.parametrize("port", [-1, 0, 65532, 65536, 10**9])
def test_a_port_that_leaves_no_room_is_refused_in_one_line(tmp_path, port):
    done = run(tmp_path, port, GMUD_DEMO="1")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"The port is {port}: give a number from 1 to 65529."]


def test_a_start_that_came_to_nothing_ties_the_stand_ins_to_no_port(tmp_path):
    a_plan(tmp_path, port=8123, GMUD_DEMO="1")

    assert a_plan(tmp_path, port=9000, GMUD_DEMO="1").sandboxes["jenkins"] == 9001


def test_what_helps_against_a_taken_port_depends_on_whether_the_data_name_it(tmp_path):
    plan = a_plan(tmp_path, port=8123, GMUD_DEMO="1")
    assert plans.why_taken(plan, 8124).endswith("say make run PORT=8223")

    plans.make_room(plan)

    assert plans.why_taken(plan, 8124).endswith("stop what listens there, or name another GMUD_DATA")
    assert plans.why_taken(plan, 8123).endswith("say make run PORT=8223")


def test_a_second_house_in_the_same_folder_is_refused_in_one_line(tmp_path, taken):
    with (tmp_path / "run.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run(tmp_path, taken)

    assert done.returncode == 1
    assert done.stderr.startswith("This house is running already")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("each", ["x", "0", "-1", "1.5", "33", "9" * 5000])
def test_a_number_of_each_that_is_none_is_refused_by_its_name(tmp_path, each):
    with pytest.raises(plans.BadSetting, match=r"GMUD_RUN_EACH is .*: give a number from 1 to 32"):
        a_plan(tmp_path, GMUD_RUN_EACH=each)


def test_a_number_of_each_that_is_none_is_said_in_one_line(tmp_path, taken):
    done = run(tmp_path, taken, GMUD_RUN_EACH="x")

    assert done.returncode == 1
    assert done.stderr.splitlines() == ["GMUD_RUN_EACH is 'x': give a number from 1 to 32."]
