"""A group of child processes: prefixed log lines, restarts, and an end that leaves nothing behind.

One thread, one loop: it copies lines, notices deaths, starts again what died and asks everybody to stop.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from gmud.run.guard import GRACE_SECONDS, Guard, kill_group

LOOP_SECONDS = 0.1
LOOK_SECONDS = 0.25
CALM_SECONDS = 60.0  # who lived this long starts again with a clean record
PATIENCE = (1.0, 2.0, 4.0, 8.0, 16.0)
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


@dataclass(frozen=True, slots=True)
class Program:
    """One line of the table: what to start. Programs of a later stage stop earlier.

    ``once``: it ends by itself. ``lasting``: however often it ends, it is started again, and the others go on.
    """

    name: str
    command: tuple[str, ...]
    stage: int = 1
    once: bool = False
    lasting: bool = False


@dataclass
class _Child:
    program: Program
    colour: int
    process: subprocess.Popen[bytes] | None = None
    begun: float = 0.0
    deaths: int = 0
    again_at: float | None = None
    kill_at: float | None = None
    rest: bytes = b""


@dataclass
class Group:
    """Everything that was started, as one.

    ``patience``: seconds before each restart of a program that ended; after the last one the group gives up, unless
    the program is lasting.
    ``grace``: seconds a program may take to stop before it is killed. ``width`` aligns the prefixes.
    """

    folder: Path
    environment: Mapping[str, str]
    patience: tuple[float, ...] = PATIENCE
    grace: float = GRACE_SECONDS
    width: int = 12
    stopping: bool = False
    failed: bool = False
    _children: list[_Child] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        """Make the guard, before anything is started, and take the signals that mean: stop."""
        self._guard = Guard(grace=self.grace)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)

    def say(self, text: str, *, name: str = "gmud", colour: int = 1) -> None:
        """Print the lines with a prefix; a reader that went away means: stop."""
        prefix = f"{name:<{self.width}} |"
        if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        try:
            for line in text.splitlines():
                sys.stdout.write(f"{prefix} {line}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self.stopping = True
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # it lives as long as the process

    def start(self, program: Program) -> None:
        """Start a program and keep it running until the group stops."""
        child = _Child(program, COLOURS[len(self._children) % len(COLOURS)])
        self._children.append(child)
        self._begin(child)

    def finish(self, program: Program) -> bool:
        """Run a program once, to its end; return whether it succeeded."""
        self.start(program)
        child = self._children[-1]
        while child in self._children and not self.stopping:
            self._turn()
        return not self.stopping and child.deaths == 0

    def until(self, ready: Callable[[], bool], *, seconds: float) -> bool:
        """Go on until the condition holds; return ``False`` when time is over or the group stops first."""
        deadline, look_at = time.monotonic() + seconds, 0.0
        while not self.stopping and (now := time.monotonic()) < deadline:
            if now >= look_at:
                if ready():
                    return True
                look_at = now + LOOK_SECONDS
            self._turn()
        return False

    def serve(self) -> None:
        """Go on until somebody asks to stop or a program keeps dying."""
        while not self.stopping:
            self._turn()

    def end(self) -> None:
        """Stop everything, the latest stage first; what does not stop in time is killed."""
        self.stopping = True
        for stage in sorted({child.program.stage for child in self._children}, reverse=True):
            ending = [child for child in self._children if child.program.stage == stage]
            for child in ending:
                self._ask_to_stop(child)
            while any(child in self._children for child in ending):
                self._turn()
        self._guard.close()

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _begin(self, child: _Child) -> None:
        child.again_at, child.begun, child.rest = None, time.monotonic(), b""
        # Its own process group: the terminal's Ctrl-C reaches the supervisor only, which stops all in order.
        child.process = subprocess.Popen(
            child.program.command,
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self._guard.watch(child.process.pid)
        if child.process.stdout is not None:
            os.set_blocking(child.process.stdout.fileno(), False)
            self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _turn(self) -> None:
        """Do one round of the loop."""
        for key, _events in self._selector.select(LOOP_SECONDS):
            self._copy(key.data)
        now = time.monotonic()
        for child in list(self._children):
            if child.process is None:
                if self.stopping:
                    self._children.remove(child)
                elif child.again_at is not None and now >= child.again_at:
                    self._begin(child)
            elif child.process.poll() is not None:
                self._ended(child, child.process, now)
            elif child.kill_at is not None and now >= child.kill_at:
                self.say(f"{child.program.name} did not stop in {self.grace:.0f} s and is killed.")
                kill_group(child.process.pid)
                child.kill_at = None

    def _copy(self, child: _Child) -> bool:
        """Print what the child has said meanwhile; return whether there may be more."""
        stream = child.process.stdout if child.process else None
        if stream is None or stream.closed:
            return False
        try:
            read = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return False
        *lines, child.rest = (child.rest + read).split(b"\n")
        if not read:
            lines, child.rest = [*lines, *filter(None, [child.rest])], b""
            self._selector.unregister(stream)
            stream.close()
        for line in lines:
            self.say(line.decode("utf-8", "replace"), name=child.program.name, colour=child.colour)
        return bool(read)

    def _ended(self, child: _Child, process: subprocess.Popen[bytes], now: float) -> None:
        kill_group(process.pid)  # what the leader left behind
        self._guard.forget(process.pid)
        while self._copy(child):
            pass
        if process.stdout is not None and not process.stdout.closed:
            self._selector.unregister(process.stdout)
            process.stdout.close()
        child.process, child.kill_at = None, None
        if self.stopping or child.program.once:
            child.deaths = int(process.returncode != 0)
            self._children.remove(child)
            return
        child.deaths = 1 if now - child.begun > CALM_SECONDS else child.deaths + 1
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
        if child.deaths > len(self.patience) and not child.program.lasting:
            self.say(f"{child.program.name} ended again ({how}); giving up, everything stops.")
            self.stopping = self.failed = True
            return
        pause = self.patience[min(child.deaths, len(self.patience)) - 1]
        self.say(f"{child.program.name} ended ({how}); starting it again in {pause:.0f} s.")
        child.again_at = now + pause

    def _ask_to_stop(self, child: _Child) -> None:
        if child.process is not None and child.process.poll() is None:
            child.kill_at = time.monotonic() + self.grace
            child.process.send_signal(signal.SIGTERM)
