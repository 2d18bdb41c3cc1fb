"""Two of everything but the workers: web servers at one address, clocks and sealers, as ``make run`` starts them.

The kernel deals out callers to the two web servers; each caller here opens a connection for every request, so that
one story is told to both. Each process can be killed by its name and started again.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from gmud.run import plan as plans
from gmud.run.plan import Plan
from tests.fault.harness import ROOT, Worker, free_port, wait_for

STOP_SECONDS = 15


@dataclass
class Twins:
    """The processes by name: ``web-1``, ``web-2``, ``beat-1``, ``beat-2``, ``sealer-1``, ``sealer-2``."""

    environment: Mapping[str, str]
    folder: Path
    plan: Plan
    processes: dict[str, Worker] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Return the address of both web servers."""
        return f"http://127.0.0.1:{self.plan.port}"

    def commands(self) -> dict[str, tuple[str, ...]]:
        """Return what there is to start: what the supervisor starts, without its workers."""
        return {one.name: one.command for one in plans.house(self.plan) if one.name not in plans.WORKERS}

    def start(self) -> None:
        """Start whatever does not live, and wait until it is at work."""
        beginning = {name: command for name, command in self.commands().items() if not self.lives(name)}
        already = {name: len(self.said(name)) for name in beginning}
        for name, command in beginning.items():
            with self._log(name).open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env={**self.environment, "GRANIAN_LOG_ACCESS_ENABLED": "true", "GMUD_LOG_JSON": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    process_group=0,
                )
        for name in beginning:
            if name.startswith("web"):
                wait_for(lambda name=name: self._answers(name, already[name]), what=name, report=self.report)

    def lives(self, name: str) -> bool:
        """Say whether a process is there."""
        return name in self.processes and self.processes[name].poll() is None

    def kill(self, *names: str) -> None:
        """Kill processes with SIGKILL, and what they started."""
        for name in names:
            with suppress(ProcessLookupError):
                os.killpg(self.processes[name].pid, signal.SIGKILL)
            self.processes[name].wait()

    def said(self, name: str) -> str:
        """Return what a process wrote."""
        return self._log(name).read_text(errors="replace") if self._log(name).exists() else ""

    def report(self) -> str:
        """Return the end of what each wrote."""
        return "\n".join(f"--- {name} ({self.lives(name)})\n{self.said(name)[-2000:]}" for name in self.commands())

    def answered(self, what: str) -> dict[str, int]:
        """Return how many requests with that in their line each web server answered."""
        return {
            name: sum(what in line for line in self.said(name).splitlines())
            for name in self.commands()
            if name.startswith("web")
        }

    def end(self) -> None:
        """End everything that lives, politely."""
        living = [one for one in self.processes.values() if one.poll() is None]
        for one in living:
            one.terminate()
        for one in living:
            one.wait(STOP_SECONDS)

    def _answers(self, name: str, already: int) -> bool:
        """Ask until this very one has answered; its twin may take the call."""
        with suppress(OSError), urlopen(f"{self.address}/healthz", timeout=5):  # noqa: S310  # our own server
            time.sleep(0.05)
        return "/healthz" in self.said(name)[already:]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@contextmanager
def twins(environment: Mapping[str, str], folder: Path) -> Iterator[Twins]:
    """Run two of each while the block lasts."""
    (folder / "data").mkdir(exist_ok=True)
    plan = Plan(folder / "data", "127.0.0.1", free_port(), 0, None, demo=False, each=2)
    found = Twins(environment, folder, plan)
    try:
        found.start()
        yield found
    finally:
        found.end()
