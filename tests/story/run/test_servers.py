"""The servers that the tests start for themselves come up on free ports and leave nothing behind."""

import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis as client

from gmud import servers


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)  # PostgreSQL's account passes through
        yield Path(name)


@pytest.mark.postgres
def test_postgresql_is_new_speaks_utf8_and_ends_with_the_block(folder):
    with servers.postgresql(folder) as address:
        with psycopg.connect(address) as connection:
            found = connection.execute("SELECT current_database(), current_setting('server_encoding')").fetchone()
        assert found == ("gmud", "UTF8")

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address, connect_timeout=2)


@pytest.mark.postgres
def test_redis_answers_and_ends_with_the_block(folder):
    with servers.redis(folder) as address, client.Redis.from_url(address) as connection:
        assert connection.ping()

    assert not servers.accepts(int(address.rpartition(":")[2]))


def test_a_server_that_cannot_start_says_why(folder, monkeypatch):
    broken = folder / "redis-server"
    broken.write_text("#!/bin/sh\necho the disk is full; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))

    with pytest.raises(servers.CannotStart, match="the disk is full"), servers.redis(folder):
        pass


def test_a_missing_server_is_named_with_its_package(folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))

    assert {"redis-server", "chromium"} <= set(servers.missing_programs())
    with pytest.raises(servers.CannotStart, match="apt-get install redis-server"), servers.redis(folder):
        pass


def test_the_embedded_broker_answers_on_its_socket_and_keeps_nothing(folder):
    place = folder / "broker.sock"
    broker = subprocess.Popen(servers.broker_command(place=place, folder=folder), stdout=subprocess.DEVNULL)
    try:
        while not servers.answers_ping(place):
            assert broker.poll() is None
        with client.Redis(unix_socket_path=str(place)) as connection:
            connection.set("a", "b")
    finally:
        broker.terminate()
        broker.wait()

    assert [path.name for path in folder.iterdir() if path.suffix == ".rdb"] == []
