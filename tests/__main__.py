"""``make test``: the whole suite on SQLite, then on PostgreSQL and Redis, each with the browser; the count comes last.

House tests read files, unit tests and the tests of adapters touch no database: they run once, and so do the browser's
tests of pages whose server brings a database of its own.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as Xml

from gmud.run.guard import Guard, kill_group
from gmud.servers import CannotStart, missing_programs, postgresql, redis

LIMIT_SECONDS = 1800
MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of our own is made in it
ROOM = 4 * 1024**3  # bytes
FONTS = "fonts-liberation"  # a browser without a font shows boxes
PROCESSES = ("-n", "3")  # of two cores, real workers and servers leave a third idle
WITHOUT_BROWSER = ("tests", "--ignore=tests/browser")
ADAPTERS = ("cluster", "core", "delivery", "health", "notify", "sandbox", "traffic")
WITHOUT_DATABASE = ("house", "unit", *(f"contract/{name}" for name in ADAPTERS), "fault/delivery")
RUN_ONCE = tuple(f"--ignore=tests/{name}" for name in WITHOUT_DATABASE)
BROWSER = ("-n", "2", "-p", "playwright", "tests/browser")


@dataclass
class Count:
    """Tests counted over all runs; ``broken`` names the runs that ended badly without saying which test did."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, name: str, report: Path, exit_code: int) -> None:
        """Add what a run's report says."""
        failed = 0
        if report.exists():
            for suite in Xml.parse(report).getroot().iter("testsuite"):  # noqa: S314  # pytest wrote it a moment ago
                failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                self.skipped += int(suite.get("skipped", 0))
                self.passed += int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
        self.passed -= failed
        self.failed += failed
        if exit_code and not failed:
            self.broken.append(f"{name} (exit code {exit_code})")


def main() -> int:
    """Run everything that was asked for; return an exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not _ready_to_test():
        return 1
    chosen = "long" if "--long" in sys.argv else "not long"
    profile = f"--hypothesis-profile={'long' if chosen == 'long' else 'usual'}"
    count, guard = Count(), Guard()
    with _folder() as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("GMUD_", "PYTEST"))}
        for name in ("DATABASE_URL", "REDIS_URL"):
            environment.pop(name, None)
        environment["TMPDIR"] = str(folder)
        here = f"{chosen} and not postgres"
        _pytest("SQLite", (*PROCESSES, profile, "-m", here, *WITHOUT_BROWSER), environment, folder, count, guard)
        _pytest("SQLite, browser", ("-m", here, *BROWSER), environment, folder, count, guard)
        try:
            with postgresql(folder, guard=guard) as database, redis(folder, guard=guard) as broker:
                there = {**environment, "DATABASE_URL": database, "REDIS_URL": broker}
                there_too = f"{chosen} and not once"
                again = (*PROCESSES, profile, "-m", there_too, *WITHOUT_BROWSER, *RUN_ONCE)
                _pytest("PostgreSQL and Redis", again, there, folder, count, guard)
                again = ("-m", there_too, *BROWSER)
                _pytest("PostgreSQL and Redis, browser", again, there, folder, count, guard)
        except CannotStart as error:
            count.broken.append(str(error))
    guard.close()
    for name in count.broken:
        print(f"Broken: {name}")
    print(f"{count.passed} passed, {count.failed + len(count.broken)} failed, {count.skipped} skipped", flush=True)
    return int(bool(count.failed or count.broken))


def _pytest(
    name: str, arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path, count: Count, guard: Guard
) -> None:
    """Run pytest in its own process group, with a limit of time, and count what it reports."""
    print(f"=== {name}", flush=True)
    report, began = folder / f"{name}.xml", time.monotonic()
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--durations=5",
        f"--junitxml={report}",
        f"--basetemp={folder / 'run'}",
        *arguments,
    )
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, process_group=0)
    guard.watch(process.pid)
    try:
        exit_code = process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        exit_code = -1
    finally:
        kill_group(process.pid)
        process.wait()
        guard.forget(process.pid)
    has_nothing_long = exit_code == 5 and any(one.startswith("long") for one in arguments)  # 5: nothing was chosen
    count.add(name, report, 0 if has_nothing_long else exit_code)
    print(f"=== {name}: {time.monotonic() - began:.0f} s", flush=True)


def _ready_to_test() -> bool:
    """Find the servers and the browser, or install Debian's when we may; else say what to install."""
    missing = missing_programs()
    if not missing:
        return True
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {', '.join(missing)} from Debian's packages ...", flush=True)
        # RUNLEVEL=1 keeps the packages from starting servers of their own.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        fonts = [FONTS] if "chromium" in missing else []
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing, *fonts]
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
        missing = missing_programs()
    if missing:
        print(f"The tests need {', '.join(missing)}; on Debian, as root: apt-get install {' '.join(missing)}")
    return not missing


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a temporary folder that PostgreSQL's account may pass through.

    It is in memory where there is room: a disk makes SQLite wait milliseconds at each commit.
    """
    folder = Path(tempfile.mkdtemp(prefix="gmud-test-", dir=MEMORY if _has_room(MEMORY) else None))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_room(place: Path) -> bool:
    """Say whether a folder takes what a whole run leaves, and lets programs in it run."""
    if not (place.is_dir() and os.access(place, os.W_OK)):
        return False
    there = os.statvfs(place)
    return there.f_bavail * there.f_frsize > ROOM and not there.f_flag & os.ST_NOEXEC


if __name__ == "__main__":
    sys.exit(main())
