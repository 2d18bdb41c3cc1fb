"""Real processes for the fault tests: a database and a broker of their own, workers that are killed by their id.

``house()`` gives a module its own database (SQLite or PostgreSQL, whatever ``DATABASE_URL`` says) and its own broker.
``Crew`` starts worker processes on them. Failpoints are armed by name while the workers run: every worker knows all
of them, and only an armed one strikes, once.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import psycopg
import redis
from celery import Celery
from django.core.management import call_command
from django.db import connection

from gmud.celery import TASKS
from gmud.servers import accepts, answers_ping, broker_command, free_port
from releases.operations import failpoints
from tests.canaries import keep_dump

Worker: TypeAlias = "subprocess.Popen[bytes]"
ROOT = Path(__file__).resolve().parents[2]
QUEUES = "rollback,deploy,notify,default"
PATIENCE = 45.0


def wait_for(
    condition: Callable[[], object], *, seconds: float = PATIENCE, what: str = "", report: Callable[[], str] = str
) -> None:
    """Wait until the condition holds; the limit is only there so that a broken test ends, with a report."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {seconds:.0f} s in vain for {what or condition}.\n{report()}")
        time.sleep(0.05)


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Give a new migrated database, point this process at it while the block lasts, and yield its address."""
    settings = connection.settings_dict
    before = settings["NAME"]
    connection.close()
    pattern = _migrated()
    if connection.vendor == "postgresql":
        name = f"gmud_fault_{uuid4().hex[:12]}"
        address = f"{_server()}/{name}"
        _administer(f"CREATE DATABASE {name} TEMPLATE {pattern}")
    else:
        name = str(folder / "fault.sqlite3")
        address = f"sqlite:///{name}"
        shutil.copy(pattern, name)
    settings["NAME"] = name
    try:
        yield address
    finally:
        connection.close()
        settings["NAME"] = before
        if connection.vendor == "postgresql":
            keep_dump(address, folder / "fault.dump")
            _administer(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _migrated() -> str:
    """Migrate one database to copy all others from, and return its name; migrations take as long as many tests."""
    settings = connection.settings_dict
    before = settings["NAME"]
    if connection.vendor == "postgresql":
        name = f"gmud_pattern_{uuid4().hex[:12]}"
        _administer(f"CREATE DATABASE {name}")
        atexit.register(_administer, f"DROP DATABASE {name}")
    else:
        name = f"{os.environ['GMUD_DATA']}/pattern.sqlite3"
    settings["NAME"] = name
    try:
        call_command("migrate", verbosity=0, interactive=False)
    finally:
        connection.close()
        settings["NAME"] = before
    return name


def _server() -> str:
    settings = connection.settings_dict
    return f"postgres://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:{settings['PORT']}"


def _administer(statement: str) -> None:
    with psycopg.connect(f"{_server()}/postgres", autocommit=True) as admin:
        admin.execute(statement)


@dataclass
class Broker:
    """A broker that can be killed, paused and started again; it keeps nothing on disk.

    Redis on a TCP port beside PostgreSQL, the embedded Valkey on a unix socket beside SQLite, as in the house itself.
    """

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Return its address, as ``REDIS_URL`` has it."""
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"redis+socket://{self._socket}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._socket.unlink(missing_ok=True)
        command = broker_command(place=self._socket, folder=self.folder)
        if self.port:
            program = shutil.which("redis-server")
            assert program, "redis-server is not installed"
            command = (
                program,
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                str(self.folder),
            )
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: accepts(self.port) if self.port else answers_ping(self._socket), what="the broker")

    def kill(self) -> None:
        """Kill it, with everything in it."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def forget(self) -> None:
        """Empty it, as FLUSHALL does."""
        with self._client() as client:
            client.flushall()

    def waiting(self, queue: str) -> int:
        """Return how many messages nobody has taken yet."""
        with self._client() as client:
            return int(client.llen(f"gmud:{queue}"))

    def publish(self, queue: str, task: str, *args: object, **options: object) -> None:
        """Send any message to any task, as ourselves or as somebody who has the broker's password."""
        with Celery(broker=self.address, set_as_current=False) as sender:
            sender.conf.update(broker_transport_options={"global_keyprefix": "gmud:"}, task_queues={queue: {}})
            sender.send_task(task, args=args, queue=queue, **options)

    def ring(self, queue: str, kind: str, row: str) -> None:
        """Ring as the house does; to be installed as the bell of the test's own process."""
        self.publish(queue, TASKS[kind], row)

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.address.replace("redis+socket://", "unix://"))

    @property
    def _socket(self) -> Path:
        return self.folder / "broker.sock"


@dataclass
class Crew:
    """Worker processes: each knows all failpoints, of which only the armed ones strike."""

    folder: Path
    environment: Mapping[str, str]
    app: str
    workers: list[Worker] = field(default_factory=list)

    def hire(self, people: int = 1, *, pause: str = "", queues: str = QUEUES) -> list[Worker]:
        """Start workers, and wait for their first sign of life.

        ``pause`` names a failpoint that pauses these workers instead of killing them.
        """
        numbers = [uuid4().hex[:6] for _ in range(people)]
        started = [self._start(number, self._command(number, queues), {}, pause=pause) for number in numbers]
        for number, worker in zip(numbers, started, strict=True):
            self._see(number, worker)
        return started

    def supervise(self, people: int = 1, *, more: Mapping[str, str] | None = None) -> Worker:
        """Start workers under the supervisor of the house, which starts them again; return the supervisor.

        ``more`` is added to their environment.
        """
        numbers = [uuid4().hex[:6] for _ in range(people)]
        commands = {number: self._command(number, QUEUES) for number in numbers}
        program = (sys.executable, "-m", "tests.fault.supervised", json.dumps(commands))
        supervisor = self._start("-".join(numbers), program, more or {})
        for number in numbers:
            self._see(number, supervisor)
        return supervisor

    def release(self, supervisor: Worker) -> None:
        """End a supervisor and all it started, in good order."""
        supervisor.terminate()
        supervisor.wait()

    def arm(self, name: str) -> None:
        """Let the failpoint strike once; it must exist."""
        self._marker(name).unlink()

    def struck(self, name: str) -> bool:
        """Tell whether it has struck."""
        return self._marker(name).exists()

    def disarm(self) -> None:
        """Let none strike."""
        for name in failpoints.names():
            self._marker(name).touch()

    def alive(self) -> list[Worker]:
        """Return the workers that still live."""
        return [worker for worker in self.workers if worker.poll() is None]

    def dismiss(self) -> None:
        """Kill every worker with its children."""
        for worker in self.workers:
            kill(worker)
        self.workers.clear()

    def report(self) -> str:
        """Return what is not done and who lives, with the end of what each worker said."""
        from releases.operations.models import OutboxMessage, Step

        rows = [*Step.objects.exclude(state="confirmed").values(), *OutboxMessage.objects.undone().values()]
        living = [(worker.pid, state_of(worker.pid)) for worker in self.alive()]
        said = [log.read_text(errors="replace")[-3000:] for log in sorted(self.folder.glob("worker-*.log"))]
        return "\n".join([*map(str, rows), f"alive: {living}", *said])

    def logs(self) -> str:
        """Return what the workers said."""
        return "\n".join(log.read_text(errors="replace") for log in sorted(self.folder.glob("worker-*.log")))

    def _command(self, number: str, queues: str) -> tuple[str, ...]:
        flags = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING", "-Q", queues)
        celery = (sys.executable, "-m", "celery", "--skip-checks", "-A", self.app, "worker", "-n", f"{number}@test")
        return (*celery, *flags)

    def _start(self, number: str, command: Sequence[str], more: Mapping[str, str], *, pause: str = "") -> Worker:
        named = ",".join(f"{name}=pause" if name == pause else name for name in failpoints.names())
        with self._log(number).open("wb") as log:
            started = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.environment, "GMUD_FAILPOINTS": named, **more},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self.workers.append(started)
        return started

    def _see(self, number: str, process: Worker) -> None:
        wait_for(lambda: self._has_swept(number) or process.poll() is not None, report=self.logs)
        assert process.poll() is None, f"A worker did not start.\n{self.logs()}"

    def _log(self, number: str) -> Path:
        return self.folder / f"worker-{number}.log"

    def _marker(self, name: str) -> Path:
        return self.folder / "failpoints" / name

    def _has_swept(self, number: str) -> bool:
        from releases.operations.models import Heartbeat

        return Heartbeat.objects.filter(worker__startswith=f"{number}@").exists()


def kill(worker: Worker) -> None:
    """Kill a worker with SIGKILL, and its children, paused ones too."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def state_of(pid: int) -> str:
    """Return the kernel's letter for the state of a process (``T`` is stopped), empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@contextmanager
def house(
    folder: Path, *, app: str, lease: float = 2.0, sweep: float = 0.5, more: Mapping[str, str] | None = None
) -> Iterator["House"]:
    """Give a database, a broker and a crew while the block lasts; ``more`` is added to the workers' environment."""
    (folder / "failpoints").mkdir()
    broker = Broker(folder, port=free_port() if connection.vendor == "postgresql" else 0)
    with database(folder) as address:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "GMUD_TEST_DB"},
            "GMUD_DATA": str(folder / "data"),
            "DATABASE_URL": address,
            "REDIS_URL": broker.address,
            "GMUD_LEASE_SECONDS": str(lease),
            "GMUD_SWEEP_SECONDS": str(sweep),
            "GMUD_OUTBOUND_NETWORKS": "127.0.0.0/8",
            "GMUD_FAILPOINT_DIR": str(folder / "failpoints"),
            **(more or {}),
        }
        crew = Crew(folder, environment, app)
        crew.disarm()
        broker.start()
        try:
            yield House(broker, crew, folder)
        finally:
            crew.dismiss()
            broker.kill()


@dataclass(frozen=True)
class House:
    """What a fault test works with."""

    broker: Broker
    crew: Crew
    folder: Path


__all__ = ["Broker", "Crew", "House", "Worker", "database", "free_port", "house", "kill", "state_of", "wait_for"]
