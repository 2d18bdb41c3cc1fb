"""What a container platform asks about the processes that have no address."""

import socket
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from releases.audit.services import seal
from releases.core import clock
from releases.operations import services
from tests.factories.audit import an_event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def places(settings, tmp_path):
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness" / "checkpoints.jsonl")
    settings.GMUD_KEYS = str(tmp_path / "keys")


def healthy(what: str) -> str:
    said = StringIO()
    call_command("healthy", what, stdout=said)
    return said.getvalue()


def test_a_worker_of_this_host_that_was_seen_lately_is_well():
    services.heartbeat(worker=f"work@{socket.gethostname()}:7", queues=["deploy"], now=clock.now())

    assert healthy("worker") == "well\n"


@pytest.mark.parametrize(("host", "ago"), [("another", 0), ("", 300)])
def test_a_worker_elsewhere_or_long_ago_does_not_count(host, ago):
    name = f"work@{host or socket.gethostname()}:7"
    services.heartbeat(worker=name, queues=["deploy"], now=clock.now() - timedelta(seconds=ago))

    with pytest.raises(CommandError, match="sign of life"):
        healthy("worker")


def test_a_sealer_that_keeps_up_is_well():
    an_event()
    seal()
    an_event()

    assert healthy("sealer") == "well\n"


def test_a_sealer_that_lets_events_wait_is_not_well(monkeypatch):
    an_event()
    monkeypatch.setattr("releases.management.commands.healthy.LONGEST_WAIT_SECONDS", -1.0)

    with pytest.raises(CommandError, match="waited"):
        healthy("sealer")


def test_a_sealer_whose_record_contradicts_its_witness_is_not_well(tmp_path):
    an_event()
    seal()
    place = tmp_path / "witness" / "checkpoints.jsonl"
    place.write_text(place.read_text().replace('"size": 1', '"size": 2'))

    with pytest.raises(CommandError, match="contradicts"):
        healthy("sealer")
