import os
import signal
import subprocess
import sys

import pytest

from releases.operations import failpoints

STRIKE = "from releases.operations.failpoints import failpoint; failpoint('after_send'); print('alive')"


def strike(folder, named):
    environment = {**os.environ, "GMUD_FAILPOINTS": named, "GMUD_FAILPOINT_DIR": str(folder)}
    return subprocess.run((sys.executable, "-c", STRIKE), env=environment, capture_output=True, text=True, check=False)


def test_every_place_of_the_journal_is_found_in_the_source():
    journal = {"after_claim", "after_probe", "after_snapshot", "after_intent", "after_send", "after_record"}

    assert journal | {"before_confirm", "after_confirm", "outbox_claimed"} <= set(failpoints.names())


def test_a_named_place_kills_the_process_once(tmp_path):
    assert strike(tmp_path, "after_claim,after_send").returncode == -signal.SIGKILL
    assert strike(tmp_path, "after_claim,after_send").stdout == "alive\n"


@pytest.mark.parametrize("named", ["", "after_claim"])
def test_a_place_that_is_not_named_does_nothing(tmp_path, named):
    assert strike(tmp_path, named).stdout == "alive\n"
    assert not list(tmp_path.iterdir())
