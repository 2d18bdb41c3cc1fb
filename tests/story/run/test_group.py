"""The processes of ``make run`` start together and leave nothing behind, however they are ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.house.tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.once]

PATIENCE_SECONDS = 30
WAITS = "import os, time; print('pid', os.getpid()); time.sleep(600)"
STUBBORN = (
    "import os, signal, time\n"
    "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
    "print('pid', os.getpid()); time.sleep(600)"
)
WITH_A_CHILD = (
    "import subprocess, sys, os, time\n"
    f"subprocess.Popen([sys.executable, '-u', '-c', {STUBBORN!r}])\n"
    "print('pid', os.getpid()); time.sleep(600)"
)
DIES = "raise SystemExit(3)"


@pytest.fixture
def open_house():
    """Start a supervisor over these programs; end it after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(**programs: str) -> subprocess.Popen[str]:
        house = subprocess.Popen(
            (sys.executable, "-m", "tests.story.run.house", json.dumps(programs)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(house)
        return house

    yield start
    for house in started:
        if house.poll() is None:
            house.send_signal(signal.SIGTERM)
        house.communicate(timeout=PATIENCE_SECONDS)


def pids(house: subprocess.Popen[str], count: int) -> list[int]:
    """Read lines until so many processes have told their number."""
    found = []
    while len(found) < count:
        line = house.stdout.readline()
        assert line, "the house ended before its processes told their numbers"
        if " | pid " in line:
            found.append(int(line.split()[-1]))
    return found


def is_gone(pid: int) -> bool:
    """Say whether the process ends within our patience (a zombie has ended)."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process_in_good_order(open_house, number):
    house = open_house(one=WAITS, two=WAITS)
    running = pids(house, 2)

    house.send_signal(number)
    rest, _ = house.communicate(timeout=PATIENCE_SECONDS)

    assert house.returncode == 0
    assert rest.splitlines()[-1].endswith("| Everything has stopped.")
    assert all(is_gone(pid) for pid in running)


def test_a_process_that_does_not_stop_is_killed_and_that_is_said(open_house):
    house = open_house(deaf=STUBBORN)
    running = pids(house, 1)

    house.send_signal(signal.SIGTERM)
    rest, _ = house.communicate(timeout=PATIENCE_SECONDS)

    assert "deaf did not stop in 1 s and is killed." in rest
    assert is_gone(running[0])


def test_what_a_process_leaves_behind_ends_with_it(open_house):
    house = open_house(parent=WITH_A_CHILD)
    running = pids(house, 2)

    house.send_signal(signal.SIGINT)
    house.communicate(timeout=PATIENCE_SECONDS)

    assert all(is_gone(pid) for pid in running)


def test_no_process_outlives_a_supervisor_that_is_killed(open_house):
    house = open_house(one=WAITS, deaf=STUBBORN, parent=WITH_A_CHILD)
    running = pids(house, 4)

    house.kill()

    assert all(is_gone(pid) for pid in running)


def test_a_process_that_keeps_dying_is_started_again_and_then_everything_stops(open_house):
    house = open_house(well=WAITS, ill=DIES)

    told, _ = house.communicate(timeout=PATIENCE_SECONDS)

    assert house.returncode == 1
    assert told.count("ill ended (exit code 3); starting it again") == 2
    assert "ill ended again (exit code 3); giving up, everything stops." in told


def test_a_worker_that_keeps_dying_is_started_again_and_the_others_go_on(open_house):
    house = open_house(well=WAITS, worker=DIES)

    lines = []
    while sum("worker ended (exit code 3); starting it again" in line for line in lines) < 5:
        lines.append(house.stdout.readline())
        assert lines[-1], f"the house ended: {lines}"

    assert house.poll() is None
    assert sum("| pid " in line for line in lines) == 1


def test_every_line_says_who_wrote_it(open_house):
    house = open_house(talker="print('one'); print('two', end=''); raise SystemExit(0)")

    told, _ = house.communicate(timeout=PATIENCE_SECONDS)

    assert told.splitlines()[:2] == ["talker       | one", "talker       | two"]


def test_the_group_goes_on_when_a_process_is_killed_from_outside(open_house):
    house = open_house(one=WAITS, two=WAITS)
    first, second = pids(house, 2)

    os.kill(first, signal.SIGKILL)
    (again,) = pids(house, 1)

    assert again not in {first, second}
    assert is_gone(first)
