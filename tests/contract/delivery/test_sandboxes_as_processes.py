"""Sandboxes run as processes of their own, say where they listen, and refuse to stand in for real systems."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.factories.delivery import ask, basic, control, requests_of

COMMANDS = {
    "apisix": [],
    "jenkins": [],
    "kong": [],
    "prometheus": ["--kubernetes", "http://127.0.0.1:9"],
    "spinnaker": ["--kubernetes", "http://127.0.0.1:9"],
}
NOT_STRICT = {name: value for name, value in os.environ.items() if name != "GMUD_STRICT"}


def command(name, *more):
    return [sys.executable, "-m", f"gmud.sandbox.{name}", *COMMANDS[name], *more]


@pytest.mark.parametrize("name", COMMANDS)
def test_it_says_where_it_listens_and_ends_when_told_to(name):
    with subprocess.Popen(command(name), stdout=subprocess.PIPE, text=True, env=NOT_STRICT) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("ready ").strip()
        answered = ask(url, "GET", "/_sandbox/requests")
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=10)

    assert url.startswith("http://127.0.0.1:")
    assert (answered.status, json.loads(answered.text)) == (200, [])
    assert code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_it_refuses_to_start_in_a_strict_installation(name):
    done = subprocess.run(
        command(name), capture_output=True, text=True, env={**NOT_STRICT, "GMUD_STRICT": "1"}, timeout=20, check=False
    )

    assert done.returncode != 0
    assert "GMUD_STRICT" in done.stderr
    assert done.stdout == ""


def test_a_taken_port_is_said_in_one_line():
    with subprocess.Popen(command("jenkins"), stdout=subprocess.PIPE, text=True, env=NOT_STRICT) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip().rsplit(":", 1)[1]
        done = subprocess.run(
            command("jenkins", "--port", port), capture_output=True, text=True, env=NOT_STRICT, timeout=20, check=False
        )
        process.terminate()

    assert done.returncode != 0
    assert done.stderr.strip() == f"jenkins: port {port} is not free (Address already in use)."


def test_jobs_come_from_a_file_and_controls_are_not_logged(tmp_path):
    config = tmp_path / "jobs.json"
    config.write_text(json.dumps({"jobs": [{"name": "a/b/c", "parameters": [{"name": "X"}]}]}))
    with subprocess.Popen(
        command("jenkins", "--config", str(config)), stdout=subprocess.PIPE, text=True, env=NOT_STRICT
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("ready ").strip()
        job = ask(url, "GET", "/job/a/job/b/job/c/api/json", headers={"Authorization": basic()})
        state = json.loads(ask(url, "GET", "/_sandbox/state").text)
        log = requests_of(url)
        control(url, "reset", {})
        process.terminate()

    assert json.loads(job.text)["fullName"] == "a/b/c"
    assert state["jobs"] == ["a/b/c"]
    assert [one["path"] for one in log] == ["/job/a/job/b/job/c/api/json"]
