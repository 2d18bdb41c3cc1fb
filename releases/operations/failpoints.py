"""Places where the fault tests end or pause a worker; nothing happens unless ``GMUD_FAILPOINTS`` names the place.

``GMUD_FAILPOINTS`` is a comma-separated list of ``name`` (SIGKILL) or ``name=pause`` (SIGSTOP). Each strikes once: a
marker file in ``GMUD_FAILPOINT_DIR`` remembers it, for all processes.
"""

import os
import re
import signal
from pathlib import Path

_CALL = re.compile(r'\bfailpoint\("([a-z_]+)"\)')
_SIGNALS = {"": signal.SIGKILL, "pause": signal.SIGSTOP}


def failpoint(name: str) -> None:
    """Mark a place in the journal between two commits."""
    if os.environ.get("GMUD_FAILPOINTS"):
        strike(name)


def strike(name: str) -> None:
    """End or pause this process when the place is named and has not struck yet."""
    named = dict(one.strip().partition("=")[::2] for one in os.environ["GMUD_FAILPOINTS"].split(","))
    if name in named and _first(name):
        os.kill(os.getpid(), _SIGNALS[named[name]])


def names() -> list[str]:
    """Return every failpoint written in the product's source, so that no test can forget one."""
    root = Path(__file__).resolve().parent.parent
    return sorted({name for file in root.rglob("*.py") for name in _CALL.findall(file.read_text())})


def _first(name: str) -> bool:
    marker = Path(os.environ["GMUD_FAILPOINT_DIR"]) / name
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
