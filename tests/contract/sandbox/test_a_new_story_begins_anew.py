"""Before a new database is told the demo's story, the stand-ins forget what they kept for another one."""

import threading

import pytest

from gmud.run import prepare
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import running
from gmud.servers import free_port
from tests.contract.sandbox.test_a_restart_keeps_what_was_done import process, shift, traffic


def test_weights_of_another_story_are_gone(tmp_path):
    with process("kubernetes", "--state", tmp_path / "state.json") as url:
        shift(url, 0, 100)

        prepare.begin_anew(url)

        assert traffic(url)["weights"] == {"stable": 100, "canary": 0}


def test_one_that_comes_up_late_is_waited_for():
    cluster, port = Cluster(), free_port()
    before = cluster.store
    waiting = threading.Thread(target=prepare.begin_anew, args=(f"http://127.0.0.1:{port}",))
    waiting.start()
    with running(cluster, port):
        waiting.join(timeout=30)

    assert cluster.store is not before


def test_one_that_never_comes_up_is_an_error(monkeypatch):
    monkeypatch.setattr(prepare, "PATIENCE_SECONDS", 0.2)

    with pytest.raises(OSError, match="refused"):
        prepare.begin_anew(f"http://127.0.0.1:{free_port()}")
