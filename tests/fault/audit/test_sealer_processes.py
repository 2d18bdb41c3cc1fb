"""Real sealers in processes of their own: killed in the middle, two at a time, ended politely."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.db import connection

from releases.audit import services
from releases.audit.models import Checkpoint, LastLook, Leaf, Looker, Unsealed
from releases.audit.moments import database_us
from releases.audit.queries import verify
from releases.audit.verification.written import GRACE_US
from tests.factories.audit import an_event

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0

KILLED_BEFORE_THE_CHECKPOINT = """
import os, signal, django
django.setup()
from django.core.management import call_command
from django.db.models.signals import {signal_name}
from releases.audit.models import Checkpoint, Leaf
def die(**_):
    print(Leaf.objects.count(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
{signal_name}.connect(die, sender=Checkpoint)
call_command("sealer", once=True)
"""
KILLED_BEFORE_THE_WITNESS = """
import builtins, os, signal, sys, django
django.setup()
from django.core.management import call_command
def die(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".jsonl.lock"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
call_command("sealer", once=True)
"""


@pytest.fixture
def witness(settings, tmp_path: Path) -> Path:
    settings.GMUD_KEYS = str(tmp_path / "keys")
    settings.GMUD_WITNESS_FILE = str(tmp_path / "elsewhere" / "checkpoints.jsonl")
    return Path(settings.GMUD_WITNESS_FILE)


@pytest.fixture
def start(witness: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python on the tests' database; whatever still runs at the end is ended."""
    started: list[subprocess.Popen[str]] = []
    environment = {
        **os.environ,
        "DATABASE_URL": _url(),
        "DJANGO_SETTINGS_MODULE": "gmud.settings",
        "GMUD_KEYS": configured.GMUD_KEYS,
        "GMUD_WITNESS_FILE": str(witness),
    }

    def run(*arguments: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _url() -> str:
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    password = f":{given['PASSWORD']}" if given["PASSWORD"] else ""
    return f"postgres://{given['USER']}{password}@{given['HOST']}:{given['PORT']}/{given['NAME']}"


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)


def sizes(witness: Path) -> list[int]:
    return [json.loads(line)["size"] for line in witness.read_text().splitlines()] if witness.exists() else []


@pytest.mark.parametrize("moment", ["pre_save", "post_save"])
def test_a_sealer_killed_between_leaves_and_checkpoint_leaves_nothing_behind(start, witness, moment):
    for _ in range(3):
        an_event()
    process = start("-c", KILLED_BEFORE_THE_CHECKPOINT.format(signal_name=moment))
    told, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == -signal.SIGKILL, told
    assert told.splitlines()[-1] == "3"  # its leaves were written
    assert (Leaf.objects.count(), Checkpoint.objects.count(), Unsealed.objects.count()) == (0, 0, 3)
    assert start("manage.py", "sealer", "--once").wait(PATIENCE) == 0
    assert (sizes(witness), verify().exit_code) == ([3], 0)


def test_a_sealer_killed_between_checkpoint_and_witness_is_made_up_for(start, witness):
    an_event()
    process = start("-c", KILLED_BEFORE_THE_WITNESS)
    told, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == -signal.SIGKILL, told
    assert (Checkpoint.objects.count(), sizes(witness)) == (1, [])
    assert start("manage.py", "sealer", "--once").wait(PATIENCE) == 0
    assert (sizes(witness), verify().exit_code) == ([1], 0)


def test_two_sealers_make_one_tree_while_events_come_in(start, witness):
    sealers = [start("manage.py", "sealer") for _ in range(2)]
    for number in range(60):
        an_event(f"change:{number % 7}", text={"reason": "x"})
        time.sleep(0.03)
    until(lambda: not Unsealed.objects.exists() and sizes(witness)[-1:] == [60])

    assert [process.poll() for process in sealers] == [None, None]
    assert sizes(witness) == sorted(set(sizes(witness)))
    assert verify().exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_sealer_ends_when_asked_to(start, witness, number):
    process = start("manage.py", "sealer")
    an_event()
    until(lambda: sizes(witness) == [1])
    process.send_signal(number)

    assert process.wait(PATIENCE) == 0


def test_a_sealer_that_begins_late_finds_nothing_wrong_with_what_waited(start, witness, monkeypatch):
    monkeypatch.setattr(services, "database_us", lambda: database_us() - 2 * GRACE_US)
    an_event()
    assert "waits for its leaf" in str(verify().findings[0])

    process = start("manage.py", "sealer")
    until(lambda: LastLook.objects.filter(by=Looker.VERIFICATION).exists())
    process.terminate()

    assert "critical" not in process.communicate(timeout=PATIENCE)[0]
    assert LastLook.objects.get(by=Looker.VERIFICATION).since_us is None


def test_without_its_witness_a_sealer_signs_nothing_and_goes_on_when_it_is_back(start, witness):
    witness.mkdir(parents=True)  # it can be neither read nor written
    process = start("manage.py", "sealer")
    an_event()
    assert "nothing was sealed" in next(line for line in process.stdout if "sealed" in line)
    assert Checkpoint.objects.count() == 0
    witness.rmdir()

    until(lambda: sizes(witness) == [1])
    assert process.poll() is None
    assert verify().exit_code == 0


def test_verify_ends_with_3_when_there_is_no_database(start, tmp_path):
    code = "import os; os.environ['DATABASE_URL'] = 'sqlite:////nowhere/at/all.sqlite3'\n"
    code += "from django.core.management import execute_from_command_line as run; run(['manage.py', 'audit', 'verify'])"
    process = start("-c", code)
    told, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 3, told
    assert "cannot run" in told
