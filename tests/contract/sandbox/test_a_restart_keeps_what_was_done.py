"""A stand-in that ends, however it ends, knows at its next start what it knew: like the systems it stands for."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from urllib.parse import urlencode

import pytest

from releases.delivery.jenkins.adapter import JenkinsDelivery
from releases.delivery.states import State
from tests.factories.delivery import JOB, PARAMETERS, TARGET, ask, basic, control, door_to, order

PATIENCE_SECONDS = 30
FULL = {"Authorization": "Bearer sandbox-full"}
CANARY = "/apis/apps/v1/namespaces/bank-production/deployments/ledgerwriter-canary"
ROUTE = "/apis/networking.istio.io/v1/namespaces/bank-production/virtualservices/ledgerwriter"
JOB_PATH = "/job/ledger/job/deploy-ledgerwriter"
AUTHORIZED = {"Authorization": basic()}


@contextlib.contextmanager
def process(name, *arguments, end=signal.SIGTERM):
    """Run a stand-in while the block lasts; give its address."""
    command = [sys.executable, "-m", f"gmud.sandbox.{name}", *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "GMUD_STRICT"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as started:
        try:
            yield started.stdout.readline().removeprefix("ready ").strip()
        finally:
            started.send_signal(end)
            started.wait(timeout=PATIENCE_SECONDS)


def patch(url, path, kind, body):
    headers = {**FULL, "Content-Type": f"application/{kind}"}
    return ask(url, "PATCH", path, body=json.dumps(body), headers=headers)


def deploy(url, version):
    return patch(
        url, CANARY, "merge-patch+json", {"spec": {"template": {"metadata": {"labels": {"version": version}}}}}
    )


def shift(url, stable, canary):
    return patch(
        url,
        ROUTE,
        "json-patch+json",
        [
            {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": stable},
            {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": canary},
        ],
    )


def seen(url, path):
    return json.loads(ask(url, "GET", path, headers=FULL).text)


def traffic(url):
    state = json.loads(ask(url, "GET", "/_sandbox/state").text)["traffic"]
    return next(one for one in state if (one["namespace"], one["service"]) == ("bank-production", "ledgerwriter"))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_cluster_keeps_weights_versions_and_what_the_server_counts(tmp_path, end):
    state = ("--state", tmp_path / "state.json")
    with process("kubernetes", *state, end=end) as url:
        assert deploy(url, "v0.7.0").status == 200
        assert shift(url, 0, 100).status == 200
        before = [seen(url, CANARY), seen(url, ROUTE)]

    with process("kubernetes", *state) as url:
        assert traffic(url)["weights"] == {"stable": 0, "canary": 100}
        assert traffic(url)["versions"] == {"stable": "v0.6.10", "canary": "v0.7.0"}
        assert [seen(url, CANARY), seen(url, ROUTE)] == before
        shift(url, 100, 0)
        later = int(seen(url, ROUTE)["metadata"]["resourceVersion"])
    assert later > max(int(one["metadata"]["resourceVersion"]) for one in before)


def test_a_cluster_without_a_change_keeps_its_identities(tmp_path):
    state = ("--state", tmp_path / "state.json")
    with process("kubernetes", *state, end=signal.SIGKILL) as url:
        before = seen(url, ROUTE)
    with process("kubernetes", *state) as url:
        assert seen(url, ROUTE) == before


def test_what_another_writer_did_is_kept_and_what_was_only_tried_is_not(tmp_path):
    state = ("--state", tmp_path / "state.json")
    with process("kubernetes", *state) as url:
        edit = {"kind": "virtualservices", "namespace": "bank-production", "name": "frontend", "delete": True}
        control(url, "edit", edit)
        path = f"{ROUTE}?dryRun=All"
        tried = patch(url, path, "merge-patch+json", {"metadata": {"labels": {"tried": "yes"}}})
        assert json.loads(tried.text)["metadata"]["labels"]["tried"] == "yes"

    with process("kubernetes", *state) as url:
        assert ask(url, "GET", ROUTE.replace("ledgerwriter", "frontend"), headers=FULL).status == 404
        assert "tried" not in seen(url, ROUTE)["metadata"]["labels"]


def test_a_reset_is_kept_too(tmp_path):
    state = ("--state", tmp_path / "state.json")
    with process("kubernetes", *state) as url:
        shift(url, 0, 100)
        control(url, "reset", {})
    with process("kubernetes", *state) as url:
        assert traffic(url)["weights"] == {"stable": 100, "canary": 0}


def test_a_planted_fault_ends_with_the_process(tmp_path):
    state = ("--state", tmp_path / "state.json")
    with process("kubernetes", *state) as url:
        control(url, "conflict", {"times": -1})
        control(url, "webhook", {"state": "down"})
    with process("kubernetes", *state) as url:
        assert shift(url, 0, 100).status == 200


def trigger(url, delay="0", **parameters):
    query = urlencode({**PARAMETERS, "delay": delay, **parameters})
    answer = ask(url, "POST", f"{JOB_PATH}/buildWithParameters?{query}", headers=AUTHORIZED)
    assert answer.status == 201, answer
    return int(answer.headers["Location"].rstrip("/").rpartition("/")[2])


def job(url):
    tree = "nextBuildNumber,builds[number,queueId,result,building]"
    return json.loads(ask(url, "GET", f"{JOB_PATH}/api/json?tree={tree}", headers=AUTHORIZED).text)


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def ended(url, number):
    return wait_until(lambda: [one for one in job(url)["builds"] if one["number"] == number and not one["building"]])


def test_a_jenkins_finds_an_old_build_by_its_key_and_goes_on_counting(tmp_path):
    state = ("--state", tmp_path / "state.json", "--speed", "50")
    wanted = order()
    with process("jenkins", *state, end=signal.SIGKILL) as url:
        begun = JenkinsDelivery(door_to(url)).start(wanted)
        first = int(begun.handle.ticket)
        (build,) = ended(url, 1)
        console = ask(url, "GET", f"{JOB_PATH}/1/consoleText", headers=AUTHORIZED).text
        wait_until(lambda: json.loads((tmp_path / "state.json").read_text())["items"][0]["build"]["result"])

    with process("jenkins", *state) as url:
        found = JenkinsDelivery(door_to(url)).find(TARGET, wanted.key)
        assert (found.handle.run, found.state) == ("1", State.FAILED)  # no gate is there: Permit failed
        assert [stage.name for stage in found.stages] == ["Permit"]
        assert job(url)["builds"] == [build]
        assert ask(url, "GET", f"{JOB_PATH}/1/consoleText", headers=AUTHORIZED).text.startswith(console.rstrip())
        assert trigger(url, VERSION="v9") > first
        ended(url, 2)


def test_a_build_that_ran_is_found_aborted(tmp_path):
    state = ("--state", tmp_path / "state.json", "--speed", "50")
    wanted = order()
    with process("jenkins", *state, end=signal.SIGKILL) as url:
        control(url, "settings", {"jobs": {JOB: {"hold": "Permit"}}})
        begun = JenkinsDelivery(door_to(url)).start(wanted)
        wait_until(lambda: job(url)["builds"])

    with process("jenkins", *state) as url:
        adapter = JenkinsDelivery(door_to(url))
        found = adapter.look(begun.handle)
        console = ask(url, "GET", f"{JOB_PATH}/1/consoleText", headers=AUTHORIZED).text
    assert found.state is State.ABORTED_EXTERNALLY
    assert "restarted while this build ran" in console


def test_what_waited_in_the_queue_waits_again_and_is_built_once(tmp_path):
    state = ("--state", tmp_path / "state.json", "--speed", "50")
    with process("jenkins", *state, end=signal.SIGKILL) as url:
        waiting = trigger(url, delay="1sec")

    with process("jenkins", *state) as url:
        ended(url, 1)
        assert [one["queueId"] for one in job(url)["builds"]] == [waiting]


@pytest.mark.parametrize("name", ["apisix", "jenkins", "kong", "kubernetes"])
@pytest.mark.parametrize("text", ["{", "[]", '{"objects": 7}'])
def test_a_file_that_is_not_ours_is_said_in_one_line(tmp_path, name, text):
    place = tmp_path / "state.json"
    place.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", f"gmud.sandbox.{name}", "--state", str(place)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"{place} cannot be read")
    assert len(done.stderr.splitlines()) == 1
    assert place.read_text() == text


@pytest.mark.parametrize("name", ["jenkins", "kubernetes"])
def test_the_file_is_for_its_owner_only_and_no_half_one_stays(tmp_path, name):
    with process(name, "--state", tmp_path / "state.json") as url:
        control(url, "reset", {})
    assert [(one.name, one.stat().st_mode & 0o777) for one in tmp_path.iterdir()] == [("state.json", 0o600)]
