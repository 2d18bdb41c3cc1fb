"""Two web servers at one address, as ``GMUD_RUN_EACH=2`` starts them, count together: each answers for both."""

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gmud.run import plan as plans
from tests.fault.harness import free_port
from tests.house.tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.once]
PATIENCE_SECONDS = 60
NOWHERE = re.compile(r'^gmud_http_requests_total\{[^}]*route="none"[^}]*\} ([0-9.]+)$', re.MULTILINE)


@pytest.fixture
def plan(tmp_path):
    """Run two web servers while the test lasts."""
    plan = plans.make(data=tmp_path, host="127.0.0.1", port=free_port(), environment={"GMUD_RUN_EACH": "2"})
    given = {name: value for name, value in os.environ.items() if name not in {"GMUD_TEST_DB", "DATABASE_URL"}}
    environment = plans.environment_of(plan, {**given, "GRANIAN_HTTP1_KEEP_ALIVE": "false"})
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "counter_1.db").write_bytes(b"of an earlier start")
    (tmp_path / "static").mkdir()
    plans.make_room(plan)
    commands = [one.command for one in plans.house(plan) if one.name.startswith("web")]
    with (tmp_path / "web.log").open("ab") as log:
        started = [
            subprocess.Popen(one, cwd=ROOT, env=environment, stdout=log, stderr=log, process_group=0)
            for one in commands
        ]
    yield plan
    for one in started:
        one.terminate()
    for one in started:
        one.wait(PATIENCE_SECONDS)


def ask(plan: plans.Plan, path: str) -> tuple[int, str]:
    """Ask over a connection of its own; the kernel chooses who answers."""
    call = Request(f"http://127.0.0.1:{plan.port}{path}", headers={"Connection": "close"})
    try:
        with urlopen(call, timeout=30) as answer:  # noqa: S310  # our own server
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, ""


def counting(plan: plans.Plan) -> set[str]:
    """Return the processes that counted something."""
    return {place.stem.rpartition("_")[2] for place in Path(plan.figures).glob("counter_*.db")}


def counted(plan: plans.Plan) -> float:
    """Return how many requests for nothing the servers say that all of them had."""
    status, said = ask(plan, "/metrics")
    assert status == 200
    return sum(map(float, NOWHERE.findall(said)))


def test_two_web_servers_count_together(plan):
    until = time.monotonic() + PATIENCE_SECONDS
    while len(counting(plan)) < 2 and time.monotonic() < until:
        with suppress(OSError):
            ask(plan, "/nothing/of/ours")
        time.sleep(0.02)
    assert len(counting(plan)) == 2
    assert "1" not in counting(plan)

    before = counted(plan)
    for _turn in range(8):
        assert ask(plan, "/nothing/of/ours")[0] == 404
    assert {counted(plan) for _turn in range(8)} == {before + 8}
