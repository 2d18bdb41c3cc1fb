"""A process of its own that ends the others when the one who started them is gone, however it went.

A supervisor that is killed with SIGKILL cannot clean up. So it forks a guard first and tells it, through a pipe, which
process groups it started. When the pipe closes, the supervisor is gone: what is still in the list is ended.
"""

import os
import signal
import sys
import time

GRACE_SECONDS = 10.0


def end(groups: set[int], *, grace: float) -> None:
    """Ask the leader of each group to stop; kill what is left of a group when its leader is gone or grace is over."""
    deadline = time.monotonic() + grace
    for group in groups:
        _signal(group, signal.SIGTERM)
    waiting = set(groups)
    while waiting and time.monotonic() < deadline:
        waiting = {group for group in waiting if _signal(group, 0)}
        time.sleep(0.05)
    for group in groups:
        kill_group(group)


def kill_group(group: int) -> None:
    """Kill every process of the group that is still there."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _signal(leader: int, number: int) -> bool:
    try:
        os.kill(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


class Guard:
    """The supervisor's end of the pipe; make it before threads and children."""

    def __init__(self, *, grace: float = GRACE_SECONDS) -> None:
        """Fork the guard; it forgets the terminal's signals and waits."""
        listen, self._tell = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._tell)
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            end(_left_when_closed(listen), grace=grace)
            os._exit(0)
        os.close(listen)

    def watch(self, group: int) -> None:
        """End this group when the supervisor is gone."""
        os.write(self._tell, b"+%d\n" % group)

    def forget(self, group: int) -> None:
        """Strike a group that has ended: its number may be given to others."""
        os.write(self._tell, b"-%d\n" % group)

    def close(self) -> None:
        """Let the guard go, after the groups have been ended."""
        os.close(self._tell)
        os.waitpid(self._process, 0)


def _left_when_closed(listen: int) -> set[int]:
    groups: set[int] = set()
    with os.fdopen(listen, "rb") as lines:
        for line in lines:
            change = groups.add if line.startswith(b"+") else groups.discard
            change(int(line[1:]))
    if groups:
        sys.stderr.write("The supervisor is gone; ending what it started.\n")
    return groups
